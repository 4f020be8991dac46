"""`file-index redrive`: replays what lies in a deployment's dead-letter queue.

Each message is received, replayed and only then deleted: whatever happens in between, it stays.
With a queue its payload is sent there again, else the function is invoked with it. Replaying is
always safe, in any order and any number of times.
"""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .errors import NO, OK
from .progress import Work
from .target import Target
from .text import answer, answer_causes, say

_WORKERS = 8
_EMPTY_SECONDS = 2
"""How long the queue must have nothing to give until it counts as empty."""
_HIDDEN_SECONDS = 3600
"""How long a message is hidden from others, unless it is shown again at the end."""
_ROUNDS = 10
"""After that many answers in a row that hold nothing new, the rest is what was seen before."""
_THROTTLED_SECONDS = 60
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_UNSAID = "the message does not say why: see the function's log"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead-letter queue."""

    sent_at: float
    """Unix time; SQS keeps it when it moves a message here from another queue."""
    body: str
    attributes: dict[str, str]

    @property
    def payload(self) -> str:
        """What is to be replayed: what Lambda's failure record holds; other messages are it."""
        record = self._failure_record()
        return json.dumps(record["requestPayload"]) if record else self.body

    @property
    def cause(self) -> str:
        """Why it is here, as far as it says."""
        record = self._failure_record()
        if record:
            answer = record.get("responsePayload")
            said = answer.get("errorMessage") if isinstance(answer, dict) else answer
            context = record["requestContext"]
            condition = context.get("condition") if isinstance(context, dict) else None
            return str(said or condition or _UNSAID)
        if "ERROR_CODE" in self.attributes:
            message = self.attributes.get("ERROR_MESSAGE", "")
            return f"EventBridge could not deliver it: {self.attributes['ERROR_CODE']} {message}"
        return _UNSAID

    def _failure_record(self) -> dict[str, Any] | None:
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if isinstance(document, dict) and {"requestPayload", "requestContext"} <= set(document):
            return document
        return None


@dataclass(slots=True)
class Result:
    """What became of the messages."""

    replayed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """How many were replayed in vain, by the reason."""
    came_meanwhile: int = 0
    """How many came, or came back, after the beginning; they were left alone."""

    @property
    def left(self) -> int:
        """How many are in the dead-letter queue still."""
        return self.failed.total() + self.came_meanwhile


class DeadLetters:
    """The dead letters of a deployment, whose outputs tell where they are.

    Raises BotoCoreError or ClientError where AWS cannot be asked; nothing is lost then.
    """

    def __init__(self, target: Target) -> None:
        outputs = target.outputs
        self._url: str = outputs["dead_letter_queue"]["url"]
        self._queue_url: str | None = (outputs.get("queue") or {}).get("url")
        self.through_queue = self._queue_url is not None
        self._function: str = outputs["function"]["name"]
        self._sqs = target.client("sqs")
        seconds = target.client("lambda").get_function_configuration(FunctionName=self._function)[
            "Timeout"
        ]
        self._lambda = target.client(
            "lambda",
            # An answer that does not come is not asked for again: the message stays.
            retries={"total_max_attempts": 1},
            read_timeout=seconds + 30,
            tcp_keepalive=True,
        )
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        # The time of SQS's clock, as the messages' own are. It has whole seconds.
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        self._began = date.timestamp() + 1
        self.count = int(answer["Attributes"]["ApproximateNumberOfMessages"])
        """About how many there are."""
        self.hidden = int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])
        """About how many somebody else is looking at."""

    def look(self, advance: Callable[[], None]) -> Counter[str]:
        """How many there are for each cause; all stay. `advance` is called for each."""
        causes: list[str] = []

        def look(letter: Letter) -> bool:
            causes.append(letter.cause)
            advance()
            return False

        self._visit(look, at_once=10)
        return Counter(causes)

    def replay(self, result: Result, advance: Callable[[], None]) -> None:
        """Replay each once and count it in `result`. `advance` is called for each."""
        counting = threading.Lock()

        def replay(letter: Letter) -> bool:
            error = self._replay(letter.payload)
            with counting:
                if error is None:
                    result.replayed += 1
                else:
                    result.failed[error] += 1
            advance()
            return error is None

        # One by one where each is an invocation, which takes its time.
        result.came_meanwhile = self._visit(replay, at_once=10 if self._queue_url else 1)

    def _replay(self, payload: str) -> str | None:
        """None, or why it failed again."""
        try:
            if self._queue_url:
                self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=payload)
                return None
            answer = self._invoke(payload)
        except (BotoCoreError, ClientError) as error:
            return str(error)
        said = json.load(answer["Payload"]) or {}
        if "FunctionError" in answer:
            return str(said.get("errorMessage", said))
        # What the function answers where the payload is a batch of SQS messages.
        return _UNSAID if said.get("batchItemFailures") else None

    def _invoke(self, payload: str) -> Any:
        until = time.monotonic() + _THROTTLED_SECONDS
        while True:
            try:
                return self._lambda.invoke(FunctionName=self._function, Payload=payload)
            except self._lambda.exceptions.TooManyRequestsException:
                if time.monotonic() > until:
                    raise
                time.sleep(1)

    def _visit(self, deal_with: Callable[[Letter], bool], *, at_once: int) -> int:
        """Show each message once, several at a time; where that returns true, delete it.

        The others are hidden from everybody else until the end. Returns how many came after the
        beginning, which were not shown.
        """
        kept: dict[str, str] = {}
        shown: set[str] = set()
        late: set[str] = set()
        ending = threading.Event()

        def work() -> None:
            rounds_left = _ROUNDS
            while rounds_left and not ending.is_set() and (messages := self._receive(at_once)):
                rounds_left -= 1
                new = [message for message in messages if message["MessageId"] not in kept]
                kept.update({m["MessageId"]: m["ReceiptHandle"] for m in messages})
                for message in new:
                    letter = _letter(message)
                    if letter.sent_at > self._began:
                        late.add(message["MessageId"])
                    elif not ending.is_set():
                        rounds_left = _ROUNDS
                        if deal_with(letter):
                            self._sqs.delete_message(
                                QueueUrl=self._url, ReceiptHandle=kept[message["MessageId"]]
                            )
                            del kept[message["MessageId"]]

        def show_again() -> None:
            hidden = set(kept.values()) - shown
            with ThreadPoolExecutor(_WORKERS) as pool:
                list(pool.map(self._show_again, hidden))
            shown.update(hidden)

        with ThreadPoolExecutor(_WORKERS) as pool:
            workers = [pool.submit(work) for _ in range(_WORKERS)]
            try:
                for worker in workers:
                    worker.result()
            finally:
                ending.set()
                with _uninterrupted():
                    show_again()  # also what is under way, which may take its time
                wait(workers)
                with _uninterrupted():
                    show_again()
        return len(late)

    def _show_again(self, receipt: str) -> None:
        with suppress(ClientError):  # it is shown again already, or will be in an hour
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=0
            )

    def _receive(self, at_once: int) -> Any:
        return self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=at_once,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_EMPTY_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nobody's Ctrl-C keep messages hidden."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _letter(message: Any) -> Letter:
    attributes = message.get("MessageAttributes", {})
    return Letter(
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        body=message["Body"],
        attributes={name: value.get("StringValue", "") for name, value in attributes.items()},
    )


def redrive(target: Target, *, dry_run: bool, as_json: bool) -> int:
    """Show what lies in the dead-letter queue, by cause, then replay it."""
    target.output(
        "dead_letter_queue", "redrive works on a deployment: name it with --env, not with --table"
    )
    letters = DeadLetters(target)
    with Work("Looking", letters.count) as work:
        causes = letters.look(work.advance)
    _show_causes(causes, as_json=as_json)
    code = OK
    if not dry_run and causes:
        code = _replay(letters, as_json=as_json)
    if letters.hidden:
        say(
            "{:,} more were hidden: somebody else is looking at them, or was killed while doing so."
            " They show again within an hour.",
            letters.hidden,
        )
        return NO
    return code


def _show_causes(causes: Counter[str], *, as_json: bool) -> None:
    if as_json:
        for cause, count in causes.most_common():
            answer(json.dumps({"cause": cause, "messages": count}))
        return
    answer(f"{causes.total():,} in the dead-letter queue.")
    answer_causes(causes)


def _replay(letters: DeadLetters, *, as_json: bool) -> int:
    result = Result()
    left = "the rest is in the dead-letter queue still"
    try:
        with Work("Replaying", letters.count) as work:
            letters.replay(result, work.advance)
        left = f"{result.left:,} left in the dead-letter queue"
    finally:
        _show_result(result, left, through_queue=letters.through_queue, as_json=as_json)
    return NO if result.left else OK


def _show_result(result: Result, left: str, *, through_queue: bool, as_json: bool) -> None:
    failed = result.failed.total()
    if as_json:
        counts = {"replayed": result.replayed, "failed": failed, "left": result.left}
        answer(json.dumps(counts | {"failures": dict(result.failed)}))
        return
    words = (
        ("sent to the queue again", "could not be sent")
        if through_queue
        else ("replayed", "failed again")
    )
    answer(f"{result.replayed:,} {words[0]}, {failed:,} {words[1]}, {left}.")
    answer_causes(result.failed)
    if result.came_meanwhile:
        answer(f"  {result.came_meanwhile:,} x came, or came back, after the redrive began")
    if through_queue and result.replayed:
        answer(
            "What fails again comes back when its tries are used up: see the function's log, and"
            " look again later (--dry-run)."
        )
