"""Puts an item for each event with nothing but the standard library: the least that a put needs.

It signs requests (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), but does
not retry, does not read errors, and does not renew credentials. Nobody should run it.
"""

import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from .records import records

TABLE = os.environ["TABLE_NAME"]
REGION = os.environ["AWS_DEFAULT_REGION"]
HOST = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
TARGET = "DynamoDB_20120810.PutItem"
SIGNED = "content-type;host;x-amz-date;x-amz-target"

connection = HTTPConnection(HOST)


def handler(event: dict[str, Any], _: Any) -> None:
    """Index the objects of an event."""
    for record in records(event):
        s3 = record["s3"]
        put(
            {
                "partition": {"S": s3["bucket"]["name"]},
                "key": {"S": unquote_plus(s3["object"]["key"])},
                "etag": {"S": s3["object"]["eTag"]},
                "size": {"N": str(s3["object"]["size"])},
                "event_name": {"S": record["eventName"]},
                "event_time": {"S": record["eventTime"]},
            }
        )


def put(item: dict[str, Any]) -> None:
    """Put an item."""
    body = json.dumps({"TableName": TABLE, "Item": item}).encode()
    now = datetime.now(UTC)
    time = now.strftime("%Y%m%dT%H%M%SZ")
    date = time[:8]
    request = (
        f"POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:{HOST}\nx-amz-date:{time}\n"
        f"x-amz-target:{TARGET}\n\n{SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{date}/{REGION}/dynamodb/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.digest(
        signing_key(date), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}".encode(), "sha256"
    ).hex()
    connection.request(
        "POST",
        "/",
        body,
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": time,
            "X-Amz-Target": TARGET,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/"
            f"{scope}, SignedHeaders={SIGNED}, Signature={signature}",
        },
    )
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:  # noqa: PLR2004
        raise RuntimeError(f"DynamoDB answered {answer.status}")


def signing_key(date: str) -> bytes:
    """Return the key that signs requests of a day."""
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (date, REGION, "dynamodb", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
