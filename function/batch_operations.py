"""S3 Batch Operations: a job invokes the function with tasks, one object each.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from .errors import (
    MalformedEventError,
    OtherBucketError,
    PermissionDeniedError,
    TableMissingError,
)
from .events import BACKFILL, ObjectEvent
from .indexer import Indexer
from .report import Report

_SCHEMAS = ("1.0", "2.0")
_LONGEST_TEXT = 1000


class ResultCode(StrEnum):
    """The outcome of a task."""

    SUCCEEDED = "Succeeded"
    TEMPORARY_FAILURE = "TemporaryFailure"
    """The job retries the task."""
    PERMANENT_FAILURE = "PermanentFailure"


@dataclass(frozen=True, slots=True)
class Task:
    """One object of a job."""

    id: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one task, for the job."""

    code: ResultCode
    text: str
    """Shown in the job's report."""


def is_job(payload: object) -> bool:
    """Return whether S3 Batch Operations invoked the function."""
    return isinstance(payload, Mapping) and {"invocationSchemaVersion", "tasks"} <= payload.keys()


def run(
    payload: Any,
    indexer: Indexer,
    check: Callable[[str], None],
) -> dict[str, Any]:
    """Update the record of each task's object, one after the other.

    `check` raises if an object of this bucket must not be started. Returns the response for the
    job. Raises MalformedEventError if the tasks cannot be read.
    """
    report = Report(indexer.now)
    try:
        tasks = _tasks(payload)
    except MalformedEventError as error:
        report.malformed(error)
        report.summary(messages=1)
        raise
    results = []
    for task in tasks:
        event = ObjectEvent(bucket=task.bucket, key=task.key, name=BACKFILL)
        try:
            check(task.bucket)
            outcome = indexer.refresh(event)
        except Exception as error:  # noqa: BLE001 # reported to the log and to the job
            report.failed([event], error)
            results.append(Result(_code(error), f"{type(error).__name__}: {error}"))
        else:
            report.done(event, outcome)
            results.append(Result(ResultCode.SUCCEEDED, outcome))
    report.summary(messages=len(tasks))
    return _response(payload, tasks, results)


def _code(error: Exception) -> ResultCode:
    # Permanent if somebody must change something first; anything else may succeed on a retry.
    if isinstance(error, OtherBucketError | PermissionDeniedError | TableMissingError):
        return ResultCode.PERMANENT_FAILURE
    return ResultCode.TEMPORARY_FAILURE


def _tasks(payload: Mapping[str, Any]) -> list[Task]:
    """Return the tasks of an invocation; S3 sends one.

    Raises MalformedEventError if they cannot be read.
    """
    schema = payload["invocationSchemaVersion"]
    if schema not in _SCHEMAS:
        raise MalformedEventError(
            f"invocationSchemaVersion is {schema!r}: expected one of {', '.join(_SCHEMAS)}"
        )
    try:
        return [
            Task(id=task["taskId"], bucket=_bucket(task), key=unquote_plus(task["s3Key"]))
            for task in payload["tasks"]
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise MalformedEventError(
            f"a task of S3 Batch Operations without taskId, s3Key or bucket ({error!r})"
        ) from error


def _response(
    payload: Mapping[str, Any], tasks: Sequence[Task], results: Sequence[Result]
) -> dict[str, Any]:
    return {
        "invocationSchemaVersion": payload["invocationSchemaVersion"],
        "treatMissingKeysAs": ResultCode.PERMANENT_FAILURE,
        "invocationId": payload.get("invocationId"),
        "results": [
            {
                "taskId": task.id,
                "resultCode": result.code,
                "resultString": result.text[:_LONGEST_TEXT],
            }
            for task, result in zip(tasks, results, strict=True)
        ],
    }


def _bucket(task: Mapping[str, Any]) -> str:
    bucket: str = task.get("s3Bucket") or task["s3BucketArn"].rpartition(":")[2]
    return bucket
