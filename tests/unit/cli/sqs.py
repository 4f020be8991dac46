"""A dead-letter queue and a function, in virtual time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

URL = "https://sqs/dead"
BEGAN = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
LONGEST_HIDDEN = 12 * 3600


@dataclass(slots=True)
class VirtualTime:
    """Seconds since the start; they pass when somebody waits."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(slots=True)
class Message:
    id: str
    body: str
    sent_at: float
    """Unix time."""
    visible_at: float = 0.0
    received_at: float = 0.0
    receipt: str = ""
    """The handle of its last receive."""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Queue:
    """A standard queue as SQS documents it, with the counts that SQS may return."""

    time: VirtualTime
    messages: dict[str, Message] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    stale_counts: list[int] = field(default_factory=list)
    """The first counts to return, whether or not they are true."""
    changes: list[tuple[float, int]] = field(default_factory=list)
    """When visibility was changed, and of how many messages at once."""
    useless_changes: int = 0
    """How many changes set a visibility timeout to the value that it already had."""
    during_send: Callable[[str], None] = lambda _: None
    during_change: Callable[[], object] = lambda: None
    before_receive: Callable[[], None] = lambda: None
    failing: dict[str, Exception] = field(default_factory=dict)
    """Errors by operation, or by operation and body."""
    receives: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, *bodies: str, after: float = -60.0) -> None:
        """Add messages, sent that many seconds after the start."""
        for body in bodies:
            number = str(len(self.messages) + 1_000_000)
            while number in self.messages:
                number += "x"
            self.messages[number] = Message(number, body, BEGAN.timestamp() + after)

    def look(self, seconds: int) -> None:
        """Hide ten messages for that long, as another receiver does."""
        self.receive_message(
            QueueUrl=URL, MaxNumberOfMessages=10, VisibilityTimeout=seconds, WaitTimeSeconds=1
        )

    @property
    def bodies(self) -> list[str]:
        return sorted(message.body for message in self.messages.values())

    @property
    def hidden(self) -> list[Message]:
        return [one for one in self.messages.values() if one.visible_at > self.time.seconds]

    def get_queue_attributes(
        self,
        QueueUrl: str,  # noqa: N803 # AWS's names
        AttributeNames: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        assert QueueUrl == URL
        hidden = len(self.hidden)
        visible = len(self.messages) - hidden
        if self.stale_counts:
            visible, hidden = self.stale_counts.pop(0), 0
        attributes = {
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
        }
        return {
            "Attributes": {name: attributes[name] for name in AttributeNames},
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(BEGAN, usegmt=True)}},
        }

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803 # AWS's names
        MaxNumberOfMessages: int = 1,  # noqa: N803
        VisibilityTimeout: int = 30,  # noqa: N803
        WaitTimeSeconds: int = 0,  # noqa: N803
        MessageSystemAttributeNames: tuple[str, ...] = (),  # noqa: N803
        MessageAttributeNames: tuple[str, ...] = (),  # noqa: N803
    ) -> dict[str, Any]:
        assert QueueUrl == URL
        assert 0 < MaxNumberOfMessages <= 10
        assert 0 < WaitTimeSeconds <= 20  # with 0, SQS asks only a few of its servers
        with self.lock:
            self.before_receive()
            self.receives += 1
            self._fail("receive_message")
            now = self.time.seconds
            found = [one for one in self.messages.values() if one.visible_at <= now]
            found = found[:MaxNumberOfMessages]
            if not found:
                self.time.pause(WaitTimeSeconds)
                return {}
            for message in found:
                message.received_at = now
                message.visible_at = now + VisibilityTimeout
                message.receipt = f"{message.id} {self.receives}"
                # To the end, so that every message has its turn.
                self.messages[message.id] = self.messages.pop(message.id)
            return {
                "Messages": [
                    {
                        "MessageId": message.id,
                        "ReceiptHandle": message.receipt,
                        "Body": message.body,
                        "Attributes": {
                            name: str(int(message.sent_at * 1000))
                            for name in MessageSystemAttributeNames
                            if name == "SentTimestamp"
                        },
                    }
                    | (
                        {
                            "MessageAttributes": {
                                name: {"DataType": "String", "StringValue": value}
                                for name, value in message.attributes.items()
                            }
                            | {"Blob": {"DataType": "Binary", "BinaryValue": b"x"}}
                        }
                        if message.attributes and "All" in MessageAttributeNames
                        else {}
                    )
                    for message in found
                ]
            }

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        assert QueueUrl == URL
        with self.lock:
            message = self.messages[ReceiptHandle.split(maxsplit=1)[0]]
            self._fail("delete_message")
            self._fail(f"delete_message {message.body}")
            del self.messages[message.id]

    def change_message_visibility_batch(
        self,
        QueueUrl: str,  # noqa: N803
        Entries: list[dict[str, Any]],  # noqa: N803
    ) -> dict[str, Any]:
        assert QueueUrl == URL
        with self.lock:
            assert 0 < len(Entries) <= 10
            assert len({entry["Id"] for entry in Entries}) == len(Entries)
            self._fail("change_message_visibility_batch")
            self.during_change()
            now = self.time.seconds
            self.changes.append((now, len(Entries)))
            failed = []
            for entry in Entries:
                message = self.messages.get(entry["ReceiptHandle"].split()[0])
                seconds = entry["VisibilityTimeout"]
                assert isinstance(seconds, int)
                if (
                    message is None
                    or message.receipt != entry["ReceiptHandle"]
                    or message.visible_at <= now
                    or now + seconds > message.received_at + LONGEST_HIDDEN
                ):
                    failed.append({"Id": entry["Id"], "SenderFault": True, "Code": "Invalid"})
                else:
                    self.useless_changes += message.visible_at == now + seconds
                    message.visible_at = now + seconds
            return {"Failed": failed}

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        assert QueueUrl == "https://sqs/queue"
        self._fail(f"send_message {MessageBody}")
        self.during_send(MessageBody)
        self.sent.append(MessageBody)

    def _fail(self, operation: str) -> None:
        if operation in self.failing:
            raise self.failing[operation]


@dataclass(slots=True)
class Function:
    """A function that fails on payloads that say so."""

    time: VirtualTime
    seconds: float = 0.0
    """The duration of an invocation in seconds."""
    throttled: int = 0
    """How many invocations are throttled first."""
    invoked: list[str] = field(default_factory=list)
    during: Callable[[str], None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    class exceptions:  # noqa: N801 # boto3's name
        class TooManyRequestsException(ClientError):  # noqa: N818 # boto3's name
            pass

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "files"
        return {"Timeout": 60}

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "files"
        if self.throttled:
            self.throttled -= 1
            raise self.exceptions.TooManyRequestsException(
                {"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}},
                "Invoke",
            )
        with self.lock:
            self.invoked.append(Payload)
        self.time.pause(self.seconds)
        self.during(Payload)
        if "refused" in Payload:
            raise refusal("InvalidRequestContentException")
        if "killed" in Payload:
            said = b'{"errorType": "Runtime.ExitError"}'
            return {"FunctionError": "Unhandled", "Payload": BytesIO(said)}
        if "odd" in Payload:
            return {"FunctionError": "Unhandled", "Payload": BytesIO(b'"odd"')}
        if "bad" in Payload:
            said = b'{"errorMessage": "1 of 1 object events failed: no"}'
            return {"FunctionError": "Unhandled", "Payload": BytesIO(said)}
        failed = b'{"batchItemFailures": [{"itemIdentifier": "1"}]}'
        return {"Payload": BytesIO(failed if "batch" in Payload else b'{"indexed": 1}')}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "AWS said no"}}, "Operation")
