"""`file-index status`: each state of a deployment, its words and its exit code."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from cli.connection import Connection
from cli.function import denials
from cli.function.reconciliation.rounds import kind_of
from cli.proofs import MOST_DESCRIBED
from cli.status import status
from tests.unit.cli.deployments import QUEUE, deployed

Asked = Callable[..., "Said"]

NOW = datetime(2026, 11, 26, 6, 12, 7, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:files-reconciliation"
SCHEDULED = {
    "state_machine_arn": MACHINE,
    "log_group": "/aws/lambda/files-worker",
    "repair": True,
    "schedule": "rate(1 day)",
    "proof_every_hours": 48,
}
ON_REQUEST = SCHEDULED | {"schedule": None, "proof_every_hours": None}
RESULT = {
    "outcome": "complete",
    "reason": "",
    "counts": {"compared": 18_204_113},
    "keys": [],
    "causes": [],
    "left": [],
    "at_least": False,
}
ALARMS = ["files-lag", "files-errors"]
COUNTS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


CONNECTION = Connection(boto3.Session(region_name="eu-west-1"))


@cache
def client(service: str) -> Any:
    """A client of all tests, because it takes long to make."""
    return CONNECTION.client(service)


class Stubbed(Connection):
    """A connection whose clients are stubs."""

    def client(self, service: Any, config: Any = None) -> Any:
        del config
        return client(service)


@dataclass(frozen=True, slots=True)
class Execution:
    """A run, as Step Functions knows it."""

    hours_ago: float = 2
    status: str = "SUCCEEDED"
    name: str = "a7c5"
    result: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"{MACHINE.replace('stateMachine', 'execution')}:{self.name}"

    def listed(self) -> dict[str, Any]:
        ended = NOW - timedelta(hours=self.hours_ago)
        times = {"startDate": ended - timedelta(minutes=5), "stopDate": ended}
        if self.status == "RUNNING":
            times = {"startDate": ended}
        return {
            "executionArn": self.arn,
            "stateMachineArn": MACHINE,
            "name": self.name,
            "status": self.status,
            **times,
        }

    def described(self) -> dict[str, Any]:
        told = self.told or {"output": json.dumps(RESULT | dict(self.result))}
        return {**self.listed(), **told}


class Aws:
    """What AWS answers. If a test does not say otherwise, everything is as it should be."""

    def __init__(self) -> None:
        self.stubs = {
            name: Stubber(client(name)) for name in ("stepfunctions", "sqs", "cloudwatch")
        }
        self._answers: dict[str, Callable[[], None]] = {}
        """By topic, because stubs need them in the order in which they are asked for."""

    def has_runs(self, *runs: Execution, described: Sequence[Execution] = ()) -> None:
        states = self.stubs["stepfunctions"]

        def answer() -> None:
            listed = {"executions": [run.listed() for run in runs]}
            states.add_response("list_executions", listed, {"stateMachineArn": MACHINE})
            for run in described:
                states.add_response(
                    "describe_execution", run.described(), {"executionArn": run.arn}
                )

        self._answers["runs"] = answer

    def has_messages(self, topic: str, url: str, visible: int, hidden: int) -> None:
        self._answers[topic] = lambda: self.stubs["sqs"].add_response(
            "get_queue_attributes",
            {"Attributes": dict(zip(COUNTS, (str(visible), str(hidden)), strict=True))},
            {"QueueUrl": url, "AttributeNames": COUNTS},
        )

    def has_dead_letters(self, visible: int, hidden: int = 0) -> None:
        self.has_messages("dead letters", "https://sqs/dead", visible, hidden)

    def has_ages(
        self,
        *ages: float,
        namespace: str = "AWS/Lambda",
        metric: str = "AsyncEventAge",
        dimension: str = "FunctionName",
        name: str = "files",
    ) -> None:
        """The greatest of each minute, the last one first: CloudWatch promises no order."""
        values = [
            {"Timestamp": NOW - timedelta(minutes=2 + number), "Maximum": age}
            for number, age in enumerate(ages)
        ]
        self._answers["ages"] = lambda: self.stubs["cloudwatch"].add_response(
            "get_metric_statistics",
            {"Datapoints": values},
            {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": dimension, "Value": name}],
                "StartTime": NOW - timedelta(minutes=15),
                "EndTime": NOW,
                "Period": 60,
                "Statistics": ["Maximum"],
            },
        )

    def has_alarms(self, **states: str) -> None:
        found = [
            {
                "AlarmName": f"files-{name}",
                "AlarmDescription": f"Why. More: docs/operations.md#{name}-fires of it.",
                "StateValue": state,
                "StateUpdatedTimestamp": NOW - timedelta(minutes=5),
                "StateTransitionedTimestamp": NOW - timedelta(hours=3),
            }
            for name, state in states.items()
        ]
        self._answers["alarms"] = lambda: self.stubs["cloudwatch"].add_response(
            "describe_alarms", {"MetricAlarms": found}, {"AlarmNames": ALARMS}
        )

    def denies(self, topic: str, service: str, operation: str, message: str) -> None:
        self.fails(topic, service, operation, "AccessDenied", message)

    def fails(
        self, topic: str, service: str, operation: str, error: str, message: str = ""
    ) -> None:
        before = self._answers.get(topic)

        def answer() -> None:
            if before:
                before()
            self.stubs[service].add_client_error(operation, error, message)

        self._answers[topic] = answer

    def is_asked_for(self, *topics: str) -> None:
        run = Execution()
        chosen = self._answers
        self._answers = {}
        self.has_runs(run, described=[run])
        self.has_dead_letters(0)
        self.has_ages(1000)
        self.has_alarms(lag="OK", errors="OK")
        for topic in topics:
            (self._answers | chosen)[topic]()


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    with ExitStack() as stubs:
        for stub in aws.stubs.values():
            stubs.enter_context(stub)
        yield aws
        for stub in aws.stubs.values():
            stub.assert_no_pending_responses()


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    def lines(self, check: str) -> list[str]:
        """The line of a check and those that belong to it, without their indentation."""
        lines = self.out.splitlines()
        first = next(number for number, line in enumerate(lines) if f" {check}  " in line)
        found = [" ".join(lines[first].split())]
        for line in lines[first + 1 :]:
            if not line.startswith(" " * 10):
                break
            found.append(line.strip())
        return found


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def asked(aws: Aws, capsys: pytest.CaptureFixture[str], in_utc: None) -> Asked:
    del in_utc

    def ask(*, as_json: bool = False, **outputs: Any) -> Said:
        changed = {
            "monitoring": {"alarms": ALARMS, "event_age_seconds": 600},
            "reconciliation": SCHEDULED,
        } | outputs
        target = deployed(connection=Stubbed(CONNECTION.session), **changed)
        runs = ["runs"] if changed["reconciliation"] else []
        queue = ["queue"] if changed.get("queue") else []
        alarms = ["alarms"] if changed["monitoring"]["alarms"] else []
        aws.is_asked_for(*runs, "dead letters", *queue, "ages", *alarms)
        code = status(target, as_json=as_json, now=NOW)
        return Said(code, *capsys.readouterr())

    return ask


def test_everything_is_all_right(asked: Asked) -> None:
    said = asked()

    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "files: everything is all right.",
        "  ok  proof         2026-11-26 04:12:07 (2 hours ago): 18,204,113 keys compared, no"
        " differences",
        "  ok  dead letters  none",
        "  ok  oldest event  waited 1 second",
        "  ok  alarms        0 of 2 alarms firing",
    ]


def test_json_has_a_line_for_each_check(asked: Asked) -> None:
    said = asked(as_json=True)

    lines = {line["check"]: line for line in map(json.loads, said.out.splitlines())}
    assert said.code == 0
    assert {line["state"] for line in lines.values()} == {"ok"}
    assert {name: lines["proof"][name] for name in ("ended", "age_seconds", "compared")} == {
        "ended": "2026-11-26T04:12:07.000Z",
        "age_seconds": 7200,
        "compared": 18_204_113,
    }
    assert lines["proof"]["drift"] == {
        "phantom": 0,
        "orphan": 0,
        "mismatch": 0,
        "filtered out": 0,
    }
    assert lines["dead letters"]["messages"] == 0
    assert lines["oldest event"]["age_seconds"] == 1
    assert lines["alarms"]["firing"] == []


def test_without_reconciliation_nothing_is_proved(asked: Asked) -> None:
    said = asked(reconciliation=None)

    assert said.code == 0
    assert said.out.startswith("files: nothing is wrong, but not everything is checked.\n")
    assert said.lines("proof") == [
        "unchecked proof without reconciliation nothing compares index and bucket",
        "set reconciliation = {} and apply, or run file-index verify s3://reports",
    ]


@pytest.mark.parametrize(
    ("reconciliation", "code", "state", "more"),
    [
        (
            SCHEDULED,
            1,
            "wrong",
            "schedule rate(1 day); file-index verify s3://reports --engine step-functions starts a"
            " run",
        ),
        (
            ON_REQUEST,
            0,
            "unchecked",
            "no schedule: file-index verify s3://reports --engine step-functions starts a run",
        ),
    ],
)
def test_before_the_first_proof_and_after_90_days_without_one(
    aws: Aws, asked: Asked, reconciliation: dict[str, Any], code: int, state: str, more: str
) -> None:
    aws.has_runs()

    said = asked(reconciliation=reconciliation)

    assert said.code == code
    assert said.lines("proof") == [
        f"{state} proof none in the 90 days that Step Functions keeps",
        more,
    ]


def test_the_first_run_is_under_way(aws: Aws, asked: Asked) -> None:
    # The second of them is about to be skipped.
    aws.has_runs(Execution(hours_ago=0, status="RUNNING"), Execution(hours_ago=3, status="RUNNING"))

    said = asked()

    assert said.code == 1
    assert said.lines("run") == ["ok run under way since 2026-11-26 03:12:07 (3 hours ago)"]


def test_a_run_under_way_does_not_hide_the_proof(aws: Aws, asked: Asked) -> None:
    proof = Execution(hours_ago=24)
    aws.has_runs(Execution(status="RUNNING", name="now"), proof, described=[proof])

    said = asked()

    assert said.code == 0
    assert said.lines("proof")[0].startswith("ok proof 2026-11-25 06:12:07 (24 hours ago): ")


def test_on_request_a_proof_is_never_late(aws: Aws, asked: Asked) -> None:
    proof = Execution(hours_ago=24 * 80)
    aws.has_runs(proof, described=[proof])

    said = asked(reconciliation=ON_REQUEST)

    assert said.code == 0
    assert said.lines("proof")[0].startswith("ok proof 2026-09-07 06:12:07 (80 days ago): ")
    assert said.lines("proof")[1] == "runs start only on request, so a proof is never late"


@pytest.mark.parametrize(("hours", "code"), [(48, 0), (48.01, 1)])
def test_a_proof_is_due_in_time(aws: Aws, asked: Asked, hours: float, code: int) -> None:
    proof = Execution(hours_ago=hours)
    aws.has_runs(proof, described=[proof])

    said = asked()

    late = "too old: a proof is due every 48 hours"
    assert (said.code, late in said.lines("proof")) == (code, bool(code))


@pytest.mark.parametrize(
    ("counts", "at_least", "found", "more"),
    [
        (
            {"phantom": 1, "orphan": 2, "repaired": 3},
            False,
            "3 differences, all repaired",
            ["1 phantom, 2 orphan"],
        ),
        (
            {"mismatch": 1, "filtered out": 1, "repaired": 1},
            False,
            "2 differences, 1 repaired",
            [
                "1 mismatch, 1 filtered out",
                "file-index verify s3://reports --repair repairs the rest",
            ],
        ),
        (
            {"orphan": 1, "unsettled": 2},
            True,
            "at least 1 difference, none repaired, 2 kept changing",
            ["1 orphan", "file-index verify s3://reports --repair repairs the rest"],
        ),
    ],
)
def test_differences_are_not_all_right_even_if_they_were_repaired(
    aws: Aws, asked: Asked, counts: dict[str, int], at_least: bool, found: str, more: list[str]
) -> None:
    proof = Execution(result={"counts": {"compared": 9} | counts, "at_least": at_least})
    aws.has_runs(proof, described=[proof])

    said = asked()

    assert said.code == 1
    first, *rest = said.lines("proof")
    assert first == f"wrong proof 2026-11-26 04:12:07 (2 hours ago): 9 keys compared, {found}"
    assert rest == [
        more[0],
        "the log group /aws/lambda/files-worker names each key (run a7c5)",
        *more[1:],
    ]


def test_a_count_of_zero_is_not_certain_if_a_worker_died(aws: Aws, asked: Asked) -> None:
    proof = Execution(result={"at_least": True})
    aws.has_runs(proof, described=[proof])

    said = asked()

    assert said.code == 0
    assert said.lines("proof")[0].endswith("keys compared, at least 0 differences")


@pytest.mark.parametrize(
    ("run", "says", "causes"),
    [
        (
            Execution(
                hours_ago=1,
                name="new",
                result={
                    "outcome": "incomplete",
                    "counts": {"compared": 9, "unread": 1, "unrepaired": 1},
                    "causes": ["bucket reports does not exist"],
                    "keys": [
                        {"kind": "unread", "key": "k", "cause": "gone"},
                        {"kind": "orphan", "key": "o"},
                        {"kind": "unread", "key": "a\x1b", "cause": "denied"},
                        {"kind": "unread", "key": "b", "cause": "denied"},
                    ],
                },
            ),
            "incomplete, 2026-11-26 05:12:07 (60 minutes ago): 2 keys failed",
            ["bucket reports does not exist", "k: gone", "a\\x1b: denied"],
        ),
        (
            Execution(
                hours_ago=1,
                name="new",
                result={"outcome": "incomplete", "reason": "the run ended after 200 rounds"},
            ),
            "incomplete, 2026-11-26 05:12:07 (60 minutes ago): the run ended after 200 rounds",
            [],
        ),
        (
            Execution(
                hours_ago=1,
                name="new",
                result={"outcome": "never filled", "reason": "run file-index backfill"},
            ),
            "never filled, 2026-11-26 05:12:07 (60 minutes ago): run file-index backfill",
            [],
        ),
        (
            Execution(
                hours_ago=1,
                name="new",
                result={"outcome": "failed", "reason": "mode is 1: expected one of verify"},
            ),
            "failed, 2026-11-26 05:12:07 (60 minutes ago): mode is 1: expected one of verify",
            [],
        ),
        (
            Execution(1, "FAILED", "new", told={"error": "States.Runtime", "cause": "no path"}),
            "failed, 2026-11-26 05:12:07 (60 minutes ago): States.Runtime: no path",
            [],
        ),
        (
            Execution(1, "ABORTED", "new", told={"cause": "by hand"}),
            "aborted, 2026-11-26 05:12:07 (60 minutes ago): by hand",
            [],
        ),
        (
            Execution(1, "TIMED_OUT", "new", told={"error": "States.Timeout"}),
            "timed out, 2026-11-26 05:12:07 (60 minutes ago): States.Timeout",
            [],
        ),
    ],
)
def test_the_last_run_is_shown_if_it_was_not_complete(
    aws: Aws, asked: Asked, run: Execution, says: str, causes: list[str]
) -> None:
    proof = Execution(hours_ago=24)
    older = Execution(3, name="older", result={"outcome": "incomplete", "reason": "older"})
    stopped = Execution(4, "FAILED", "stopped")
    before = Execution(99, "FAILED", "before")
    aws.has_runs(run, older, stopped, proof, before, described=[run, older, proof])

    said = asked()

    assert said.code == 1
    assert said.out.startswith("files: not all right: 1 wrong.\n")
    assert said.lines("proof")[0].startswith("ok proof 2026-11-25 06:12:07 (24 hours ago): ")
    assert said.lines("last run") == [
        f"wrong last run {says}",
        *causes,
        "run new; the log group /aws/lambda/files-worker says more",
    ]


def test_runs_that_were_skipped_or_do_something_else_prove_nothing(aws: Aws, asked: Asked) -> None:
    skipped = Execution(0.5, name="skipped", result={"outcome": "skipped", "reason": "other"})
    proof = Execution(name="verify-all-20261126T000000Z-1f2e")
    aws.has_runs(
        Execution(0.1, name=f"{kind_of('verify', 'in/')}-1"),
        Execution(0.2, name=f"{kind_of('backfill', '')}-1"),
        Execution(0.3, "RUNNING", f"{kind_of('verify', 'in/')}-2"),
        skipped,
        proof,
        described=[skipped, proof],
    )

    said = asked()

    assert said.code == 0
    assert "last run" not in said.out
    assert "under way" not in said.out


def test_the_search_for_a_proof_ends(aws: Aws, asked: Asked) -> None:
    skipped = [
        Execution(number / 60, name=f"run-{number}", result={"outcome": "skipped"})
        for number in range(MOST_DESCRIBED)
    ]
    aws.has_runs(*skipped, Execution(hours_ago=9), described=skipped)

    said = asked()

    assert said.code == 2
    assert said.lines("proof") == ["unknown proof could not be found out"]
    assert "none of the last 100 runs was complete" in said.err


def test_a_result_of_another_release_is_not_guessed(aws: Aws, asked: Asked) -> None:
    run = Execution(told={"output": "{}"})
    aws.has_runs(run, described=[run])

    said = asked()

    assert said.code == 2
    assert "the result of run a7c5 is not of the same release as file-index" in said.err


@pytest.mark.parametrize(
    ("visible", "hidden", "said"), [(1, 0, "1 message"), (0, 1, "1 message"), (3, 1, "4 messages")]
)
def test_a_dead_letter_is_not_all_right(
    aws: Aws, asked: Asked, visible: int, hidden: int, said: str
) -> None:
    aws.has_dead_letters(visible, hidden)

    shown = asked()

    assert shown.code == 1
    assert shown.lines("dead letters") == [
        f"wrong dead letters {said}",
        "file-index redrive --dry-run shows the causes",
    ]


def test_a_queue_shows_what_waits(aws: Aws, asked: Asked) -> None:
    aws.has_messages("queue", "https://sqs/queue", 1200, 7)
    aws.has_ages(
        41,
        900,
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimension="QueueName",
        name="queue",
    )

    said = asked(queue=QUEUE)

    assert said.code == 0
    assert said.lines("queue") == ["ok queue 1,200 messages waiting, 7 in flight"]
    assert said.lines("oldest event") == ["ok oldest event waited 41 seconds"]


@pytest.mark.parametrize(("milliseconds", "code"), [(600_000, 0), (601_000, 1)])
def test_an_event_may_not_wait_for_long(
    aws: Aws, asked: Asked, milliseconds: float, code: int
) -> None:
    aws.has_ages(milliseconds, 1, 900_000)

    said = asked()

    late = "longer than 600 seconds: see docs/operations.md#events-wait"
    assert (said.code, late in said.out) == (code, bool(code))
    assert "waited 10 minutes" in said.out


def test_a_quiet_bucket_is_all_right(aws: Aws, asked: Asked) -> None:
    aws.has_ages()

    said = asked()

    assert said.code == 0
    assert said.lines("oldest event") == [
        "ok oldest event CloudWatch has no data of the last 15 minutes"
    ]


def test_a_firing_alarm_leads_to_its_page(aws: Aws, asked: Asked) -> None:
    aws.has_alarms(lag="ALARM", errors="OK")

    said = asked()

    assert said.code == 1
    assert said.lines("alarms") == [
        "wrong alarms 1 of 2 alarms firing",
        "files-lag since 2026-11-26 03:12:07 (3 hours ago): see docs/operations.md#lag-fires",
    ]


def test_a_new_alarm_has_no_data_yet(aws: Aws, asked: Asked) -> None:
    aws.has_alarms(lag="INSUFFICIENT_DATA", errors="OK")

    said = asked()

    assert said.code == 0
    assert said.lines("alarms") == ["ok alarms 0 of 2 alarms firing, 1 without data yet"]


def test_an_alarm_that_somebody_deleted_is_missed(aws: Aws, asked: Asked) -> None:
    aws.has_alarms(errors="OK")

    said = asked()

    assert said.code == 1
    assert said.lines("alarms") == [
        "wrong alarms 0 of 2 alarms firing, 1 missing",
        "files-lag does not exist: apply again",
    ]


def test_without_monitoring_there_are_no_alarms(asked: Asked) -> None:
    said = asked(monitoring={"alarms": [], "event_age_seconds": 600})

    assert said.code == 0
    assert said.out.startswith("files: nothing is wrong, but not everything is checked.\n")
    assert said.lines("alarms") == ["unchecked alarms monitoring is off, so there are no alarms"]


USER = "User: arn:aws:iam::123456789012:user/eve is not authorized to perform: "


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(
    ("check", "topic", "service", "operation", "action"),
    [
        ("proof", "runs", "stepfunctions", "list_executions", "states:ListExecutions"),
        ("proof", "runs", "stepfunctions", "describe_execution", "states:DescribeExecution"),
        ("dead letters", "dead letters", "sqs", "get_queue_attributes", "sqs:GetQueueAttributes"),
        ("queue", "queue", "sqs", "get_queue_attributes", "sqs:GetQueueAttributes"),
        (
            "oldest event",
            "ages",
            "cloudwatch",
            "get_metric_statistics",
            "cloudwatch:GetMetricStatistics",
        ),
        ("alarms", "alarms", "cloudwatch", "describe_alarms", "cloudwatch:DescribeAlarms"),
    ],
)
@pytest.mark.parametrize(
    "message",
    [
        "User: arn:aws:iam::123456789012:user/eve is not authorized to perform: {} on resource: x",
        # SQS does not always name the action.
        "Access to the resource is denied.",
    ],
)
def test_a_missing_permission_leaves_the_other_answers(
    aws: Aws,
    asked: Asked,
    check: str,
    topic: str,
    service: str,
    operation: str,
    action: str,
    message: str,
) -> None:
    denials.ask_who_with(lambda _: Nobody())
    if operation == "describe_execution":
        aws.has_runs(Execution())
    aws.denies(topic, service, operation, message.format(action))
    ages = {"metric": "ApproximateAgeOfOldestMessage", "dimension": "QueueName", "name": "queue"}
    if topic != "ages":
        aws.has_ages(1, namespace="AWS/SQS", **ages)
    if topic != "queue":
        aws.has_messages("queue", "https://sqs/queue", 0, 0)

    said = asked(queue=QUEUE)

    assert said.code == 2
    assert said.out.startswith("files: not all right: 1 unknown.\n")
    assert said.lines(check) == [f"unknown {check} could not be found out"]
    assert said.out.count("  ok ") == 4
    assert said.err.startswith(f"{check} could not be found out: ")
    who = "arn:aws:iam::123456789012:user/eve" if "eve" in message else "the caller"
    assert f": {who} is not authorized to perform: {action} on resource: " in said.err
    assert ". Your credentials must allow it; docs/file-index.md#permissions lists" in said.err
    assert "module" not in said.err


class Nobody:
    """STS, for a caller without credentials."""

    def get_caller_identity(self) -> Any:
        raise NoCredentialsError


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_wrong_is_shown_beside_what_is_unknown(
    aws: Aws, asked: Asked, as_json: bool
) -> None:
    denials.ask_who_with(lambda _: Nobody())
    aws.denies("runs", "stepfunctions", "list_executions", "no")
    aws.has_dead_letters(1)

    said = asked(as_json=as_json)

    assert said.code == 2
    if as_json:
        proof, letters, *_ = map(json.loads, said.out.splitlines())
        assert [proof["state"], letters["state"]] == ["unknown", "wrong"]
        assert "states:ListExecutions" in proof["more"][0]
    else:
        assert said.out.startswith("files: not all right: 1 wrong, 1 unknown.\n")


@pytest.mark.parametrize("error", ["QueueDoesNotExist", "InternalError"])
def test_any_other_error_leaves_the_other_answers_too(aws: Aws, asked: Asked, error: str) -> None:
    aws.fails("dead letters", "sqs", "get_queue_attributes", error)

    said = asked()

    assert said.code == 2
    assert said.lines("dead letters") == ["unknown dead letters could not be found out"]
    assert error in said.err
