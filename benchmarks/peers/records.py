"""The S3 records of an event, sent directly or through SQS."""

import json
from collections.abc import Iterator
from typing import Any


def records(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records."""
    for record in event["Records"]:
        if "body" in record:
            yield from json.loads(record["body"])["Records"]
        else:
            yield record
