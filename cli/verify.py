"""`file-index verify`: compares the index with the watched part of the bucket, and repairs it.

Bucket and index are read side by side while both change, so a difference alone proves nothing: its
event may still be on the way. Each suspect is checked again after a grace period. If object and
record are unchanged by then, no event is on the way, and the difference is drift. If either has
changed, the grace period starts again.
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
from .checkpoint import Checkpoint, Left, Range, identity
from .errors import FAILED, NO, OK, CommandError, cause
from .failures import Failures
from .function.errors import ContentionError
from .function.events import REPAIR, ObjectEvent
from .function.indexer import Indexer
from .function.listed import Listed
from .function.listing import Listing
from .function.reconciliation.comparison import Comparison, merged
from .function.reconciliation.failures import CALL_ERRORS, Failure
from .function.reconciliation.findings import UNSETTLED, Drift, Findings
from .function.reconciliation.workers import WORKERS, each
from .function.record import FileRecord
from .function.repair import Settled
from .function.sequencer import CLOCKS_DIFFER
from .progress import Work
from .reader import IndexReader
from .report_file import opened
from .summary import show
from .target import Target
from .terminal import counted, stderr_console, write_stderr, write_stdout

_MOST_WAITING = 50_000
"""Suspects in memory; if there are more, the comparison waits for the oldest."""
_MOST_DIRECTORIES = 10_000
_ELSEWHERE = "(elsewhere)"
_MOST_OBSERVATIONS = 5
"""A key that has changed before each of them counts as unsettled."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An object and its record at a time by S3's clock."""

    key: str
    listed: Listed | None
    record: FileRecord | None
    time: datetime | None
    """None if S3 has not told it yet."""
    clock: datetime | None = None
    """S3's time when the record was read, or later; None if the key was not checked alone."""

    @property
    def revision(self) -> str | None:
        """The record's; None without a record."""
        return None if self.record is None or self.record.deleted else self.record.revision


@dataclass(slots=True)
class Step:
    """A key, and the equal keys that follow it. Steps end in the order in which they began."""

    ranges: tuple[Range, ...]
    """The keys left after it."""
    retried: int
    """How many bytes of the earlier run's failed keys have been retried after it."""
    keys: int
    """How many keys were compared."""
    earlier: Failure | None = None
    """The failure of the key in an earlier run."""
    found: Drift | Failure | None = None
    is_open: bool = False
    """Whether the key will be checked again."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key whose object and record differed when last checked."""

    step: Step
    key: str
    listed: Listed | None
    revision: str | None
    """The record's; None without a record."""
    seen_at: datetime
    """By S3's clock."""
    due: float
    """When to check again, by the monotonic clock."""
    observations: int = 1


class Verification:
    """Compares the keys below one prefix."""

    def __init__(
        self,
        listing: Listing,
        reader: IndexReader,
        indexer: Indexer | None,
        comparison: Comparison,
        grace: float,
    ) -> None:
        """With an indexer, drift is repaired; `grace` is in seconds."""
        self._listing = listing
        self._reader = reader
        self._indexer = indexer
        self._comparison = comparison
        self._grace = grace

    def reach(self, address: Address) -> None:
        """Check that bucket and table can be read; raise the error if not."""
        next(self._reader.list_prefix(address.bucket, address.path), None)
        self._listing.reach(address.path)

    def steps(
        self, address: Address, left: Left, failed: Iterable[tuple[Failure, int]], work: Work
    ) -> Iterator[Step]:
        """Compare what is left, an earlier run's failed keys first; yield each finished step."""
        steps: deque[Step] = deque()
        waiting: deque[Suspect] = deque()
        with ThreadPoolExecutor(WORKERS) as pool:
            for step, seen in self._first_observations(address, left, failed, work):
                kind = seen and self._comparison.kind(seen.key, seen.listed, seen.record)
                if seen and kind is not None:
                    step.is_open = True
                    waiting.append(self._suspect(step, seen))
                if steps and not (step.is_open or step.earlier):
                    steps[-1].ranges = step.ranges
                    steps[-1].keys += step.keys
                else:
                    steps.append(step)
                while waiting and (waiting[0].due < time.monotonic() or len(steps) > _MOST_WAITING):
                    self._observe_again(pool, address.bucket, waiting, work)
                    yield from _ended(steps)
                yield from _ended(steps)
            while waiting:
                self._observe_again(pool, address.bucket, waiting, work)
                yield from _ended(steps)

    def _first_observations(
        self, address: Address, left: Left, failed: Iterable[tuple[Failure, int]], work: Work
    ) -> Iterator[tuple[Step, Observation | None]]:
        retried = left.retried
        observations = each(lambda one: self._observe(address.bucket, one[0].key), failed)
        for (earlier, retried), seen in observations:
            step = Step(left.ranges, retried, keys=0, earlier=earlier)
            if isinstance(seen, Failure):
                step.found = seen
                yield step, None
            else:
                yield step, seen
        for number, of in enumerate(left.ranges):
            others = left.ranges[number + 1 :]
            pairs = merged(
                self._listing.pages(address.path, of.after),
                self._reader.list_prefix(address.bucket, address.path, of.after),
            )
            for seen_at, listed, record in pairs:
                key = listed.key if listed else record.key if record else ""
                if key not in of:
                    break
                work.advance()
                ranges = (Range(key, of.up_to), *others)
                yield Step(ranges, retried, keys=1), Observation(key, listed, record, seen_at)

    def _observe(self, bucket: str, key: str) -> Observation | Failure:
        try:
            started = time.monotonic()
            listed, now = self._listing.find(key)
            record = self._reader.read(bucket, key)
            clock = now + timedelta(seconds=time.monotonic() - started)
            return Observation(key, listed, record, now, clock)
        except CALL_ERRORS as error:
            return Failure.of(key, error, cause)

    def _suspect(self, step: Step, seen: Observation, observations: int = 1) -> Suspect:
        return Suspect(
            step=step,
            key=seen.key,
            listed=seen.listed,
            revision=seen.revision,
            seen_at=seen.time or self._listing.find(seen.key)[1],
            due=time.monotonic() + self._grace,
            observations=observations,
        )

    def _observe_again(
        self, pool: ThreadPoolExecutor, bucket: str, waiting: deque[Suspect], work: Work
    ) -> None:
        """Wait for the oldest suspect, and check all that are due by then."""
        while (seconds := waiting[0].due - time.monotonic()) > 0:
            work.note(f"{len(waiting):,} suspects, checked again in {seconds:.0f} s")
            time.sleep(min(seconds, 1))
        work.note("")
        due: list[Suspect] = []
        while waiting and waiting[0].due <= time.monotonic() and len(due) < 2 * WORKERS:
            due.append(waiting.popleft())
        judged = pool.map(lambda suspect: self._judge(bucket, suspect), due)
        for suspect, found in zip(due, judged, strict=True):
            if isinstance(found, Suspect):
                if found.observations <= _MOST_OBSERVATIONS:
                    waiting.append(found)
                    continue
                suspect.step.found = Failure(
                    found.key, "it kept changing: not compared", kind=UNSETTLED
                )
            else:
                suspect.step.found = found
            suspect.step.is_open = False

    def _judge(self, bucket: str, suspect: Suspect) -> Drift | Failure | Suspect | None:
        seen = self._observe(bucket, suspect.key)
        if isinstance(seen, Failure):
            return seen
        kind = self._comparison.kind(seen.key, seen.listed, seen.record)
        if kind is None:
            return None
        again = self._suspect(suspect.step, seen, suspect.observations + 1)
        if (again.listed, again.revision) != (suspect.listed, suspect.revision):
            return again
        drift = Drift(kind, bucket, seen.key, seen.listed, seen.record)
        try:
            return self._repaired(drift, _settled(suspect.seen_at, again.seen_at, seen))
        except ContentionError:
            return again

    def _repaired(self, drift: Drift, settled: Settled) -> Drift:
        """Repair the drift if there is an indexer. Raises ContentionError."""
        if not self._indexer:
            return drift
        event = ObjectEvent(bucket=drift.bucket, key=drift.key, name=REPAIR)
        try:
            self._indexer.refresh(event, settled)
        except ContentionError:
            raise
        except CALL_ERRORS as error:
            failure = replace(Failure.of(drift.key, error, cause), kind=drift.kind)
            return replace(drift, failure=failure)
        return replace(drift, repaired=True)


def settled_at(seen_at: datetime, now: datetime) -> datetime:
    """Return a time, by S3's clock, before which everything that happened to an object is known.

    The object did not change between the two observations, so the middle is half a grace period
    away from both. An event after `now` must not seem older, however much S3's clocks differ.
    """
    return now - max((now - seen_at) / 2, CLOCKS_DIFFER)


def _settled(seen_at: datetime, now: datetime, seen: Observation) -> Settled:
    return Settled(
        at=settled_at(seen_at, now),
        clock=seen.clock or now,
        revision=seen.record.revision if seen.record else None,
        etag=seen.listed.etag if seen.listed else None,
        last_modified=seen.listed.last_modified if seen.listed else None,
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
    """Show how the index differs from the bucket, and repair it if asked."""
    verification = Verification(
        listing=Listing(target.s3(), address.bucket, target.filters, versions=versions),
        reader=target.reader(),
        indexer=target.indexer() if repair else None,
        comparison=Comparison(target.filters, versions),
        grace=grace,
    )
    verification.reach(address)
    checkpoint = Checkpoint("verify", *identity(target, address), f"{repair} {versions}")
    earlier = checkpoint.begin(resume=resume)
    resumed = earlier is not None
    left = earlier or Left()
    findings, failures = Findings.of(left.counts), Failures(is_resumed=resumed)
    failed = checkpoint.failures(left)
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
                    findings.add(step.found, _directory_of(step.found.key, address, findings))
                    line = _line(step.found, address)
                    lines.write(line)
                    if as_json and isinstance(step.found, Drift):
                        write_stdout(line)
                    _note(step.found, checkpoint, failures)
                if checkpoint.is_due:
                    lines.flush()
                    checkpoint.write(replace(left, counts=findings.counts))
        except BaseException:
            lines.flush()  # the checkpoint must not count lines that are not in the file
            _stopped(checkpoint, replace(left, counts=findings.counts), findings, address)
            raise
    if denial := failures.denial(findings.compared):
        checkpoint.forget()
        raise CommandError(denial)
    checkpoint.end(replace(left, ranges=(), counts=findings.counts), is_done=not failures.count)
    if as_json:
        write_stdout(findings.as_json())
    else:
        show(findings, address)
    failures.say(address.bucket, is_kept=checkpoint.is_kept)
    if not findings.compared:
        write_stderr(
            "Neither bucket nor index has a watched key that begins with {}.", str(address)
        )
        return NO if address.path else OK
    return exit_code(findings)


def exit_code(findings: Findings) -> int:
    """Return the exit code of the command."""
    if findings.failed or findings.unsettled:
        return FAILED
    return NO if findings.kinds.total() else OK


def _line(found: Drift | Failure, address: Address) -> str:
    if isinstance(found, Drift):
        return found.as_json()
    line = {"kind": found.kind or "failed", "bucket": address.bucket, "key": found.key}
    return json.dumps(line | {"repaired": False, "cause": found.cause})


def _note(found: Drift | Failure, checkpoint: Checkpoint, failures: Failures) -> None:
    failure = found if isinstance(found, Failure) else found.failure
    if failure:
        checkpoint.add(failure)
    is_repaired = isinstance(found, Drift) and found.repaired
    failures.add([failure] if failure else [], is_any_done=is_repaired)


def _stopped(checkpoint: Checkpoint, left: Left, findings: Findings, address: Address) -> None:
    if left.ranges != (Range(),) or left.retried:
        checkpoint.write(left)
        checkpoint.say_stopped(left, f"{counted(findings.compared, 'key')} compared")
    if findings.kinds.total():
        write_stderr("Stopped before the end. So far:")
        show(findings, address, stderr_console)


def _directory_of(key: str, address: Address, findings: Findings) -> str:
    """Return the key's directory below the prefix, or one name for all if there are too many."""
    slash = key.find("/", len(address.path))
    directory = address.path if slash < 0 else key[: slash + 1]
    known = directory in findings.directories or len(findings.directories) < _MOST_DIRECTORIES
    return directory if known else _ELSEWHERE
