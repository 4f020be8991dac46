"""The table, on moto: conditions, tombstones, partitions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from function.errors import PermissionDeniedError, TableMissingError
from function.record import FileRecord, ObjectMetadata, ObjectState, WriteRefusedError
from function.repository import FileIndex
from tests.integration.conftest import BUCKET, TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)

STATE = ObjectState(etag="e", size=1)


def record(key: str = "a.txt", sequencer: str | None = "0055", **changes: Any) -> FileRecord:
    values: dict[str, Any] = {"revision": f"r{sequencer}", "state": STATE} | changes
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, sequencer=sequencer, **values)


FULL = FileRecord(
    bucket=BUCKET,
    key="ordner/ä b+c.txt",
    indexed_at=NOW,
    revision="r1",
    state=ObjectState(
        etag="d41d8cd98f00b204e9800998ecf8427e-3",
        size=0,
        version_id="null",
        last_modified=NOW,
        metadata=ObjectMetadata(
            storage_class="GLACIER",
            content_type="text/plain",
            content_encoding="gzip",
            content_language="de",
            content_disposition="inline",
            cache_control="no-store",
            archive_status="ARCHIVE_ACCESS",
            restore='ongoing-request="true"',
            encryption="aws:kms",
            kms_key_id="arn:aws:kms:us-east-1:123456789012:key/k",
            parts=3,
            user_metadata={"owner": "jörg", "empty": ""},
            tags={"class": "secret"},
        ),
    ),
    event_name="ObjectCreated:Put",
    event_time=NOW,
    sequencer="0055AE",
    request_id="C3D13FE58DE4C810",
    observed=True,
    settled_at=NOW,
)
TOMBSTONE = record(state=None, expires_at=1766000000)


@pytest.mark.parametrize("written", [FULL, TOMBSTONE, record()])
def test_a_record_is_read_as_it_was_written(index: FileIndex, written: FileRecord) -> None:
    index.replace(written, None)

    assert index.read(BUCKET, written.key) == written


def test_an_absent_attribute_is_absent_in_the_table(
    index: FileIndex, dynamodb: "DynamoDBClient"
) -> None:
    index.put_newer(record())

    (item,) = dynamodb.scan(TableName=TABLE)["Items"]
    assert item == {
        "partition": {"S": BUCKET},
        "key": {"S": "a.txt"},
        "bucket": {"S": BUCKET},
        "etag": {"S": "e"},
        "size": {"N": "1"},
        "sequencer": {"S": "0055"},
        "revision": {"S": "r0055"},
        "indexed_at": {"S": "2026-11-23T08:15:30.123Z"},
    }


def test_attributes_that_others_added_are_ignored(
    index: FileIndex, dynamodb: "DynamoDBClient"
) -> None:
    index.put_newer(record())
    dynamodb.update_item(
        TableName=TABLE,
        Key={"partition": {"S": BUCKET}, "key": {"S": "a.txt"}},
        UpdateExpression="SET note = :n, parts = :n, tags = :t",
        ExpressionAttributeValues={":n": {"N": "1.5"}, ":t": {"SS": ["x"]}},
    )

    assert index.read(BUCKET, "a.txt") == record()


@pytest.mark.parametrize(
    ("standing", "written"),
    [
        (None, True),
        (record(sequencer=None), True),
        (record(sequencer="0054"), True),
        (record(sequencer="0055", revision="other"), False),
        (record(sequencer="0056"), False),
        (record(sequencer="0054", observed=True), False),
        (record(sequencer=None, observed=True), False),
        (record(sequencer="0056", state=None, expires_at=1), False),
        (record(sequencer="0054", state=None, expires_at=1), True),
    ],
)
def test_put_newer_replaces_no_record_or_an_older_one_that_is_not_observed(
    index: FileIndex, standing: FileRecord | None, written: bool
) -> None:
    if standing:
        index.replace(standing, None)

    if written:
        index.put_newer(record())
        assert index.read(BUCKET, "a.txt") == record()
    else:
        with pytest.raises(WriteRefusedError) as refused:
            index.put_newer(record())
        assert refused.value.standing == standing
        assert index.read(BUCKET, "a.txt") == standing


def test_replace_writes_over_the_record_that_was_read(index: FileIndex) -> None:
    index.replace(record(revision="one"), None)

    index.replace(record(revision="two"), record(revision="one"))

    assert index.read(BUCKET, "a.txt") == record(revision="two")


@pytest.mark.parametrize("seen", [None, record(revision="other")])
def test_replace_refuses_and_returns_what_changed_meanwhile(
    index: FileIndex, seen: FileRecord | None
) -> None:
    index.replace(record(revision="one"), None)

    with pytest.raises(WriteRefusedError) as refused:
        index.replace(record(revision="two"), seen)

    assert refused.value.standing == record(revision="one")
    assert str(refused.value) == "the table holds another record"


def test_replace_refuses_if_the_record_has_gone_meanwhile(index: FileIndex) -> None:
    with pytest.raises(WriteRefusedError) as refused:
        index.replace(record(revision="two"), record(revision="one"))

    assert refused.value.standing is None


def test_a_write_whose_response_was_lost_counts_as_written(index: FileIndex) -> None:
    index.put_newer(record())
    index.put_newer(record())
    index.replace(record(revision="two"), record())
    index.replace(record(revision="two"), record())

    assert index.read(BUCKET, "a.txt") == record(revision="two")


def test_partitions_spread_the_keys_of_a_bucket(dynamodb: "DynamoDBClient") -> None:
    index = FileIndex(dynamodb, TABLE, partitions=4)
    for number in range(100):
        index.put_newer(record(f"{number:03}"))

    partitions = [item["partition"]["S"] for item in dynamodb.scan(TableName=TABLE)["Items"]]

    assert set(partitions) == {f"{BUCKET}#{number}" for number in range(4)}
    assert max(partitions.count(name) for name in set(partitions)) < 40
    assert index.read(BUCKET, "042") == record("042")


def test_a_key_of_the_maximum_length_is_stored(index: FileIndex) -> None:
    index.put_newer(record("ü" * 512))

    assert index.read(BUCKET, "ü" * 512) is not None


def test_a_missing_table_is_named_with_the_variable_it_comes_from(
    dynamodb: "DynamoDBClient",
) -> None:
    index = FileIndex(dynamodb, "nowhere")

    with pytest.raises(TableMissingError, match=r"table nowhere does not exist.*TABLE_NAME"):
        index.put_newer(record())
    with pytest.raises(TableMissingError, match=r"table nowhere does not exist.*TABLE_NAME"):
        index.read(BUCKET, "a")


DENIAL = (
    "User: arn:aws:sts::123456789012:assumed-role/file-index-dev/file-index-dev is not authorized "
    "to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/files "
    "because no identity-based policy allows the dynamodb:PutItem action"
)


def refuse(dynamodb: "DynamoDBClient", code: str, text: str, operation: str = "PutItem") -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": text}}, operation)

    dynamodb.meta.events.register_first(f"before-call.dynamodb.{operation}", fail)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("PutItem", lambda index: index.put_newer(record())),
        ("GetItem", lambda index: index.read(BUCKET, "a")),
    ],
)
def test_a_denial_without_details_names_the_action_and_the_table(
    dynamodb: "DynamoDBClient", operation: str, call: Callable[[FileIndex], object]
) -> None:
    refuse(dynamodb, "AccessDeniedException", "no", operation)

    with pytest.raises(
        PermissionDeniedError, match=rf"dynamodb:{operation} on resource: table {TABLE}\."
    ):
        call(FileIndex(dynamodb, TABLE))


def test_a_denial_names_the_table(dynamodb: "DynamoDBClient") -> None:
    refuse(dynamodb, "AccessDeniedException", DENIAL.partition(" on resource")[0])

    with pytest.raises(
        PermissionDeniedError,
        match=r"^role file-index-dev is not authorized to perform: dynamodb:PutItem"
        r" on resource: table files\. The module grants",
    ):
        FileIndex(dynamodb, TABLE).put_newer(record())


def test_other_errors_are_raised_as_they_are(dynamodb: "DynamoDBClient") -> None:
    refuse(dynamodb, "ThrottlingException", "slow down")

    with pytest.raises(ClientError, match="slow down"):
        FileIndex(dynamodb, TABLE).put_newer(record())


def test_older_events_do_not_undo_a_repair(index: FileIndex) -> None:
    settled = replace(record(), sequencer="01", settled_at=NOW)
    index.replace(settled, None)

    for time in (None, NOW - timedelta(seconds=1), NOW):
        with pytest.raises(WriteRefusedError):
            index.put_newer(replace(record(), sequencer="02", event_time=time, revision="late"))
    newer = replace(
        record(), sequencer="02", event_time=NOW + timedelta(milliseconds=1), revision="newer"
    )
    index.put_newer(newer)

    assert index.read(BUCKET, newer.key) == newer


COMPLETION = replace(
    record(sequencer="00660F7980D160712D"),  # began at 04:09:36
    event_name="ObjectCreated:CompleteMultipartUpload",
    event_time=datetime(2024, 4, 5, 4, 12, tzinfo=UTC),
    revision="completion",
)


@pytest.mark.parametrize(
    ("event", "seconds", "written"),
    [
        (COMPLETION, 0, True),
        (COMPLETION, 41, True),  # as far as clocks differ
        (COMPLETION, 42, False),
        (replace(COMPLETION, event_name="ObjectCreated:Put"), 42, True),
        (replace(COMPLETION, sequencer="0055AED6DCD90281E5"), 42, True),
    ],
)
@pytest.mark.parametrize("sequencer", [None, "0054"])
def test_an_upload_does_not_replace_an_object_that_was_stored_after_it_began(
    index: FileIndex, event: FileRecord, seconds: int, written: bool, sequencer: str | None
) -> None:
    stored_at = datetime(2024, 4, 5, 4, 9, seconds, tzinfo=UTC)
    standing = record(
        sequencer=sequencer, revision="seen", state=ObjectState(last_modified=stored_at)
    )
    index.replace(standing, None)

    if written:
        index.put_newer(event)
    else:
        with pytest.raises(WriteRefusedError):
            index.put_newer(event)

    assert index.read(BUCKET, event.key) == (event if written else standing)


def test_a_read_sees_every_acknowledged_write(dynamodb: "DynamoDBClient", index: FileIndex) -> None:
    asked: list[dict[str, Any]] = []
    dynamodb.meta.events.register(
        "before-parameter-build.dynamodb.GetItem", lambda params, **_: asked.append(params)
    )

    index.read(BUCKET, "a")

    assert [request["ConsistentRead"] for request in asked] == [True]
