"""The reader for applications, on moto."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

import cli
from cli import (
    ArgumentError,
    BucketMissingError,
    FileIndexError,
    Index,
    Indexed,
    NotIndexedError,
    Overtaken,
    PartitionsError,
    PermissionDeniedError,
    TableMissingError,
    ThrottledError,
    UnreadableRecordError,
)
from cli.function.record import FileRecord, ObjectState
from cli.function.repository import FileIndex, partition_of
from tests.integration.conftest import BUCKET, TABLE
from tools.module_copy import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)
KEY = "2026/q1.json"


def record(key: str = KEY, etag: str = "e", **changes: Any) -> FileRecord:
    values: dict[str, Any] = {"revision": "r", "state": ObjectState(etag=etag, size=1)} | changes
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, **values)


def tombstone(key: str = KEY, expires_at: int = 1) -> FileRecord:
    """A tombstone; this one has expired, but DynamoDB has not removed it yet."""
    return record(key, state=None, expires_at=expires_at)


@pytest.fixture
def stored(dynamodb: "DynamoDBClient") -> Callable[..., None]:
    def store(*records: FileRecord, partitions: int = 1) -> None:
        table = FileIndex(dynamodb, TABLE, partitions)
        for one in records:
            table.replace(one, table.read(one.bucket, one.key))

    return store


Stored = Callable[..., None]


@pytest.fixture
def requests(dynamodb: "DynamoDBClient") -> list[tuple[str, dict[str, Any]]]:
    """Every request of the client: its operation and parameters."""
    seen: list[tuple[str, dict[str, Any]]] = []
    dynamodb.meta.events.register(
        "before-parameter-build.dynamodb",
        lambda params, model, **_: seen.append((model.name, params)),
    )
    return seen


def keys(found: Any) -> list[str]:
    return [entry if isinstance(entry, str) else entry.key for entry in found]


def test_an_object_has_its_record_and_a_deleted_one_has_none(
    dynamodb: "DynamoDBClient", stored: Stored
) -> None:
    stored(record(), tombstone("expired"), tombstone("gone", 4_000_000_000))
    index = Index(TABLE, client=dynamodb)

    assert index.get(BUCKET, KEY) == record()
    assert [index.get(BUCKET, key) for key in ("expired", "gone", "never")] == [None] * 3
    assert index.get_many(BUCKET, ["never", KEY, "gone", "expired", KEY]) == {KEY: record()}
    assert list(index.list(BUCKET)) == [record()]
    assert list(index.list(BUCKET, delimiter="/")) == ["2026/"]


def test_a_record_is_frozen(dynamodb: "DynamoDBClient", stored: Stored) -> None:
    stored(record())
    found = Index(TABLE, client=dynamodb).get(BUCKET, KEY)

    with pytest.raises(FrozenInstanceError):
        found.key = "other"  # type: ignore[misc, union-attr]


@pytest.mark.parametrize("partitions", [1, 4])
def test_many_records_come_in_the_order_of_their_keys(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    requests: list[tuple[str, dict[str, Any]]],
    partitions: int,
) -> None:
    names = [f"{number}é日𐍈" for number in range(130)]
    stored(*map(record, names[:120]), partitions=partitions)
    requests.clear()

    found = Index(TABLE, partitions, client=dynamodb).get_many(BUCKET, reversed(names))

    assert list(found) == names[:120][::-1]
    assert [operation for operation, _ in requests].count("BatchGetItem") == 2


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_listing_is_in_s3s_order(
    dynamodb: "DynamoDBClient", stored: Stored, s3: "S3Client", partitions: int
) -> None:
    names = ["a", "a/b", "a/é", "a/日", "a/\uffff", "a/𐍈", "a\x7f", "b", "é"]
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name)
    stored(*map(record, names), partitions=partitions)
    index = Index(TABLE, partitions=partitions, client=dynamodb)

    for prefix in ("", "a/", "é", "c"):
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        assert keys(index.list(BUCKET, prefix)) == [entry["Key"] for entry in listed]
        level = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, Delimiter="/")
        assert keys(index.list(BUCKET, prefix, delimiter="/")) == sorted(
            [entry["Key"] for entry in level.get("Contents", [])]
            + [entry["Prefix"] for entry in level.get("CommonPrefixes", [])],
            key=str.encode,
        )


def test_a_delimiter_may_be_chosen_when_the_program_runs(
    dynamodb: "DynamoDBClient", stored: Stored
) -> None:
    stored(record())
    delimiter: str | None
    for delimiter, listed in (("/", ["2026/"]), (None, [KEY])):
        assert keys(Index(TABLE, client=dynamodb).list(BUCKET, delimiter=delimiter)) == listed


def test_a_page_may_end_at_a_common_prefix(
    dynamodb: "DynamoDBClient", stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(*map(record, ("a/1", "a/2", "a/3", "b/1", "b0", "c/1", "c/2")))
    query = dynamodb.query
    for size in range(1, 8):
        monkeypatch.setattr(
            dynamodb, "query", lambda size=size, **request: query(**request | {"Limit": size})
        )

        assert keys(Index(TABLE, client=dynamodb).list(BUCKET, delimiter="/")) == [
            "a/",
            "b/",
            "b0",
            "c/",
        ]


def test_nothing_is_read_before_the_first_object_is_asked_for(
    dynamodb: "DynamoDBClient", requests: list[tuple[str, dict[str, Any]]]
) -> None:
    Index(TABLE, client=dynamodb).list(BUCKET)

    assert [name for name, _ in requests if name != "CreateTable"] == []


@pytest.mark.parametrize("consistent", [True, False])
def test_reads_are_consistent_unless_they_need_not_be(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    requests: list[tuple[str, dict[str, Any]]],
    consistent: bool,
) -> None:
    stored(record())
    requests.clear()
    index = Index(TABLE, client=dynamodb, consistent=consistent)

    index.get(BUCKET, KEY)
    index.get_many(BUCKET, [KEY])
    list(index.list(BUCKET))

    assert {
        request.get("ConsistentRead", False) for name, request in requests if name != "BatchGetItem"
    } == {consistent}
    (batch,) = (request for name, request in requests if name == "BatchGetItem")
    assert batch["RequestItems"][TABLE]["ConsistentRead"] is consistent


@pytest.mark.parametrize(("of_table", "asked"), [(1, 4), (4, 1), (4, 2), (2, 4), (100, 1)])
@pytest.mark.parametrize(
    "read",
    [
        lambda index, key: index.get(BUCKET, key),
        lambda index, key: index.get_many(BUCKET, [key]),
        lambda index, _: list(index.list(BUCKET)),
        lambda index, _: list(index.list(BUCKET, "no such prefix", delimiter="/")),
        lambda index, key: index.wait_until_indexed(BUCKET, key, etag="e", timeout=0),
    ],
)
def test_a_wrong_number_of_partitions_raises_even_if_there_is_a_single_record(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    of_table: int,
    asked: int,
    read: Callable[[Index, str], object],
) -> None:
    key = next(
        key
        for key in map(str, count())
        if partition_of(BUCKET, key, of_table) != partition_of(BUCKET, key, asked)
    )
    stored(record(key), partitions=of_table)

    with pytest.raises(PartitionsError, match=r"module's input table\.partitions"):
        read(Index(TABLE, asked, client=dynamodb), key)


@pytest.mark.parametrize(("of_table", "asked"), [(2, 4), (4, 2), (4, 6), (4, 8), (50, 100)])
@pytest.mark.parametrize(
    "read",
    [
        lambda index, _, lost: index.get(BUCKET, lost),
        lambda index, fits, lost: index.get_many(BUCKET, [fits, lost]),
        lambda index, *_: list(index.list(BUCKET)),
        lambda index, _, lost: index.wait_until_indexed(BUCKET, lost, etag="e", timeout=0),
    ],
)
def test_a_record_that_fits_a_wrong_number_of_partitions_does_not_hide_one_that_does_not(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    of_table: int,
    asked: int,
    read: Callable[[Index, str, str], object],
) -> None:
    def partitions(key: str) -> tuple[str, str]:
        return partition_of(BUCKET, key, of_table), partition_of(BUCKET, key, asked)

    names = list(map(str, range(5000)))
    fits = next(key for key in names if set(partitions(key)) == {f"{BUCKET}#0"})
    sampled = {f"{BUCKET}#0", f"{BUCKET}#{asked}"}
    lost = next(key for key in names if partitions(key)[0] not in {*sampled, partitions(key)[1]})
    stored(record(fits), record(lost), partitions=of_table)

    with pytest.raises(PartitionsError):
        read(Index(TABLE, asked, client=dynamodb), fits, lost)


def test_an_index_with_few_records_is_checked_again_after_a_minute(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    requests: list[tuple[str, dict[str, Any]]],
    clock: "Clock",
) -> None:
    index = Index(TABLE, 4, client=dynamodb)
    assert index.get(BUCKET, "never") is None
    requests.clear()
    clock.sleep(59)
    assert index.get(BUCKET, "never") is None
    assert list(index.list(BUCKET)) == []
    assert [name for name, _ in requests] == ["GetItem", *["Query"] * 4]

    stored(record("in another partition"), partitions=1)
    clock.sleep(1)
    with pytest.raises(PartitionsError):
        index.get(BUCKET, "never")


def test_the_number_of_partitions_is_checked_once(
    dynamodb: "DynamoDBClient", stored: Stored, requests: list[tuple[str, dict[str, Any]]]
) -> None:
    stored(*map(record, map(str, range(20))), partitions=3)
    index = Index(TABLE, 3, client=dynamodb)
    assert index.get(BUCKET, "never") is None
    requests.clear()

    assert index.get(BUCKET, "never either") is None
    assert [name for name, _ in requests] == ["GetItem"]


def test_waiting_checks_the_number_of_partitions_once(
    dynamodb: "DynamoDBClient", stored: Stored, requests: list[tuple[str, dict[str, Any]]]
) -> None:
    stored(*(record(str(number), etag="mine") for number in range(20)))
    index = Index(TABLE, client=dynamodb)
    index.wait_until_indexed(BUCKET, "1", etag="mine")
    requests.clear()

    index.wait_until_indexed(BUCKET, "2", etag="mine")
    assert [name for name, _ in requests] == ["GetItem", "GetItem"]


def deny(client: "DynamoDBClient", *operations: str) -> None:
    def fail(model: Any, **_: Any) -> None:
        message = (
            f"User: arn:aws:sts::123456789012:assumed-role/app/s is not authorized to perform:"
            f" dynamodb:{model.name} because no identity-based policy allows it"
        )
        raise ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": message}}, model.name
        )

    for operation in operations:
        client.meta.events.register_first(f"before-call.dynamodb.{operation}", fail)


def test_a_caller_that_may_only_get_one_record_gets_it(
    dynamodb: "DynamoDBClient", stored: Stored
) -> None:
    stored(record())
    deny(dynamodb, "Query", "BatchGetItem")
    index = Index(TABLE, client=dynamodb)

    assert index.get(BUCKET, KEY) == record()
    assert index.get(BUCKET, "never") is None


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("GetItem", lambda index: index.get(BUCKET, KEY)),
        ("BatchGetItem", lambda index: index.get_many(BUCKET, [KEY])),
        ("Query", lambda index: list(index.list(BUCKET))),
        ("GetItem", lambda index: index.wait_until_indexed(BUCKET, KEY, etag="e")),
    ],
)
def test_a_denial_names_role_action_and_what_to_give_the_role(
    dynamodb: "DynamoDBClient", operation: str, read: Callable[[Index], object]
) -> None:
    deny(dynamodb, operation)

    with pytest.raises(PermissionDeniedError) as denied:
        read(Index(TABLE, client=dynamodb))
    assert f"role app is not authorized to perform: dynamodb:{operation}" in str(denied.value)
    assert "Give the caller's role the module's output index_read_policy." in str(denied.value)
    assert "apply the module again" not in str(denied.value)


@pytest.mark.parametrize(
    "read",
    [
        lambda index: index.get(BUCKET, KEY),
        lambda index: index.get_many(BUCKET, [KEY]),
        lambda index: list(index.list(BUCKET)),
    ],
)
@pytest.mark.parametrize(
    "table", ["nowhere", "arn:aws:dynamodb:us-east-1:123456789012:table/nowhere"]
)
def test_a_missing_table_is_named(
    dynamodb: "DynamoDBClient", table: str, read: Callable[[Index], object]
) -> None:
    with pytest.raises(
        TableMissingError,
        match=rf"^table {table} does not exist in us-east-1: use the module's output table\.name",
    ):
        read(Index(table, client=dynamodb))


def test_an_item_that_is_not_a_record_raises(dynamodb: "DynamoDBClient") -> None:
    dynamodb.put_item(TableName=TABLE, Item={"partition": {"S": BUCKET}, "key": {"S": KEY}})
    index = Index(TABLE, client=dynamodb)

    for read in (
        lambda: index.get(BUCKET, KEY),
        lambda: index.get_many(BUCKET, [KEY]),
        lambda: list(index.list(BUCKET)),
    ):
        with pytest.raises(UnreadableRecordError, match=KEY):
            read()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Index(""), r"output table\.name"),
        (lambda: Index(TABLE, 0), r"partitions is 0: use the module's input table\.partitions"),
        (lambda: Index(TABLE, 101), "a whole number from 1 to 100"),
        (lambda: Index(TABLE, 4.0), "partitions is 4.0"),  # type: ignore[arg-type]
        (lambda: Index(TABLE, True), "partitions is True"),
        (lambda: Index(None), r"output table\.name"),  # type: ignore[arg-type]
        (lambda: Index(TABLE).get(BUCKET, 3), "the key is 3: use a str"),  # type: ignore[arg-type]
        (lambda: Index(TABLE).get(None, KEY), "the bucket is None"),  # type: ignore[arg-type]
        (lambda: Index(TABLE).get("s3://b", "k"), "the bucket is 's3://b': use its name"),
        (lambda: Index(TABLE).get_many(BUCKET, b"ab"), "a list of keys"),  # type: ignore[arg-type]
        (lambda: Index(TABLE).list(BUCKET, None), "the prefix is None"),  # type: ignore[call-overload]
        (lambda: Index(TABLE).list(BUCKET, delimiter=3), "the delimiter is 3"),  # type: ignore[call-overload]
        (lambda: Index(TABLE).wait_until_indexed(BUCKET, KEY, etag=None), "the ETag is None"),  # type: ignore[arg-type]
        (
            lambda: Index(TABLE).wait_until_indexed(BUCKET, KEY, etag="e", timeout=None),  # type: ignore[arg-type]
            "timeout is None: use a number of seconds",
        ),
        (lambda: Index(TABLE).get("", KEY), r"output bucket\.name"),
        (lambda: Index(TABLE).get(BUCKET, ""), "the key is empty"),
        (lambda: Index(TABLE).get(BUCKET, "é" * 513), "1026 bytes, and S3 allows 1024"),
        (lambda: Index(TABLE).get(BUCKET, "\ud800"), "not Unicode text"),
        (lambda: Index(TABLE).get_many(BUCKET, KEY), "use get, or a list of keys"),
        (lambda: Index(TABLE).get_many(BUCKET, [KEY, ""]), "the key is empty"),
        (lambda: Index(TABLE).list("", "a"), r"output bucket\.name"),
        (lambda: Index(TABLE).list(BUCKET, "a" * 1025), "prefix has 1025 bytes"),
        (lambda: Index(TABLE).list(BUCKET, delimiter=""), "the delimiter is empty"),
        (lambda: Index(TABLE).wait_until_indexed(BUCKET, KEY, etag='""'), "the ETag is empty"),
        (
            lambda: Index(TABLE).wait_until_indexed(BUCKET, KEY, etag="e", timeout=float("nan")),
            "timeout is nan",
        ),
    ],
)
def test_a_wrong_argument_is_refused_with_what_to_change(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message) as refused:
        call()
    assert isinstance(refused.value, FileIndexError)
    assert isinstance(refused.value, ValueError)


class Clock:
    """The reader's clock: only pauses take time. Changes happen during the first ones."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.changes: list[Callable[[], object]] = []

    def monotonic(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.changes:
            self.changes.pop(0)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("cli.index.time", clock)
    return clock


def test_keys_that_dynamodb_leaves_unprocessed_are_asked_for_again(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"{number:03}" for number in range(150)]
    stored(*map(record, names))
    whole = dynamodb.batch_get_item
    asked: list[int] = []

    def a_third(RequestItems: Any) -> Any:  # noqa: N803 # DynamoDB's name
        wanted = RequestItems[TABLE]["Keys"]
        asked.append(len(wanted))
        assert RequestItems[TABLE]["ConsistentRead"]
        now, later = wanted[: len(wanted) // 3], wanted[len(wanted) // 3 :]
        if not now:
            return whole(RequestItems=RequestItems)
        page: Any = whole(RequestItems={TABLE: {"Keys": now}})
        return page | {"UnprocessedKeys": {TABLE: {"Keys": later}}}

    monkeypatch.setattr(dynamodb, "batch_get_item", a_third)

    assert list(Index(TABLE, client=dynamodb).get_many(BUCKET, names)) == names
    assert asked[:3] == [100, 67, 45]
    assert len(clock.pauses) == len(asked) - 2


def test_a_batch_of_more_than_16_mb_is_complete(
    dynamodb: "DynamoDBClient", stored: Stored, clock: Clock
) -> None:
    state = ObjectState(etag="e" * 380_000)
    names = [f"{number:02}" for number in range(50)]
    stored(*(record(name, state=state) for name in names))

    assert list(Index(TABLE, client=dynamodb).get_many(BUCKET, names)) == names
    assert len(clock.pauses) == 1  # the rest of the keys came in a second call


def test_a_batch_that_stays_throttled_raises(
    dynamodb: "DynamoDBClient", clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(RequestItems: Any) -> Any:  # noqa: N803
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(dynamodb, "batch_get_item", nothing)

    with pytest.raises(ThrottledError, match="did not process 2 keys of table files in 10 att"):
        Index(TABLE, client=dynamodb).get_many(BUCKET, ["a", "b"])
    assert len(clock.pauses) == 9
    assert max(clock.pauses) <= 1


def test_a_write_is_waited_for(dynamodb: "DynamoDBClient", stored: Stored, clock: Clock) -> None:
    stored(record(etag="older", event_time=NOW))
    clock.changes.append(lambda: stored(record(etag="new")))

    done = Index(TABLE, client=dynamodb).wait_until_indexed(BUCKET, KEY, etag='"new"')

    assert done == Indexed(record(etag="new"))


def test_a_write_after_a_delete_is_waited_for(
    dynamodb: "DynamoDBClient", stored: Stored, clock: Clock
) -> None:
    stored(tombstone())
    clock.changes.append(lambda: stored(record(etag="new")))

    done = Index(TABLE, client=dynamodb).wait_until_indexed(BUCKET, KEY, etag="new")

    assert done == Indexed(record(etag="new"))


@pytest.mark.parametrize("newer", [record(etag="newer"), tombstone()])
def test_a_write_that_a_later_event_overtook_is_not_waited_for(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    clock: Clock,
    newer: FileRecord,
) -> None:
    newer = replace(newer, event_time=datetime.now(UTC) + timedelta(minutes=1))
    clock.changes.append(lambda: stored(newer))

    done = Index(TABLE, client=dynamodb).wait_until_indexed(BUCKET, KEY, etag="mine")

    assert isinstance(done, Overtaken)
    assert done.record
    assert (done.record.deleted, done.record.known) == (newer.deleted, newer.known)


def awss_time(dynamodb: "DynamoDBClient", time: datetime) -> None:
    """Let DynamoDB's answers have this date, whatever the caller's clock says."""

    def dated(parsed: Any, **_: Any) -> None:
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(time, usegmt=True)

    dynamodb.meta.events.register("after-call.dynamodb.GetItem", dated)


@pytest.mark.parametrize(("seconds", "overtakes"), [(-1, False), (4, False), (6, True)])
def test_an_event_overtakes_a_write_if_it_is_certainly_later_by_awss_clock(
    dynamodb: "DynamoDBClient", stored: Stored, clock: Clock, seconds: int, overtakes: bool
) -> None:
    began = datetime(2031, 1, 1, tzinfo=UTC)
    awss_time(dynamodb, began)
    late = record(etag="late", event_time=began + timedelta(seconds=seconds))
    clock.changes.append(lambda: stored(late))
    index = Index(TABLE, client=dynamodb)

    if overtakes:
        assert index.wait_until_indexed(BUCKET, KEY, etag="mine") == Overtaken(late)
        return
    with pytest.raises(NotIndexedError, match="the index has a record with ETag late"):
        index.wait_until_indexed(BUCKET, KEY, etag="mine", timeout=30)
    assert clock.monotonic() == pytest.approx(30)


def test_a_write_that_is_indexed_and_replaced_during_a_look_at_s3_is_indexed(
    dynamodb: "DynamoDBClient", s3: "S3Client", stored: Stored, clock: Clock
) -> None:
    """The object is looked at before the record, or this write would pass for overtaken."""
    mine = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"mine")["ETag"]

    def change(**_: Any) -> None:
        stored(record(etag=mine.strip('"')))

    s3.delete_object(Bucket=BUCKET, Key=KEY)
    s3.meta.events.register("before-call.s3.HeadObject", change)

    done = Index(TABLE, client=dynamodb, s3=s3).wait_until_indexed(BUCKET, KEY, etag=mine)

    assert isinstance(done, Indexed)
    assert clock.pauses == []


@pytest.mark.parametrize(("of_record", "asked"), [("v", None), (None, "v"), (None, None)])
def test_a_write_whose_version_is_not_known_on_both_sides_is_told_by_its_etag(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    of_record: str | None,
    asked: str | None,
) -> None:
    stored(record(state=ObjectState(etag="mine", version_id=of_record)))

    done = Index(TABLE, client=dynamodb).wait_until_indexed(
        BUCKET, KEY, etag="mine", version_id=asked, timeout=0
    )

    assert isinstance(done, Indexed)


@pytest.mark.parametrize(
    ("standing", "words"),
    [(None, "no record"), (tombstone(), "its tombstone"), (record(), "a record with ETag e")],
)
def test_waiting_ends_with_what_the_index_has(
    dynamodb: "DynamoDBClient",
    stored: Stored,
    clock: Clock,
    standing: FileRecord | None,
    words: str,
) -> None:
    stored(*filter(None, [standing]))

    with pytest.raises(NotIndexedError, match=f"within 60 s: the index has {words}") as late:
        Index(TABLE, client=dynamodb).wait_until_indexed(BUCKET, KEY, etag="mine")
    assert isinstance(late.value, TimeoutError)
    assert clock.monotonic() == pytest.approx(60)


def test_a_write_that_s3_does_not_hold_any_more_is_overtaken_at_once(
    dynamodb: "DynamoDBClient", s3: "S3Client", clock: Clock
) -> None:
    index = Index(TABLE, client=dynamodb, s3=s3)
    mine = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"mine")["ETag"]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"newer")
    assert index.wait_until_indexed(BUCKET, KEY, etag=mine) == Overtaken(None)

    s3.delete_object(Bucket=BUCKET, Key=KEY)
    assert index.wait_until_indexed(BUCKET, KEY, etag=mine) == Overtaken(None)
    assert clock.pauses == []


def test_a_caller_that_may_not_list_the_bucket_learns_that_an_object_is_gone(
    dynamodb: "DynamoDBClient", s3: "S3Client", clock: Clock
) -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "ListObjectsV2")

    s3.meta.events.register_first("before-call.s3.ListObjectsV2", fail)

    done = Index(TABLE, client=dynamodb, s3=s3).wait_until_indexed(BUCKET, KEY, etag="mine")

    assert (done, clock.pauses) == (Overtaken(None), [])


def test_a_write_that_s3_still_holds_is_waited_for(
    dynamodb: "DynamoDBClient",
    s3: "S3Client",
    stored: Stored,
    clock: Clock,
) -> None:
    stored(record(etag="older", event_time=NOW))
    mine = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"mine")["ETag"]
    clock.changes.append(lambda: stored(record(etag=mine.strip('"'))))

    done = Index(TABLE, client=dynamodb, s3=s3).wait_until_indexed(BUCKET, KEY, etag=mine)

    assert isinstance(done, Indexed)


def test_a_write_with_the_same_content_is_told_apart_by_its_version(
    dynamodb: "DynamoDBClient", s3: "S3Client", stored: Stored
) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"same")
    second = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"same")
    etag = second["ETag"]
    state = ObjectState(etag=etag.strip('"'), version_id=second["VersionId"])
    stored(record(state=state))
    index = Index(TABLE, client=dynamodb, s3=s3)

    done = index.wait_until_indexed(BUCKET, KEY, etag=etag, version_id=second["VersionId"])
    assert isinstance(done, Indexed)
    done = index.wait_until_indexed(BUCKET, KEY, etag=etag, version_id=first["VersionId"])
    assert isinstance(done, Overtaken)


def test_a_caller_that_may_not_look_at_objects_waits_all_the_same(
    dynamodb: "DynamoDBClient",
    s3: "S3Client",
    stored: Stored,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    def identified() -> Any:
        raise AssertionError("the caller was identified with the default session")

    monkeypatch.setattr("cli.function.denials._caller", identified)
    looks: list[object] = []
    s3.meta.events.register_first("before-call.s3.HeadObject", fail)
    s3.meta.events.register("before-parameter-build.s3", lambda **_: looks.append(1))
    clock.changes += [lambda: None, lambda: None, lambda: stored(record(etag="mine"))]
    index = Index(TABLE, client=dynamodb, s3=s3)

    assert isinstance(index.wait_until_indexed(BUCKET, KEY, etag="mine"), Indexed)
    assert (len(clock.pauses), len(looks)) == (3, 1)

    assert isinstance(index.wait_until_indexed(BUCKET, KEY, etag="mine"), Indexed)
    assert len(looks) == 2  # the next wait looks again


def test_a_bucket_that_does_not_exist_is_not_a_write_that_was_overtaken(
    dynamodb: "DynamoDBClient", s3: "S3Client", clock: Clock
) -> None:
    index = Index(TABLE, client=dynamodb, s3=s3)

    with pytest.raises(BucketMissingError, match=r"nowhere does not exist: use .* bucket\.name"):
        index.wait_until_indexed("nowhere", KEY, etag="mine")
    assert clock.pauses == []


def test_a_client_of_s3_is_not_made_before_somebody_waits(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(record(etag="mine"))
    made: list[str] = []
    make = boto3.client

    def client(service: Any) -> Any:
        made.append(service)
        return make(service)

    monkeypatch.setattr(boto3, "client", client)
    index = Index(TABLE)
    assert index.get(BUCKET, KEY)
    assert made == ["dynamodb"]


def test_without_a_client_the_default_session_makes_them(
    dynamodb: "DynamoDBClient",  # noqa: ARG001 # makes the table
    s3: "S3Client",
    stored: Stored,
) -> None:
    stored(record(etag="mine"))
    mine = s3.put_object(Bucket=BUCKET, Key="other", Body=b"1")["ETag"]
    s3.delete_object(Bucket=BUCKET, Key="other")
    index = Index(TABLE)

    assert index.get(BUCKET, KEY) == record(etag="mine")
    assert index.wait_until_indexed(BUCKET, "other", etag=mine) == Overtaken(None)


def test_a_given_client_makes_every_call(stored: Stored) -> None:
    stored(record())
    elsewhere = boto3.client("dynamodb", region_name="eu-central-1")

    with pytest.raises(TableMissingError, match="in eu-central-1"):
        Index(TABLE, client=elsewhere).get(BUCKET, KEY)


def test_the_package_names_what_it_exports_and_loads_it_on_demand() -> None:
    assert {name: getattr(cli, name).__name__ for name in cli.__all__} == {
        name: name for name in cli.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        cli.Nothing  # type: ignore[attr-defined] # noqa: B018

    program = "import sys, cli; print({'boto3', 'botocore'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert said.stdout == "set()\n"

    program = "import cli; print(set(cli.__all__) - set(dir(cli)))"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert said.stdout == "set()\n"
