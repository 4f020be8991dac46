"""Replaying dead letters from a queue that behaves as badly as SQS may."""

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import redrive
from cli.address import Filters
from cli.redrive import DeadLetters, Letter, Result
from cli.target import Target
from function.settings import Settings
from tests.payloads import failure_record, s3_document

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)


class Sqs:
    """A dead-letter queue that shows again at once what it was told to hide."""

    def __init__(self, bodies: list[str]) -> None:
        self.messages = {str(number): body for number, body in enumerate(bodies)}
        self.arriving: list[str] = []
        """What comes in, one with each receive."""
        self.sent: list[str] = []

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(self.messages)),
                "ApproximateNumberOfMessagesNotVisible": "0",
            },
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(NOW, usegmt=True)}},
        }

    def receive_message(self, **_: Any) -> dict[str, Any]:
        if self.arriving:
            self.messages[f"late {len(self.messages)}"] = self.arriving.pop()
        number = next(iter(self.messages), None)
        if number is None:
            return {}
        self.messages[number] = self.messages.pop(number)  # to the end
        sent = NOW.timestamp() + (60 if number.startswith("late") else -60)
        return {
            "Messages": [
                {
                    "MessageId": number,
                    "ReceiptHandle": number,
                    "Body": self.messages[number],
                    "Attributes": {"SentTimestamp": str(int(sent * 1000))},
                }
            ]
        }

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803 # AWS's names
        del self.messages[ReceiptHandle]

    def change_message_visibility(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility")

    def send_message(self, MessageBody: str, **_: Any) -> None:  # noqa: N803 # AWS's names
        self.sent.append(MessageBody)


class Lambda:
    """A function that fails on what says so, after it was throttled."""

    class exceptions:  # noqa: N801 # boto3's name
        class TooManyRequestsException(Exception):  # noqa: N818 # boto3's name
            pass

    def __init__(self) -> None:
        self.throttled = 0
        self.invoked: list[str] = []

    def get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return {"Timeout": 60}

    def invoke(self, Payload: str, **_: Any) -> dict[str, Any]:  # noqa: N803 # AWS's names
        if self.throttled:
            self.throttled -= 1
            raise self.exceptions.TooManyRequestsException
        self.invoked.append(Payload)
        if "bad" in Payload:
            return {"FunctionError": "Unhandled", "Payload": BytesIO(b'{"errorMessage": "no"}')}
        failed = b'{"batchItemFailures": [{"itemIdentifier": "1"}]}'
        return {"Payload": BytesIO(failed if "batch" in Payload else b'{"indexed": 1}')}


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "_WORKERS", 1)
    monkeypatch.setattr(time, "sleep", lambda _: None)


def dead_letters(
    monkeypatch: pytest.MonkeyPatch, sqs: Sqs, function: Lambda, *, queue: bool = False
) -> DeadLetters:
    def client(service: str, **_: Any) -> Any:
        return sqs if service == "sqs" else function

    monkeypatch.setattr("boto3.client", client)
    outputs: dict[str, Any] = {
        "dead_letter_queue": {"url": "https://sqs/dead"},
        "function": {"arn": "arn:aws:lambda:eu-west-1:1:function:f", "name": "f"},
    }
    outputs |= {"queue": {"url": "https://sqs/queue"}} if queue else {}
    settings = Settings.from_environment({"TABLE_NAME": "files"})
    return DeadLetters(Target(settings=settings, filters=Filters(), outputs=outputs))


def test_what_fails_again_is_tried_once_though_it_shows_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sqs, function = Sqs(["bad 1", "good", "bad 2"]), Lambda()
    result = Result()

    dead_letters(monkeypatch, sqs, function).replay(result, lambda: None)

    assert sorted(function.invoked) == ["bad 1", "bad 2", "good"]
    assert (result.replayed, result.failed, result.left) == (1, {"no": 2}, 2)
    assert sorted(sqs.messages.values()) == ["bad 1", "bad 2"]


def test_what_the_function_answers_as_failed_is_not_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sqs = Sqs(["a batch"])
    result = Result()

    dead_letters(monkeypatch, sqs, Lambda()).replay(result, lambda: None)

    assert (result.replayed, result.left, len(sqs.messages)) == (0, 1, 1)


def test_what_comes_meanwhile_is_left_alone_and_does_not_keep_it_going(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sqs, function = Sqs(["good"]), Lambda()
    sqs.arriving = ["good too"] * 1000
    result = Result()

    dead_letters(monkeypatch, sqs, function).replay(result, lambda: None)

    assert function.invoked == ["good"]
    assert (result.replayed, result.left) == (1, result.came_meanwhile)
    assert len(sqs.arriving) > 900


def test_a_look_ends_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs, function = Sqs(["bad"] * 30), Lambda()

    causes = dead_letters(monkeypatch, sqs, function).look(lambda: None)

    assert causes.total() == len(sqs.messages) == 30
    assert function.invoked == []


def test_with_a_queue_payloads_are_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    record = s3_document()
    sqs, function = Sqs(["as it was", json.dumps(failure_record(record))]), Lambda()
    result = Result()

    dead_letters(monkeypatch, sqs, function, queue=True).replay(result, lambda: None)

    assert sqs.sent == ["as it was", json.dumps(record)]
    assert (result.replayed, sqs.messages, function.invoked) == (2, {}, [])


def test_a_throttled_invocation_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs, function = Sqs(["good"]), Lambda()
    function.throttled = 5
    result = Result()

    dead_letters(monkeypatch, sqs, function).replay(result, lambda: None)

    assert (result.replayed, result.left) == (1, 0)


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
def test_what_is_replayed_and_why_it_lay_there(
    body: str, attributes: dict[str, str], payload: str, cause: str
) -> None:
    letter = Letter(sent_at=0, body=body, attributes=attributes)

    assert letter.payload == payload
    assert cause in letter.cause
