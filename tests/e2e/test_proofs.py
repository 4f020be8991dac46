"""Scheduled proofs of a deployment: who starts them, and the alarms that they fire and end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from local.alarms import State
from local.deployment import without_events, without_policy
from local.waiting import wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.monitoring import Monitoring, Periods, now
from tests.e2e.proofs import DRIFT, PROOF, Runs, worker_lines, write_result
from tests.e2e.stack import Stack

# One bucket is proved as a whole, so its tests run one after another.
pytestmark = pytest.mark.parametrize("stack", ["versioned"], indirect=True)


def quiet(began: Periods, periods: int) -> Periods:
    """Add periods without data."""
    return [*began, *(began[-1] + timedelta(seconds=each + 1) for each in range(periods))]


@contextmanager
def schedule_changed(stack: Stack, expression: str) -> Iterator[None]:
    """Change the schedule by hand while the block runs."""
    scheduler = stack.emulator.client("scheduler")
    deployed = scheduler.get_schedule(Name=stack.outputs["reconciliation"]["schedule"]["name"])
    kept = {each: deployed[each] for each in ("Name", "FlexibleTimeWindow", "State", "Target")}
    scheduler.update_schedule(**kept, ScheduleExpression=expression)
    try:
        yield
    finally:
        scheduler.update_schedule(**kept, ScheduleExpression=deployed["ScheduleExpression"])


def test_the_schedule_starts_a_run_with_an_empty_input(stack: Stack) -> None:
    runs = Runs(stack)
    before = runs.arns()

    with schedule_changed(stack, "rate(1 minute)"):
        (arn,) = wait_for(lambda: runs.arns() - before, runs.arns)

    run = runs.described(arn)
    assert run["input"] == "{}"
    assert run["status"] == "SUCCEEDED", run
    result = json.loads(run["output"])
    assert (result["mode"], result["prefix"]) == ("verify", "")
    assert result["outcome"] == "complete", result


def test_events_lost_in_three_ways_fire_the_alarm_and_a_clean_proof_ends_it(stack: Stack) -> None:
    changed, gone, new = (f"{PREFIX}lost {name}.csv" for name in ("changed", "gone", "new"))
    for key in (changed, gone):
        stack.put(key)
        stack.wait_until_indexed(key)
    with without_events(stack.s3, stack.bucket):
        stack.put(changed, b"something else")
        stack.delete(gone)
        stack.put(new)
    monitoring, runs = Monitoring(stack), Runs(stack)
    periods = [now()]

    first = runs.result(runs.start())
    periods.append(now())
    found = worker_lines(stack, message="difference", run=first["name"])
    assert {changed: "mismatch", gone: "phantom", new: "orphan"}.items() <= {
        line["key"]: line["kind"] for line in found
    }.items()
    assert "drift" in monitoring.fired(periods)

    second = runs.result(runs.start())
    assert worker_lines(stack, message="difference", run=second["name"]) == []
    periods.append(now())
    assert monitoring.states("drift", periods)[1:] == [State.ALARM, State.OK]


def test_a_run_reports_its_result_and_ends_both_alarms(stack: Stack) -> None:
    monitoring, runs = Monitoring(stack), Runs(stack)
    periods = [now()]
    write_result(stack, {"Orphans": 1})
    periods.append(now())

    result = runs.result(runs.start())
    periods.append(now())

    (line,) = worker_lines(stack, message="result", run=result["name"])
    assert (result["outcome"], line["outcome"], line["Proved"]) == ("complete", "complete", 1)
    assert line["Compared"] == result["counts"]["compared"]
    assert dict.fromkeys(PROOF, 0).items() <= {**line, "Compared": 0, "Proved": 0}.items()
    assert monitoring.states("drift", periods)[1:] == [State.ALARM, State.OK]
    assert monitoring.states("not-proved", periods)[-1] is State.OK


@pytest.mark.parametrize("policy", ["table", pytest.param("bucket", marks=pytest.mark.long)])
def test_a_permission_taken_from_the_workers_fires_the_alarm(stack: Stack, policy: str) -> None:
    monitoring, runs = Monitoring(stack), Runs(stack)
    hours = monitoring.alarms["not-proved"]["EvaluationPeriods"]
    role = f"{stack.name}-worker"
    periods = [now()]
    write_result(stack, {"Proved": 1})
    periods.append(now())

    with without_policy(stack.emulator.client("iam"), role, policy):
        result = runs.result(runs.start())
    periods.append(now())

    (line,) = worker_lines(stack, message="result", run=result["name"])
    assert (result["outcome"], line["outcome"], line["Proved"]) == ("incomplete", "incomplete", 0)
    assert monitoring.fires("not-proved", quiet(periods, hours + 1))


@pytest.mark.long
def test_a_schedule_that_somebody_deleted_fires_the_alarm_and_a_plan_shows_it(
    stack: Stack,
) -> None:
    monitoring = Monitoring(stack)
    hours = monitoring.alarms["not-proved"]["EvaluationPeriods"]
    name = stack.outputs["reconciliation"]["schedule"]["name"]
    periods = [now()]
    write_result(stack, {"Proved": 1})
    periods.append(now())

    scheduler = stack.emulator.client("scheduler")
    scheduler.delete_schedule(Name=name)

    assert monitoring.fires("not-proved", quiet(periods, hours + 2))
    assert "create aws_scheduler_schedule.reconciliation[0]" in stack.deployment.plan()
    stack.deployment.apply()
    assert scheduler.get_schedule(Name=name)["State"] == "ENABLED"


@pytest.mark.parametrize("kind", DRIFT)
def test_each_kind_of_drift_fires_the_alarm(stack: Stack, kind: str) -> None:
    monitoring = Monitoring(stack)
    periods = [now()]
    write_result(stack, {kind: 1})
    periods.append(now())
    write_result(stack, dict.fromkeys(DRIFT, 0))
    periods.append(now())

    assert monitoring.states("drift", periods) == [State.UNKNOWN, State.ALARM, State.OK]
    assert monitoring.fired(periods) == {"drift"}


def test_records_that_the_filters_no_longer_match_fire_no_alarm(stack: Stack) -> None:
    periods = [now()]
    write_result(stack, {"FilteredOut": 1, **dict.fromkeys(DRIFT, 0)})

    assert Monitoring(stack).fired([*periods, now()]) == set()


def test_a_deployment_is_in_alarm_until_its_first_proof_and_again_without_further_ones(
    stack: Stack,
) -> None:
    monitoring = Monitoring(stack)
    hours = monitoring.alarms["not-proved"]["EvaluationPeriods"]
    periods = [now()]
    write_result(stack, {"Proved": 1})
    periods.append(now())

    new, *proved = monitoring.states("not-proved", periods)
    assert (new, proved) == (State.ALARM, [State.OK])
    # Two more: CloudWatch looks a little further back.
    assert not monitoring.fires("not-proved", quiet(periods, hours - 1))
    assert monitoring.fires("not-proved", quiet(periods, hours + 2))


def test_incomplete_proofs_do_not_count(stack: Stack) -> None:
    monitoring = Monitoring(stack)
    hours = monitoring.alarms["not-proved"]["EvaluationPeriods"]
    periods = [now()]
    write_result(stack, {"Proved": 0}, "incomplete")
    periods.append(now())
    assert monitoring.states("not-proved", periods)[-1] is State.ALARM

    # In one hour with an incomplete one, a complete one counts.
    write_result(stack, {"Proved": 0}, "incomplete")
    write_result(stack, {"Proved": 1})
    periods.append(now())
    assert monitoring.states("not-proved", periods)[-1] is State.OK

    write_result(stack, {"Proved": 0}, "incomplete")
    periods.append(now())
    assert monitoring.fires("not-proved", quiet(periods, hours + 1))
