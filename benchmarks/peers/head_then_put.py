"""Looks at the object with HeadObject, and puts what it sees.

Two functions that run at once can look in one order and put in the other.
"""

import json
import os
from typing import Any
from urllib.parse import unquote_plus

import boto3

from .records import records

dynamodb = boto3.client("dynamodb")
s3_client = boto3.client("s3")
TABLE = os.environ["TABLE_NAME"]


def handler(event: dict[str, Any], _: Any) -> None:
    """Index the objects of an event."""
    for record in records(event):
        s3 = record["s3"]
        bucket, key = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
        found = s3_client.head_object(Bucket=bucket, Key=key)
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "partition": {"S": bucket},
                "key": {"S": key},
                "etag": {"S": found["ETag"].strip('"')},
                "size": {"N": str(found["ContentLength"])},
                "last_modified": {"S": found["LastModified"].isoformat()},
                "event_name": {"S": record["eventName"]},
            },
        )
        print(json.dumps({"level": "INFO", "message": "indexed", "bucket": bucket, "key": key}))
