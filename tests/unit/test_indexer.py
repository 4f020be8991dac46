"""The rule, one decision at a time; tests/unit/rule has it under any history."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from function.errors import ContentionError
from function.event_parser import ObjectEvent
from function.indexer import LONGEST_PAUSE, REFRESH_ATTEMPTS, Indexer, Outcome
from function.record import DerivedFile, FileRecord, ObjectState, Source
from function.repository import WriteRefusedError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Table:
    """A table whose next writes are refused as many times as told."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.written: list[FileRecord] = []

    def put_newer(self, record: FileRecord) -> None:
        self.replace(record, None)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        del standing
        if self.refusals:
            self.refusals -= 1
            raise WriteRefusedError(record)
        self.written.append(record)

    def read(self, bucket: str, key: str) -> FileRecord | None:
        del bucket, key
        return None


class Looked:
    def __init__(self, state: ObjectState | None) -> None:
        self.state = state

    def look(self, bucket: str, key: str) -> ObjectState | None:
        del bucket, key
        return self.state


def event(**changes: Any) -> ObjectEvent:
    values: dict[str, Any] = {"name": "ObjectTagging:Put", "time": NOW}
    return ObjectEvent(bucket="b", key="k", **(values | changes))


class Making:
    """Makes a file of the object, or has a reason not to."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.asked: list[str] = []

    def make(self, source: Source, size: int | None) -> DerivedFile:
        del size
        self.asked.append(source.etag)
        return (
            DerivedFile(reason=self.reason) if self.reason else DerivedFile(key=self.name(source))
        )

    def name(self, source: Source) -> str:
        return f"of {source.etag}"


def indexer(
    table: Table,
    state: ObjectState | None = None,
    pauses: list[float] | None = None,
    derived_files: Making | None = None,
) -> Indexer:
    return Indexer(
        index=table,
        objects=Looked(state),
        object_metadata=False,
        tombstone_life=timedelta(days=30),
        now=lambda: NOW,
        pause=(pauses if pauses is not None else []).append,
        derived_files=derived_files,
    )


@pytest.mark.parametrize(
    ("seen", "about", "observed"),
    [
        (ObjectState(etag="e"), event(), False),
        (ObjectState(etag="e", version_id="v"), event(), True),
        (ObjectState(etag="e", version_id="null"), event(), True),
        (None, event(), False),
        (None, event(name="ObjectRemoved:DeleteMarkerCreated"), True),
        (None, event(name="ObjectRemoved:Delete", version_id="null"), True),
    ],
)
def test_a_key_is_observed_once_a_version_or_a_marker_is_known(
    seen: ObjectState | None, about: ObjectEvent, observed: bool
) -> None:
    table = Table()

    indexer(table, seen).process([about])

    assert table.written[0].observed is observed


def test_a_refresh_that_others_disturb_is_tried_again_after_a_pause() -> None:
    table, pauses = Table(refusals=REFRESH_ATTEMPTS - 1), list[float]()

    assert indexer(table, pauses=pauses).process([event()]) == [Outcome.REMOVED]

    assert len(table.written) == 1
    assert len(pauses) == REFRESH_ATTEMPTS - 1 >= 9
    assert all(0 <= pause <= LONGEST_PAUSE for pause in pauses)


def test_a_refresh_that_others_always_disturb_fails_without_a_last_pause() -> None:
    table, pauses = Table(refusals=REFRESH_ATTEMPTS), list[float]()

    with pytest.raises(ContentionError, match="redelivered"):
        indexer(table, pauses=pauses).process([event()])

    assert table.written == []
    assert len(pauses) == REFRESH_ATTEMPTS - 1


def standing(**changes: Any) -> FileRecord:
    values: dict[str, Any] = {"etag": "e", "revision": "r", "indexed_at": NOW}
    return FileRecord(bucket="b", key="k", **(values | changes))


class Holding(Table):
    """A table with a record."""

    def __init__(self, record: FileRecord, refusals: int = 0) -> None:
        super().__init__(refusals)
        self.record = record

    def read(self, bucket: str, key: str) -> FileRecord | None:
        del bucket, key
        return self.record


@pytest.mark.parametrize(
    ("name", "record", "reason", "asked", "key"),
    [
        # Nothing is read anew for an event that changes no content.
        ("ObjectTagging:Put", standing(derived_key="of e"), None, [], "of e"),
        ("ObjectRemoved:Delete", standing(derived_key="of e"), None, [], "of e"),
        ("ObjectTagging:Put", standing(derived_key="of f", etag="f"), None, ["e"], "of e"),
        ("ObjectTagging:Put", standing(derived_key="elsewhere, of e"), None, ["e"], "of e"),
        ("ObjectTagging:Put", standing(derived_reason="too large"), None, ["e"], "of e"),
        ("ObjectCreated:Put", standing(derived_key="of e"), None, ["e"], "of e"),
        ("Backfill", standing(derived_key="of e"), None, ["e"], "of e"),
        # What is there stays, as of what was archived since.
        ("Repair", standing(derived_key="of e"), "archived", ["e"], "of e"),
        ("Repair", standing(derived_key="of f", etag="f"), "archived", ["e"], None),
    ],
)
def test_a_derived_file_is_made_where_content_may_be_new(
    name: str, record: FileRecord, reason: str | None, asked: list[str], key: str | None
) -> None:
    table, making = Holding(record), Making(reason)

    indexer(table, ObjectState(etag="e"), derived_files=making).refresh(event(name=name))

    assert making.asked == asked
    assert table.written[-1].derived_key == key
    assert table.written[-1].derived_reason == (None if key else reason)


def test_a_derived_file_is_made_once_however_often_the_write_is_tried() -> None:
    table, making = Table(refusals=3), Making()

    indexer(table, ObjectState(etag="e"), derived_files=making).process([event()])

    assert making.asked == ["e"]
    assert table.written[-1].derived_key == "of e"


def test_of_what_is_gone_nothing_is_made() -> None:
    table, making = Table(), Making()

    indexer(table, None, derived_files=making).process([event()])

    assert making.asked == []
