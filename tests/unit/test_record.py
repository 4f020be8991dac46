"""Records as DynamoDB items."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.errors import UnreadableRecordError
from function.events import ObjectEvent
from function.record import (
    DerivedFile,
    FileRecord,
    ObjectMetadata,
    ObjectState,
    format_time,
    from_attributes,
    to_attributes,
)

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
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: numbers,
    bool: st.booleans(),
    datetime: times,
    Mapping[str, str]: maps,
}


def built(kind: type, **nested: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a dataclass; a field that is a dataclass needs a strategy."""
    hints = get_type_hints(kind)
    return st.builds(
        kind, **{name: of_hint(hints[name]) for name in hints.keys() - nested}, **nested
    )


def of_hint(hint: Any) -> st.SearchStrategy[Any]:
    if hint in KINDS:
        return KINDS[hint]
    (one,) = set(get_args(hint)) - {NoneType}
    return st.none() | KINDS[one]


states = built(ObjectState, metadata=st.none() | built(ObjectMetadata), derived=built(DerivedFile))
records = built(FileRecord, state=st.none() | states)


def item(**changes: Any) -> dict[str, Any]:
    required = {"bucket": "b", "key": "k", "revision": "r", "indexed_at": format_time(NOW)}
    return {name: {"S": text} for name, text in required.items()} | changes


def values_in(record: FileRecord) -> dict[str, Any]:
    """Return a record's values as items.json has them: all at one level, except the metadata."""
    found = asdict(record)
    state = found.pop("state") or {"derived": {}}
    found |= {f"derived_{name}": value for name, value in state.pop("derived").items()}
    found |= state | {"deleted": record.deleted}
    values: dict[str, Any] = json.loads(json.dumps(told(found), default=datetime.isoformat))
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


def record_of(state: ObjectState | None) -> FileRecord:
    return FileRecord(bucket="b", key="k", indexed_at=NOW, revision="r", state=state)


def test_a_record_has_a_value_for_every_field() -> None:
    event = ObjectEvent(
        bucket="b",
        key="k",
        name="ObjectCreated:Put",
        time=NOW,
        size=1,
        etag="e",
        version_id="v",
        sequencer="0055",
        request_id="r",
    )

    record, tombstone = (
        FileRecord.of(
            event,
            state,
            now=NOW,
            tombstone_life=timedelta(days=30),
            sequencer=event.sequencer,
            observed=True,
            settled_at=NOW,
        )
        for state in (ObjectState(etag="e"), None)
    )

    values = {field.name: getattr(record, field.name) for field in fields(FileRecord)}
    assert [name for name, value in values.items() if value is None] == ["expires_at"]
    assert tombstone.expires_at


def test_what_is_absent_or_false_has_no_attribute() -> None:
    assert record_of(ObjectState(size=0)).to_item() == item(size={"N": "0"})


def test_the_objects_attributes_are_beside_the_records_own() -> None:
    found = ObjectMetadata(storage_class="STANDARD", parts=3, tags={"k": ""})
    state = ObjectState(etag="e", metadata=found, derived=DerivedFile(key="m/k"))

    assert record_of(state).to_item() == item(
        etag={"S": "e"},
        derived_key={"S": "m/k"},
        storage_class={"S": "STANDARD"},
        parts={"N": "3"},
        tags={"M": {"k": {"S": ""}}},
    )


def test_a_tombstone_is_recognized_by_deleted_alone() -> None:
    assert record_of(None).to_item() == item(deleted={"BOOL": True})
    assert FileRecord.from_item(item(deleted={"BOOL": True}, etag={"S": "e"})) == record_of(None)
    assert FileRecord.from_item(item()) == record_of(ObjectState())


def test_attributes_of_others_are_ignored() -> None:
    others = {
        "note": {"N": "1.5"},
        "state": {"S": "open"},
        "metadata": {"S": "x"},
        "derived": {"S": "x"},
        "parts": {"N": "1.5"},
        "tags": {"SS": ["x"]},
    }

    assert FileRecord.from_item(item(**others)) == record_of(ObjectState())


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown(ObjectMetadata):
    """A dataclass of a future release, with a field of every kind."""

    text: str
    number: int
    is_known: bool
    time: datetime
    entries: Mapping[str, str]
    text_or_none: str | None = None
    number_or_none: int | None = None
    is_known_or_none: bool | None = None
    time_or_none: datetime | None = None
    entries_or_none: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Unsupported:
    value: object


@pytest.mark.parametrize("value", [1.5, ["text"], b"bytes"])
def test_a_value_that_would_not_be_read_as_it_was_written_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is not of a type that an attribute can have"):
        to_attributes(Unsupported(value))


@given(built(Grown))
def test_a_field_of_every_kind_is_read_as_it_was_written(grown: Grown) -> None:
    read = Grown(**{"is_known": False} | from_attributes(Grown, to_attributes(grown)))

    assert replace(read, is_known_or_none=bool(read.is_known_or_none)) == replace(
        grown, is_known_or_none=bool(grown.is_known_or_none)
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
def test_an_item_that_is_not_a_record_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecordError, match=r"not a record, under \{'S': 'k'\}"):
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
