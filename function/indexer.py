"""The rule: which write an object event needs, so that the table ends equal to the bucket.

There are two kinds of write:

apply    the event alone decides. One conditional write without a read, ordered by S3's sequencer:
         for the events of an unversioned bucket. `insert_first` may try an INSERT before it.
refresh  read the record, HEAD the object, and write the object's state if the record has not
         changed in between. Always right, so it serves every other case. A new object is expected
         to have no record, and then the read is left out.

docs/decisions.md explains each safeguard.
"""

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from .allowance import Allowance
from .errors import ContentionError, EventTooOldError, PermissionDeniedError
from .events import Change, ObjectEvent, Outcome
from .record import DerivedFile, FileRecord, ObjectState, Source, WriteRefusedError
from .repair import Settled
from .settings import Settings

REFRESH_ATTEMPTS = 10
LONGEST_PAUSE = 1.0
"""The longest pause between two attempts to refresh a record, in seconds."""


class Index(Protocol):
    """The table, as the rule needs it: see `repository.FileIndex`."""

    def put_newer(self, record: FileRecord) -> None: ...  # noqa: D102
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None: ...  # noqa: D102
    def read(self, bucket: str, key: str) -> FileRecord | None: ...  # noqa: D102


class Bucket(Protocol):
    """The bucket, as the rule needs it: see `objects.Objects`."""

    def head(self, bucket: str, key: str) -> ObjectState | None: ...  # noqa: D102


class Maker(Protocol):
    """The maker of derived files, as the rule needs it: see `derived_files.DerivedFiles`."""

    def make(self, source: Source, size: int | None) -> DerivedFile: ...  # noqa: D102
    def name(self, source: Source) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """Applies the rule to the events of one key at a time."""

    index: Index
    objects: Bucket
    settings: Settings
    now: Callable[[], datetime]
    """Returns the time, with a time zone."""
    pause: Callable[[float], None]
    """Waits for a number of seconds."""
    derived_files: Maker | None = None
    """None if the deployment has no derived files."""
    allowance: Allowance = field(default_factory=partial(Allowance, at_start=2))
    """Limits the writes that skip the read of the record and are refused."""

    def group_of(self, event: ObjectEvent) -> Hashable:
        """Return the group of the event; `process` takes the events of one group.

        A group is about one key. Events that may be too old to be applied form a group of their
        own, because they may fail and must not make newer events of their key fail too.
        """
        return event.bucket, event.key, self.outlived_tombstones(event)

    def process(
        self, events: Sequence[ObjectEvent], record: FileRecord | None = None
    ) -> list[Outcome]:
        """Update the record of the key that these events share.

        `record` is the one that `creation` returned for them, if an INSERT may have written it.
        Returns an outcome for each event. Raises if the record could not be updated; then all of
        the events failed. The caller leaves out events that the index does not need
        (`Change.UNRELATED`).
        """
        latest = _newest(events)
        if not any(self._needs_head(event) for event in events):
            outcome = self._apply(record or self._applied(latest))
            if outcome is not None:
                return _outcomes(events, outcome)
        knows_versions = any(
            event.version_id is not None or event.change is Change.MARKED for event in events
        )
        unread = self._expects_no_record(events)
        standing = None if unread else self._read(latest, events)
        outcome = self._refresh(latest, standing, unread=unread, knows_versions=knows_versions)
        return [outcome] * len(events)

    def creation(self, events: Sequence[ObjectEvent]) -> FileRecord | None:
        """Return the record that `process` would write first, if it can be inserted instead.

        It can if the newest of the events stores an object, no event needs a look at the object,
        and no derived file has to be made before.
        """
        newest = _newest(events)
        if (
            newest.change is not Change.STORED
            or self.derived_files is not None
            or any(self._needs_head(event) for event in events)
        ):
            return None
        return self._applied(newest)

    def created(self, events: Sequence[ObjectEvent]) -> list[Outcome]:
        """Return the outcome of each event after their record was inserted."""
        return _outcomes(events, Outcome.INDEXED)

    def refresh(self, event: ObjectEvent, settled: Settled | None = None) -> Outcome:
        """Update a key's record without an event, from the object itself.

        The event, named BACKFILL or REPAIR, only names the key. `settled` is what a repair saw of
        the key before.
        """
        standing = self.index.read(event.bucket, event.key)
        return self._refresh(event, standing, settled=settled)

    def _expects_no_record(self, events: Sequence[ObjectEvent]) -> bool:
        """Return whether to write as if a read had found no record, which saves the read.

        DynamoDB refuses the write if there is one. Nothing can have changed the record since the
        look at the object and be gone: a record disappears only when its tombstone expires, weeks
        after it was written.
        """
        if self.derived_files is not None or not all(
            event.change is Change.STORED
            and self._needs_head(event)
            and not self.outlived_tombstones(event)
            for event in events
        ):
            return False
        self.allowance.earn(1)
        return self.allowance.covers(1)

    def _needs_head(self, event: ObjectEvent) -> bool:
        return (
            self.settings.object_metadata
            or event.change not in (Change.STORED, Change.REMOVED)
            or event.version_id is not None
            or event.sequencer is None
            or self.outlived_tombstones(event)
        )

    def outlived_tombstones(self, event: ObjectEvent) -> bool:
        """Return whether the tombstone that would have stopped the event may have expired.

        A multipart upload is as old as its start, because a later delete takes precedence.
        """
        age = self.settings.tombstone_life - timedelta(days=1)
        happened = event.began_at or event.time
        return happened is None or self.now() - happened > age

    def _applied(self, event: ObjectEvent) -> FileRecord:
        """Return the record that the event alone describes."""
        removed = event.change is Change.REMOVED
        state = None if removed else ObjectState(etag=event.etag, size=event.size)
        return self._record(event, self._derive(event, state), sequencer=event.sequencer)

    def _apply(self, record: FileRecord) -> Outcome | None:
        """Apply an event by its record; return None if the record must be refreshed instead."""
        try:
            self.index.put_newer(record)
        except WriteRefusedError as refused:
            if refused.standing and not refused.standing.observed:
                return Outcome.SUPERSEDED
            return None
        return Outcome.REMOVED if record.deleted else Outcome.INDEXED

    def _refresh(
        self,
        latest: ObjectEvent,
        standing: FileRecord | None,
        *,
        unread: bool = False,
        knows_versions: bool = False,
        settled: Settled | None = None,
    ) -> Outcome:
        state: ObjectState | None = None
        for attempt in range(REFRESH_ATTEMPTS):
            if attempt > (1 if unread else 0):  # nobody changed a record that was not read
                longest = min(LONGEST_PAUSE, 0.02 * 2**attempt)
                self.pause(random.uniform(0, longest))  # noqa: S311 # no secret
            before, state = state, self.objects.head(latest.bucket, latest.key)
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
                # that read an older state.
                self.index.replace(record, standing)
            except WriteRefusedError as refused:
                if unread and not attempt:
                    self.allowance.spend(1)
                standing = refused.standing
            else:
                return Outcome.INDEXED if state else Outcome.REMOVED
        raise ContentionError(
            f"the record changed during all {REFRESH_ATTEMPTS} attempts to refresh it; the event "
            "is redelivered"
        )

    def _derive(
        self, event: ObjectEvent, state: ObjectState | None, standing: FileRecord | None = None
    ) -> ObjectState | None:
        """Return the state with the object's derived file.

        The file is made for new content, and in a backfill or repair. If it can no longer be made,
        for example because the object was archived, the record keeps the one it has.
        """
        if self.derived_files is None or state is None:
            return state
        if state.etag is None:
            return replace(state, derived=DerivedFile(reason="the event names no ETag"))
        source = Source(bucket=event.bucket, key=event.key, etag=state.etag)
        there = DerivedFile(key=self.derived_files.name(source))
        is_there = standing is not None and standing.known.derived.key == there.key
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
                "say when it happened): the tombstone of a newer event may have expired. The "
                "function must look at the object, and is not authorized to: set object_metadata = "
                "{ enabled = true }, apply, and replay the event; then you may set it back. "
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
            tombstone_life=self.settings.tombstone_life,
            sequencer=sequencer,
            observed=observed,
            settled_at=settled_at,
        )


def _newest(events: Sequence[ObjectEvent]) -> ObjectEvent:
    return max(events, key=lambda event: event.sequencer or "")


def _outcomes(events: Sequence[ObjectEvent], outcome: Outcome) -> list[Outcome]:
    """Return the outcome of each event: the newest has this one, which supersedes the others."""
    newest = _newest(events)
    return [outcome if event is newest else Outcome.SUPERSEDED for event in events]


def _is_made(before: ObjectState, state: ObjectState) -> bool:
    """Return whether the previous attempt made the derived file, from this content.

    A reason why there is none was true of a moment ("changed meanwhile"), so it is never reused.
    """
    return before.derived.key is not None and before.etag == state.etag


def _kept_sequencer(
    event: ObjectEvent,
    standing: FileRecord | None,
    state: ObjectState | None,
    settled: Settled | None,
) -> str | None:
    """Return the greater of the event's and the record's: the object is at least as new as both."""
    if settled and settled.frees(standing, state):
        return None
    return max(event.sequencer or "", (standing and standing.sequencer) or "") or None


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time), default=None)
