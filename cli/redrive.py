"""`file-index redrive`: replays the messages of a deployment's dead-letter queue.

Each message is received, replayed and only then deleted, so no failure in between loses it. If the
deployment has a queue, the payload is sent there; otherwise the function is invoked with it.
Replaying is safe in any order and any number of times.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .dead_letters import UNSAID, Clock, Count, DeadLetterQueue, Letter
from .errors import DENIALS, NO, OK, CommandError
from .progress import Work
from .target import Target
from .terminal import write_causes, write_stderr, write_stdout

_THROTTLED_SECONDS = 60
_ONE_EVENT = re.compile("^1 of 1 object events failed: ")
"""How the function's error begins for a payload with one event, as most have."""


@dataclass(slots=True)
class Result:
    """The result of a redrive."""

    replayed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """How many failed again, by cause."""
    came_meanwhile: int = 0
    """How many arrived after the beginning; they were left alone."""

    @property
    def left(self) -> int:
        """How many of the messages seen are still in the dead-letter queue."""
        return self.failed.total() + self.came_meanwhile


class Replay:
    """Replays payloads through the queue, or without one by invoking the function.

    Raises BotoCoreError or ClientError if the function cannot be asked.
    """

    def __init__(self, target: Target, clock: Clock) -> None:
        deployment = target.deployment
        if deployment is None:
            raise CommandError("redrive works on a deployment: leave --table out")
        self._queue_url = deployment.queue_url
        self.through_queue = self._queue_url is not None
        self._function = deployment.function_name
        self._clock = clock
        self._sqs = target.client("sqs")
        seconds = target.client("lambda").get_function_configuration(FunctionName=self._function)[
            "Timeout"
        ]
        self._lambda = target.client(
            "lambda",
            # A call without a response is not repeated: the message stays.
            Config(
                retries={"total_max_attempts": 1}, read_timeout=seconds + 30, tcp_keepalive=True
            ),
        )
        self.letters = DeadLetterQueue(self._sqs, deployment.dead_letter_url, clock)

    def causes(self, advance: Callable[[], None]) -> tuple[Counter[str], int]:
        """Return how many messages each cause has, and how many arrived meanwhile; all stay.

        `advance` is called for each message.
        """
        causes: list[str] = []

        def note(letter: Letter, _: Callable[[], None]) -> None:
            causes.append(_without_the_obvious(letter.cause))
            advance()

        came_meanwhile = self.letters.visit(note, at_once=10)
        return Counter(causes), came_meanwhile

    def replay(self, result: Result, advance: Callable[[], None]) -> None:
        """Replay each message once and count it in `result`. `advance` is called for each."""
        counting = threading.Lock()

        def replay(letter: Letter, delete: Callable[[], None]) -> None:
            error = self._replay(letter.payload) or _error_of_deleting(delete)
            with counting:
                if error is None:
                    result.replayed += 1
                else:
                    result.failed[_without_the_obvious(error)] += 1
            advance()

        # Invocations take long, so messages are received one by one.
        at_once = 10 if self.through_queue else 1
        result.came_meanwhile = self.letters.visit(replay, at_once=at_once)

    def _replay(self, payload: str) -> str | None:
        """Replay a payload; return None, or why it failed again."""
        try:
            if self._queue_url:
                self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=payload)
                return None
            response = self._invoke(payload)
            said = json.load(response["Payload"])
        except (BotoCoreError, ClientError) as error:
            return str(error)
        if "FunctionError" in response:
            return str(said.get("errorMessage", said) if isinstance(said, dict) else said)
        # The function's response to a batch of SQS messages.
        return UNSAID if isinstance(said, dict) and said.get("batchItemFailures") else None

    def _invoke(self, payload: str) -> Any:
        until = self._clock.now() + _THROTTLED_SECONDS
        while True:
            try:
                return self._lambda.invoke(FunctionName=self._function, Payload=payload)
            except self._lambda.exceptions.TooManyRequestsException:
                if self._clock.now() > until:
                    raise
                self._clock.pause(1)


def _error_of_deleting(delete: Callable[[], None]) -> str | None:
    """Delete a replayed message; return None, or why it is still there."""
    try:
        delete()
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in DENIALS:
            raise  # no other could be deleted either
        return f"replayed, but could not be deleted: {error}"
    return None


def _without_the_obvious(cause: str) -> str:
    return _ONE_EVENT.sub("", cause)


def redrive(target: Target, *, dry_run: bool, as_json: bool, clock: Clock | None = None) -> int:
    """Show the messages of the dead-letter queue by cause, then replay them."""
    replay = Replay(target, clock or Clock())
    letters = replay.letters
    with Work("Reading", letters.visible) as work:
        causes, came_meanwhile = replay.causes(work.advance)
    _show_causes(causes, as_json=as_json)
    if dry_run:
        return _compare(letters, causes.total() + came_meanwhile)
    result = Result(came_meanwhile=came_meanwhile)
    count = None
    try:
        if causes:
            with Work("Replaying", causes.total()) as work:
                replay.replay(result, work.advance)
        with Work("Counting what is left"):
            count = letters.settled(result.left)
    finally:
        _show_result(result, count, through_queue=replay.through_queue, as_json=as_json)
    return NO if _left(result, count) else OK


def _show_causes(causes: Counter[str], *, as_json: bool) -> None:
    if as_json:
        for cause, count in causes.most_common():
            write_stdout(json.dumps({"cause": cause, "messages": count}))
        return
    write_stdout(f"{causes.total():,} in the dead-letter queue.")
    write_causes(causes, "message")


def _compare(letters: DeadLetterQueue, seen: int) -> int:
    """Tell the user how many messages could not be read."""
    with Work("Counting"):
        count = letters.settled(seen)
    if count.total <= seen:
        return OK
    write_stderr("About {:,} more were not read.", count.total - seen)
    _tell_hidden(count)
    return NO


def _left(result: Result, count: Count) -> int:
    """Return the approximate number of messages left. The queue's own count can lag behind."""
    return max(result.left, count.total)


def _show_result(
    result: Result, count: Count | None, *, through_queue: bool, as_json: bool
) -> None:
    """Show the result; without a count, the redrive was interrupted."""
    failed = result.failed.total()
    left = None if count is None else _left(result, count)
    if as_json:
        counts = {"replayed": result.replayed, "failed": failed, "left": left}
        write_stdout(json.dumps(counts | {"failures": dict(result.failed)}))
    else:
        words = (
            ("sent to the queue again", "could not be sent")
            if through_queue
            else ("replayed", "failed again")
        )
        rest = "the rest is still" if left is None else f"about {left:,} left"
        write_stdout(
            f"{result.replayed:,} {words[0]}, {failed:,} {words[1]}, {rest} in the dead-letter"
            " queue."
        )
        write_causes(result.failed, "message")
    if count is not None:
        _tell_untried(_left(result, count) - failed)
        _tell_hidden(count)
    if through_queue and result.replayed:
        write_stderr(
            "A message that fails again returns after its retries: see the function's log, and"
            " check again later with --dry-run."
        )


def _tell_untried(untried: int) -> None:
    if untried:
        write_stderr(
            "About {:,} were not replayed: they arrived after the redrive began, or another"
            " receiver held them. Run it again.",
            untried,
        )


def _tell_hidden(count: Count) -> None:
    if count.hidden:
        write_stderr(
            "About {:,} are in flight: another receiver holds them, or was killed while it did."
            " They become visible again within an hour.",
            count.hidden,
        )
