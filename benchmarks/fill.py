"""Fills a table from a bucket as scripts do, to be compared with `file-index backfill`.

python -m benchmarks.fill put_item|batch_writer BUCKET TABLE

The first calls PutItem for each object, the second uses boto3's batch writer, which calls
BatchWriteItem.
Both overwrite the records that are there, which a backfill does not.
"""

import sys
from collections.abc import Iterator
from typing import Any

import boto3


def main() -> None:
    """Write an item for each object of the bucket."""
    kind, bucket, table_name = sys.argv[1:]
    table = boto3.resource("dynamodb").Table(table_name)
    if kind == "put_item":
        for item in _items(bucket):
            table.put_item(Item=item)
    else:
        with table.batch_writer() as batch:
            for item in _items(bucket):
                batch.put_item(Item=item)


def _items(bucket: str) -> Iterator[dict[str, Any]]:
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            yield {
                "partition": bucket,
                "key": found["Key"],
                "etag": found["ETag"].strip('"'),
                "size": found["Size"],
                "last_modified": found["LastModified"].isoformat(),
            }


if __name__ == "__main__":
    main()
