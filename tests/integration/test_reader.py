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

from function.errors import PermissionDeniedError, TableMissingError
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
        ("Query", lambda reader: reader.has_its_partitions(BUCKET)),
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
        lambda: reader.has_its_partitions(BUCKET),
    ):
        with pytest.raises(
            TableMissingError, match=r"^table nowhere does not exist in us-east-1: "
        ):
            call()


def test_reading_does_not_load_the_command_lines_libraries() -> None:
    program = "import sys, cli.reader; print(sorted({'rich', 'click'} & set(sys.modules)))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )

    assert loaded.stdout.strip() == "[]"


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
    tombstone = record("b", state=None)
    index.replace(replace(tombstone, expires_at=1766000000), None)

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
    ("of_table", "asked", "answer"),
    [(1, 1, True), (3, 3, True), (1, 3, False), (3, 1, False), (3, 5, False), (5, 3, False)],
)
def test_a_table_tells_whether_it_has_a_number_of_partitions(
    dynamodb: "DynamoDBClient", of_table: int, asked: int, answer: bool
) -> None:
    written = FileIndex(dynamodb, TABLE, of_table)
    assert IndexReader(dynamodb, TABLE, asked).has_its_partitions(BUCKET)
    for number in range(60):
        written.replace(record(f"{number:02}"), None)
    requests: list[dict[str, Any]] = []
    dynamodb.meta.events.register(
        "before-parameter-build.dynamodb.Query", lambda params, **_: requests.append(params)
    )

    assert IndexReader(dynamodb, TABLE, asked).has_its_partitions(BUCKET) is answer
    assert {request["Limit"] for request in requests} == {20}
