"""Puts an item for each event, as most tutorials do.

Nothing orders events: a late event of an older object overwrites a newer one.
"""

import json
import os
from typing import Any
from urllib.parse import unquote_plus

import boto3

from .records import records

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["TABLE_NAME"]


def handler(event: dict[str, Any], _: Any) -> None:
    """Index the objects of an event."""
    for record in records(event):
        s3 = record["s3"]
        bucket, key = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "partition": {"S": bucket},
                "key": {"S": key},
                "etag": {"S": s3["object"]["eTag"]},
                "size": {"N": str(s3["object"]["size"])},
                "event_name": {"S": record["eventName"]},
                "event_time": {"S": record["eventTime"]},
            },
        )
        print(json.dumps({"level": "INFO", "message": "indexed", "bucket": bucket, "key": key}))
