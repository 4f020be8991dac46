"""`file-index verify`: whether the index is the watched part of the bucket, and makes it so.

Bucket and index are read side by side while both change, so a difference alone means nothing: its
event may be under way. A suspect is looked at again, by itself, after a grace period. Where object
and record are then what they were, nothing is under way any more: that is drift. Where either has
changed, its time starts anew.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from .address import Address
from .drift import Comparison, merged
from .errors import NO, OK, CommandError
from .failures import CALL_ERRORS, Failure, Failures
from .findings import UNSETTLED, Drift, Findings
from .function.errors import ContentionError
from .function.events import REPAIR, ObjectEvent
from .function.indexer import Indexer
from .function.record import FileRecord
from .function.repair import Settled
from .function.repository import FileIndex
from .function.sequencer import CLOCKS_DIFFER
from .listing import Listed, Listing
from .picture import show
from .place import Left, Place, Range, identity
from .progress import Work
from .report import opened
from .target import WORKERS, Target
from .text import answer, counted, messages, say
from .workers import each

_MOST_WAITING = 50_000
"""Suspects held in memory; with more the comparison waits for the oldest."""
_MOST_PLACES = 10_000
_ELSEWHERE = "(elsewhere)"
_MOST_LOOKS = 5
"""A key that has changed before each of them is left unsettled."""


@dataclass(frozen=True, slots=True)
class Look:
    """An object and its record, and when they were so, by S3's clock."""

    key: str
    listed: Listed | None
    record: FileRecord | None
    time: datetime | None
    """None before S3 has told it."""
    clock: datetime | None = None
    """S3's when the record was read, or later; None if nobody looked at it alone."""

    @property
    def revision(self) -> str | None:
        """The record's; None without a record."""
        return None if self.record is None or self.record.deleted else self.record.revision


@dataclass(slots=True)
class Step:
    """A key, and the equal ones that follow it. Steps end in the order in which they began."""

    ranges: tuple[Range, ...]
    """What is left to compare after it."""
    retried: int
    """How much of the failed keys of an earlier run is done after it."""
    keys: int
    """That were compared."""
    earlier: Failure | None = None
    """What an earlier run found of the key."""
    found: Drift | Failure | None = None
    is_open: bool = False
    """Whether the key is looked at again."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key whose object and record differ, or differed when last looked at."""

    step: Step
    key: str
    listed: Listed | None
    revision: str | None
    """The record's; None without a record."""
    seen_at: datetime
    """By S3's clock."""
    due: float
    """When to look again, by the monotonic clock."""
    looks: int = 1


class Verification:
    """Compares what is below one prefix."""

    def __init__(
        self,
        listing: Listing,
        index: FileIndex,
        indexer: Indexer | None,
        comparison: Comparison,
        grace: float,
    ) -> None:
        """With an indexer drift is repaired; `grace` is in seconds."""
        self._listing = listing
        self._index = index
        self._indexer = indexer
        self._comparison = comparison
        self._grace = grace

    def reach(self, address: Address) -> None:
        """Raise what bucket and table raise if they cannot be read."""
        next(self._index.list_prefix(address.bucket, address.key), None)
        self._listing.reach(address.key)

    def steps(
        self, address: Address, left: Left, failed: Iterable[tuple[Failure, int]], work: Work
    ) -> Iterator[Step]:
        """Compare what is left, the failed keys of an earlier run first; give what is done."""
        steps: deque[Step] = deque()
        waiting: deque[Suspect] = deque()
        with ThreadPoolExecutor(WORKERS) as pool:
            for step, look in self._first_looks(address, left, failed, work):
                kind = look and self._comparison.kind(look.key, look.listed, look.record)
                if look and kind is not None:
                    step.is_open = True
                    waiting.append(self._suspect(step, look))
                if steps and not (step.is_open or step.earlier):
                    steps[-1].ranges = step.ranges
                    steps[-1].keys += step.keys
                else:
                    steps.append(step)
                while waiting and (waiting[0].due < time.monotonic() or len(steps) > _MOST_WAITING):
                    self._look_again(pool, address.bucket, waiting, work)
                    yield from _ended(steps)
                yield from _ended(steps)
            while waiting:
                self._look_again(pool, address.bucket, waiting, work)
                yield from _ended(steps)

    def _first_looks(
        self, address: Address, left: Left, failed: Iterable[tuple[Failure, int]], work: Work
    ) -> Iterator[tuple[Step, Look | None]]:
        retried = left.retried
        looks = each(lambda one: self._look(address.bucket, one[0].key), failed)
        for (earlier, retried), look in looks:
            step = Step(left.ranges, retried, keys=0, earlier=earlier)
            if isinstance(look, Failure):
                step.found = look
                yield step, None
            else:
                yield step, look
        for number, of in enumerate(left.ranges):
            others = left.ranges[number + 1 :]
            pairs = merged(
                self._listing.pages(address.key, of.after),
                self._index.list_prefix(address.bucket, address.key, of.after),
            )
            for seen_at, listed, record in pairs:
                key = listed.key if listed else record.key if record else ""
                if key not in of:
                    break
                work.advance()
                ranges = (Range(key, of.up_to), *others)
                yield Step(ranges, retried, keys=1), Look(key, listed, record, seen_at)

    def _look(self, bucket: str, key: str) -> Look | Failure:
        try:
            started = time.monotonic()
            listed, now = self._listing.look(key)
            record = self._index.read(bucket, key)
            clock = now + timedelta(seconds=time.monotonic() - started)
            return Look(key, listed, record, now, clock)
        except CALL_ERRORS as error:
            return Failure.of(key, error)

    def _suspect(self, step: Step, look: Look, looks: int = 1) -> Suspect:
        return Suspect(
            step=step,
            key=look.key,
            listed=look.listed,
            revision=look.revision,
            seen_at=look.time or self._listing.look(look.key)[1],
            due=time.monotonic() + self._grace,
            looks=looks,
        )

    def _look_again(
        self, pool: ThreadPoolExecutor, bucket: str, waiting: deque[Suspect], work: Work
    ) -> None:
        """Wait for the oldest suspect, and look at all that are due by then."""
        while (seconds := waiting[0].due - time.monotonic()) > 0:
            work.note(f"{len(waiting):,} suspected, looked at again in {seconds:.0f} s")
            time.sleep(min(seconds, 1))
        work.note("")
        due: list[Suspect] = []
        while waiting and waiting[0].due <= time.monotonic() and len(due) < 2 * WORKERS:
            due.append(waiting.popleft())
        judged = pool.map(lambda suspect: self._judge(bucket, suspect), due)
        for suspect, found in zip(due, judged, strict=True):
            if isinstance(found, Suspect):
                if found.looks <= _MOST_LOOKS:
                    waiting.append(found)
                    continue
                suspect.step.found = Failure(
                    found.key, "it kept changing: not compared", kind=UNSETTLED
                )
            else:
                suspect.step.found = found
            suspect.step.is_open = False

    def _judge(self, bucket: str, suspect: Suspect) -> Drift | Failure | Suspect | None:
        look = self._look(bucket, suspect.key)
        if isinstance(look, Failure):
            return look
        kind = self._comparison.kind(look.key, look.listed, look.record)
        if kind is None:
            return None
        again = self._suspect(suspect.step, look, suspect.looks + 1)
        if (again.listed, again.revision) != (suspect.listed, suspect.revision):
            return again
        drift = Drift(kind, bucket, look.key, look.listed, look.record)
        try:
            return self._repaired(drift, _settled(suspect.seen_at, again.seen_at, look))
        except ContentionError:
            return again

    def _repaired(self, drift: Drift, settled: Settled) -> Drift:
        """Repair it, if that is asked for. Raises ContentionError."""
        if not self._indexer:
            return drift
        event = ObjectEvent(bucket=drift.bucket, key=drift.key, name=REPAIR)
        try:
            self._indexer.refresh(event, settled)
        except ContentionError:
            raise
        except CALL_ERRORS as error:
            failure = replace(Failure.of(drift.key, error), kind=drift.kind)
            return replace(drift, failure=failure)
        return replace(drift, repaired=True)


def settled_at(seen_at: datetime, now: datetime) -> datetime:
    """Return a time before which all that happened to an object is known, by S3's clock.

    The object was the same from the first look to this one: the middle is clear of both by half
    the grace period. An event after this look must not seem older, whatever the clocks of S3.
    """
    return now - max((now - seen_at) / 2, CLOCKS_DIFFER)


def _settled(seen_at: datetime, now: datetime, look: Look) -> Settled:
    return Settled(
        at=settled_at(seen_at, now),
        clock=look.clock or now,
        revision=look.record.revision if look.record else None,
        etag=look.listed.etag if look.listed else None,
        last_modified=look.listed.last_modified if look.listed else None,
    )


def _ended(steps: deque[Step]) -> Iterator[Step]:
    while steps and not steps[0].is_open:
        yield steps.popleft()


def verify(
    target: Target,
    address: Address,
    *,
    repair: bool,
    versions: bool,
    grace: float,
    resume: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Show how the index differs from the bucket; repair it, if asked."""
    verification = Verification(
        listing=Listing(target.s3(), address.bucket, target.filters, versions=versions),
        index=target.index(),
        indexer=target.indexer() if repair else None,
        comparison=Comparison(target.filters, versions),
        grace=grace,
    )
    verification.reach(address)
    place = Place("verify", *identity(target, address), f"{repair} {versions}")
    earlier = place.begin(resume=resume)
    resumed = earlier is not None
    left = earlier or Left()
    findings, failures = Findings.of(left.counts), Failures(goes_on=resumed)
    failed = place.failures(left)
    with ExitStack() as context:
        lines = context.enter_context(opened(report, resumed=resumed))
        work = context.enter_context(Work("Verifying"))
        try:
            for step in verification.steps(address, left, failed, work):
                findings.compared += step.keys
                if step.earlier:
                    findings.take_back(step.earlier)
                left = Left(step.ranges, step.retried)
                if step.found:
                    findings.add(step.found, _directory(step.found.key, address, findings))
                    line = _line(step.found, address)
                    lines.write(line)
                    if as_json and isinstance(step.found, Drift):
                        answer(line)
                    _note(step.found, place, failures)
                if place.is_due:
                    lines.flush()
                    place.write(replace(left, counts=findings.counts))
        except BaseException:
            lines.flush()  # or else a checkpoint would count what nobody was told
            _stopped(place, replace(left, counts=findings.counts), findings, address)
            raise
    if refusal := failures.refusal(findings.compared):
        place.forget()
        raise CommandError(refusal)
    place.end(replace(left, ranges=(), counts=findings.counts), is_done=not failures.count)
    if as_json:
        answer(findings.as_json())
    else:
        show(findings, address)
    failures.say(address.bucket, is_kept=place.is_kept)
    if not findings.compared:
        say("Neither bucket nor index has a watched key that begins with {}.", str(address))
        return NO if address.key else OK
    return findings.exit_code


def _line(found: Drift | Failure, address: Address) -> str:
    if isinstance(found, Drift):
        return found.as_json()
    line = {"kind": found.kind or "failed", "bucket": address.bucket, "key": found.key}
    return json.dumps(line | {"repaired": False, "cause": found.cause})


def _note(found: Drift | Failure, place: Place, failures: Failures) -> None:
    failure = found if isinstance(found, Failure) else found.failure
    if failure:
        place.add(failure)
    is_repaired = isinstance(found, Drift) and found.repaired
    failures.add([failure] if failure else [], is_any_done=is_repaired)


def _stopped(place: Place, left: Left, findings: Findings, address: Address) -> None:
    if left.ranges != (Range(),) or left.retried:
        place.write(left)
        place.say_stopped(left, f"{counted(findings.compared, 'key')} compared")
    if findings.kinds.total():
        say("Stopped before the end. So far:")
        show(findings, address, messages)


def _directory(key: str, address: Address, findings: Findings) -> str:
    """The directory below the prefix that the key is in, unless there are too many of them."""
    slash = key.find("/", len(address.key))
    place = address.key if slash < 0 else key[: slash + 1]
    known = place in findings.places or len(findings.places) < _MOST_PLACES
    return place if known else _ELSEWHERE
