"""The state machine of a deployment, with a stand-in for its worker: what goes where, and errors.

The stand-in returns what a real worker never would, so that each test sees one thing.
"""

import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Final
from zipfile import ZipFile

import pytest

from local.waiting import wait_for
from tests.e2e.stack import Stack

WORKER: Final = """
def handler(event, context):
    if event["step"] == "begin":
        work = [{"name": name} for name in event["input"]["work"]]
        return {"next": "work" if work else "end", "run": {"begin": event}, "work": work,
                "rounds": [], "result": {"reason": "nothing to do"}}
    if event["step"] == "work":
        name, attempt = event["item"]["name"], event["attempt"]
        if name == "fails" or name == "fails once" and not attempt:
            raise ValueError(name)
        return {"name": name, "attempt": attempt, "filters": event["filters"]}
    state = event["state"]
    rounds = [*state["rounds"], state["work"]]
    work = [{"name": "of the next round"}] if len(rounds) == 1 else []
    return {**state, "next": "work" if work else "end", "rounds": rounds, "work": work,
            "result": {"rounds": rounds, "begin": state["run"]["begin"]}}
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(versioned: Stack) -> Iterator[Run]:
    """Run the deployment's definition with the stand-in, and return the execution."""
    stack = versioned
    awslambda, sfn = (stack.emulator.client(name) for name in ("lambda", "stepfunctions"))
    outputs = stack.outputs["reconciliation"]
    name = f"{stack.name}-stand-in"
    deployed = sfn.describe_state_machine(stateMachineArn=outputs["state_machine"]["arn"])
    worker = awslambda.get_function_configuration(FunctionName=outputs["worker"]["name"])
    package = BytesIO()
    with ZipFile(package, "w") as archive:
        archive.writestr("program.py", WORKER)
    stand_in = awslambda.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="program.handler",
        Role=worker["Role"],
        Code={"ZipFile": package.getvalue()},
    )["FunctionArn"]
    awslambda.get_waiter("function_active_v2").wait(FunctionName=name)
    definition = deployed["definition"].replace(outputs["worker"]["arn"], stand_in)
    without_pauses = re.sub(r'"IntervalSeconds":\d+', '"IntervalSeconds":0', definition)
    machine = sfn.create_state_machine(
        name=name, roleArn=deployed["roleArn"], definition=without_pauses
    )["stateMachineArn"]

    def execute(**given: Any) -> dict[str, Any]:
        started = sfn.start_execution(stateMachineArn=machine, input=json.dumps(given))

        def described() -> dict[str, Any]:
            found: dict[str, Any] = sfn.describe_execution(executionArn=started["executionArn"])
            return found

        return wait_for(
            lambda: None if (found := described())["status"] == "RUNNING" else found, described
        )

    yield execute
    sfn.delete_state_machine(stateMachineArn=machine)
    awslambda.delete_function(FunctionName=name)


def test_each_round_replaces_the_items_by_results_and_an_error_stays_with_its_item(
    run: Run,
) -> None:
    execution = run(work=["works", "fails once", "fails"])

    assert execution["status"] == "SUCCEEDED"
    first, second = json.loads(execution["output"])["rounds"]
    works, fails_once, fails = first
    assert works == {"name": "works", "attempt": 0, "filters": []}
    assert fails_once == {"name": "fails once", "attempt": 1, "filters": []}
    assert fails.keys() == {"name", "error"}
    assert fails["error"].keys() == {"Error", "Cause"}
    assert json.loads(fails["error"]["Cause"])["errorMessage"] == "fails"
    assert second == [{"name": "of the next round", "attempt": 0, "filters": []}]


def test_a_run_begins_with_its_input_its_name_and_the_runs_that_are_under_way(run: Run) -> None:
    execution = run(work=["works"])

    begin = json.loads(execution["output"])["begin"]
    (running,) = begin.pop("running")
    assert (running["ExecutionArn"], running["Name"]) == (
        execution["executionArn"],
        execution["name"],
    )
    assert running["StartDate"] == begin.pop("started")
    assert begin == {
        "step": "begin",
        "concurrency": 5,
        "execution": execution["executionArn"],
        "filters": [],
        "input": {"work": ["works"]},
        "name": execution["name"],
    }


def test_a_run_without_work_ends_with_its_result(run: Run) -> None:
    execution = run(work=[])

    assert json.loads(execution["output"]) == {"reason": "nothing to do"}
