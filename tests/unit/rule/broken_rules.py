"""The rule with one safeguard taken away at a time, each as small as it can be."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from function import event_parser
from function.event_parser import ObjectEvent
from function.indexer import Indexer, Outcome
from function.record import FileRecord
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


class ReplacesWhateverStands(ModelTable):
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:  # noqa: ARG002
        self._store(record)


def pad_sequencers_on_the_left(patch: pytest.MonkeyPatch) -> None:
    def left_padded(sequencer: str, *, eventbridge: bool = False) -> str:  # noqa: ARG001
        return sequencer.upper().zfill(64)

    patch.setattr(event_parser, "canonical_sequencer", left_padded)


def apply_events_of_any_age(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Indexer, "outlived_tombstones", lambda _self, _event: False)


def leave_no_margin(patch: pytest.MonkeyPatch) -> None:
    def outlived(indexer: Indexer, event: ObjectEvent) -> bool:
        return event.time is None or indexer.now() - event.time > indexer.tombstone_life

    patch.setattr(Indexer, "outlived_tombstones", outlived)


def apply_the_first_event_of_a_group(patch: pytest.MonkeyPatch) -> None:
    process = Indexer.process

    def first(indexer: Indexer, events: Sequence[ObjectEvent]) -> list[Outcome]:
        return process(indexer, events[:1])

    patch.setattr(Indexer, "process", first)


def leave_alone(_patch: pytest.MonkeyPatch) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A rule that does not converge."""

    name: str
    why: str
    """What goes wrong."""
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
