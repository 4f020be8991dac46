"""The rule: which write each object event needs, so that the table ends equal to the bucket.

Two writes, nothing else:

apply    the event alone decides. One conditional write, no read: what an unversioned bucket sends,
         ordered by S3's sequencer.
refresh  the object is looked at, and what was seen is written if the record is still the one read
         before the look. Right in every case, so it serves all others.

docs/decisions.md says why each safeguard is there.
"""

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from .errors import ContentionError, EventTooOldError, PermissionDeniedError
from .events import Change, ObjectEvent, Outcome
from .record import DerivedFile, FileRecord, ObjectState, Source, WriteRefusedError
from .sequencer import is_ahead

REFRESH_ATTEMPTS = 10
LONGEST_PAUSE = 1.0
"""Between two attempts to refresh a record, in seconds."""


class Index(Protocol):
    """The table, as the rule needs it: see `repository.FileIndex`."""

    def put_newer(self, record: FileRecord) -> None: ...  # noqa: D102
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None: ...  # noqa: D102
    def read(self, bucket: str, key: str) -> FileRecord | None: ...  # noqa: D102


class Bucket(Protocol):
    """The bucket, as the rule needs it: see `objects.Objects`."""

    def look(self, bucket: str, key: str) -> ObjectState | None: ...  # noqa: D102


class Maker(Protocol):
    """What makes derived files, as the rule needs it: see `derived_files.DerivedFiles`."""

    def make(self, source: Source, size: int | None) -> DerivedFile: ...  # noqa: D102
    def name(self, source: Source) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A key that a repair looked at twice: its object and its record were the same both times."""

    at: datetime
    """A time between the looks, by S3's clock. Events that happened earlier are superseded."""
    clock: datetime
    """S3's clock when the record was read, or later."""
    revision: str | None
    """The record's; None if there was none."""
    etag: str | None = None
    """The object's; None if there was none."""
    last_modified: datetime | None = None

    def frees(self, standing: FileRecord | None, state: ObjectState | None) -> bool:
        """Return whether the repair removes the record's sequencer.

        It removes one that cannot be S3's yet, because it would supersede every later event. It
        keeps it if record or object have changed since the looks: the newer of two changes may have
        been superseded already, and the older one, still under way, would then be applied.
        """
        return (
            standing is not None
            and standing.sequencer is not None
            and standing.revision == self.revision
            and self._was_seen(state)
            and is_ahead(standing.sequencer, self.clock)
        )

    def _was_seen(self, state: ObjectState | None) -> bool:
        if state is None or self.last_modified is None:
            return state is None and self.etag is None
        return state.etag == self.etag and _same_second(state.last_modified, self.last_modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """Applies the rule to the events of one key at a time."""

    index: Index
    objects: Bucket
    object_metadata: bool
    tombstone_life: timedelta
    now: Callable[[], datetime]
    """The time, with a time zone."""
    pause: Callable[[float], None]
    """Waits that many seconds."""
    derived_files: Maker | None = None
    """None: none are made."""

    def group_of(self, event: ObjectEvent) -> Hashable:
        """Return what events to `process` together have in common.

        They are about one key. Events that may be too old to be applied form a group of their own:
        they may fail, and must not take newer events of their key along.
        """
        return event.bucket, event.key, self.outlived_tombstones(event)

    def process(self, events: Sequence[ObjectEvent]) -> list[Outcome]:
        """Update the record of the key that these events share.

        Returns an outcome for each event. Raises if the record could not be updated: then no event
        of the group is done. The caller leaves out events that change nothing in the index
        (`Change.UNRELATED`).
        """
        latest = max(events, key=lambda event: event.sequencer or "")
        if not any(self._needs_look(event) for event in events):
            outcome = self._apply(latest)
            if outcome is not None:
                return [outcome if event is latest else Outcome.SUPERSEDED for event in events]
        knows_versions = any(
            event.version_id is not None or event.change is Change.MARKED for event in events
        )
        standing = self._read(latest, events)
        return [self._refresh(latest, standing, knows_versions=knows_versions)] * len(events)

    def refresh(self, event: ObjectEvent, settled: Settled | None = None) -> Outcome:
        """Update a key's record without an event, from the object itself.

        The event, named BACKFILL or REPAIR, only says which key it is. `settled` is what a repair
        saw of the key before.
        """
        standing = self.index.read(event.bucket, event.key)
        return self._refresh(event, standing, settled=settled)

    def _needs_look(self, event: ObjectEvent) -> bool:
        return (
            self.object_metadata
            or event.change not in (Change.STORED, Change.REMOVED)
            or event.version_id is not None
            or event.sequencer is None
            or self.outlived_tombstones(event)
        )

    def outlived_tombstones(self, event: ObjectEvent) -> bool:
        """Whether the tombstone that would have stopped the event may have expired.

        A multipart upload is as old as its start: a delete since then takes precedence.
        """
        age = self.tombstone_life - timedelta(days=1)
        happened = event.began_at or event.time
        return happened is None or self.now() - happened > age

    def _apply(self, event: ObjectEvent) -> Outcome | None:
        """Apply the event; return None if the object must be looked at instead."""
        removed = event.change is Change.REMOVED
        state = None if removed else ObjectState(etag=event.etag, size=event.size)
        record = self._record(event, self._derive(event, state), sequencer=event.sequencer)
        try:
            self.index.put_newer(record)
        except WriteRefusedError as refused:
            if refused.standing and not refused.standing.observed:
                return Outcome.SUPERSEDED
            return None
        return Outcome.REMOVED if removed else Outcome.INDEXED

    def _refresh(
        self,
        latest: ObjectEvent,
        standing: FileRecord | None,
        *,
        knows_versions: bool = False,
        settled: Settled | None = None,
    ) -> Outcome:
        state: ObjectState | None = None
        for attempt in range(REFRESH_ATTEMPTS):
            if attempt:
                longest = min(LONGEST_PAUSE, 0.02 * 2**attempt)
                self.pause(random.uniform(0, longest))  # noqa: S311 # no secret
            before, state = state, self.objects.look(latest.bucket, latest.key)
            if state and before and _is_made(before, state):
                state = replace(state, derived=before.derived)
            else:
                state = self._derive(latest, state, standing)
            record = self._record(
                latest,
                state,
                sequencer=_kept_sequencer(latest, standing, state, settled),
                observed=knows_versions
                or (standing is not None and standing.observed)
                or (state is not None and state.version_id is not None),
                settled_at=_latest(
                    settled.at if settled else None, standing.settled_at if standing else None
                ),
            )
            try:
                # Written even if nothing seems to have changed: the new revision stops others
                # that looked before.
                self.index.replace(record, standing)
            except WriteRefusedError as refused:
                standing = refused.standing
            else:
                return Outcome.INDEXED if state else Outcome.REMOVED
        raise ContentionError(
            f"the record changed {REFRESH_ATTEMPTS} times while the object was looked at; "
            "the event is redelivered"
        )

    def _derive(
        self, event: ObjectEvent, state: ObjectState | None, standing: FileRecord | None = None
    ) -> ObjectState | None:
        """The state with the object's derived file.

        It is made for new content, and in a backfill or repair. One that can no longer be made, for
        example because the object was archived since, stays.
        """
        if self.derived_files is None or state is None:
            return state
        if state.etag is None:
            return replace(state, derived=DerivedFile(reason="the event names no ETag"))
        source = Source(bucket=event.bucket, key=event.key, etag=state.etag)
        there = DerivedFile(key=self.derived_files.name(source))
        is_there = bool(standing and standing.state and standing.state.derived == there)
        if is_there and event.change not in (Change.STORED, Change.UNRELATED):
            return replace(state, derived=there)
        made = self.derived_files.make(source, state.size)
        return replace(state, derived=there if is_there else made)

    def _read(self, latest: ObjectEvent, events: Sequence[ObjectEvent]) -> FileRecord | None:
        try:
            return self.index.read(latest.bucket, latest.key)
        except PermissionDeniedError as denied:
            if not any(self.outlived_tombstones(event) for event in events):
                raise
            raise EventTooOldError(
                "the event, or the upload that it completes, is too old to be applied (or does not "
                "say when it happened): the tombstone of a newer one may have expired. The object "
                "must be looked at, and that is not allowed: set object_metadata = { enabled = "
                "true }, apply, replay the event; you may set it back then. "
                f"{denied}"
            ) from denied

    def _record(
        self,
        event: ObjectEvent,
        state: ObjectState | None,
        *,
        sequencer: str | None,
        observed: bool = False,
        settled_at: datetime | None = None,
    ) -> FileRecord:
        return FileRecord.of(
            event,
            state,
            now=self.now(),
            tombstone_life=self.tombstone_life,
            sequencer=sequencer,
            observed=observed,
            settled_at=settled_at,
        )


def _is_made(before: ObjectState, state: ObjectState) -> bool:
    """Whether the derived file was made at the look before, and of this content.

    A reason why there is none was true of a moment ("changed meanwhile"), so it is never reused.
    """
    return before.derived.key is not None and before.etag == state.etag


def _kept_sequencer(
    event: ObjectEvent,
    standing: FileRecord | None,
    state: ObjectState | None,
    settled: Settled | None,
) -> str | None:
    """The greater one of event and record: what was seen is at least as new as either."""
    if settled and settled.frees(standing, state):
        return None
    return max(event.sequencer or "", (standing and standing.sequencer) or "") or None


def _same_second(one: datetime | None, other: datetime) -> bool:
    """A listing and HeadObject may give different fractions of a second."""
    return one is not None and one.replace(microsecond=0) == other.replace(microsecond=0)


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time), default=None)
