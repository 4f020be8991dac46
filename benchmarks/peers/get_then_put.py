"""Reads the item, and puts the event's if it is newer.

Two functions that run at once can both read the old item, and the older event can win.
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
        found = dynamodb.get_item(
            TableName=TABLE,
            Key={"partition": {"S": bucket}, "key": {"S": key}},
            ConsistentRead=True,
        ).get("Item")
        if found is None or found["event_time"]["S"] < record["eventTime"]:
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
