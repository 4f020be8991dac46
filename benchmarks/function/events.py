"""Events as S3 sends them, directly or in batches of SQS messages."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

from ..bucket import ETAG, VERSION_ID, size_of

BUCKET = "files"

Event = dict[str, Any]

_numbers = count()


def key_of(number: int) -> str:
    """Return the key of an object of a load."""
    return f"2026/11/23/{number:08}.csv"


def event(
    key: str, name: str = "ObjectCreated:Put", *, versioned: bool = False, age: int = 0
) -> Event:
    """Return the record of an event. It is later than every one before it, less `age` events."""
    entity: dict[str, Any] = {
        "key": quote_plus(key, safe="/"),
        "sequencer": f"0066{10**6 + next(_numbers) - age:014X}",
    }
    if name.startswith("ObjectCreated"):
        entity |= {"size": size_of(key), "eTag": ETAG}
    if versioned:
        entity["versionId"] = VERSION_ID
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": now,
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAINPONIXQXHT3IKHL2"},
        "requestParameters": {"sourceIPAddress": "205.255.255.255"},
        "responseElements": {
            "x-amz-request-id": "D82B88E5F771F645",
            "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5"
            "NeC6qMa0emYBDXOo6QBU0Wo=",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "file-index",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "A3I5XTEXAMAI3E"},
                "arn": f"arn:aws:s3:::{BUCKET}",
            },
            "object": entity,
        },
    }


def direct(events: Iterable[Event]) -> list[Any]:
    """Return the payload of each event, sent to the function directly."""
    return [{"Records": [one]} for one in events]


def batched(events: Iterable[Event], size: int) -> list[Any]:
    """Return the payloads of batches of SQS messages; S3 sends a message for each event."""
    return [{"Records": [_message(one) for one in some]} for some in _batches(iter(events), size)]


def _batches(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    while some := list(islice(events, size)):
        yield some


def _message(one: Event) -> Any:
    now = str(int(datetime.now(UTC).timestamp() * 1000))
    return {
        "messageId": str(uuid4()),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a" * 8,
        "body": json.dumps({"Records": [one]}, separators=(",", ":")),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": now,
            "SenderId": "AROAEXAMPLE:S3-PROD-END",
            "ApproximateFirstReceiveTimestamp": now,
        },
        "messageAttributes": {},
        "md5OfBody": "7b270e59b47ff90a553787216d55d91d",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:file-index",
        "awsRegion": "us-east-1",
    }
