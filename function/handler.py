"""The Lambda function's entry point: parse, group, process, respond.

The response to a batch of SQS messages names those that failed. A direct invocation raises after
everything else has been processed, so that Lambda retries it and then sends the payload to the
dead-letter queue.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.config import Config

from .clients import connector
from .context import Context
from .errors import (
    MalformedEventError,
    ObjectEventsFailedError,
    OtherBucketError,
    OutOfTimeError,
)
from .event_parser import parse
from .events import Change, Message, ObjectEvent, Outcome
from .groups import Group
from .indexer import Indexer, Maker
from .insert_first import InsertFirst
from .objects import Objects
from .report import Report, set_up
from .repository import FileIndex
from .settings import Settings
from .time_limit import can_limit_time, within

WORKERS = 8
RESERVED_MS = 5000
"""No object is started in the last milliseconds of an invocation."""
REPORTING_MS = 1000
"""Objects that are not finished this long before the end are reported as failed."""

_REPORTED = 3
_TIME = (
    ": the invocation is about to time out. The event is redelivered; if this recurs, raise "
    "function.timeout_seconds"
)


class Function:
    """The function, independent of its environment: what the handler does with an indexer."""

    def __init__(
        self,
        indexer: Indexer,
        bucket: str | None = None,
        insert_first: InsertFirst | None = None,
    ) -> None:
        """Fail events about any bucket other than `bucket`; None accepts every bucket.

        `insert_first` is None if records of new objects are put like all others.
        """
        self._indexer = indexer
        self._bucket = bucket
        self._insert_first = insert_first
        self._pool = ThreadPoolExecutor(WORKERS)

    def handle(self, payload: object, context: Context) -> dict[str, Any]:
        """Update the index with the object events in the payload.

        Returns `{"batchItemFailures": […]}` for a batch of SQS messages, otherwise the number of
        object events by outcome. Raises MalformedEventError or ObjectEventsFailedError.
        """
        messages, report = self._parse(payload)
        groups = self._group(self._related(messages, report))
        self._process(groups, context.get_remaining_time_in_millis, report)
        report.summary(
            messages=len(messages), test_events=sum(message.test_events for message in messages)
        )
        return _response(messages, groups, report.outcomes)

    def _parse(self, payload: object) -> tuple[Sequence[Message], Report]:
        """Parse the payload, and report whatever cannot be read."""
        try:
            messages = parse(payload)
        except MalformedEventError as error:
            Report(self._indexer.now, expected=1).malformed(error)
            raise
        report = Report(
            self._indexer.now,
            expected=sum(len(message.events) + len(message.errors) for message in messages),
        )
        for message in messages:
            for malformed in message.errors:
                report.malformed(malformed, message.id)
        return messages, report

    def _related(
        self, messages: Sequence[Message], report: Report
    ) -> Iterator[tuple[int, ObjectEvent]]:
        """Yield the events that the index needs, each with its message's number.

        The others are ignored, except that an event about another bucket always fails.
        """
        for number, message in enumerate(messages):
            for event in message.events:
                if event.change is Change.UNRELATED and self._is_indexed(event.bucket):
                    report.done(event, Outcome.IGNORED)
                else:
                    yield number, event

    def _group(self, events: Iterable[tuple[int, ObjectEvent]]) -> list[Group]:
        groups: dict[object, Group] = {}
        for number, event in events:
            group = groups.setdefault(self._indexer.group_of(event), Group())
            group.events.append(event)
            group.messages.add(number)
        return list(groups.values())

    def _process(
        self, groups: Sequence[Group], remaining_ms: Callable[[], int], report: Report
    ) -> None:
        """Process the groups side by side, and note in each its outcomes or why it failed."""
        self._insert(groups, remaining_ms)
        left = []
        for group in groups:
            if group.is_done:
                _report(group, report)
            else:
                left.append(group)
        late = OutOfTimeError(f"not finished{_TIME}")
        if len(left) == 1 and can_limit_time():
            # Another thread would cost a fifth of the CPU of an event.
            outcomes = partial(self._outcomes, left[0], remaining_ms)
            _finish(left[0], partial(within, _seconds_left(remaining_ms), outcomes, late), report)
            return
        under_way = {
            self._pool.submit(self._outcomes, group, remaining_ms): group for group in left
        }
        with suppress(TimeoutError):
            for future in as_completed(under_way, _seconds_left(remaining_ms)):
                _finish(under_way.pop(future), future.result, report)
        for future, group in under_way.items():
            # A write that still happens is conditional, so the redelivered events are superseded.
            future.cancel()
            group.error = late
            _report(group, report)

    def _insert(self, groups: Sequence[Group], remaining_ms: Callable[[], int]) -> None:
        """Insert the records of new objects if there are several; the other groups are left."""
        if self._insert_first is None:
            return
        candidates = self._insert_first.candidates(
            group for group in groups if self._is_indexed(group.events[0].bucket)
        )
        if len(candidates) > 1:
            inserting = self._pool.submit(
                self._insert_first.insert, candidates, lambda: remaining_ms() >= RESERVED_MS
            )
            with suppress(TimeoutError):
                inserting.result(_seconds_left(remaining_ms))

    def _outcomes(self, group: Group, remaining_ms: Callable[[], int]) -> Sequence[Outcome]:
        bucket = group.events[0].bucket
        if not self._is_indexed(bucket):
            raise OtherBucketError(
                f"the event is about bucket {bucket}, and this function indexes only "
                f"{self._bucket}: remove the notification, rule or subscription that sends it "
                "here, then delete the message"
            )
        if remaining_ms() < RESERVED_MS:
            raise OutOfTimeError(f"not started{_TIME}")
        return self._indexer.process(group.events, group.record)

    def _is_indexed(self, bucket: str) -> bool:
        return self._bucket in (None, bucket)


def _seconds_left(remaining_ms: Callable[[], int]) -> float:
    """Return the seconds until unfinished objects are reported."""
    return max(0, remaining_ms() - REPORTING_MS) / 1000


def _finish(group: Group, outcomes: Callable[[], Sequence[Outcome]], report: Report) -> None:
    """Note and report the outcomes of a group, or why it failed."""
    try:
        group.outcomes = outcomes()
    except Exception as error:  # noqa: BLE001 # one key fails alone
        group.error = error
    _report(group, report)


def _report(group: Group, report: Report) -> None:
    if group.error:
        report.failed(group.events, group.error)
        return
    for event, outcome in zip(group.events, group.outcomes or (), strict=True):
        report.done(event, outcome)


def _response(
    messages: Sequence[Message], groups: Sequence[Group], outcomes: Mapping[Outcome, int]
) -> dict[str, Any]:
    failures = {
        number: list[Exception](message.errors)
        for number, message in enumerate(messages)
        if message.errors
    }
    for group in groups:
        if group.error:
            for number in group.messages:
                failures.setdefault(number, []).append(group.error)
    if any(message.id is not None for message in messages):
        return {
            "batchItemFailures": [
                {"itemIdentifier": messages[number].id} for number in sorted(failures)
            ]
        }
    if failures:
        errors = [error for found in failures.values() for error in found]
        shown = "; ".join(f"{type(error).__name__}: {error}" for error in errors[:_REPORTED])
        more = f"; and {len(errors) - _REPORTED} more, see the log" if errors[_REPORTED:] else ""
        raise ObjectEventsFailedError(
            f"{outcomes[Outcome.FAILED]} of {sum(outcomes.values())} object events failed: "
            f"{shown}{more}"
        ) from errors[0]
    return {outcome.value: outcomes[outcome] for outcome in Outcome}


def create_function(settings: Settings) -> Function:
    """Return the function that a deployment with these settings runs."""
    connect = connector(
        Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 4},
            # Both save a tenth of the CPU of a write. Only this package builds requests.
            parameter_validation=False,
            user_agent="terraform-aws-file-index",
        )
    )
    objects = Objects(
        lambda: connect("s3"),
        metadata=settings.object_metadata,
        tags=settings.object_tags,
    )
    derived_files: Maker | None = None
    if settings.derived_bucket:
        from .derived_files import DerivedFiles  # noqa: PLC0415 # keeps other cold starts fast

        derived_files = DerivedFiles.of(settings, objects.client)
    index = FileIndex(connect("dynamodb"), settings.table_name, settings.table_partitions)
    indexer = Indexer(
        index=index,
        objects=objects,
        settings=settings,
        now=lambda: datetime.now(UTC),
        pause=time.sleep,
        derived_files=derived_files,
    )
    insert_first = InsertFirst(indexer, index) if settings.insert_first else None
    return Function(indexer, settings.bucket_name, insert_first)


set_up()
handler = create_function(Settings.from_environment(os.environ)).handle
