"""The reader for applications, with the permissions that the module's output gives it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import pytest

from cli import Index, Indexed, Overtaken, PartitionsError, PermissionDeniedError
from cli.function.record import FileRecord, ObjectState
from cli.function.repository import FileIndex
from local.waiting import HANG_SECONDS
from tests.e2e.bare import Bare
from tests.e2e.proxy import Answer, Call, Fault, Proxy
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def reader(metadata: Stack) -> Iterator[Any]:
    """The client of a user that has only the output index_read_policy."""
    iam = metadata.emulator.client("iam")
    user = f"reader-{uuid4().hex[:8]}"  # another process may run this fixture too
    iam.create_user(UserName=user)
    iam.put_user_policy(
        UserName=user, PolicyName="index", PolicyDocument=metadata.outputs["index_read_policy"]
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    yield metadata.emulator.client_as("dynamodb", key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName="index")
    iam.delete_user(UserName=user)


@pytest.fixture
def index(metadata: Stack, reader: Any) -> Index:
    table = metadata.outputs["table"]
    return Index(table["name"], table["partitions"], client=reader, s3=metadata.s3)


def test_an_application_reads_what_it_wrote(metadata: Stack, index: Index) -> None:
    bucket, prefix = metadata.bucket, "read by an application/"
    keys = [f"{prefix}{name}" for name in ("a", "a/1", "a/2/ü", "a/2/日", "a/2/𐍈", "b+ c")]
    written = {key: metadata.put(key)["ETag"] for key in keys}

    for key, etag in written.items():
        done = index.wait_until_indexed(bucket, key, etag=etag, timeout=HANG_SECONDS)
        record = index.get(bucket, key)
        assert isinstance(done, Indexed)
        assert record
        assert f'"{record.known.etag}"' == etag

    listed = metadata.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [record.key for record in index.list(bucket, prefix)] == [one["Key"] for one in listed]
    assert [
        entry if isinstance(entry, str) else entry.key
        for entry in index.list(bucket, f"{prefix}a/", delimiter="/")
    ] == [f"{prefix}a/1", f"{prefix}a/2/"]
    assert list(index.get_many(bucket, [*keys, f"{prefix}none"])) == keys


def test_a_deleted_object_has_no_record_and_its_write_is_overtaken(
    metadata: Stack, index: Index
) -> None:
    bucket, key = metadata.bucket, "deleted after it was read"
    first = metadata.put(key, b"1")["ETag"]
    second = metadata.put(key, b"2")["ETag"]

    done = index.wait_until_indexed(bucket, key, etag=second, timeout=HANG_SECONDS)
    assert isinstance(done, Indexed)
    overtaken = index.wait_until_indexed(bucket, key, etag=first, timeout=HANG_SECONDS)
    assert isinstance(overtaken, Overtaken)
    assert overtaken.record
    assert f'"{overtaken.record.known.etag}"' == second

    metadata.delete(key)
    metadata.wait_until_removed(key)
    assert index.get(bucket, key) is None
    assert index.get_many(bucket, [key]) == {}
    assert list(index.list(bucket, key)) == []


def test_a_reader_with_another_number_of_partitions_is_told(metadata: Stack, reader: Any) -> None:
    key = "in one of three partitions"
    metadata.put(key)
    metadata.wait_until_indexed(key)
    index = Index(metadata.outputs["table"]["name"], client=reader)

    with pytest.raises(PartitionsError):
        index.get(metadata.bucket, key)
    with pytest.raises(PartitionsError):
        list(index.list(metadata.bucket))


def test_a_reader_of_another_table_is_denied(unversioned: Stack, reader: Any) -> None:
    with pytest.raises(PermissionDeniedError, match="index_read_policy"):
        Index(unversioned.name, client=reader).get(unversioned.bucket, "a")


def test_pages_and_throttled_batches_are_complete(bare: Bare) -> None:
    dynamodb, partitions, bucket = bare.emulator.client("dynamodb"), 2, bare.bucket
    table = FileIndex(dynamodb, bare.name, partitions)
    # A page has 1 MB, so pages of four end within directories of three, and between them.
    state = ObjectState(etag="e" * 300_000, size=1)
    keys = [f"{directory:02}/{number}" for directory in range(6) for number in range(3)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: table.replace(_record(bucket, key, state), None), keys))
    table.replace(_record(bucket, "00/expired", None), None)
    table.replace(_record(bucket, "expired", None), None)
    injected = [Fault.THROTTLED, None]

    def throttle(call: Call) -> Fault | Answer | None:
        if call.operation != "BatchGetItem" or not injected:
            return None
        unprocessed = {"Responses": {}, "UnprocessedKeys": json.loads(call.body)["RequestItems"]}
        return injected.pop(0) or Answer(200, json.dumps(unprocessed).encode(), {})

    with Proxy(bare.emulator) as proxy, proxy.injecting(throttle):
        client = boto3.client(
            "dynamodb",
            endpoint_url=proxy.environment("DYNAMODB")["AWS_ENDPOINT_URL_DYNAMODB"],
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        index = Index(bare.name, partitions, client=client)

        assert list(index.get_many(bucket, [*keys, "00/expired", "expired"])) == keys
        assert [record.key for record in index.list(bucket)] == keys
        assert list(index.list(bucket, delimiter="/")) == [f"{n:02}/" for n in range(6)]
    assert injected == []


def _record(bucket: str, key: str, state: ObjectState | None) -> FileRecord:
    """A record, or a tombstone that has expired but is not removed yet."""
    return FileRecord(
        bucket=bucket,
        key=key,
        indexed_at=datetime(2026, 11, 23, tzinfo=UTC),
        revision="r",
        state=state,
        expires_at=None if state else 1,
    )


def test_du_counts_by_directory(metadata: Stack) -> None:
    prefix = "counted/"
    for key in ("a/1", "a/2/3", "b"):
        metadata.put(f"{prefix}{key}", b"four")
    for key in ("a/1", "a/2/3", "b"):
        metadata.wait_until_indexed(f"{prefix}{key}")

    code, said = metadata.file_index("du", f"s3://{metadata.bucket}/{prefix}", "--depth", "2")

    assert (code, [line.split() for line in said.splitlines()]) == (
        0,
        [
            ["4", "1", f"s3://{metadata.bucket}/{prefix}a/2/"],
            ["8", "2", f"s3://{metadata.bucket}/{prefix}a/"],
            ["12", "3", f"s3://{metadata.bucket}/{prefix}"],
        ],
    )
