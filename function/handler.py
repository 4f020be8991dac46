"""The Lambda function's entry point: parse, index, report.

Invoked with a batch of SQS messages it answers which of them failed, invoked by S3 Batch Operations
what became of each task. Invoked directly it raises after everything else has been processed, so
that Lambda retries and then keeps the payload in the dead-letter queue.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import boto3
from botocore.config import Config

from . import batch_operations, logs
from .batch_operations import Result, ResultCode, Task
from .errors import (
    MalformedEventError,
    ObjectEventsFailedError,
    OtherBucketError,
    OutOfTimeError,
    PermissionDeniedError,
    TableMissingError,
)
from .event_parser import parse
from .events import BACKFILL, Change, Message, ObjectEvent, Outcome
from .indexer import Indexer, Maker
from .metrics import Tally
from .objects import Objects
from .repository import FileIndex
from .settings import Settings

WORKERS = 8
RESERVED_MS = 5000
"""No object is started in the last milliseconds of an invocation."""
REPORTING_MS = 1000
"""Objects that are not finished so long before the end are reported as failed."""

_REPORTED = 3
_TIME = (
    ": the invocation is about to time out. The event is redelivered; if this recurs, raise "
    "function.timeout_seconds"
)


class Context(Protocol):
    """What the function uses of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Work:
    """Events of one key, and the messages they came with."""

    events: list[ObjectEvent] = field(default_factory=list)
    messages: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of the events of one key."""

    outcomes: Sequence[Outcome]
    at: datetime


class Function:
    """The function without its surroundings: what a handler does with an indexer."""

    def __init__(self, indexer: Indexer, bucket: str | None = None) -> None:
        """Events about a bucket other than `bucket` fail; None accepts any bucket."""
        self._indexer = indexer
        self._bucket = bucket
        self._pool = ThreadPoolExecutor(WORKERS)

    def handle(self, payload: object, context: Context) -> dict[str, Any]:
        """Bring the index up to date with what the payload tells.

        Returns `{"batchItemFailures": […]}` for a batch of SQS messages, the results of its tasks
        for a job of S3 Batch Operations, else the number of object events by outcome. Raises
        MalformedEventError or ObjectEventsFailedError.
        """
        started = time.monotonic()
        tally = Tally()
        try:
            if batch_operations.is_job(payload):
                return self._do_tasks(payload, tally, context, started)
            messages = parse(payload)
        except MalformedEventError as error:
            logs.malformed(None, error)
            tally.fail(error)
            logs.summary(tally, self._indexer.now(), messages=1, seconds=_since(started))
            raise
        failures: dict[int, list[Exception]] = {}
        for number, message in enumerate(messages):
            for malformed in message.errors:
                logs.malformed(message.id, malformed)
                tally.fail(malformed)
                failures.setdefault(number, []).append(malformed)

        work = self._grouped_by_key(messages, tally)
        for item, done in zip(work, self._each(work, context), strict=True):
            if isinstance(done, Exception):
                tally.fail(done, len(item.events))
                for number in item.messages:
                    failures.setdefault(number, []).append(done)
            else:
                tally.count(item.events, done.outcomes, done.at)

        logs.summary(
            tally,
            self._indexer.now(),
            messages=len(messages),
            test_events=sum(message.test_events for message in messages),
            seconds=_since(started),
        )
        return _answer(messages, tally, failures)

    def _do_tasks(
        self, payload: Any, tally: Tally, context: Context, started: float
    ) -> dict[str, Any]:
        tasks = batch_operations.tasks(payload)
        results = [(task, self._do_task(task, tally, context)) for task in tasks]
        logs.summary(tally, self._indexer.now(), messages=len(tasks), seconds=_since(started))
        return batch_operations.answer(payload, results)

    def _do_task(self, task: Task, tally: Tally, context: Context) -> Result:
        event = ObjectEvent(bucket=task.bucket, key=task.key, name=BACKFILL)
        try:
            self._check_bucket(task.bucket)
            if context.get_remaining_time_in_millis() < RESERVED_MS:
                raise OutOfTimeError(f"not started{_TIME}")
            outcome = self._indexer.refresh(event)
        except Exception as failure:  # noqa: BLE001 # logged, and reported to the job
            tally.fail(self._failed([event], failure))
            return Result(_code(failure), f"{type(failure).__name__}: {failure}")
        now = self._indexer.now()
        tally.count([event], [outcome], now)
        logs.object_event(event, outcome, now)
        return Result(ResultCode.SUCCEEDED, outcome)

    def _grouped_by_key(self, messages: Sequence[Message], tally: Tally) -> list[_Work]:
        """Group the events by key, and ignore those that change nothing in the index.

        Events that may be too old to be applied form groups of their own: they may fail, and must
        not take newer events of their key along.
        """
        work: dict[tuple[str, str, bool], _Work] = {}
        for number, message in enumerate(messages):
            for event in message.events:
                if event.change is Change.UNRELATED and self._bucket in (None, event.bucket):
                    now = self._indexer.now()
                    logs.object_event(event, Outcome.IGNORED, now)
                    tally.count([event], [Outcome.IGNORED], now)
                    continue
                old = self._indexer.outlived_tombstones(event)
                item = work.setdefault((event.bucket, event.key, old), _Work())
                item.events.append(event)
                item.messages.add(number)
        return list(work.values())

    def _each(self, work: Sequence[_Work], context: Context) -> Sequence[_Done | Exception]:
        """The outcomes of each key's events, or why all of them failed."""
        remaining_ms = context.get_remaining_time_in_millis
        under_way = [self._pool.submit(self._process, item.events, remaining_ms) for item in work]
        results: list[_Done | Exception] = []
        for item, future in zip(work, under_way, strict=True):
            try:
                results.append(future.result(max(0, remaining_ms() - REPORTING_MS) / 1000))
            except TimeoutError:
                # A write that still happens is a conditional one: the redelivered events see it.
                future.cancel()
                results.append(self._failed(item.events, OutOfTimeError(f"not finished{_TIME}")))
        return results

    def _process(
        self, events: Sequence[ObjectEvent], remaining_ms: Callable[[], int]
    ) -> _Done | Exception:
        try:
            self._check_bucket(events[0].bucket)
            if remaining_ms() < RESERVED_MS:
                raise OutOfTimeError(f"not started{_TIME}")
            outcomes = self._indexer.process(events)
        except Exception as error:  # noqa: BLE001 # one key must fail alone: logged and reported
            return self._failed(events, error)
        now = self._indexer.now()
        for event, outcome in zip(events, outcomes, strict=True):
            logs.object_event(event, outcome, now)
        return _Done(outcomes, now)

    def _check_bucket(self, bucket: str) -> None:
        if self._bucket not in (None, bucket):
            raise OtherBucketError(
                f"the event is about bucket {bucket}, and this function indexes {self._bucket} "
                "alone: remove the notification, rule or subscription that sends it here, then "
                "delete the message"
            )

    def _failed(self, events: Sequence[ObjectEvent], error: Exception) -> Exception:
        for event in events:
            logs.object_event(event, Outcome.FAILED, self._indexer.now(), error)
        return error


def _answer(
    messages: Sequence[Message],
    tally: Tally,
    failures: Mapping[int, Sequence[Exception]],
) -> dict[str, Any]:
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
        failed, events = tally.outcomes[Outcome.FAILED], tally.outcomes.total()
        raise ObjectEventsFailedError(
            f"{failed} of {events} object events failed: {shown}{more}"
        ) from errors[0]
    return {outcome.value: tally.outcomes[outcome] for outcome in Outcome}


def _code(failure: Exception) -> ResultCode:
    # What somebody must mend first; all else may do better when it is tried again.
    if isinstance(failure, OtherBucketError | PermissionDeniedError | TableMissingError):
        return ResultCode.PERMANENT_FAILURE
    return ResultCode.TEMPORARY_FAILURE


def _since(started: float) -> float:
    return time.monotonic() - started


def create_function(settings: Settings) -> Function:
    """The function that a deployment with these settings runs."""
    config = Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 4},
        # Both save a tenth of the CPU of a write; requests are built by this package alone.
        parameter_validation=False,
        user_agent="terraform-aws-file-index",
    )
    objects = Objects(
        lambda: boto3.client("s3", config=config),
        metadata=settings.object_metadata,
        tags=settings.object_tags,
    )
    derived_files: Maker | None = None
    if settings.derived_bucket:
        from .derived_files import DerivedFiles  # noqa: PLC0415 # no part of other starts

        derived_files = DerivedFiles.of(settings, objects.client)
    indexer = Indexer(
        index=FileIndex(
            boto3.client("dynamodb", config=config), settings.table_name, settings.table_partitions
        ),
        objects=objects,
        object_metadata=settings.object_metadata,
        tombstone_life=settings.tombstone_life,
        now=lambda: datetime.now(UTC),
        pause=time.sleep,
        derived_files=derived_files,
    )
    return Function(indexer, settings.bucket_name)


logs.set_up()
handler = create_function(Settings.from_environment(os.environ)).handle
