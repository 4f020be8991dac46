"""`--engine step-functions`: what is asked of Step Functions, and what a person sees."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from cli import step_functions
from cli.address import Address
from cli.connection import Connection
from cli.errors import CommandError
from cli.function.ranges import Range, to_json
from cli.function.reconciliation.rounds import kind_of
from cli.target import Target
from tests.unit.cli.deployments import deployed

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:files-reconciliation"
RUN = MACHINE.replace("stateMachine", "execution") + ":verify-all-1"
RECONCILIATION = {
    "state_machine_arn": MACHINE,
    "log_group": "/aws/lambda/files-worker",
    "repair": True,
    "schedule": None,
    "proof_every_hours": None,
}
ALL = Address("reports", "")
NOW = datetime(2026, 11, 26, tzinfo=UTC)
COUNTS = {"compared": 9, "orphan": 2, "repaired": 2}
RESULT = {
    "outcome": "complete",
    "reason": "",
    "counts": COUNTS,
    "keys": [],
    "causes": [],
    "left": [],
    "at_least": False,
}


class States(Connection):
    """A connection whose only client is a stub."""

    def __init__(self) -> None:
        super().__init__(boto3.Session(region_name="eu-west-1"))
        object.__setattr__(self, "stubbed", super().client("stepfunctions"))

    def client(self, service: Any, config: Any = None) -> Any:
        del config
        assert service == "stepfunctions"
        return self.stubbed  # type: ignore[attr-defined]


class Machine:
    """The state machine: what it is asked, in order, and what it answers."""

    def __init__(self) -> None:
        self.connection = States()
        self.stub = Stubber(self.connection.client("stepfunctions"))
        self.pauses: list[float] = []

    @property
    def target(self) -> Target:
        return deployed(connection=self.connection, reconciliation=RECONCILIATION)

    def starts(self, **given: Any) -> None:
        self.stub.add_response(
            "start_execution",
            {"executionArn": RUN, "startDate": NOW},
            {"stateMachineArn": MACHINE, "name": ANY, "input": json.dumps(given)},
        )

    def lists(self, *names: str, at: int = 0) -> None:
        """Answer with these runs, newest first; the one at a place is described later."""
        listed = [
            {
                "executionArn": RUN if number == at else "other",
                "stateMachineArn": MACHINE,
                "name": name,
                "status": "RUNNING",
                "startDate": NOW,
            }
            for number, name in enumerate(names)
        ]
        self.stub.add_response(
            "list_executions", {"executions": listed}, {"stateMachineArn": MACHINE}
        )

    def is_running(self, *events: dict[str, Any]) -> None:
        self._describes("RUNNING", events)

    def ends(
        self,
        *events: dict[str, Any],
        status: str = "SUCCEEDED",
        error: dict[str, str] | None = None,
        **result: Any,
    ) -> None:
        told = error or {"output": json.dumps(RESULT | result)}
        self._describes(status, events, **told)

    def _describes(self, status: str, events: tuple[dict[str, Any], ...], **told: str) -> None:
        described = {
            "executionArn": RUN,
            "stateMachineArn": MACHINE,
            "startDate": NOW,
            "status": status,
        }
        self.stub.add_response("describe_execution", described | told, {"executionArn": RUN})
        self.stub.add_response(
            "get_execution_history",
            {"events": list(events)},
            {"executionArn": RUN, "reverseOrder": True},
        )


def event(number: int, **answer: Any) -> dict[str, Any]:
    """The worker function answered."""
    return {
        "id": number,
        "timestamp": NOW,
        "type": "TaskSucceeded",
        "taskSucceededEventDetails": {
            "resourceType": "lambda",
            "resource": "invoke",
            "output": json.dumps({"ExecutedVersion": "$LATEST", "Payload": answer}),
        },
    }


def worked(number: int, compared: int) -> dict[str, Any]:
    return event(number, attempt=0, counts={"compared": compared})


def totalled(number: int, compared: int) -> dict[str, Any]:
    return event(number, next="work", counts={"compared": compared})


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    with machine.stub:
        yield machine
        machine.stub.assert_no_pending_responses()


def verify(machine: Machine, *, resume: bool = False, repair: bool = True, **options: Any) -> int:
    return step_functions.verify(
        machine.target,
        options.pop("address", ALL),
        repair=repair,
        resume=resume,
        as_json=options.pop("as_json", False),
        pause=machine.pauses.append,
    )


def test_a_run_is_started_and_its_result_shown(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.starts(mode="verify", prefix="", repair=True)
    machine.is_running()
    machine.ends(worked(3, 9))

    code = verify(machine)

    said = capsys.readouterr()
    assert code == 1  # there was drift
    assert said.out.splitlines()[0] == "s3://reports/: 9 keys compared, 2 repaired."
    assert "Run verify-all-1 was started." in said.err
    assert machine.pauses == [step_functions.POLL_SECONDS]


def test_its_json_is_that_of_the_local_engine(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.starts(mode="verify", prefix="in/", repair=False)
    machine.ends(counts={"compared": 4})

    code = verify(machine, repair=False, address=Address("reports", "in/"), as_json=True)

    assert code == 0
    drift = {"phantom": 0, "orphan": 0, "mismatch": 0, "filtered out": 0}
    assert json.loads(capsys.readouterr().out) == {
        "compared": 4,
        "drift": drift,
        "repaired": 0,
        "unsettled": 0,
    }


def test_each_iteration_is_counted_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    advanced: list[int] = []
    monkeypatch.setattr("cli.progress.Work.advance", lambda _, count: advanced.append(count))
    first, second = worked(5, 7), worked(9, 2)
    machine.starts(mode="verify", prefix="", repair=True)
    machine.is_running(totalled(6, 7), first)
    machine.ends(second, totalled(6, 7), first)

    verify(machine)

    assert sum(advanced) == 9


def test_an_incomplete_result_names_what_is_missing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.starts(mode="verify", prefix="", repair=True)
    machine.ends(
        outcome="incomplete",
        reason="the run ended after 200 rounds",
        at_least=True,
        keys=[{"kind": "unread", "key": "a\x1b", "cause": "role r is not authorized"}],
        causes=["bucket reports does not exist"],
        left=to_json([Range("m", "x"), Range("y")]),
    )

    code = verify(machine)

    assert code == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "A worker was started again, so the counts are lower bounds.",
        "  unread s3://reports/a\\x1b: role r is not authorized",
        "The result is incomplete: the run ended after 200 rounds.",
        "  bucket reports does not exist",
        "  not done: the keys after m up to x",
        "  not done: the keys after y",
        "The log group /aws/lambda/files-worker has a line for each.",
    ]


@pytest.mark.parametrize("outcome", ["skipped", "failed"])
def test_a_run_that_did_nothing_is_an_error(machine: Machine, outcome: str) -> None:
    machine.starts(mode="verify", prefix="", repair=True)
    machine.ends(outcome=outcome, reason="run verify-all-0 does the same")

    with pytest.raises(CommandError, match="did nothing: run verify-all-0 does the same"):
        verify(machine)


def test_a_run_that_was_stopped_is_an_error(machine: Machine) -> None:
    machine.starts(mode="verify", prefix="", repair=True)
    machine.ends(status="ABORTED", error={"error": "Operator", "cause": "too slow"})

    with pytest.raises(CommandError, match="ended as ABORTED, Operator: too slow"):
        verify(machine)


def test_resume_shows_the_last_run_of_the_prefix(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = kind_of("verify", "in/")
    machine.lists("verify-all-2", f"{kind}-2", f"{kind}-1", at=1)
    machine.ends()

    assert verify(machine, resume=True, address=Address("reports", "in/")) == 1
    assert "was started" not in capsys.readouterr().err


def test_resume_shows_a_run_of_the_schedule_too(machine: Machine) -> None:
    machine.lists("6c1c1f7e-scheduled")
    machine.ends()

    assert verify(machine, resume=True) == 1


def test_without_a_run_there_is_nothing_to_resume(machine: Machine) -> None:
    machine.stub.add_response("list_executions", {"executions": []}, {"stateMachineArn": MACHINE})

    with pytest.raises(CommandError, match="leave --resume out"):
        verify(machine, resume=True)


def test_a_backfill_shows_what_the_local_engine_shows(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.starts(mode="backfill", prefix="", repair=True)
    machine.ends(counts={"objects": 5, "written": 3, "contended": 0, "failed": 0})

    code = step_functions.backfill(machine.target, ALL, resume=False, as_json=False)

    assert code == 0
    assert capsys.readouterr().out == "5 objects: 3 inserted, 2 had a record or a tombstone.\n"


@pytest.mark.parametrize(
    ("reconciliation", "repair", "error"),
    [
        (None, False, "set reconciliation = {} and apply"),
        (RECONCILIATION | {"repair": False}, True, "set reconciliation = { repair = true }"),
    ],
)
def test_a_deployment_that_cannot_do_it_is_told_what_to_set(
    reconciliation: dict[str, Any] | None, repair: bool, error: str
) -> None:
    target = deployed(reconciliation=reconciliation)

    with pytest.raises(CommandError, match=error):
        step_functions.verify(target, ALL, repair=repair, resume=False, as_json=False)
