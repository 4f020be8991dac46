"""The benchmarks' computed bucket and index answer as S3 and DynamoDB do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks.large_bucket import BUCKET, TABLE, Contents, LargeBucket
from function.ranges import Range
from function.reader import IndexReader

OBJECTS = 4500
"""Two pages of records, five of objects."""
KEYS = [Contents.key(number) for number in range(OBJECTS)]


@pytest.fixture(scope="module")
def large() -> Iterator[LargeBucket]:
    with LargeBucket(OBJECTS) as running:
        yield running


def client(large: LargeBucket, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=large.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_a_listing_has_every_object_once(large: LargeBucket) -> None:
    pages = client(large, "s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)

    assert [found["Key"] for page in pages for found in page["Contents"]] == KEYS


@pytest.mark.parametrize(
    ("prefix", "after", "expected"),
    [
        (KEYS[1234][:-6], "", KEYS[1230:1240]),
        ("", KEYS[4497], KEYS[4498:]),
        ("logs/", "", KEYS),
        ("mail/", "", []),
    ],
)
def test_a_listing_has_a_prefix_and_a_start(
    large: LargeBucket, prefix: str, after: str, expected: list[str]
) -> None:
    pages = (
        client(large, "s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=BUCKET, Prefix=prefix, StartAfter=after)
    )

    assert [found["Key"] for page in pages for found in page.get("Contents", [])] == expected


@pytest.mark.parametrize(
    ("prefix", "of", "expected"),
    [
        ("", Range(), KEYS),
        ("logs/", Range(), KEYS),
        ("", Range(KEYS[9]), KEYS[10:]),
        ("", Range(up_to=KEYS[9]), KEYS[:10]),
        ("logs/", Range(KEYS[9], KEYS[4000]), KEYS[10:4001]),
        ("mail/", Range(), []),
    ],
)
def test_the_index_has_the_records_of_a_range(
    large: LargeBucket, prefix: str, of: Range, expected: list[str]
) -> None:
    reader = IndexReader(client(large, "dynamodb"), TABLE)

    assert [record.key for record in reader.list_range(BUCKET, of, prefix)] == expected
    assert reader.last_key(BUCKET, of, prefix) == (expected[-1] if expected else None)


def test_bucket_and_index_agree(large: LargeBucket, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "verify", f"s3://{BUCKET}", "--table", TABLE, "--json"],
        env=large.environment | {"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )

    assert json.loads(done.stdout)["compared"] == OBJECTS


def test_written_items_are_counted(large: LargeBucket) -> None:
    dynamodb = client(large, "dynamodb")
    before = large.written()
    items = [{"partition": {"S": BUCKET}, "key": {"S": key}} for key in KEYS[:3]]

    dynamodb.put_item(TableName=TABLE, Item=items[0])
    dynamodb.batch_write_item(
        RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]}
    )
    answer = dynamodb.batch_execute_statement(
        Statements=[{"Statement": 'INSERT INTO "large" VALUE {}'} for _ in items]
    )

    assert large.written() - before == 7
    assert answer["Responses"] == [{}, {}, {}]


def test_a_projection_has_only_its_attributes(large: LargeBucket) -> None:
    page = client(large, "dynamodb").query(
        TableName=TABLE,
        KeyConditionExpression="#partition = :partition",
        ExpressionAttributeNames={"#partition": "partition", "#key": "key"},
        ExpressionAttributeValues={":partition": {"S": BUCKET}},
        ProjectionExpression="#key, etag",
        Limit=1,
    )

    assert page["Items"] == [{"key": {"S": KEYS[0]}, "etag": {"S": "0" * 32}}]
