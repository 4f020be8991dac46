"""The rule, one decision at a time; tests/unit/rule tests it under any history."""

import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from function.allowance import RECORDS_PER_REFUSAL
from function.errors import ContentionError, EventTooOldError, PermissionDeniedError
from function.events import ObjectEvent, Outcome
from function.indexer import LONGEST_PAUSE, REFRESH_ATTEMPTS, Indexer, Maker
from function.record import (
    DerivedFile,
    FileRecord,
    ObjectMetadata,
    ObjectState,
    Source,
    WriteRefusedError,
)
from function.repair import Settled
from function.settings import Settings

NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Table:
    """A table that refuses the given number of writes."""

    def __init__(self, refusals: int = 0, refuses_with: FileRecord | None = None) -> None:
        self.refusals = refusals
        self.refuses_with = refuses_with
        self.written: list[FileRecord] = []
        self.replaced: list[FileRecord | None] = []
        """The record that every write was to replace, including refused writes."""

    def put_newer(self, record: FileRecord) -> None:
        self.replace(record, None)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        self.replaced.append(standing)
        if self.refusals:
            self.refusals -= 1
            raise WriteRefusedError(self.refuses_with or record)
        self.written.append(record)

    def read(self, bucket: str, key: str) -> FileRecord | None:
        assert (bucket, key) == ("b", "k")
        return None


class Looked:
    """An object in these states, one after the other; the last one stays."""

    def __init__(self, *states: ObjectState | None) -> None:
        self.states = list(states)

    def head(self, bucket: str, key: str) -> ObjectState | None:
        assert (bucket, key) == ("b", "k")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def event(**changes: Any) -> ObjectEvent:
    values: dict[str, Any] = {"name": "ObjectTagging:Put", "time": NOW}
    return ObjectEvent(bucket="b", key="k", **(values | changes))


class Making:
    """Makes a file from the object, or has a reason not to, the given number of times."""

    def __init__(self, reason: str | None = None, failures: int = 1000) -> None:
        self.reason = reason
        self.failures = failures
        self.asked: list[str] = []

    def make(self, source: Source, size: int | None) -> DerivedFile:
        assert (source.bucket, source.key, size) == ("b", "k", 1)
        self.asked.append(source.etag)
        if self.reason and len(self.asked) <= self.failures:
            return DerivedFile(reason=self.reason)
        return DerivedFile(key=self.name(source))

    def name(self, source: Source) -> str:
        return f"of {source.etag}"


def indexer(
    table: Table,
    *states: ObjectState | None,
    pauses: list[float] | None = None,
    derived_files: Making | None = None,
) -> Indexer:
    return Indexer(
        index=table,
        objects=Looked(*(states or (None,))),
        settings=Settings(table_name="files"),
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


def test_a_refresh_that_others_disturb_is_retried_after_a_pause() -> None:
    table, pauses = Table(refusals=REFRESH_ATTEMPTS - 1), list[float]()

    assert indexer(table, pauses=pauses).process([event()]) == [Outcome.REMOVED]

    assert len(table.written) == 1
    assert len(pauses) == REFRESH_ATTEMPTS - 1 >= 9
    assert all(0 <= pause <= LONGEST_PAUSE for pause in pauses)


def test_a_refresh_that_others_always_disturb_fails_without_a_last_pause() -> None:
    table, pauses = Table(refusals=REFRESH_ATTEMPTS), list[float]()

    message = "^the record changed during all 10 attempts to refresh it; the event is redelivered$"
    with pytest.raises(ContentionError, match=message):
        indexer(table, pauses=pauses).process([event()])

    assert table.written == []
    assert len(pauses) == REFRESH_ATTEMPTS - 1


def standing(**changes: Any) -> FileRecord:
    values: dict[str, Any] = {
        "state": ObjectState(etag="e"),
        "revision": "r",
        "indexed_at": NOW,
    }
    return FileRecord(bucket="b", key="k", **(values | changes))


def derived(key: str | None = None, reason: str | None = None, etag: str = "e") -> FileRecord:
    return standing(state=ObjectState(etag=etag, derived=DerivedFile(key=key, reason=reason)))


class Holding(Table):
    """A table with a record."""

    def __init__(self, record: FileRecord, refusals: int = 0) -> None:
        super().__init__(refusals)
        self.record = record

    def read(self, bucket: str, key: str) -> FileRecord | None:
        assert (bucket, key) == ("b", "k")
        return self.record


class Denying(Table):
    """A table that the function may write but not read."""

    def read(self, bucket: str, key: str) -> FileRecord | None:
        del bucket, key
        raise PermissionDeniedError("role r is not authorized to perform: dynamodb:GetItem.")


@pytest.mark.parametrize(
    ("name", "record", "reason", "asked", "key"),
    [
        # An event that does not change the content causes no read.
        ("ObjectTagging:Put", derived("of e"), None, [], "of e"),
        ("ObjectRemoved:Delete", derived("of e"), None, [], "of e"),
        ("ObjectTagging:Put", derived("of f", etag="f"), None, ["e"], "of e"),
        ("ObjectTagging:Put", derived("elsewhere, of e"), None, ["e"], "of e"),
        ("ObjectTagging:Put", derived(reason="too large"), None, ["e"], "of e"),
        ("ObjectCreated:Put", derived("of e"), None, ["e"], "of e"),
        ("Backfill", derived("of e"), None, ["e"], "of e"),
        # An existing file stays, for example if the object was archived since.
        ("Repair", derived("of e"), "archived", ["e"], "of e"),
        ("Repair", derived("of f", etag="f"), "archived", ["e"], None),
    ],
)
def test_a_derived_file_is_made_where_content_may_be_new(
    name: str, record: FileRecord, reason: str | None, asked: list[str], key: str | None
) -> None:
    table, making = Holding(record), Making(reason)

    indexer(table, ObjectState(etag="e", size=1), derived_files=making).refresh(event(name=name))

    assert making.asked == asked
    assert table.written[-1].known.derived.key == key
    assert table.written[-1].known.derived.reason == (None if key else reason)


def test_a_derived_file_is_made_once_however_often_the_write_is_tried() -> None:
    # The record points to no file, so only the previous attempt can have made one.
    table, making = Table(refusals=3, refuses_with=standing()), Making()

    indexer(table, ObjectState(etag="e", size=1), derived_files=making).process([event()])

    assert making.asked == ["e"]
    assert table.written[-1].known.derived.key == "of e"


def test_no_file_is_derived_from_a_deleted_object() -> None:
    table, making = Table(), Making()

    indexer(table, None, derived_files=making).process([event()])

    assert making.asked == []


def test_a_derived_file_is_not_kept_for_another_content() -> None:
    table, making = Table(refusals=1), Making()
    seen = ObjectState(etag="e", size=1), ObjectState(etag="f", size=1)

    indexer(table, *seen, derived_files=making).process([event()])

    assert making.asked == ["e", "f"]
    assert (table.written[-1].known.etag, table.written[-1].known.derived.key) == ("f", "of f")


def test_a_reason_that_was_true_for_a_moment_is_not_kept() -> None:
    table, making = Table(refusals=2), Making("changed meanwhile", failures=1)

    indexer(table, ObjectState(etag="e", size=1), derived_files=making).process([event()])

    assert making.asked == ["e", "e"]
    assert (table.written[-1].known.derived.key, table.written[-1].known.derived.reason) == (
        "of e",
        None,
    )


def test_a_derived_file_is_made_again_if_its_content_left_and_came_back() -> None:
    table, making = Table(refusals=2), Making()
    seen = ObjectState(etag="e", size=1), None, ObjectState(etag="e", size=1)

    indexer(table, *seen, derived_files=making).process([event()])

    assert making.asked == ["e", "e"]
    assert table.written[-1].known.derived.key == "of e"


PUT = {"name": "ObjectCreated:Put", "sequencer": "01", "etag": "e", "size": 1}
DELETE = {"name": "ObjectRemoved:Delete", "sequencer": "01"}


@pytest.mark.parametrize(
    ("about", "seen", "deleted"),
    [
        (event(**PUT), None, False),
        (event(), ObjectState(etag="e"), False),
        (event(**DELETE), None, True),
        (event(), None, True),
    ],
    ids=["put is applied", "seen", "delete is applied", "seen gone"],
)
def test_a_tombstone_expires_and_a_record_does_not(
    about: ObjectEvent, seen: ObjectState | None, deleted: bool
) -> None:
    table = Table()

    indexer(table, seen).process([about])

    (written,) = table.written
    assert written.deleted is deleted
    in_30_days = int((NOW + timedelta(days=30)).timestamp())
    assert written.expires_at == (in_30_days if deleted else None)


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("seen", [None, ObjectState(etag="e")])
def test_a_look_leaves_a_key_observed_or_not_as_it_was(
    seen: ObjectState | None, observed: bool
) -> None:
    table = Holding(standing(observed=observed))

    indexer(table, seen).process([event()])

    assert table.written[-1].observed is observed


@pytest.mark.parametrize(
    ("of_event", "of_record", "kept"),
    [("02", "01", "02"), ("01", "02", "02"), (None, "01", "01"), ("01", None, "01"), (None,) * 3],
)
def test_the_greater_sequencer_is_kept(
    of_event: str | None, of_record: str | None, kept: str | None
) -> None:
    table = Holding(standing(sequencer=of_record))

    indexer(table).process([event(name="ObjectRemoved:Delete", version_id="v", sequencer=of_event)])

    assert table.written[-1].sequencer == kept


def test_a_refused_write_is_retried_over_the_current_record() -> None:
    now = standing(revision="now", sequencer="09", observed=True, settled_at=NOW)
    table = Table(refusals=1, refuses_with=now)

    indexer(table).process([event()])

    assert table.replaced == [None, now]
    (written,) = table.written
    assert (written.sequencer, written.observed, written.settled_at) == ("09", True, NOW)


EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def settled(**changes: Any) -> Settled:
    values: dict[str, Any] = {"at": NOW, "clock": NOW, "revision": "r"}
    return Settled(**(values | changes))


@pytest.mark.parametrize(
    ("repaired", "before", "kept"),
    [
        (None, None, None),
        (None, EARLIER, EARLIER),
        (settled(), None, NOW),
        (settled(), EARLIER, NOW),
        (settled(), LATER, LATER),
    ],
)
def test_the_later_time_of_repair_is_kept(
    repaired: Settled | None, before: datetime | None, kept: datetime | None
) -> None:
    table = Holding(standing(settled_at=before))

    indexer(table).refresh(event(name="Repair"), repaired)

    assert table.written[-1].settled_at == kept


AHEAD = "00FFFFFFFF"
"""Its time is 2106."""
AT_NOW = f"00{int(NOW.timestamp()):X}"
IN_SIX_SECONDS = f"00{int(NOW.timestamp()) + 6:X}"
SEEN = ObjectState(etag="e", last_modified=EARLIER)
SAW = {"etag": "e", "last_modified": EARLIER}


@pytest.mark.parametrize(
    ("sequencer", "state", "changes", "is_taken_away"),
    [
        (AHEAD, SEEN, SAW, True),
        (IN_SIX_SECONDS, SEEN, SAW, True),
        ("FF", SEEN, SAW, True),
        (AHEAD, None, {}, True),
        (AHEAD, SEEN, {**SAW, "last_modified": EARLIER + timedelta(milliseconds=9)}, True),
        # It may be S3's, because the clocks of its hosts differ.
        (AT_NOW, SEEN, SAW, False),
        (f"00{int(NOW.timestamp()) + 5:X}", SEEN, SAW, False),
        ("0055AED6DCD90281E5", SEEN, SAW, False),
        # The record or the object is not the one that was looked at.
        (AHEAD, SEEN, {**SAW, "revision": "other"}, False),
        (AHEAD, SEEN, {**SAW, "revision": None}, False),
        (AHEAD, SEEN, {**SAW, "etag": "f"}, False),
        (AHEAD, SEEN, {**SAW, "last_modified": EARLIER - timedelta(seconds=1)}, False),
        (AHEAD, SEEN, {}, False),
        (AHEAD, SEEN, {"etag": "e"}, False),
        (AHEAD, None, SAW, False),
        (AHEAD, ObjectState(etag="e"), SAW, False),
    ],
)
def test_a_repair_removes_a_sequencer_that_cannot_be_s3s_yet(
    sequencer: str, state: ObjectState | None, changes: dict[str, Any], is_taken_away: bool
) -> None:
    table = Holding(standing(sequencer=sequencer))

    indexer(table, state).refresh(event(name="Repair"), settled(**changes))

    assert table.written[-1].sequencer == (None if is_taken_away else sequencer)


def test_a_repair_keeps_the_sequencer_after_its_write_was_refused() -> None:
    table = Holding(standing(sequencer=AHEAD), refusals=1)
    table.refuses_with = standing(sequencer=AHEAD, revision="other")

    indexer(table, SEEN).refresh(event(name="Repair"), settled(**SAW))

    assert table.written[-1].sequencer == AHEAD


def test_a_record_without_a_sequencer_is_repaired() -> None:
    table = Holding(standing(sequencer=None))

    indexer(table, SEEN).refresh(event(name="Repair"), settled(**SAW))

    assert table.written[-1].sequencer is None


def completion(began: timedelta, **changes: Any) -> ObjectEvent:
    """Return a current event that completes an upload which began that long ago."""
    values: dict[str, Any] = {
        "name": "ObjectCreated:CompleteMultipartUpload",
        "sequencer": f"00{int((NOW - began).timestamp()):X}",
    }
    return event(**(values | changes))


@pytest.mark.parametrize(
    ("about", "is_old"),
    [
        (completion(timedelta(days=29)), False),
        (completion(timedelta(days=29, seconds=1)), True),
        (completion(timedelta(days=400)), False),  # not a time, so perhaps not S3's
        (completion(timedelta(days=40), name="ObjectCreated:Put"), False),
        (event(time=NOW - timedelta(days=29)), False),
        (event(time=NOW - timedelta(days=29, milliseconds=1)), True),
        (event(time=None), True),
    ],
)
def test_an_upload_is_as_old_as_its_start(about: ObjectEvent, is_old: bool) -> None:
    assert indexer(Table()).outlived_tombstones(about) is is_old


OLD = event(**PUT, time=NOW - timedelta(days=29, seconds=1))
TOUCHED = event()


@pytest.mark.parametrize("events", [[OLD], [OLD, TOUCHED], [TOUCHED, OLD]])
def test_an_event_that_is_too_old_fails_if_the_record_may_not_be_read(
    events: list[ObjectEvent],
) -> None:
    with pytest.raises(EventTooOldError) as failed:
        indexer(Denying()).process(events)

    assert str(failed.value) == (
        "the event, or the upload that it completes, is too old to be applied (or does not say "
        "when it happened): the tombstone of a newer event may have expired. The function must "
        "look at the object, and is not authorized to: set object_metadata = { enabled = true }, "
        "apply, and replay the event; then you may set it back. role r is not authorized to "
        "perform: dynamodb:GetItem."
    )


def test_any_other_event_whose_record_may_not_be_read_fails_as_denied() -> None:
    with pytest.raises(
        PermissionDeniedError, match=r"^role r is not authorized to perform: dynamodb:GetItem\.$"
    ):
        indexer(Denying()).process([TOUCHED])


def test_the_fields_of_an_event_are_written() -> None:
    table = Table()
    about = event(**PUT, request_id="request")

    assert indexer(table).process([about]) == [Outcome.INDEXED]

    (written,) = table.written
    assert len(written.revision) == 16
    assert written == FileRecord(
        bucket="b",
        key="k",
        indexed_at=NOW,
        revision=written.revision,
        state=ObjectState(etag="e", size=1),
        event_name="ObjectCreated:Put",
        event_time=NOW,
        sequencer="01",
        request_id="request",
    )


def test_the_state_of_an_object_is_written() -> None:
    table = Table()
    metadata = ObjectMetadata(storage_class="STANDARD")
    seen = ObjectState(etag="e", size=1, last_modified=EARLIER, version_id="v", metadata=metadata)

    assert indexer(table, seen).refresh(event(name="Backfill", time=None)) is Outcome.INDEXED

    (written,) = table.written
    assert written == FileRecord(
        bucket="b",
        key="k",
        indexed_at=NOW,
        revision=written.revision,
        state=seen,
        event_name="Backfill",
        observed=True,
    )


def test_a_refresh_without_an_event_is_not_observed() -> None:
    table = Table()

    indexer(table, ObjectState(etag="e")).refresh(event(name="Backfill"))

    assert table.written[0].observed is False


def test_only_the_newest_event_of_a_group_is_applied() -> None:
    newest = event(**PUT | {"sequencer": "03"})
    older = event(**PUT | {"sequencer": "02"}), event(**DELETE)
    table = Table()

    outcomes = indexer(table).process([older[0], newest, older[1]])

    assert outcomes == [Outcome.SUPERSEDED, Outcome.INDEXED, Outcome.SUPERSEDED]
    assert [record.sequencer for record in table.written] == ["03"]
    assert indexer(Table()).process([event(**DELETE)]) == [Outcome.REMOVED]


@pytest.mark.parametrize(
    ("observed", "outcome", "writes"),
    [(False, Outcome.SUPERSEDED, 0), (True, Outcome.REMOVED, 1)],
)
def test_an_event_that_an_observed_record_refuses_is_looked_at(
    observed: bool, outcome: Outcome, writes: int
) -> None:
    table = Table(refusals=1, refuses_with=standing(observed=observed, sequencer="09"))

    assert indexer(table).process([event(**PUT)]) == [outcome]
    assert len(table.written) == writes


def test_the_sequencer_of_a_group_that_is_looked_at_is_its_greatest() -> None:
    table = Table()

    indexer(table).process([event(), event(**PUT)])

    assert table.written[0].sequencer == "01"


def test_the_pauses_between_attempts_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("function.indexer.random.uniform", lambda least, most: most - least)
    pauses: list[float] = []

    indexer(Table(refusals=7), pauses=pauses).process([event()])

    assert pauses == [0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


def test_an_event_without_an_etag_is_indexed_without_a_derived_file() -> None:
    table, making = Table(), Making()

    indexer(table, derived_files=making).process([event(**PUT | {"etag": None})])

    assert making.asked == []
    (written,) = table.written
    assert (written.known.size, written.known.derived.key, written.known.derived.reason) == (
        1,
        None,
        "the event names no ETag",
    )


def test_an_upload_is_derived_when_it_is_applied() -> None:
    table, making = Table(), Making()

    indexer(table, derived_files=making).process([event(**PUT)])

    assert (making.asked, table.written[0].known.derived.key) == (["e"], "of e")


@pytest.mark.parametrize(
    ("about", "object_metadata", "is_looked_at"),
    [
        (event(**PUT), False, False),
        (event(**PUT), True, True),
        (event(**DELETE), False, False),
        (event(name="ObjectRemoved:DeleteMarkerCreated", sequencer="01"), False, True),
        (event(name="ObjectCreated:Put", version_id="v", sequencer="01"), False, True),
        (event(name="ObjectCreated:Put"), False, True),
        (OLD, False, True),
    ],
)
def test_an_object_is_looked_at_if_the_event_does_not_decide(
    about: ObjectEvent, object_metadata: bool, is_looked_at: bool
) -> None:
    table = Table()
    rule = dataclasses.replace(
        indexer(table, ObjectState(etag="seen", size=1)),
        settings=Settings(table_name="files", object_metadata=object_metadata),
    )

    rule.process([about])

    assert (table.written[0].known.etag == "seen") is is_looked_at


class Keys:
    """A table of many keys and their objects, which counts the calls."""

    def __init__(self) -> None:
        self.records: dict[str, FileRecord] = {}
        self.calls: Counter[str] = Counter()

    def put_newer(self, record: FileRecord) -> None:
        raise NotImplementedError

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        self.calls["write"] += 1
        found = self.records.get(record.key)
        if (found and found.revision) != (standing and standing.revision):
            raise WriteRefusedError(found)
        self.records[record.key] = record

    def read(self, bucket: str, key: str) -> FileRecord | None:
        del bucket
        self.calls["read"] += 1
        return self.records.get(key)

    def head(self, bucket: str, key: str) -> ObjectState:
        del bucket, key
        self.calls["head"] += 1
        return ObjectState(etag="e", version_id="v")


class OneFile:
    def make(self, source: Source, size: int | None) -> DerivedFile:
        del size
        return DerivedFile(key=self.name(source))

    def name(self, source: Source) -> str:
        del source
        return "derived"


def stored(key: int, **changes: Any) -> ObjectEvent:
    values: dict[str, Any] = {"name": "ObjectCreated:Put", "version_id": "v", "sequencer": "00AA"}
    return ObjectEvent(bucket="b", key=str(key), time=NOW, **(values | changes))


def started(keys: Keys, derived_files: Maker | None = None) -> Indexer:
    return Indexer(
        index=keys,
        objects=keys,
        settings=Settings(table_name="files"),
        now=lambda: NOW,
        pause=lambda _: pytest.fail("nothing contends"),
        derived_files=derived_files,
    )


def test_a_new_version_of_a_new_key_takes_a_look_and_a_write() -> None:
    keys = Keys()
    rule = started(keys)

    for key in range(200):
        assert rule.process([stored(key)]) == [Outcome.INDEXED]

    assert keys.calls == {"head": 200, "write": 200}


def test_with_derived_files_the_record_is_read_because_it_may_have_the_file() -> None:
    keys = Keys()

    started(keys, OneFile()).process([stored(1)])

    assert keys.calls == {"read": 1, "head": 1, "write": 1}


def test_new_versions_of_known_keys_take_few_writes_in_vain() -> None:
    keys = Keys()
    for key in range(1000):
        started(keys).process([stored(key)])
    keys.calls.clear()

    for first in range(0, 1000, 500):  # in two processes
        rule = started(keys)
        for key in range(first, first + 500):
            assert rule.process([stored(key)]) == [Outcome.INDEXED]

    refused = keys.calls["write"] - 1000
    assert 0 < refused <= 2 * (2 + 500 / RECORDS_PER_REFUSAL)
    assert keys.calls["read"] == 1000 - refused
    assert keys.calls["head"] == 1000 + refused  # a refused write is followed by another look


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "ObjectRemoved:DeleteMarkerCreated"},
        {"name": "ObjectTagging:Put"},
        {"name": "ObjectRemoved:Delete"},
        {"time": NOW - timedelta(days=29, seconds=1)},  # the record must be read to say too old
    ],
)
def test_other_events_read_the_record_before_they_look(changes: dict[str, Any]) -> None:
    keys = Keys()

    started(keys).process([dataclasses.replace(stored(1), **changes)])

    assert keys.calls == {"read": 1, "head": 1, "write": 1}
