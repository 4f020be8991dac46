"""Records as DynamoDB items."""

import json
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.errors import UnreadableRecordError
from function.record import FileRecord, ObjectMetadata, format_time

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)

KEPT = json.loads((Path(__file__).parent / "items.json").read_text())["items"]

texts = st.text(min_size=1, max_size=5)
maps = st.dictionaries(texts, st.text(max_size=5), min_size=1, max_size=2)
times = st.datetimes(
    min_value=datetime(1970, 1, 1), timezones=st.just(UTC)
).map(  # given a zone here
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)
numbers = st.integers(0, 2**63 - 1)
OF_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("indexed_at", "last_modified", "event_time", "settled_at"), times),
    **dict.fromkeys(("size", "expires_at", "parts"), numbers),
    **dict.fromkeys(("user_metadata", "tags"), maps),
    **dict.fromkeys(("observed", "deleted"), st.booleans()),
}
REQUIRED = {"bucket", "key", "indexed_at", "revision", "storage_class"}


def values_of(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    names = [field.name for field in fields(kind) if field.name != "metadata"]
    strategies = {name: OF_FIELDS.get(name, texts) for name in names}
    return st.fixed_dictionaries(
        {name: strategy for name, strategy in strategies.items() if name in REQUIRED},
        optional={name: strategy for name, strategy in strategies.items() if name not in REQUIRED},
    )


metadata = st.none() | values_of(ObjectMetadata).map(lambda values: ObjectMetadata(**values))
records = st.builds(
    lambda values, found: FileRecord(**values, metadata=found), values_of(FileRecord), metadata
)


def item(**changes: Any) -> dict[str, Any]:
    required = {"bucket": "b", "key": "k", "revision": "r", "indexed_at": format_time(NOW)}
    return {name: {"S": text} for name, text in required.items()} | changes


def values_in(record: FileRecord) -> dict[str, Any]:
    """What a record says, as items.json has it."""
    values: dict[str, Any] = json.loads(
        json.dumps(told(asdict(record)), default=datetime.isoformat)
    )
    return values


def told(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: told(value) if name == "metadata" else value
        for name, value in values.items()
        if value is not None and value is not False
    }


@pytest.mark.parametrize("kept", KEPT, ids=[kept["what"] for kept in KEPT])
def test_an_item_that_an_earlier_release_wrote_is_read_and_written_as_before(
    kept: dict[str, Any],
) -> None:
    record = FileRecord.from_item(kept["item"])

    assert values_in(record) == kept["values"]
    ours = {name: kept["item"][name] for name in kept["item"].keys() - kept["foreign"]}
    assert record.to_item() == {name: ours[name] for name in ours.keys() - {"partition"}}


@given(records)
def test_any_record_is_read_as_it_was_written(record: FileRecord) -> None:
    assert FileRecord.from_item(record.to_item()) == record


def test_what_is_absent_or_false_has_no_attribute() -> None:
    record = FileRecord(bucket="b", key="k", indexed_at=NOW, revision="r", size=0, observed=False)

    assert record.to_item() == item(size={"N": "0"})


def test_metadata_stands_beside_the_record_s_own_attributes() -> None:
    found = ObjectMetadata(storage_class="STANDARD", parts=3, tags={"k": ""})
    record = FileRecord(
        bucket="b", key="k", indexed_at=NOW, revision="r", deleted=True, metadata=found
    )

    assert record.to_item() == item(
        deleted={"BOOL": True},
        storage_class={"S": "STANDARD"},
        parts={"N": "3"},
        tags={"M": {"k": {"S": ""}}},
    )


def test_attributes_of_others_are_passed_over() -> None:
    others = {
        "note": {"N": "1.5"},
        "metadata": {"S": "x"},
        "parts": {"N": "1.5"},
        "tags": {"SS": ["x"]},
    }

    assert FileRecord.from_item(item(**others)) == FileRecord(
        bucket="b", key="k", indexed_at=NOW, revision="r"
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"key": {"S": "k"}},
        item(size={"N": "1.5"}),
        item(indexed_at={"S": "yesterday"}),
        item(storage_class={"S": "STANDARD"}, parts={"N": "many"}),
    ],
    ids=["attributes are missing", "no whole number", "no time", "metadata"],
)
def test_an_item_that_is_no_record_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecordError, match=r"no record, under \{'S': 'k'\}"):
        FileRecord.from_item(broken)


@pytest.mark.parametrize(
    "time",
    [
        NOW,
        NOW.astimezone(timezone(timedelta(hours=5, minutes=45))),
        NOW.replace(microsecond=123999),
    ],
)
def test_times_are_written_as_s3_writes_them(time: datetime) -> None:
    assert format_time(time) == "2026-11-23T08:15:30.123Z"


def test_whole_seconds_keep_their_milliseconds() -> None:
    assert format_time(NOW.replace(microsecond=0)) == "2026-11-23T08:15:30.000Z"
