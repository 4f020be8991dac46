"""Reading the index, on moto: order, pages, levels, partitions."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from function.errors import PartitionsError, PermissionDeniedError, TableMissingError
from function.ranges import Range
from function.reader import IndexReader
from function.record import (
    DerivedFile,
    FileRecord,
    ObjectMetadata,
    ObjectState,
    Unreadable,
)
from function.repository import FileIndex, partition_of
from local.waiting import HANG_SECONDS, wait_for
from tests.integration.conftest import BUCKET, TABLE
from tools.module_copy import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_numbers = count()


def record(key: str = "a.txt", **changes: Any) -> FileRecord:
    values: dict[str, Any] = {"revision": "r", "state": ObjectState(etag="e", size=1)} | changes
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, **values)


@pytest.fixture
def reader(dynamodb: "DynamoDBClient") -> IndexReader:
    return IndexReader(dynamodb, TABLE)


@pytest.fixture
def index(dynamodb: "DynamoDBClient") -> FileIndex:
    return FileIndex(dynamodb, TABLE)


def test_tombstones_are_read_but_neither_returned_nor_listed(
    index: FileIndex, reader: IndexReader
) -> None:
    tombstone = record(state=None, expires_at=1766000000)
    index.replace(tombstone, None)
    index.replace(record("b.txt"), None)

    assert reader.read(BUCKET, "a.txt") == tombstone
    assert reader.get(BUCKET, "a.txt") is None
    assert reader.get(BUCKET, "nothing") is None
    assert reader.get(BUCKET, "b.txt") == record("b.txt")
    assert list(reader.list_prefix(BUCKET)) == [record("b.txt")]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GetItem", lambda reader: reader.get(BUCKET, "a")),
        ("Query", lambda reader: list(reader.list_prefix(BUCKET))),
        ("Query", lambda reader: list(reader.list_level(BUCKET))),
        ("Query", lambda reader: reader.check_partitions(BUCKET)),
    ],
)
def test_a_denial_names_the_action_and_the_table(
    dynamodb: "DynamoDBClient", operation: str, call: Callable[[IndexReader], object]
) -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)

    dynamodb.meta.events.register_first(f"before-call.dynamodb.{operation}", fail)

    with pytest.raises(
        PermissionDeniedError, match=rf"dynamodb:{operation} on resource: table {TABLE}\."
    ):
        call(IndexReader(dynamodb, TABLE))


def test_a_missing_table_is_named_with_its_region(dynamodb: "DynamoDBClient") -> None:
    reader = IndexReader(dynamodb, "nowhere")

    for call in (
        lambda: reader.get(BUCKET, "a"),
        lambda: list(reader.list_prefix(BUCKET)),
        lambda: reader.check_partitions(BUCKET),
    ):
        with pytest.raises(
            TableMissingError, match=r"^table nowhere does not exist in us-east-1: "
        ):
            call()


@pytest.mark.parametrize("partitions", [1, 5])
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(names=st.sets(keys, max_size=12), prefix=st.text("aé日𐍈", max_size=2))
def test_a_listing_is_in_the_order_of_utf8_bytes_as_s3_lists(
    dynamodb: "DynamoDBClient", partitions: int, names: set[str], prefix: str
) -> None:
    bucket = f"b{next(_numbers)}"
    index = FileIndex(dynamodb, TABLE, partitions)
    reader = IndexReader(dynamodb, TABLE, partitions)
    inserted = names | {prefix + name for name in names}
    for name in inserted:
        index.replace(replace(record(name), bucket=bucket), None)

    listed = [found.key for found in reader.list_prefix(bucket, prefix)]

    assert listed == sorted(
        (name for name in inserted if name.startswith(prefix)), key=lambda name: name.encode()
    )


ends = st.none() | st.text("aé日𐍈", max_size=2)


@pytest.mark.parametrize("partitions", [1, 3])
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.sets(st.text("aé日𐍈", min_size=1, max_size=3), max_size=12),
    tombstones=st.integers(0, 4),
    of=st.builds(Range, ends.map(lambda end: end or ""), ends),
    prefix=st.text("aé日𐍈", max_size=1),
)
def test_a_range_has_exactly_its_keys_and_its_tombstones(
    dynamodb: "DynamoDBClient",
    partitions: int,
    names: set[str],
    tombstones: int,
    of: Range,
    prefix: str,
) -> None:
    bucket = f"b{next(_numbers)}"
    index = FileIndex(dynamodb, TABLE, partitions)
    reader = IndexReader(dynamodb, TABLE, partitions)
    for number, name in enumerate(sorted(names)):
        changes: dict[str, Any] = {"state": None} if number < tombstones else {}
        index.replace(replace(record(name, **changes), bucket=bucket), None)

    listed = [found.key for found in reader.list_range(bucket, of, prefix)]

    within = sorted(name for name in names if name in of and name.startswith(prefix))
    assert listed == within
    assert reader.last_key(bucket, of, prefix) == (within[-1] if within else None)
    first_partition = [
        name for name in within if partition_of(bucket, name, partitions) in (bucket, f"{bucket}#0")
    ]
    assert reader.next_key(bucket, of, prefix) == next(iter(first_partition), None)


def test_an_item_that_is_not_a_record_does_not_end_a_range(
    dynamodb: "DynamoDBClient", index: FileIndex, reader: IndexReader
) -> None:
    for key in ("a", "c"):
        index.replace(record(key), None)
    dynamodb.put_item(TableName=TABLE, Item={"partition": {"S": BUCKET}, "key": {"S": "b"}})

    first, second, third = reader.list_range(BUCKET, Range())

    assert (first, third) == (record("a"), record("c"))
    assert isinstance(second, Unreadable)
    assert second.key == "b"
    assert "an item that is not a record" in str(second.error)


def test_a_range_reads_of_a_record_what_a_bucket_lists_too(
    index: FileIndex, reader: IndexReader
) -> None:
    state = ObjectState(
        etag="e",
        size=1,
        last_modified=NOW,
        version_id="v",
        metadata=ObjectMetadata(storage_class="STANDARD"),
    )
    metadata = ObjectMetadata(storage_class="STANDARD", user_metadata={"a": "b"})
    full = replace(state, metadata=metadata, derived=DerivedFile(key="a.json"))
    index.replace(record(state=full, event_name="ObjectCreated:Put", sequencer="01"), None)
    tombstone = replace(record("b", state=None), expires_at=1766000000)
    index.replace(tombstone, None)

    assert list(reader.list_range(BUCKET, Range())) == [record(state=state), tombstone]


def test_a_listing_continues_over_pages(index: FileIndex, reader: IndexReader) -> None:
    keys = [f"{number}" for number in range(8)]
    for key in keys:
        index.replace(record(key, state=ObjectState(etag="x" * 300_000)), None)  # a page is 1 MB

    assert [found.key for found in reader.list_prefix(BUCKET)] == keys
    in_range = [getattr(found, "key", None) for found in reader.list_range(BUCKET, Range("1", "6"))]
    assert in_range == keys[2:7]


def test_buckets_are_kept_apart(index: FileIndex, reader: IndexReader) -> None:
    index.replace(record(), None)
    index.replace(replace(record(), bucket="other"), None)

    assert [found.bucket for found in reader.list_prefix("other")] == ["other"]


def test_a_level_gives_each_common_prefix_once_and_skips_its_keys(
    dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FileIndex(dynamodb, TABLE, 3)
    reader = IndexReader(dynamodb, TABLE, 3)
    below = [f"in/a/{number:04}" for number in range(300)]
    for key in (*below, "in/", "in/a", "in/b/c/d", "in/z", "in0", "other", "in/a\U0010ffff/x"):
        index.replace(record(key), None)
    asked: list[dict[str, Any]] = []
    query = dynamodb.query

    def few_at_once(**request: Any) -> Any:
        asked.append(request)
        return query(**request, Limit=10)

    monkeypatch.setattr(dynamodb, "query", few_at_once)

    level = [
        entry if isinstance(entry, str) else entry.key for entry in reader.list_level(BUCKET, "in/")
    ]

    assert level == ["in/", "in/a", "in/a/", "in/a\U0010ffff/", "in/b/", "in/z"]
    assert len(asked) < 15  # all of it takes at least 30


def test_a_level_of_keys_that_begin_with_a_slash_is_the_slash(
    index: FileIndex, reader: IndexReader
) -> None:
    for key in ("/a", "/b", "c"):
        index.replace(record(key), None)

    level = list(reader.list_level(BUCKET))

    assert [entry if isinstance(entry, str) else entry.key for entry in level] == ["/", "c"]


@pytest.mark.parametrize("directory", ["in/", "日" * 100 + "/"])
def test_a_level_continues_after_the_last_key_that_can_be_below(
    dynamodb: "DynamoDBClient",
    index: FileIndex,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    directory: str,
) -> None:
    for number in range(15):
        index.replace(record(f"{directory}{number:02}"), None)
    query = dynamodb.query
    starts: list[str] = []

    def few_at_once(**request: Any) -> Any:
        if "ExclusiveStartKey" in request:
            starts.append(request["ExclusiveStartKey"]["key"]["S"])
        return query(**request, Limit=10)

    monkeypatch.setattr(dynamodb, "query", few_at_once)

    assert list(reader.list_level(BUCKET)) == [directory]
    (start,) = starts
    assert start.startswith(f"{directory}\U0010ffff")
    assert 1024 - 4 < len(start.encode()) <= 1024  # DynamoDB allows no longer one


def test_a_level_continues_after_a_page_of_its_own_keys(
    dynamodb: "DynamoDBClient",
    index: FileIndex,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [f"in/{number:02}" for number in range(25)]
    for key in keys:
        index.replace(record(key), None)
    query = dynamodb.query
    monkeypatch.setattr(dynamodb, "query", lambda **request: query(**request, Limit=10))

    level = list(reader.list_level(BUCKET, "in/"))

    assert [entry if isinstance(entry, str) else entry.key for entry in level] == keys


@pytest.mark.parametrize(
    ("of_table", "asked", "fits"),
    [(1, 1, True), (3, 3, True), (1, 3, False), (3, 1, False), (3, 5, False), (5, 3, False)],
)
def test_a_table_tells_whether_it_has_a_number_of_partitions(
    dynamodb: "DynamoDBClient", of_table: int, asked: int, fits: bool
) -> None:
    written = FileIndex(dynamodb, TABLE, of_table)
    reader = IndexReader(dynamodb, TABLE, asked)
    assert not reader.check_partitions(BUCKET)
    for number in range(100):
        written.replace(record(f"{number:02}"), None)
    requests: list[dict[str, Any]] = []
    dynamodb.meta.events.register(
        "before-parameter-build.dynamodb.Query", lambda params, **_: requests.append(params)
    )

    if fits:
        assert reader.check_partitions(BUCKET)
    else:
        with pytest.raises(PartitionsError, match=f"which {asked} partitions do not explain"):
            reader.check_partitions(BUCKET)
    assert {request["Limit"] for request in requests} == {20}


@pytest.mark.parametrize(("of_table", "asked"), [(100, 1), (100, 3), (1, 2)])
def test_a_single_record_in_any_partition_tells_the_number_of_partitions(
    dynamodb: "DynamoDBClient", of_table: int, asked: int
) -> None:
    key = next(
        key
        for key in map(str, count())
        if partition_of(BUCKET, key, of_table) not in {f"{BUCKET}#0", f"{BUCKET}#{asked}"}
        and partition_of(BUCKET, key, asked) != partition_of(BUCKET, key, of_table)
    )
    reader = IndexReader(dynamodb, TABLE, asked)
    assert not reader.check_all_partitions(BUCKET)
    FileIndex(dynamodb, TABLE, of_table).replace(record(key), None)

    with pytest.raises(PartitionsError):
        reader.check_all_partitions(BUCKET)
    IndexReader(dynamodb, TABLE, of_table).check_all_partitions(BUCKET)


@pytest.mark.parametrize(("records", "enough"), [(19, False), (20, True)])
def test_a_few_records_do_not_tell_the_number_of_partitions(
    dynamodb: "DynamoDBClient", records: int, enough: bool
) -> None:
    index, reader = FileIndex(dynamodb, TABLE, 20), IndexReader(dynamodb, TABLE, 20)
    for number in range(records):
        index.replace(record(str(number)), None)

    assert not reader.check_partitions(BUCKET)
    assert reader.check_all_partitions(BUCKET) is enough


def pages_of(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch, size: int) -> list[Any]:
    """Limit the pages of all queries. Return the list to which each adds its request."""
    asked: list[Any] = []
    query = dynamodb.query

    def few_at_once(**request: Any) -> Any:
        asked.append(request)
        return query(**request, Limit=size)

    monkeypatch.setattr(dynamodb, "query", few_at_once)
    return asked


def test_the_next_page_is_fetched_while_the_second_half_of_a_page_is_used(
    dynamodb: "DynamoDBClient",
    index: FileIndex,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(30):
        index.replace(record(f"{number:02}"), None)
    asked = pages_of(dynamodb, monkeypatch, 10)

    listed = reader.list_prefix(BUCKET)
    assert asked == []
    for _ in range(5):
        next(listed)
    assert len(asked) == 1
    next(listed)
    wait_for(lambda: len(asked) == 2, lambda: asked)

    assert [found.key for found in listed] == [f"{number:02}" for number in range(6, 30)]


def test_an_error_of_a_page_that_was_fetched_ahead_is_raised_when_it_is_reached(
    dynamodb: "DynamoDBClient",
    index: FileIndex,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(30):
        index.replace(record(f"{number:02}"), None)
    query = dynamodb.query

    def fail_later(**request: Any) -> Any:
        if "ExclusiveStartKey" in request:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "Query")
        return query(**request, Limit=10)

    monkeypatch.setattr(dynamodb, "query", fail_later)
    listed = reader.list_prefix(BUCKET)

    assert [next(listed).key for _ in range(10)] == [f"{number:02}" for number in range(10)]
    with pytest.raises(ClientError):
        next(listed)


def test_a_page_that_is_still_being_fetched_does_not_delay_the_end_of_the_program() -> None:
    program = """
import atexit, threading
from function.reader import IndexReader

item = {"partition": {"S": "b"}, "revision": {"S": "r"}, "bucket": {"S": "b"},
        "indexed_at": {"S": "2026-11-23T08:15:30.123Z"}}
page = {"Items": [item | {"key": {"S": str(number)}} for number in range(4)]}
last = {"partition": {"S": "b"}, "key": {"S": "3"}}
hangs = threading.Event()

class Client:
    exceptions = type("Exceptions", (), {"ResourceNotFoundException": KeyError})
    def query(self, ExclusiveStartKey=None, **_):
        if ExclusiveStartKey and ExclusiveStartKey["key"]["S"] == "3":
            hangs.set()
            threading.Event().wait()
        return page | {"LastEvaluatedKey": last}

listed = IndexReader(Client(), "files").list_prefix("b")
print(*(next(listed).key for _ in range(3)), hangs.wait())

def at_exit():
    last["key"]["S"] = "a"
    print(next(IndexReader(Client(), "files").list_prefix("b")).key)

atexit.register(at_exit)
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=HANG_SECONDS,
    )

    assert (said.stdout.split(), said.stderr) == (["0", "1", "2", "True", "0"], "")


def test_a_consistent_listing_asks_for_consistent_pages(
    dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pages_of(dynamodb, monkeypatch, 10)

    list(IndexReader(dynamodb, TABLE).list_prefix(BUCKET))
    list(IndexReader(dynamodb, TABLE, consistent=True).list_level(BUCKET))

    assert [request.get("ConsistentRead", False) for request in asked] == [False, True]


def test_a_level_groups_by_any_delimiter(index: FileIndex, reader: IndexReader) -> None:
    for key in ("a--b", "a--c", "a-d", "e/f"):
        index.replace(record(key), None)

    level = list(reader.list_level(BUCKET, delimiter="--"))

    assert [entry if isinstance(entry, str) else entry.key for entry in level] == [
        "a--",
        "a-d",
        "e/f",
    ]
