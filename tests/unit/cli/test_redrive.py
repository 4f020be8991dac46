"""Replaying dead letters from a queue that behaves as badly as SQS can."""

import json
import signal
import threading
from contextlib import nullcontext
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli import dead_letters, redrive
from cli.connection import Connection
from cli.dead_letters import Clock, Letter
from cli.errors import CommandError
from cli.progress import Work
from local.waiting import HANG_SECONDS
from tests.payloads import failure_record, s3_document
from tests.unit.cli.deployments import QUEUE, deployed, table
from tests.unit.cli.sqs import BEGAN, Function, Queue, VirtualTime, refusal


class Aws:
    """A deployment's dead letters, its function, and the redrive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **outputs: Any) -> None:
        self.time = VirtualTime()
        self.queue = Queue(self.time)
        self.function = Function(self.time)
        self.options: dict[str, dict[str, Any]] = {}
        self._target = deployed(connection=Connection(cast(boto3.Session, self)), **outputs)
        monkeypatch.setattr(dead_letters, "WORKERS", 1)

    def client(self, service: str, *, endpoint_url: None, config: Any) -> Any:
        """See `boto3.Session`."""
        del endpoint_url
        self.options[service] = vars(config)
        return {"sqs": self.queue, "lambda": self.function}[service]

    def redrive(self, *, dry_run: bool = False, as_json: bool = False) -> int:
        clock = Clock(self.time.now, self.time.pause)
        return redrive.redrive(self._target, dry_run=dry_run, as_json=as_json, clock=clock)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return Aws(monkeypatch)


@pytest.fixture
def through_queue(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return Aws(monkeypatch, queue=QUEUE)


Said = pytest.CaptureFixture[str]


def test_each_is_replayed_once_and_what_fails_again_stays(aws: Aws, capsys: Said) -> None:
    aws.queue.add("bad 1", "good", "bad 2")

    assert aws.redrive() == 1

    assert sorted(aws.function.invoked) == ["bad 1", "bad 2", "good"]
    assert aws.queue.bodies == ["bad 1", "bad 2"]
    assert aws.queue.hidden == []
    said = capsys.readouterr()
    assert said.out == (
        "3 in the dead-letter queue.\n"
        "  3 messages: the message does not say why: see the function's log\n"
        "1 replayed, 2 failed again, about 2 left in the dead-letter queue.\n"
        "  2 messages: no\n"
    )
    assert said.err == ""


def test_the_most_frequent_cause_comes_first(aws: Aws, capsys: Said) -> None:
    aws.queue.add("refused", "bad", "bad", "odd", "killed")

    aws.redrive()

    assert capsys.readouterr().out.splitlines()[3:] == [
        "  2 messages: no",
        "  1 message: An error occurred (InvalidRequestContentException) when calling the Operation"
        " operation: AWS said no",
        "  1 message: odd",
        "  1 message: {'errorType': 'Runtime.ExitError'}",
    ]


@pytest.mark.parametrize(
    ("dry_run", "steps"),
    [
        (True, [("Reading", 2), ("Counting", None)]),
        (False, [("Reading", 2), ("Replaying", 2), ("Counting what is left", None)]),
    ],
)
def test_every_step_is_shown_with_how_much_there_is(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, dry_run: bool, steps: list[tuple[str, int | None]]
) -> None:
    shown: list[tuple[str, int | None]] = []
    advanced: list[int] = []

    class Recorded(Work):
        def __init__(self, what: str, total: int | None = None) -> None:
            super().__init__(what, total)
            shown.append((what, total))

        def advance(self, count: int = 1) -> None:
            super().advance(count)
            advanced.append(count)

    monkeypatch.setattr(redrive, "Work", Recorded)
    aws.queue.add("good", "bad")

    aws.redrive(dry_run=dry_run)

    assert shown == steps
    assert advanced == [1] * (2 if dry_run else 4)


def test_an_empty_queue_has_nothing_to_replay(aws: Aws, capsys: Said) -> None:
    assert aws.redrive() == 0

    assert capsys.readouterr() == (
        "0 in the dead-letter queue.\n"
        "0 replayed, 0 failed again, about 0 left in the dead-letter queue.\n",
        "",
    )
    assert aws.time.seconds < 20


def test_a_message_that_the_function_reports_as_failed_is_not_deleted(
    aws: Aws, capsys: Said
) -> None:
    aws.queue.add("a batch")

    assert aws.redrive() == 1

    assert aws.queue.bodies == ["a batch"]
    assert "0 replayed, 1 failed again, about 1 left" in capsys.readouterr().out


def test_a_dry_run_changes_nothing(aws: Aws, capsys: Said) -> None:
    aws.queue.add(*["bad"] * 30)

    assert aws.redrive(dry_run=True) == 0

    assert (len(aws.queue.messages), aws.queue.hidden, aws.function.invoked) == (30, [], [])
    assert capsys.readouterr().out == (
        "30 in the dead-letter queue.\n"
        "  30 messages: the message does not say why: see the function's log\n"
    )


def test_in_json_every_line_is_an_object(aws: Aws, capsys: Said) -> None:
    aws.queue.add("bad", "good")

    assert aws.redrive(as_json=True) == 1

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"cause": "the message does not say why: see the function's log", "messages": 2},
        {"replayed": 1, "failed": 1, "left": 1, "failures": {"no": 1}},
    ]


def test_with_a_queue_payloads_are_sent_there(through_queue: Aws, capsys: Said) -> None:
    record = s3_document()
    through_queue.queue.add("as it was", json.dumps(failure_record(record)), "unsendable")
    through_queue.queue.failing["send_message unsendable"] = refusal("InvalidMessageContents")

    assert through_queue.redrive() == 1

    assert sorted(through_queue.queue.sent) == sorted(["as it was", json.dumps(record)])
    assert through_queue.queue.bodies == ["unsendable"]
    assert through_queue.function.invoked == []
    said = capsys.readouterr()
    assert "2 sent to the queue again, 1 could not be sent, about 1 left" in said.out
    assert said.err == (
        "A message that fails again returns after its retries: see the function's log, and check"
        " again later with --dry-run.\n"
    )


def test_nothing_comes_back_if_nothing_was_sent(through_queue: Aws, capsys: Said) -> None:
    assert through_queue.redrive() == 0
    assert capsys.readouterr().err == ""


def test_messages_are_received_one_by_one_without_a_queue(aws: Aws) -> None:
    aws.queue.add(*["good"] * 20)
    most_held: list[int] = []
    aws.function.during = lambda _: most_held.append(len(aws.queue.hidden))

    aws.redrive()

    # A received message waits, hidden, until all before it are done.
    assert most_held == [1] * 20


def test_messages_are_received_ten_at_a_time_with_a_queue(through_queue: Aws) -> None:
    through_queue.queue.add(*["good"] * 20)

    through_queue.redrive()

    assert through_queue.queue.receives <= 2 * (20 / 10 + 1)


def test_a_throttled_invocation_is_waited_for(aws: Aws) -> None:
    aws.queue.add("good")
    aws.function.throttled = 5

    assert aws.redrive() == 0
    assert aws.function.invoked == ["good"]


def test_an_invocation_that_stays_throttled_is_given_up(aws: Aws, capsys: Said) -> None:
    aws.queue.add("good")
    aws.function.throttled = 10**6

    assert aws.redrive() == 1
    # Each second of the minute, and once after it.
    assert aws.function.throttled == 10**6 - (1 + 60 + 1)
    assert "1 message: An error occurred (TooManyRequestsException)" in capsys.readouterr().out


def test_an_invocation_may_take_as_long_as_the_function_and_is_not_repeated(aws: Aws) -> None:
    aws.redrive()

    options = aws.options["lambda"]
    assert options["read_timeout"] == 90
    assert options["retries"] == {"total_max_attempts": 1, "mode": "standard"} or (
        options["retries"]["total_max_attempts"] == 1
    )
    assert options["tcp_keepalive"]


def test_a_message_that_cannot_be_deleted_is_counted_and_the_others_continue(
    aws: Aws, capsys: Said
) -> None:
    aws.queue.add("1", "2", "3")
    aws.queue.failing["delete_message 2"] = refusal("InternalError")

    assert aws.redrive() == 1

    assert aws.queue.bodies == ["2"]
    said = capsys.readouterr().out
    assert "2 replayed, 1 failed again, about 1 left" in said
    assert "1 message: replayed, but could not be deleted: An error occurred (InternalErr" in said


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException"]
)
def test_nothing_is_replayed_without_permission_to_delete(
    aws: Aws, code: str, capsys: Said
) -> None:
    aws.queue.add(*["good"] * 20)
    aws.queue.failing["delete_message"] = refusal(code)

    with pytest.raises(ClientError, match=code):
        aws.redrive()

    assert len(aws.function.invoked) == 1
    assert (len(aws.queue.messages), aws.queue.hidden) == (20, [])
    assert "0 replayed, 0 failed again, the rest is still in the dead-letter queue." in (
        capsys.readouterr().out
    )


def test_an_interrupted_redrive_prints_no_number_of_messages_left(aws: Aws, capsys: Said) -> None:
    aws.queue.add("good", "bad", "good")

    def interrupt(_: str) -> None:
        if len(aws.function.invoked) == 2:
            raise KeyboardInterrupt

    aws.function.during = interrupt

    with pytest.raises(KeyboardInterrupt):
        aws.redrive(as_json=True)

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "replayed": 1,
        "failed": 0,
        "left": None,
        "failures": {},
    }
    assert (aws.queue.bodies, aws.queue.hidden) == (["bad", "good"], [])


def test_a_second_interrupt_does_not_keep_messages_hidden(aws: Aws) -> None:
    aws.queue.add(*["bad"] * 3)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    meanwhile: list[Any] = []
    aws.queue.during_change = lambda: meanwhile.append(
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    )

    aws.redrive()

    ignored = [signal.SIG_IGN, signal.SIG_IGN]
    assert meanwhile == [ignored, ignored]  # after the look, and after the replay
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_messages_in_flight_at_an_interrupt_are_shown_before_it_ends(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "WORKERS", 2)
    aws.queue.add("slow good", *["bad"] * 5)
    shown = threading.Event()

    def wait_or_interrupt(payload: str) -> None:
        if payload == "slow good":
            assert shown.wait(HANG_SECONDS)
        else:
            aws.queue.during_change = shown.set
            raise KeyboardInterrupt

    aws.function.during = wait_or_interrupt

    with pytest.raises(KeyboardInterrupt):
        aws.redrive()

    assert shown.is_set()
    # It went well after all.
    assert (aws.queue.bodies, aws.queue.hidden) == (["bad"] * 5, [])


def test_messages_are_replayed_concurrently(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = 40  # more workers than Python's default
    monkeypatch.setattr(dead_letters, "WORKERS", at_once)
    aws.queue.add(*["good"] * at_once)
    all_at_once = threading.Barrier(at_once, timeout=HANG_SECONDS)

    def meet(_: str) -> None:
        all_at_once.wait()

    aws.function.during = meet

    assert aws.redrive() == 0


def test_many_workers_replay_each_message_once(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WORKERS", 8)
    aws.queue.add(*[f"{'bad' if number % 3 else 'good'} {number}" for number in range(300)])

    assert aws.redrive() == 1

    assert len(aws.function.invoked) == len(set(aws.function.invoked)) == 300
    assert len(aws.queue.bodies) == 200
    assert aws.queue.hidden == []


# --- Others at work ---


def test_messages_that_arrive_meanwhile_are_left_and_do_not_keep_it_running(
    aws: Aws, capsys: Said
) -> None:
    aws.queue.add("good")
    aws.queue.before_receive = lambda: aws.queue.add("late", after=60)

    assert aws.redrive() == 1

    assert aws.function.invoked == ["good"]
    left = len(aws.queue.messages)
    said = capsys.readouterr()
    assert f"1 replayed, 0 failed again, about {left} left" in said.out
    assert f"About {left} were not replayed" in said.err


@pytest.mark.parametrize("there", [[], ["good"]])
def test_ten_receives_without_a_new_message_end_it(aws: Aws, there: list[str]) -> None:
    aws.queue.add(*there)
    aws.queue.before_receive = lambda: aws.queue.add("late", after=60)

    aws.redrive(dry_run=True)

    assert aws.queue.receives == len(there) + 10


def test_the_first_messages_are_found_among_those_that_arrive_meanwhile(aws: Aws) -> None:
    # SQS gives them in any order: here the old ones come last.
    aws.queue.add(*["late"] * 100, after=60)
    aws.queue.add("good", "good")

    assert aws.redrive() == 1
    assert aws.function.invoked == ["good", "good"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_messages_sent_in_the_second_of_the_start_are_replayed(
    aws: Aws, dry_run: bool, capsys: Said
) -> None:
    aws.queue.add("good", after=1)
    aws.queue.add(*["late"] * 3, after=1.001)

    assert aws.redrive(dry_run=dry_run) == (0 if dry_run else 1)
    assert "1 in the dead-letter queue." in capsys.readouterr().out
    assert aws.function.invoked == ([] if dry_run else ["good"])
    # Late messages are expected, so the command does not wait for the count.
    assert aws.time.seconds < 15


def test_messages_in_flight_elsewhere_are_left(aws: Aws, capsys: Said) -> None:
    aws.queue.add(*["good"] * 11, "bad")
    # Before the beginning, for longer than the redrive takes.
    aws.queue.look(300)

    assert aws.redrive() == 1

    assert len(aws.function.invoked) == 2
    said = capsys.readouterr()
    assert "1 replayed, 1 failed again, about 11 left in the dead-letter queue." in said.out
    assert said.err == (
        "About 10 were not replayed: they arrived after the redrive began, or another receiver held"
        " them. Run it again.\n"
        "About 10 are in flight: another receiver holds them, or was killed while it did. They"
        " become visible again within an hour.\n"
    )


def test_another_receiver_does_not_lower_the_count(aws: Aws, capsys: Said) -> None:
    aws.queue.add(*["good"] * 12)

    def look(_: str) -> None:
        if len(aws.function.invoked) == 1:
            aws.queue.look(30)

    aws.function.during = look

    assert aws.redrive() == 1

    assert len(aws.queue.messages) == 10
    said = capsys.readouterr()
    assert "2 replayed, 0 failed again, about 10 left in the dead-letter queue." in said.out
    # They are visible again by now: the command waits only for the count, a minute.
    assert "hidden" not in said.err


def test_two_redrives_at_once_replay_each_message_once_and_count_right(
    aws: Aws, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one runs within a call of this one, so not in the main thread.
    monkeypatch.setattr(dead_letters, "_uninterrupted", nullcontext)
    aws.queue.add(*["good"] * 500)
    codes: list[int] = []

    def another(_: str) -> None:
        if len(aws.function.invoked) == 1:
            codes.append(aws.redrive())

    aws.function.during = another

    codes.append(aws.redrive())

    assert len(aws.function.invoked) == 500
    # The other one ends while this one holds a message.
    assert codes == [1, 0]
    said = capsys.readouterr()
    assert "499 replayed, 0 failed again, about 1 left" in said.out
    assert "1 replayed, 0 failed again, about 0 left" in said.out
    assert "About 1 are in flight" in said.err


def test_a_redrive_does_not_say_0_while_another_holds_all_messages(aws: Aws, capsys: Said) -> None:
    aws.queue.add(*["good"] * 500)
    for _ in range(50):
        aws.queue.look(3600)

    assert aws.redrive() == 1
    said = capsys.readouterr()
    assert "0 replayed, 0 failed again, about 500 left" in said.out
    assert "About 500 are in flight" in said.err

    aws.queue.add("bad", "bad")
    assert aws.redrive(dry_run=True) == 1
    said = capsys.readouterr()
    assert "2 in the dead-letter queue." in said.out
    assert said.err.startswith("About 500 more were not read.\nAbout 500 are in flight: ")


# --- Counts that lag behind ---


def stale(aws: Aws, *counts: int) -> None:
    """Let SQS return these counts at the end."""

    def at_the_end(_: str) -> None:
        aws.queue.stale_counts = list(counts)

    aws.function.during = at_the_end


def test_counts_that_are_too_high_are_waited_for(aws: Aws, capsys: Said) -> None:
    aws.queue.add("good")
    stale(aws, 500, 500, 0, 500)

    assert aws.redrive() == 0
    assert "about 0 left" in capsys.readouterr().out
    assert aws.queue.stale_counts == []


@pytest.mark.parametrize("count", [500, 1])
def test_counts_that_stay_too_high_are_believed_after_a_minute(
    aws: Aws, capsys: Said, count: int
) -> None:
    aws.queue.add("good")
    stale(aws, *[count] * 1000)
    before = aws.time.seconds

    assert aws.redrive() == 1
    said = capsys.readouterr()
    assert f"about {count} left" in said.out
    assert f"About {count} were not replayed" in said.err
    assert "hidden" not in said.err
    assert len(aws.queue.stale_counts) == 1000 - (1 + 60 // 5)
    assert 60 <= aws.time.seconds - before <= 70


def test_counts_that_are_too_low_are_not_believed(aws: Aws, capsys: Said) -> None:
    aws.queue.add("bad", "bad", "bad")
    stale(aws, *[0] * 1000)

    assert aws.redrive() == 1
    said = capsys.readouterr()
    assert "about 3 left" in said.out
    assert said.err == ""


@pytest.mark.parametrize(("counts", "answers"), [((0, 0), 2), ((0, 7, 0, 0), 4), ((7, 0, 0), 3)])
def test_two_answers_in_a_row_must_agree_some_seconds_apart(
    aws: Aws, counts: tuple[int, ...], answers: int
) -> None:
    aws.queue.add("good")
    stale(aws, *counts, 9)

    assert aws.redrive() == 0
    assert len(aws.queue.stale_counts) == len(counts) + 1 - answers
    assert aws.time.seconds >= 5 * (answers - 1)


def test_a_dry_run_waits_for_the_count_too(aws: Aws, capsys: Said) -> None:
    aws.queue.add("bad")
    aws.queue.stale_counts = [1, 500, 1, 1]

    assert aws.redrive(dry_run=True) == 0
    assert aws.queue.stale_counts == []
    assert capsys.readouterr().err == ""


def test_a_dry_run_that_has_seen_more_than_is_counted_has_seen_all(aws: Aws) -> None:
    aws.queue.add("bad")
    aws.queue.stale_counts = [0] * 1000

    assert aws.redrive(dry_run=True) == 0


# --- Longer than a message is hidden ---


@pytest.mark.parametrize("seconds", [60, 930])
def test_a_redrive_of_many_hours_tries_every_message_and_counts_right(
    aws: Aws, capsys: Said, seconds: int
) -> None:
    # With 930 seconds each it takes 20 hours; SQS hides a message for at most 12.
    aws.queue.add(*[f"bad {number}" for number in range(80)])
    aws.function.seconds = seconds

    assert aws.redrive() == 1

    assert sorted(aws.function.invoked) == aws.queue.bodies
    assert (aws.queue.hidden, aws.queue.useless_changes) == ([], 0)
    assert "0 replayed, 80 failed again, about 80 left" in capsys.readouterr().out


def test_held_messages_stay_hidden(aws: Aws) -> None:
    aws.queue.add(*[f"bad {number}" for number in range(40)])
    aws.function.seconds = 930
    hidden: list[int] = []

    def note(_: str) -> None:
        hidden.append(len(aws.queue.hidden))

    aws.function.during = note

    aws.redrive()

    assert hidden == list(range(1, 41))


def test_the_time_of_held_messages_is_extended_now_and_then(aws: Aws) -> None:
    aws.queue.add(*["bad"] * 1000)
    aws.function.seconds = 10

    aws.redrive()

    # Each message once in half an hour, ten at a time, and not after every message.
    extensions = [at for at, _ in aws.queue.changes if 10 < at < 10_000]
    assert 100 < len(extensions) < 300


def test_held_messages_stay_hidden_even_if_checks_come_at_the_worst_times(aws: Aws) -> None:
    aws.queue.add(*[f"bad {number}" for number in range(6)])
    # A look at the first when it is 2,399 seconds old, the next one only after the longest
    # invocation that there can be, throttled before.
    seconds = [899, 900, 600, 299, 990, 0]
    hidden: list[int] = []

    def take(_: str) -> None:
        aws.time.pause(seconds.pop(0))
        hidden.append(len(aws.queue.hidden))

    aws.function.during = take

    aws.redrive()

    assert hidden == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "error",
    [refusal("ServiceUnavailable"), EndpointConnectionError(endpoint_url="https://sqs")],
)
def test_a_redrive_continues_if_messages_cannot_be_hidden_longer(
    aws: Aws, capsys: Said, error: Exception
) -> None:
    aws.queue.add(*[f"bad {number}" for number in range(100)])
    aws.function.seconds = 60

    def fail(_: str) -> None:
        aws.queue.failing["change_message_visibility_batch"] = error

    aws.function.during = fail

    assert aws.redrive() == 1

    assert sorted(aws.function.invoked) == aws.queue.bodies
    assert "100 failed again, about 100 left" in capsys.readouterr().out


def test_with_a_queue_held_messages_wait_their_turn_hidden(through_queue: Aws) -> None:
    through_queue.queue.add(*["good"] * 10)

    hidden: list[int] = []

    def slow(_: str) -> None:
        hidden.append(len(through_queue.queue.hidden))
        through_queue.time.pause(900)

    through_queue.queue.during_send = slow

    assert through_queue.redrive() == 0
    assert hidden == list(range(10, 0, -1))


# --- Messages ---


def test_a_table_by_itself_has_no_dead_letters() -> None:
    target = table("files")

    with pytest.raises(CommandError, match=r"^redrive works on a deployment: leave --table out$"):
        redrive.redrive(target, dry_run=False, as_json=False)


def test_eventbridges_error_is_the_cause_of_its_message(aws: Aws, capsys: Said) -> None:
    aws.queue.add("{}")
    for message in aws.queue.messages.values():
        message.attributes = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "may not invoke"}

    aws.redrive(dry_run=True)

    assert "  1 message: EventBridge could not deliver it: NO_PERMISSIONS may not invoke\n" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("body", "attributes", "payload", "cause"),
    [
        (json.dumps(failure_record({"a": 1})), {}, '{"a": 1}', "…"),
        (
            json.dumps({"requestPayload": [1], "requestContext": "odd", "responsePayload": "said"}),
            {},
            "[1]",
            "said",
        ),
        (json.dumps({"requestPayload": 1, "requestContext": {"condition": "X"}}), {}, "1", "X"),
        ("not JSON", {}, "not JSON", "see the function's log"),
        ("[" * 100_000, {}, "[" * 100_000, "see the function's log"),
        ("[]", {}, "[]", "see the function's log"),
        ("{}", {"ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "gone"}, "{}", "NO_RESOURCE gone"),
    ],
)
def test_the_payload_and_the_cause_are_read_from_a_message(
    body: str, attributes: dict[str, str], payload: str, cause: str
) -> None:
    letter = Letter(sent_at=BEGAN.timestamp(), body=body, attributes=attributes)

    assert letter.payload == payload
    assert cause in letter.cause
