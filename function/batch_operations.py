"""S3 Batch Operations: a job's tasks, an object each, and the answer that the job expects.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from .errors import MalformedEventError

_SCHEMAS = ("1.0", "2.0")
_LONGEST_TEXT = 1000


class ResultCode(StrEnum):
    """What became of a task."""

    SUCCEEDED = "Succeeded"
    TEMPORARY_FAILURE = "TemporaryFailure"
    """The job gives the task to the function again."""
    PERMANENT_FAILURE = "PermanentFailure"


@dataclass(frozen=True, slots=True)
class Task:
    """One object that a job names."""

    id: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one task."""

    code: ResultCode
    text: str
    """For the job's report."""


def is_job(payload: object) -> bool:
    """Whether it was S3 Batch Operations that invoked the function."""
    return isinstance(payload, Mapping) and {"invocationSchemaVersion", "tasks"} <= payload.keys()


def tasks(payload: Mapping[str, Any]) -> list[Task]:
    """The tasks of an invocation; S3 sends one.

    Raises MalformedEventError where they cannot be read.
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


def answer(payload: Mapping[str, Any], results: Sequence[tuple[Task, Result]]) -> dict[str, Any]:
    """What the function answers to the job."""
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
            for task, result in results
        ],
    }


def _bucket(task: Mapping[str, Any]) -> str:
    bucket: str = task.get("s3Bucket") or task["s3BucketArn"].rpartition(":")[2]
    return bucket
