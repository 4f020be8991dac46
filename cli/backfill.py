"""`file-index backfill`: inserts records for objects that are older than the index."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from .address import Address
from .checkpoint import Checkpoint, Left, identity, in_order
from .crew import Job
from .engine import Engine
from .errors import FAILED, NO, OK, CommandError
from .failures import Failures
from .function.listing import Listing
from .function.ranges import Range
from .function.reconciliation.comparison import merged
from .function.reconciliation.failures import CALL_ERRORS, Failure
from .function.reconciliation.filling import Filled, Filling
from .function.reconciliation.reconciler import Reconciler
from .function.reconciliation.sides import BucketAlone
from .function.reconciliation.workers import each
from .function.record import FileRecord, Unreadable
from .function.repository import MOST_INSERTS
from .interruption import Interruption, deferred
from .progress import Work
from .report_file import ReportFile, opened
from .target import Target
from .terminal import counted, stderr_console, write_stderr, write_stdout


@dataclass(slots=True)
class Counts:
    """The result of a run."""

    objects: int = 0
    written: int = 0
    contended: int = 0
    failed: int = 0

    def add(self, filled: Filled) -> None:
        """Count a part."""
        self.objects += filled.objects
        self.written += filled.written
        self.contended += filled.contended
        self.failed += len(filled.failures)

    def take_back(self, keys: int) -> None:
        """Uncount failed keys of an earlier run, which are retried."""
        self.objects -= keys
        self.failed -= keys

    @classmethod
    def of(cls, left: Left) -> "Counts":
        """Return what a checkpoint counted."""
        return cls(**{one.name: left.counts.get(one.name, 0) for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class _Request:
    """What the user asked for. Can be pickled, so that other processes work on it too."""

    target: Target
    address: Address

    def reconciler(self) -> Reconciler:
        return self.target.reconciler(self.address)

    def filling(self) -> Filling:
        return self.reconciler().filling()

    def work(self) -> Callable[[Range, Callable[[int], bool]], Iterator[Filled]]:
        return self.filling().filling

    def sides(self) -> BucketAlone:
        return self.reconciler().bucket_alone()


@dataclass(slots=True)
class Run:
    """A run: its counts, its checkpoint and its report."""

    address: Address
    checkpoint: Checkpoint
    filling: Filling
    engine: Engine[Filled]
    interruption: Interruption
    lines: ReportFile
    work: Work
    left: Left
    counts: Counts
    failures: Failures
    has_begun: bool = False

    def finish(self) -> None:
        """Retry an earlier run's failed keys, and write what is left."""
        again = each(
            lambda batch: self.filling.again(batch[0]), _failed(self.checkpoint, self.left)
        )
        for (keys, retried), filled in again:
            self.counts.take_back(len(keys))
            self.left = replace(self.left, retried=retried)
            self._add(filled)
            self.interruption.check()
        with closing(self.engine.run()) as parts:
            for part in parts:
                if part:
                    self.work.advance(part.objects)
                    self._add(part)

    def state(self) -> Left:
        """Return what is left, with the counts so far."""
        return Left(in_order(self.engine.left), self.left.retried, asdict(self.counts))

    def stop(self) -> None:
        """Keep what is left, and tell the user."""
        if self.has_begun:
            left = self.state()
            self.checkpoint.write(left)
            self.checkpoint.say_stopped(left, f"{counted(self.counts.objects, 'object')} done")

    def _add(self, filled: Filled) -> None:
        self.has_begun = True
        self.counts.add(filled)
        for failure in filled.failures:
            self.lines.write(_line(failure, self.address))
            self.checkpoint.add(failure)
        self.failures.add(filled.failures, is_any_done=filled.written > 0)
        if self.checkpoint.is_due:
            self.lines.flush()
            self.checkpoint.write(self.state())


def backfill(
    target: Target,
    address: Address,
    *,
    resume: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Insert a record for each object without one, or refresh all if records hold metadata."""
    request = _Request(target, address)
    listing = request.reconciler().listing
    if dry_run:
        return _dry_run(target, address, listing, as_json=as_json)
    listing.reach(address.path)
    checkpoint = Checkpoint("backfill", *identity(target, address))
    earlier = checkpoint.begin(resume=resume)
    left = earlier or Left()
    filling = request.filling()
    with ExitStack() as context:
        lines = context.enter_context(opened(report, resumed=earlier is not None))
        work = context.enter_context(Work("Backfilling"))
        interruption = context.enter_context(deferred())
        job = Job(target.connection, request.work)
        run = Run(
            address,
            checkpoint,
            filling,
            Engine(job, filling.filling, request.sides, left.ranges, interruption),
            interruption,
            lines,
            work,
            left,
            Counts.of(left),
            Failures(is_resumed=earlier is not None),
        )
        try:
            context.enter_context(_counting(listing, address.path, left, work))
            run.finish()
        except BaseException:
            lines.flush()  # the checkpoint must not count lines that are not in the file
            if not interruption.is_forced:
                run.stop()
            raise
    return _ended(run, target, as_json=as_json)


def _ended(run: Run, target: Target, *, as_json: bool) -> int:
    counts, failures, checkpoint = run.counts, run.failures, run.checkpoint
    if denial := failures.denial(counts.objects):
        checkpoint.forget()
        raise CommandError(denial)
    checkpoint.end(run.state(), is_done=not failures.count)
    write_counts(target, counts, as_json=as_json, rate=run.work.rate)
    failures.say(run.address.bucket, is_kept=checkpoint.is_kept)
    if counts.failed:
        return FAILED
    return OK if counts.objects else nothing_backfilled(run.address)


def write_counts(
    target: Target, counts: Counts, *, as_json: bool, rate: float | None = None
) -> None:
    """Write the numbers of a run to standard output; `rate` is in objects per second."""
    verb = "refreshed" if target.settings.refreshes else "inserted"
    if as_json:
        failed = {"failed": counts.failed} if counts.failed else {}
        write_stdout(json.dumps({"objects": counts.objects, verb: counts.written} | failed))
        return
    others = counts.objects - counts.written - counts.contended - counts.failed
    parts = [f"{counts.written:,} {verb}"]
    if others:
        parts.append(f"{others:,} had a record or a tombstone")
    if counts.contended:
        parts.append(f"{counts.contended:,} kept being changed by other writers")
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    objects = counted(counts.objects, "object")
    speed = "" if rate is None else f"; {rate:,.0f} objects per second"
    write_stdout(f"{objects}: {', '.join(parts)}{speed}.")


def _line(failure: Failure, address: Address) -> str:
    return json.dumps(
        {"kind": "failed", "bucket": address.bucket, "key": failure.key, "cause": failure.cause}
    )


def _dry_run(target: Target, address: Address, listing: Listing, *, as_json: bool) -> int:
    objects = missing = 0
    stored = target.reader().list_range(address.bucket, Range(), address.path)
    with Work("Comparing") as work:
        for one in merged(listing.pages(address.path), stored):
            if one.listed:
                objects += 1
                missing += _is_missing(one.stored)
                work.advance()
    if as_json:
        write_stdout(json.dumps({"objects": objects, "without_record": missing}))
    elif target.settings.refreshes:
        write_stdout(
            f"{counted(objects, 'object')}: all would be refreshed; without a record: {missing:,}."
        )
    else:
        write_stdout(f"{counted(objects, 'object')}; without a record: {missing:,}.")
    return OK if objects else nothing_backfilled(address)


def _is_missing(stored: FileRecord | Unreadable | None) -> bool:
    return stored is None or (isinstance(stored, FileRecord) and stored.deleted)


def nothing_backfilled(address: Address) -> int:
    """Tell the user that there was no object; return the exit code."""
    write_stderr("No watched object begins with {}.", str(address))
    return NO


def _failed(checkpoint: Checkpoint, left: Left) -> Iterator[tuple[list[str], int]]:
    """Yield the keys that failed in an earlier run, in batches, with the offset after each."""
    keys: list[str] = []
    retried = left.retried
    for failure, retried in checkpoint.failures(left):
        keys.append(failure.key)
        if len(keys) == MOST_INSERTS:
            yield keys, retried
            keys = []
    if keys:
        yield keys, retried


@contextmanager
def _counting(listing: Listing, prefix: str, left: Left, work: Work) -> Iterator[None]:
    """Count the objects while the block runs, to show the time left on a terminal."""
    ending = threading.Event()

    def count() -> None:
        total = 0
        # The total only improves the progress bar.
        with suppress(CommandError, *CALL_ERRORS):
            for of in left.ranges:
                for page in listing.pages(prefix, of):
                    if ending.is_set():
                        return
                    total += len(page.objects)
                    work.set_total(total)

    thread = threading.Thread(target=count, daemon=True)
    if stderr_console.is_terminal:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        if thread.ident is not None:
            thread.join()
