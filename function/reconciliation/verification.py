"""Compares a range of keys in index and bucket, judges the suspects, and repairs drift.

Bucket and index are read side by side while both change, so a difference alone proves nothing: its
event may still be on the way. Each suspect is checked again after a grace period. If object and
record are unchanged by then, no event is on the way, and the difference is drift. If either has
changed, the grace period starts again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..errors import ContentionError
from ..events import REPAIR, ObjectEvent
from ..indexer import Indexer
from ..listed import Listed
from ..listing import Listing
from ..ranges import Range, separator
from ..reader import IndexReader
from ..record import FileRecord, Unreadable
from ..repair import Settled
from ..sequencer import CLOCKS_DIFFER
from .comparison import Comparison, Met, merged
from .failures import CALL_ERRORS, Failure
from .findings import UNSETTLED, Drift
from .workers import each

_MOST_LOOKS = 5
"""A key that has changed before each of them is given up."""
_MOST_KEYS = 1000
"""Equal keys of one part."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key whose object and record differed when last looked at. May go to another process."""

    of: Range
    """The key alone, and how often it was looked at."""
    listed: Listed | None
    revision: str | None
    """The record's; None without a record."""
    seen_at: datetime
    """By S3's clock."""
    due: float
    """When to look again, by the monotonic clock."""

    @property
    def key(self) -> str:
        """The key."""
        return self.of.up_to or ""


@dataclass(slots=True)
class Compared:
    """What was found in a range, or in a part of it."""

    rest: Range | None
    """What is left of the range."""
    keys: int = 0
    """Finished keys: equal or unread. Suspects are not finished."""
    suspects: list[Suspect] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    """Unread keys."""

    def add(self, later: "Compared") -> None:
        """Add the part that follows."""
        self.rest = later.rest
        self.keys += later.keys
        self.suspects += later.suspects
        self.failures += later.failures


Judgement = Drift | Failure | Suspect | None
"""Drift (repaired or not), an unread or unsettled key, one to look at again, or an equal key."""


@dataclass(slots=True)
class Judged:
    """The judgements of some suspects."""

    keys: int = 0
    """Finished keys, whatever they are."""
    found: list[Drift | Failure] = field(default_factory=list)
    again: list[Suspect] = field(default_factory=list)
    """Keys that changed, each with one look more."""


@dataclass(frozen=True, slots=True)
class _Observation:
    key: str
    listed: Listed | None
    record: FileRecord | None
    time: datetime
    """By S3's clock."""
    clock: datetime
    """S3's clock when the record was read, or later."""


class Verification:
    """Compares the keys below one prefix. Safe to share between threads."""

    def __init__(  # noqa: PLR0913 # both sides, and how they are compared
        self,
        listing: Listing,
        reader: IndexReader,
        indexer: Indexer | None,
        comparison: Comparison,
        *,
        bucket: str,
        prefix: str,
        grace: float,
        cause: Callable[[Exception], str] = str,
    ) -> None:
        """With an indexer, drift is repaired. `grace` is in seconds; `cause` words an error."""
        self._listing = listing
        self._reader = reader
        self._indexer = indexer
        self._comparison = comparison
        self._bucket = bucket
        self._prefix = prefix
        self._grace = grace
        self._cause = cause

    def reach(self) -> None:
        """Check that bucket and table can be read; raise the error if not."""
        next(self._reader.list_range(self._bucket, Range(), self._prefix), None)
        self._listing.reach(self._prefix)

    def compare(self, of: Range, is_spent: Callable[[int], bool]) -> Compared:
        """Compare a range until it ends or the budget is spent.

        `is_spent` is asked after each key, with the number of suspects so far.
        """
        whole = Compared(of)
        for part in self.comparing(of, is_spent):
            whole.add(part)
        return whole

    def comparing(self, of: Range, is_spent: Callable[[int], bool]) -> Iterator[Compared]:
        """Do as `compare`, but yield each part of the range as it is finished."""
        if of.looks:
            yield self.look(of)
            return
        part, suspects, before = Compared(of), 0, of.after
        met = merged(
            self._listing.pages(self._prefix, of),
            self._reader.list_range(self._bucket, of, self._prefix),
        )
        for one in met:
            found = self._first_look(one, before)
            match found:
                case Suspect():
                    part.suspects.append(found)
                    suspects += 1
                case Failure():
                    part.failures.append(found)
            part.keys += _is_key(one) and not isinstance(found, Suspect)
            before = one.key
            is_over = is_spent(suspects)
            if is_over or found or part.keys >= _MOST_KEYS:
                part.rest = rest_of(of, one.key)
                yield part
                part = Compared(of)
                if is_over:
                    return
        part.rest = None
        yield part

    def look(self, of: Range) -> Compared:
        """Look at the last key of a range alone."""
        seen = self._observe(of.up_to or "")
        if isinstance(seen, Failure):
            return Compared(None, keys=1, failures=[seen])
        if self._comparison.kind(seen.key, seen.listed, seen.record) is None:
            return Compared(None, keys=1)
        return Compared(None, suspects=[self._suspect(of, seen)])

    def judge(
        self,
        suspects: Sequence[Suspect],
        report: Callable[[Drift], None] = lambda _: None,
        may_repair: Callable[[Drift], bool] = lambda _: True,
    ) -> Judged:
        """Look again at suspects whose time has come; repair drift.

        `report` is called with each drift, then `may_repair`, from several threads.
        """
        done = Judged()
        for _, judgement in self.judging(suspects, report, may_repair):
            match judgement:
                case Suspect():
                    done.again.append(judgement)
                    continue
                case Drift() | Failure():
                    done.found.append(judgement)
            done.keys += 1
        return done

    def judging(
        self,
        suspects: Sequence[Suspect],
        report: Callable[[Drift], None] = lambda _: None,
        may_repair: Callable[[Drift], bool] = lambda _: True,
    ) -> Iterator[tuple[Suspect, Judgement]]:
        """Do as `judge`, but yield each judgement, in order."""
        return each(lambda suspect: self._judge(suspect, report, may_repair), suspects)

    def _first_look(self, one: Met, before: str) -> Suspect | Failure | None:
        key, now, listed, stored = one
        if isinstance(stored, Unreadable):
            return Failure.of(key, stored.error, self._cause)
        if self._comparison.kind(key, listed, stored) is None:
            return None
        return Suspect(
            of=Range(separator(before, key), key, looks=1),
            listed=listed,
            revision=_revision(stored),
            seen_at=now or self._listing.find(key)[1],
            due=time.monotonic() + self._grace,
        )

    def _observe(self, key: str) -> _Observation | Failure:
        try:
            started = time.monotonic()
            listed, now = self._listing.find(key)
            record = self._reader.read(self._bucket, key)
            clock = now + timedelta(seconds=time.monotonic() - started)
            return _Observation(key, listed, record, now, clock)
        except CALL_ERRORS as error:
            return Failure.of(key, error, self._cause)

    def _suspect(self, of: Range, seen: _Observation) -> Suspect:
        return Suspect(
            of=replace(of, looks=of.looks + 1),
            listed=seen.listed,
            revision=_revision(seen.record),
            seen_at=seen.time,
            due=time.monotonic() + self._grace,
        )

    def _judge(
        self,
        suspect: Suspect,
        report: Callable[[Drift], None],
        may_repair: Callable[[Drift], bool],
    ) -> Judgement:
        seen = self._observe(suspect.key)
        if isinstance(seen, Failure):
            return seen
        kind = self._comparison.kind(seen.key, seen.listed, seen.record)
        if kind is None:
            return None
        again = self._suspect(suspect.of, seen)
        if (again.listed, again.revision) != (suspect.listed, suspect.revision):
            return _again(again, record_changed=again.revision != suspect.revision)
        drift = Drift(kind, self._bucket, seen.key, seen.listed, seen.record)
        report(drift)
        if not (self._indexer and may_repair(drift)):
            return drift
        try:
            return self._repaired(self._indexer, drift, _settled(suspect.seen_at, seen))
        except ContentionError:
            return _again(again, record_changed=True)

    def _repaired(self, indexer: Indexer, drift: Drift, settled: Settled) -> Drift:
        """Repair the drift. Raises ContentionError."""
        event = ObjectEvent(bucket=drift.bucket, key=drift.key, name=REPAIR)
        try:
            indexer.refresh(event, settled)
        except ContentionError:
            raise
        except CALL_ERRORS as error:
            failure = replace(Failure.of(drift.key, error, self._cause), kind=drift.kind)
            return replace(drift, failure=failure)
        return replace(drift, repaired=True)


def rest_of(of: Range, key: str) -> Range | None:
    """Return what is left of a range after a key; None if nothing is."""
    return None if of.up_to is not None and key >= of.up_to else replace(of, after=key)


def settled_at(seen_at: datetime, now: datetime) -> datetime:
    """Return a time, by S3's clock, before which everything that happened to an object is known.

    The object did not change between the two observations, so the middle is half a grace period
    away from both. An event after `now` must not seem older, however much S3's clocks differ.
    """
    return now - max((now - seen_at) / 2, CLOCKS_DIFFER)


def _settled(seen_at: datetime, seen: _Observation) -> Settled:
    return Settled(
        at=settled_at(seen_at, seen.time),
        clock=seen.clock,
        revision=seen.record.revision if seen.record else None,
        etag=seen.listed.etag if seen.listed else None,
        last_modified=seen.listed.last_modified if seen.listed else None,
    )


def _again(suspect: Suspect, *, record_changed: bool) -> Suspect | Failure:
    if suspect.of.looks <= _MOST_LOOKS:
        return suspect
    if record_changed:
        return Failure(suspect.key, "it kept changing: not compared", kind=UNSETTLED)
    return Failure(suspect.key, "its object kept changing, its record did not: not compared")


def _is_key(one: Met) -> bool:
    is_stored = isinstance(one.stored, Unreadable) or (one.stored and not one.stored.deleted)
    return one.listed is not None or bool(is_stored)


def _revision(record: FileRecord | None) -> str | None:
    return None if record is None or record.deleted else record.revision
