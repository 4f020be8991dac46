"""The rule without one safeguard at a time, each change as small as possible."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from function import event_parser, indexer
from function.events import ObjectEvent, Outcome
from function.indexer import Bucket, Indexer
from function.record import FileRecord, InsertResult, ObjectState
from function.repair import Settled
from function.sequencer import is_ahead
from tests.unit.rule import simulation
from tests.unit.rule.model_table import ModelTable

_RENEWED_BY_EVERY_WRITE = {
    "revision",
    "indexed_at",
    "event_name",
    "event_time",
    "request_id",
    "expires_at",
}


class SkipsUnchangedWrites(ModelTable):
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        if standing is None or _content(record) != _content(standing):
            super().replace(record, standing)


class DeletesInsteadOfTombstones(ModelTable):
    def _store(self, record: FileRecord) -> None:
        super()._store(record)
        if record.deleted:
            self.remove(record.bucket, record.key)


class ForgetsWhatWasObserved(ModelTable):
    def _store(self, record: FileRecord) -> None:
        super()._store(dataclasses.replace(record, observed=False))


class RefreshDropsTheEventsSequencer(ModelTable):
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        kept = standing.sequencer if standing else None
        super().replace(dataclasses.replace(record, sequencer=kept), standing)


class IgnoresSequencers(ModelTable):
    def _is_newer(self, record: FileRecord, standing: FileRecord) -> bool:  # noqa: ARG002
        return True


class OrdersByEventTime(ModelTable):
    def _is_newer(self, record: FileRecord, standing: FileRecord) -> bool:
        times = (standing.event_time, record.event_time)
        return None in times or standing.event_time < record.event_time  # type: ignore[operator]


class AppliesOvertakenUploads(ModelTable):
    def _is_overtaken(self, record: FileRecord, standing: FileRecord) -> bool:  # noqa: ARG002
        return False


class CountsDuplicatesAsWritten(ModelTable):
    def _insert(self, record: FileRecord) -> InsertResult | Exception:
        super()._insert(record)
        return InsertResult.WRITTEN


class InsertsOverTombstones(ModelTable):
    def _insert(self, record: FileRecord) -> InsertResult | Exception:
        standing = self.read(record.bucket, record.key)
        if standing and standing.deleted:
            self.remove(record.bucket, record.key)
        return super()._insert(record)


class RepairSettlesNothing(ModelTable):
    def _store(self, record: FileRecord) -> None:
        super()._store(dataclasses.replace(record, settled_at=None))


class ReplacesWhateverStands(ModelTable):
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:  # noqa: ARG002
        self._store(record)


def pad_sequencers_on_the_left(patch: pytest.MonkeyPatch) -> None:
    def left_padded(sequencer: str, *, eventbridge: bool = False) -> str:  # noqa: ARG001
        return sequencer.upper().zfill(64)

    patch.setattr(event_parser, "canonical_sequencer", left_padded)


def restore_sequencers_of_16_digits_alone(patch: pytest.MonkeyPatch) -> None:
    canonical = event_parser.canonical_sequencer

    def restored(sequencer: str, *, eventbridge: bool = False) -> str:
        return canonical(sequencer, eventbridge=eventbridge and len(sequencer) == 16)

    patch.setattr(event_parser, "canonical_sequencer", restored)


def count_an_upload_from_its_completion(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ObjectEvent, "began_at", None)


def carry_reasons_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(indexer, "_is_made", lambda before, state: before.etag == state.etag)


def insert_unobserved(patch: pytest.MonkeyPatch) -> None:
    insert = simulation._insert
    patch.setattr(simulation, "_insert", lambda steps, observed: insert(steps, observed=False))  # noqa: ARG005


def settle_at_the_time_of_this_repair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(indexer, "_latest", lambda *times: times[0])


def settle_at_the_time_of_this_repair_if_it_is_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(indexer, "_latest", lambda *times: next(filter(None, times), None))


def take_every_sequencer_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settled, "frees", lambda *_: True)


def take_no_sequencer_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settled, "frees", lambda *_: False)


def take_a_sequencer_away_after_a_refused_write(patch: pytest.MonkeyPatch) -> None:
    def frees(settled: Settled, standing: FileRecord | None, state: ObjectState | None) -> bool:
        return (
            standing is not None
            and settled._was_seen(state)
            and is_ahead(standing.sequencer or "", settled.clock)
        )

    patch.setattr(Settled, "frees", frees)


def take_a_sequencer_away_whatever_the_object(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settled, "_was_seen", lambda *_: True)


def apply_events_of_any_age(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Indexer, "outlived_tombstones", lambda _self, _event: False)


def leave_no_margin(patch: pytest.MonkeyPatch) -> None:
    def outlived(indexer: Indexer, event: ObjectEvent) -> bool:
        happened = event.began_at or event.time
        return happened is None or indexer.now() - happened > indexer.settings.tombstone_life

    patch.setattr(Indexer, "outlived_tombstones", outlived)


def apply_the_first_event_of_a_group(patch: pytest.MonkeyPatch) -> None:
    process = Indexer.process

    def first(
        indexer: Indexer, events: Sequence[ObjectEvent], record: FileRecord | None = None
    ) -> list[Outcome]:
        return process(indexer, events[:1], record)

    patch.setattr(Indexer, "process", first)


def insert_without_a_look(patch: pytest.MonkeyPatch) -> None:
    creation = Indexer.creation

    def created(indexer: Indexer, events: Sequence[ObjectEvent]) -> FileRecord | None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Indexer, "_needs_head", lambda _self, _event: False)
            return creation(indexer, events)

    patch.setattr(Indexer, "creation", created)


def insert_the_first_event_of_a_group(patch: pytest.MonkeyPatch) -> None:
    creation = Indexer.creation

    def created(indexer: Indexer, events: Sequence[ObjectEvent]) -> FileRecord | None:
        return creation(indexer, events[:1])

    patch.setattr(Indexer, "creation", created)


def put_with_another_revision_after_an_insert(patch: pytest.MonkeyPatch) -> None:
    process = Indexer.process

    def processed(
        indexer: Indexer,
        events: Sequence[ObjectEvent],
        record: FileRecord | None = None,  # noqa: ARG001
    ) -> list[Outcome]:
        return process(indexer, events)

    patch.setattr(Indexer, "process", processed)


def look_once(patch: pytest.MonkeyPatch) -> None:
    refresh = Indexer._refresh

    def refresh_with_one_look(indexer: Indexer, *arguments: Any, **named: Any) -> Outcome:
        looking = _LooksOnce(indexer.objects)
        return refresh(dataclasses.replace(indexer, objects=looking), *arguments, **named)

    patch.setattr(Indexer, "_refresh", refresh_with_one_look)


class _LooksOnce:
    def __init__(self, objects: Bucket) -> None:
        self._objects = objects
        self._seen: list[ObjectState | None] = []

    def head(self, bucket: str, key: str) -> ObjectState | None:
        if not self._seen:
            self._seen.append(self._objects.head(bucket, key))
        return self._seen[0]


def leave_alone(_patch: pytest.MonkeyPatch) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A rule that does not converge."""

    name: str
    why: str
    """The defect."""
    table: Callable[[], ModelTable] = ModelTable
    patch: Callable[[pytest.MonkeyPatch], None] = leave_alone


SKIPS_UNCHANGED_WRITES = BrokenRule(
    name="the unchanged write is skipped",
    why="the revision stays, so a refresh that looked earlier still writes what it saw then",
    table=SkipsUnchangedWrites,
)
DELETES_INSTEAD_OF_TOMBSTONES = BrokenRule(
    name="the record is deleted, no tombstone is left",
    why="nothing is left to tell that a late event is older than the deletion",
    table=DeletesInsteadOfTombstones,
)
FORGETS_WHAT_WAS_OBSERVED = BrokenRule(
    name="no record is observed",
    why="an event of the null version is ordered by sequencer against other versions",
    table=ForgetsWhatWasObserved,
)
REFRESH_DROPS_THE_EVENTS_SEQUENCER = BrokenRule(
    name="refresh does not keep the event's sequencer",
    why="an older event is applied over what was seen once object metadata is switched off",
    table=RefreshDropsTheEventsSequencer,
)
IGNORES_SEQUENCERS = BrokenRule(
    name="sequencers are ignored",
    why="of two events the one that arrives last wins, not the one that happened last",
    table=IgnoresSequencers,
)
PADS_SEQUENCERS_ON_THE_LEFT = BrokenRule(
    name="sequencers are padded on the left",
    why="a longer sequencer counts as greater, whatever it begins with",
    patch=pad_sequencers_on_the_left,
)
RESTORES_SEQUENCERS_OF_16_DIGITS_ALONE = BrokenRule(
    name="of EventBridge's sequencers those of 16 digits alone get their leading 00",
    why="a sequencer of another length is greater than all that come natively",
    patch=restore_sequencers_of_16_digits_alone,
)
ORDERS_BY_EVENT_TIME = BrokenRule(
    name="events are ordered by their time",
    why="an upload is completed later than the put that S3 gives precedence",
    table=OrdersByEventTime,
)
COUNTS_AN_UPLOAD_FROM_ITS_COMPLETION = BrokenRule(
    name="an upload is as old as its completion",
    why="the tombstone of a delete since it began may have expired",
    patch=count_an_upload_from_its_completion,
)
CARRIES_REASONS_OVER = BrokenRule(
    name="a reason why there is no derived file is carried to the next attempt",
    why="it was true of a moment, and is written over the pointer to the file",
    patch=carry_reasons_over,
)
INSERTS_UNOBSERVED = BrokenRule(
    name="a backfill of a versioned bucket inserts records that are not observed",
    why="a null version that expires removes the key, though a newer version is current",
    patch=insert_unobserved,
)
REPAIR_SETTLES_NOTHING = BrokenRule(
    name="a repair has no time",
    why="an older event that comes late undoes it",
    table=RepairSettlesNothing,
)
FORGETS_WHAT_WAS_SETTLED = BrokenRule(
    name="a refresh drops the time of the last repair",
    why="an event from before the repair that comes late is applied",
    patch=settle_at_the_time_of_this_repair,
)
SETTLES_EARLIER = BrokenRule(
    name="a repair replaces the time of a later one",
    why="an event from between the two that comes late is applied",
    patch=settle_at_the_time_of_this_repair_if_it_is_one,
)
APPLIES_OVERTAKEN_UPLOADS = BrokenRule(
    name="an upload is not compared with when the object was stored",
    why="an object that nobody told of by an event is replaced by an upload that began before it",
    table=AppliesOvertakenUploads,
)
TAKES_EVERY_SEQUENCER_AWAY = BrokenRule(
    name="a repair takes every sequencer away",
    why="an upload that began before the delete and is completed after the repair is applied",
    patch=take_every_sequencer_away,
)
TAKES_NO_SEQUENCER_AWAY = BrokenRule(
    name="a repair takes no sequencer away",
    why="one that is too great supersedes every event to come",
    patch=take_no_sequencer_away,
)
TAKES_A_SEQUENCER_AWAY_AFTER_A_REFUSED_WRITE = BrokenRule(
    name="a repair takes a sequencer away after its write was refused",
    why="it is the sequencer of what happened since the looks, and not too great",
    patch=take_a_sequencer_away_after_a_refused_write,
)
TAKES_A_SEQUENCER_AWAY_WHATEVER_THE_OBJECT = BrokenRule(
    name="a repair takes a sequencer away though the object has changed since the looks",
    why="of two changes since, the later may have been superseded already, and the older comes",
    patch=take_a_sequencer_away_whatever_the_object,
)
APPLIES_EVENTS_OF_ANY_AGE = BrokenRule(
    name="events are applied whatever their age",
    why="an event that is older than an expired tombstone brings the object back",
    patch=apply_events_of_any_age,
)
LEAVES_NO_MARGIN = BrokenRule(
    name="events are applied until the very end of the tombstones' life",
    why="the tombstone may expire between the look at the clock and the write",
    patch=leave_no_margin,
)
APPLIES_THE_FIRST_EVENT_OF_A_GROUP = BrokenRule(
    name="of a group the first event is applied, not the one with the greatest sequencer",
    why="the newest event of the group is lost",
    patch=apply_the_first_event_of_a_group,
)
COUNTS_DUPLICATES_AS_WRITTEN = BrokenRule(
    name="an INSERT that found a record counts as written",
    why="the record is older than the event, and nothing else will write the event",
    table=CountsDuplicatesAsWritten,
)
INSERTS_OVER_TOMBSTONES = BrokenRule(
    name="an INSERT replaces a tombstone",
    why="the object may have been deleted after the event",
    table=InsertsOverTombstones,
)
INSERTS_WITHOUT_A_LOOK = BrokenRule(
    name="events that need a look at the object are inserted",
    why="a version is recorded as if the key had none, and a null version that expires removes it",
    patch=insert_without_a_look,
)
INSERTS_THE_FIRST_EVENT_OF_A_GROUP = BrokenRule(
    name="of a group the first event is inserted, not the newest",
    why="the INSERT serves the whole group, so its newest event is lost",
    patch=insert_the_first_event_of_a_group,
)
LOOKS_ONCE = BrokenRule(
    name="refresh does not look again after a refused write",
    why="what it saw is older than what stands",
    patch=look_once,
)
REPLACES_WHATEVER_STANDS = BrokenRule(
    name="refresh writes without comparing the revision",
    why="of two refreshes the one that writes last wins, not the one that looked last",
    table=ReplacesWhateverStands,
)


def _content(record: FileRecord) -> dict[str, object]:
    return {
        field.name: getattr(record, field.name)
        for field in dataclasses.fields(record)
        if field.name not in _RENEWED_BY_EVERY_WRITE
    }
