"""The dead-letter queue of a deployment: who visits it sees every message once, and none is lost.

A visitor hides what it receives for an hour, goes on hiding it while it works, and shows at the end
what it did not delete. Others may look into the queue at the same time, and take messages out of
sight or bring them back; SQS counts approximately. So what a visitor knows is compared with what
the queue says at the end.

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
"""How long the queue must have nothing to give until it counts as empty."""
_HIDDEN_SECONDS = 3600
"""How long a message is hidden from others at a time."""
_CHECK_SECONDS = 300
"""How often to look for messages of which half that time is over.

Between two looks there can be an invocation too (15 minutes, and what it is throttled).
"""
_LONGEST_HIDDEN_SECONDS = 12 * 3600 - 60
"""How long SQS lets a message be hidden after it was received, less a minute for the clocks."""
_ROUNDS = 10
"""Receive so often without an untried message before asking how many can be seen."""
_SETTLED_SECONDS = 5
"""How far apart two answers must be to count as two."""
_SETTLING_SECONDS = 60
"""How long SQS's counts may lag behind, as its documentation has it."""
_AT_ONCE = 10  # entries of a batch
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as it passes; tests have one of their own."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Count:
    """About how many messages there are, by the queue's attributes."""

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
        """The payload to replay: that in Lambda's failure record, or else the message itself."""
        record = self._failure_record()
        return json.dumps(record["requestPayload"]) if record else self.body

    @property
    def cause(self) -> str:
        """Why it is here, as far as it says."""
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
"""Is shown a letter, with what deletes it."""


class DeadLetterQueue:
    """A dead-letter queue.

    Raises BotoCoreError or ClientError if SQS cannot be asked; nothing is lost then.
    """

    def __init__(self, sqs: Any, url: str, clock: Clock) -> None:
        self._sqs = sqs
        self._url = url
        self._clock = clock
        response = self._attributes()
        # The time of SQS's clock, as the messages' own are. It has whole seconds.
        date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        self._began = date.timestamp() + 1
        self.visible = _count(response).visible
        """About how many there were to look at in the beginning."""

    def count(self) -> Count:
        """Return about how many messages there are."""
        return _count(self._attributes())

    def settled(self, expected: int) -> Count:
        """Return about how many messages there are, once SQS says twice what is expected.

        If it does not within a minute, others are at work or messages come in: its last answer
        counts then.
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
        """Show each message to the visitor once, several at a time, and leave what it leaves.

        `at_once` messages are received at a time. Messages that came after the beginning are not
        shown; their number is returned.
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
                    # Others come in, or back. What is untried is among those that can be seen now:
                    # to ask only once makes sure that this ends.
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
                    visit.show_again()  # also what is under way, which may take its time
                wait(workers)
                with _uninterrupted():
                    visit.show_again()
        return len(visit.late)

    def _attributes(self) -> Any:
        return self._sqs.get_queue_attributes(
            QueueUrl=self._url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )


@dataclass(slots=True)
class _Held:
    """A message that is hidden from others."""

    receipt: str
    received_at: float
    hidden_until: float
    """By the clock, at the earliest."""

    @property
    def longest(self) -> float:
        """Until when SQS lets it be hidden."""
        return self.received_at + _LONGEST_HIDDEN_SECONDS


@dataclass(slots=True)
class _Visit:
    """The messages that one visit has in its hands."""

    _sqs: Any
    _url: str
    _clock: Clock
    late: set[str] = field(default_factory=set)
    """Messages that came after the beginning."""
    _known: set[str] = field(default_factory=set)
    _held: dict[str, _Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _check_at: float = 0
    """When to look again for what would soon be seen."""

    def receive(self, at_once: int) -> list[Any] | None:
        """Receive messages, and hide them.

        Return those that this visit has not had before, or None if there are no messages at all.
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
        """Hide for another hour what would soon be seen again."""
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
        """Let others see again what is held."""
        now = self._clock.now()
        with self._lock:
            hidden = [held for held in self._held.values() if held.hidden_until > now]
        for held in hidden:
            held.hidden_until = now
        self._hide(hidden, now)

    def _hide(self, messages: Sequence[_Held], now: float) -> None:
        """Tell SQS until when messages are hidden from now on."""
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
        # If SQS does not do it, they are seen again within the hour, and are known then.
        with suppress(BotoCoreError, ClientError):
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nobody's Ctrl-C keep messages hidden."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _count(response: Any) -> Count:
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
