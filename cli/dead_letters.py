"""Visits the dead-letter queue of a deployment: every message once, and none is lost.

A visit receives messages with a visibility timeout of an hour, extends it while the visit lasts,
and at the end makes the messages visible that it did not delete. Other receivers can hide messages
or make them visible meanwhile, and SQS counts approximately. So the visit's own count is compared
with the queue's at the end.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

WORKERS = 8
UNSAID = "the message does not say why: see the function's log"
_EMPTY_SECONDS = 2
"""The queue counts as empty if a receive returns nothing for so long."""
_HIDDEN_SECONDS = 3600
"""The visibility timeout, which is extended while a visit lasts."""
_CHECK_SECONDS = 300
"""How often to extend timeouts that are half over.

An invocation can come in between: 15 minutes, and the time it is throttled.
"""
_LONGEST_HIDDEN_SECONDS = 12 * 3600 - 60
"""SQS's longest visibility timeout after a receive, less a minute for differing clocks."""
_ROUNDS = 10
"""After so many receives without a new message, ask how many messages are visible."""
_SETTLED_SECONDS = 5
"""How far apart two counts must be to confirm each other."""
_SETTLING_SECONDS = 60
"""How long SQS's counts can lag behind, according to its documentation."""
_AT_ONCE = 10  # entries of a batch
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time; tests have a clock of their own."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Count:
    """The approximate numbers of messages, from the queue's attributes."""

    visible: int
    hidden: int

    @property
    def total(self) -> int:
        """Visible or not."""
        return self.visible + self.hidden


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead-letter queue."""

    sent_at: float
    """Unix time; SQS keeps it when it moves a message here from another queue."""
    body: str
    attributes: Mapping[str, str]

    @property
    def payload(self) -> str:
        """The payload to replay: the one in Lambda's failure record, or the message itself."""
        record = self._failure_record()
        return json.dumps(record["requestPayload"]) if record else self.body

    @property
    def cause(self) -> str:
        """Why the message is here, if it says."""
        record = self._failure_record()
        if record:
            response = record.get("responsePayload")
            said = response.get("errorMessage") if isinstance(response, dict) else response
            context = record["requestContext"]
            condition = context.get("condition") if isinstance(context, dict) else None
            return str(said or condition or UNSAID)
        if "ERROR_CODE" in self.attributes:
            message = self.attributes.get("ERROR_MESSAGE", "")
            return f"EventBridge could not deliver it: {self.attributes['ERROR_CODE']} {message}"
        return UNSAID

    def _failure_record(self) -> dict[str, Any] | None:
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if isinstance(document, dict) and {"requestPayload", "requestContext"} <= set(document):
            return document
        return None


Visitor = Callable[[Letter, Callable[[], None]], None]
"""Takes a letter and a function that deletes it."""


class DeadLetterQueue:
    """A dead-letter queue.

    Raises BotoCoreError or ClientError if a call of SQS fails; no message is lost then.
    """

    def __init__(self, sqs: Any, url: str, clock: Clock) -> None:
        self._sqs = sqs
        self._url = url
        self._clock = clock
        response = self._attributes()
        # By SQS's clock, like the messages' timestamps, but in whole seconds.
        date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        self._began = date.timestamp() + 1
        self.visible = count_of(response).visible
        """The approximate number of messages at the start."""

    def count(self) -> Count:
        """Return the approximate numbers of messages."""
        return count_of(self._attributes())

    def settled(self, expected: int) -> Count:
        """Return the numbers of messages once SQS has confirmed twice what is expected.

        If it has not within a minute, others use the queue or messages arrive. Then its last count
        is returned.
        """
        until = self._clock.now() + _SETTLING_SECONDS
        agreed = False
        while True:
            count = self.count()
            if count.total == expected and agreed:
                return count
            agreed = count.total == expected
            if self._clock.now() + _SETTLED_SECONDS > until:
                return count
            self._clock.pause(_SETTLED_SECONDS)

    def visit(self, visitor: Visitor, *, at_once: int) -> int:
        """Call the visitor once for each message, several at a time.

        `at_once` messages are received at a time. Messages that arrived after the beginning are
        skipped; their number is returned.
        """
        visit = _Visit(self._sqs, self._url, self._clock)
        ending = threading.Event()

        def work() -> None:
            fruitless, most = 0, _ROUNDS
            while fruitless < most and not ending.is_set():
                messages = visit.receive(at_once)
                if messages is None:
                    return
                fruitless += 1
                for message in messages:
                    letter = _letter(message)
                    if letter.sent_at > self._began:
                        visit.late.add(message["MessageId"])
                    elif not ending.is_set():
                        fruitless, most = 0, _ROUNDS
                        visit.go_on_hiding()
                        visitor(letter, partial(visit.delete, message["MessageId"]))
                if fruitless == most == _ROUNDS:
                    # Others arrive or return. A new one would be among those visible now. Asking
                    # only once makes sure that this ends.
                    most += self.count().visible

        with ThreadPoolExecutor(WORKERS) as pool:
            workers = [pool.submit(work) for _ in range(WORKERS)]
            try:
                done, _ = wait(workers, return_when=FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            finally:
                ending.set()
                with _uninterrupted():
                    visit.show_again()  # even those in work, which can take long
                wait(workers)
                with _uninterrupted():
                    visit.show_again()
        return len(visit.late)

    def _attributes(self) -> Any:
        return attributes_of(self._sqs, self._url)


@dataclass(slots=True)
class _Held:
    """A received message, hidden from others."""

    receipt: str
    received_at: float
    hidden_until: float
    """By the clock, at the earliest."""

    @property
    def longest(self) -> float:
        """Until when SQS allows it to be hidden."""
        return self.received_at + _LONGEST_HIDDEN_SECONDS


@dataclass(slots=True)
class _Visit:
    """The messages that a visit has received."""

    _sqs: Any
    _url: str
    _clock: Clock
    late: set[str] = field(default_factory=set)
    """Messages that arrived after the beginning."""
    _known: set[str] = field(default_factory=set)
    _held: dict[str, _Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _check_at: float = 0
    """When to extend timeouts again."""

    def receive(self, at_once: int) -> list[Any] | None:
        """Receive messages and hide them.

        Return those that are new to this visit, or None if nothing was received.
        """
        now = self._clock.now()
        messages = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=at_once,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_EMPTY_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages")
        if not messages:
            return None
        with self._lock:
            new = [message for message in messages if message["MessageId"] not in self._known]
            for message in messages:
                self._known.add(message["MessageId"])
                self._held[message["MessageId"]] = _Held(
                    message["ReceiptHandle"], now, now + _HIDDEN_SECONDS
                )
        return new

    def delete(self, message_id: str) -> None:
        """Delete a message."""
        with self._lock:
            receipt = self._held[message_id].receipt
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)
        with self._lock:
            del self._held[message_id]

    def go_on_hiding(self) -> None:
        """Hide messages for another hour that would soon become visible."""
        now = self._clock.now()
        with self._lock:
            if now < self._check_at:
                return
            self._check_at = now + _CHECK_SECONDS
            soon = now + _HIDDEN_SECONDS / 2
            due = [
                held for held in self._held.values() if held.hidden_until < min(soon, held.longest)
            ]
        for held in due:
            held.hidden_until = min(now + _HIDDEN_SECONDS, held.longest)
        self._hide(due, now)

    def show_again(self) -> None:
        """Make the held messages visible again."""
        now = self._clock.now()
        with self._lock:
            hidden = [held for held in self._held.values() if held.hidden_until > now]
        for held in hidden:
            held.hidden_until = now
        self._hide(hidden, now)

    def _hide(self, messages: Sequence[_Held], now: float) -> None:
        """Set the visibility timeouts of messages."""
        batches = [
            messages[first : first + _AT_ONCE] for first in range(0, len(messages), _AT_ONCE)
        ]
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda batch: self._hide_batch(batch, now), batches))

    def _hide_batch(self, messages: Sequence[_Held], now: float) -> None:
        entries = [
            {
                "Id": str(number),
                "ReceiptHandle": held.receipt,
                "VisibilityTimeout": int(held.hidden_until - now),
            }
            for number, held in enumerate(messages)
        ]
        # On failure they become visible within the hour; the visit then knows them.
        with suppress(BotoCoreError, ClientError):
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C, so that no message stays hidden."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def attributes_of(sqs: Any, url: str) -> Any:
    """Ask SQS for the numbers of messages in a queue; return its response."""
    return sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )


def count_of(response: Any) -> Count:
    """Return the numbers in SQS's response."""
    attributes = response["Attributes"]
    return Count(
        visible=int(attributes["ApproximateNumberOfMessages"]),
        hidden=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
    )


def _letter(message: Any) -> Letter:
    attributes = message.get("MessageAttributes", {})
    return Letter(
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        body=message["Body"],
        attributes={
            name: value["StringValue"]
            for name, value in attributes.items()
            if "StringValue" in value
        },
    )
