"""Starts a job for each real change of a file: a Lambda function on the stream of the index.

The stream has a record for each write, and many writes change no file: an event that comes twice, a
repair, a tombstone that expires. A job is a message in an SQS FIFO queue, in order for each file.

Lambda delivers at least once, and SQS drops repeated messages for five minutes only. A worker that
must not do a job twice remembers its token.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

logger = logging.getLogger(__name__)


class StreamError(Exception):
    """A record of the stream cannot be processed; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a job is about: a file is changed if this is. Add attributes that matter to you."""

    etag: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A real change of a file."""

    change: str
    """`created`, `replaced` or `deleted`."""
    bucket: str
    key: str
    content: Content | None
    """None: the file is gone."""
    revision: str
    """Of the record in the index; every write has its own."""

    @property
    def token(self) -> str:
        """The same for every delivery of this change, and for no other change."""
        return _digest(self.bucket, self.key, self.revision)

    @property
    def message(self) -> dict[str, str]:
        """The arguments for SendMessage. SQS keeps the order of the messages of a group."""
        return {
            "MessageBody": json.dumps(asdict(self) | {"token": self.token}),
            "MessageDeduplicationId": self.token,
            "MessageGroupId": _digest(self.bucket, self.key),
        }


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Start the jobs of a batch, in order, up to the first record that fails."""
    for position, record in enumerate(event["Records"]):
        try:
            job = job_of(record)
            if job:
                sqs().send_message(QueueUrl=os.environ["JOBS_QUEUE_URL"], **job.message)
        except Exception:
            # Lambda halves a batch only if the invocation fails, and so finds the one bad record.
            if position == 0:
                raise
            logger.exception("retrying from this record")
            # Lambda retries everything from here on.
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def job_of(record: Mapping[str, Any]) -> Job | None:
    """Return the job for a record of the stream; None if the file did not change.

    Raises StreamError if the record does not say.
    """
    # DynamoDB removes expired tombstones. The module never removes an item itself.
    if record["eventName"] == "REMOVE":
        return None
    images = record["dynamodb"]
    if images["StreamViewType"] != "NEW_AND_OLD_IMAGES":
        raise StreamError(
            f"the stream holds {images['StreamViewType']}, which does not say what changed: set"
            ' table.stream = "NEW_AND_OLD_IMAGES"'
        )
    new = images["NewImage"]
    try:
        before, after = _content(images.get("OldImage")), _content(new)
        if before == after:
            return None
        return Job(
            change="deleted" if after is None else "replaced" if before else "created",
            bucket=new["bucket"]["S"],
            key=new["key"]["S"],
            content=after,
            revision=new["revision"]["S"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StreamError(
            f"the item {images['Keys']} is not a record of the index ({error!r}): remove it"
        ) from error


@cache
def sqs() -> Any:
    """Return the client, which all invocations share."""
    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=5))


def _content(image: Mapping[str, Any] | None) -> Content | None:
    """Return the content of a record; None if there is no file: no record, or a tombstone."""
    if image is None or "deleted" in image:
        return None
    return Content(etag=image["etag"]["S"], size=int(image["size"]["N"]))


def _digest(*parts: str) -> str:
    """Return 64 characters for a key of up to 1,024 bytes: SQS allows 128."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
