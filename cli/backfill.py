"""`file-index backfill`: inserts records for objects that are older than the index."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from .address import Address
from .checkpoint import Checkpoint, Left, Range, identity
from .errors import FAILED, NO, OK, CommandError, cause
from .failures import Failures
from .function.errors import ContentionError
from .function.events import BACKFILL, ObjectEvent
from .function.listed import Listed
from .function.listing import Listing
from .function.reconciliation.comparison import merged
from .function.reconciliation.failures import CALL_ERRORS, Failure
from .function.reconciliation.insertion import MOST_AT_ONCE, Insertion
from .function.reconciliation.workers import each
from .function.record import FileRecord, ObjectState
from .progress import Work
from .report_file import opened
from .target import Target
from .terminal import counted, stderr_console, write_stderr, write_stdout


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects whose records are written together."""

    ranges: tuple[Range, ...]
    """The keys left after it."""
    retried: int
    """How many bytes of the earlier run's failed keys have been retried after it."""
    objects: Sequence[Listed] = ()
    again: Sequence[str] = ()
    """Keys that failed in an earlier run."""


@dataclass(slots=True)
class Written:
    """The result of a batch."""

    written: int = 0
    contended: int = 0
    """Records that other writers kept changing."""
    gone: int = 0
    """Objects that no longer exist."""
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """The result of a run."""

    objects: int = 0
    written: int = 0
    contended: int = 0
    failed: int = 0

    def add(self, batch: Batch, written: Written) -> None:
        """Count a batch."""
        self.objects += len(batch.objects) - written.gone
        self.written += written.written
        self.contended += written.contended
        self.failed += len(written.failures) - len(batch.again)

    @classmethod
    def of(cls, left: Left) -> "Counts":
        """Return what a checkpoint counted."""
        return cls(**{one.name: left.counts.get(one.name, 0) for one in fields(cls)})

    def at(self, left: Left) -> Left:
        """Return the checkpoint with these counts."""
        return replace(left, counts=asdict(self))


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
    listing = Listing(target.s3(), address.bucket, target.filters)
    if dry_run:
        return _dry_run(target, address, listing, as_json=as_json)
    listing.reach(address.path)
    checkpoint = Checkpoint("backfill", *identity(target, address))
    earlier = checkpoint.begin(resume=resume)
    left = earlier or Left()
    counts, failures = Counts.of(left), Failures(is_resumed=earlier is not None)
    batches = chain(
        _failed(checkpoint, left), _batches(listing, address, left, retried=checkpoint.failed_size)
    )
    with ExitStack() as context:
        lines = context.enter_context(opened(report, resumed=earlier is not None))
        try:
            work = context.enter_context(Work("Backfilling"))
            context.enter_context(_counting(listing, address.path, left, work))
            for batch, written in each(_writing(target, address, listing), batches):
                counts.add(batch, written)
                left = Left(batch.ranges, batch.retried)
                work.advance(len(batch.objects))
                for failure in written.failures:
                    lines.write(_line(failure, address))
                    checkpoint.add(failure)
                failures.add(written.failures, is_any_done=written.written > 0)
                if checkpoint.is_due:
                    lines.flush()
                    checkpoint.write(counts.at(left))
        except BaseException:
            lines.flush()  # the checkpoint must not count lines that are not in the file
            if left.ranges != (Range(),) or left.retried:
                checkpoint.write(counts.at(left))
                checkpoint.say_stopped(left, f"{counted(counts.objects, 'object')} done")
            raise
    if denial := failures.denial(counts.objects):
        checkpoint.forget()
        raise CommandError(denial)
    checkpoint.end(counts.at(replace(left, ranges=())), is_done=not failures.count)
    _write_counts(target, counts, rate=work.rate, as_json=as_json)
    failures.say(address.bucket, is_kept=checkpoint.is_kept)
    if counts.failed:
        return FAILED
    return OK if counts.objects else _nothing(address)


def _write_counts(target: Target, counts: Counts, *, rate: float, as_json: bool) -> None:
    verb = "refreshed" if target.refreshes else "inserted"
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
    write_stdout(f"{objects}: {', '.join(parts)}; {rate:,.0f} objects per second.")


def _line(failure: Failure, address: Address) -> str:
    return json.dumps(
        {"kind": "failed", "bucket": address.bucket, "key": failure.key, "cause": failure.cause}
    )


def _dry_run(target: Target, address: Address, listing: Listing, *, as_json: bool) -> int:
    objects = missing = 0
    records = target.reader().list_prefix(address.bucket, address.path)
    with Work("Comparing") as work:
        for _, listed, record in merged(listing.pages(address.path), records):
            if listed:
                objects += 1
                missing += record is None
                work.advance()
    if as_json:
        write_stdout(json.dumps({"objects": objects, "without_record": missing}))
    elif target.refreshes:
        write_stdout(
            f"{counted(objects, 'object')}: all would be refreshed; without a record: {missing:,}."
        )
    else:
        write_stdout(f"{counted(objects, 'object')}; without a record: {missing:,}.")
    return OK if objects else _nothing(address)


def _nothing(address: Address) -> int:
    write_stderr("No watched object begins with {}.", str(address))
    return NO


def _failed(checkpoint: Checkpoint, left: Left) -> Iterator[Batch]:
    """Yield the keys that failed in an earlier run."""
    keys: list[str] = []
    retried = left.retried
    for failure, retried in checkpoint.failures(left):
        keys.append(failure.key)
        if len(keys) == MOST_AT_ONCE:
            yield Batch(left.ranges, retried, again=keys)
            keys = []
    if keys:
        yield Batch(left.ranges, retried, again=keys)


def _batches(listing: Listing, address: Address, left: Left, *, retried: int) -> Iterator[Batch]:
    """Yield the remaining objects."""
    for number, of in enumerate(left.ranges):
        others = left.ranges[number + 1 :]
        for page in listing.pages(address.path, of.after):
            within = [listed for listed in page.objects if listed.key in of]
            for first in range(0, len(within), MOST_AT_ONCE):
                objects = within[first : first + MOST_AT_ONCE]
                yield Batch((Range(objects[-1].key, of.up_to), *others), retried, objects)
            if len(within) < len(page.objects):
                break


def _writing(target: Target, address: Address, listing: Listing) -> Callable[[Batch], Written]:
    """Return the function that writes the records of a batch."""
    bucket = address.bucket
    if target.refreshes:
        indexer = target.indexer()

        def refresh(batch: Batch) -> Written:
            done = Written()
            for key in (*batch.again, *(listed.key for listed in batch.objects)):
                try:
                    indexer.refresh(ObjectEvent(bucket=bucket, key=key, name=BACKFILL))
                    done.written += 1
                except ContentionError:
                    done.contended += 1
                except CALL_ERRORS as error:
                    done.failures.append(Failure.of(key, error, cause))
            return done

        return refresh
    insertion = Insertion(target.client("dynamodb"), target.settings.table_name, target.index())

    def insert(batch: Batch) -> Written:
        done = Written()
        there = list(_still_there(listing, batch.again, done.failures))
        done.gone = len(batch.again) - len(there) - len(done.failures)
        objects = [*batch.objects, *there]
        inserted = insertion.insert([_record(target, bucket, listed) for listed in objects])
        done.written = inserted.written
        done.failures += [Failure.of(key, error, cause) for key, error in inserted.failed.items()]
        return done

    return insert


def _still_there(
    listing: Listing, keys: Iterable[str], failures: list[Failure]
) -> Iterator[Listed]:
    """Yield the objects that still exist."""
    for key in keys:
        try:
            listed, _ = listing.find(key)
        except CALL_ERRORS as error:
            failures.append(Failure.of(key, error, cause))
        else:
            if listed:
                yield listed


def _record(target: Target, bucket: str, listed: Listed) -> FileRecord:
    """Return the record of a listed object.

    It is observed if the bucket has versions. Otherwise an event that removes an older version
    without naming it would remove the key.
    """
    return FileRecord.of(
        ObjectEvent(bucket=bucket, key=listed.key, name=BACKFILL),
        ObjectState(etag=listed.etag, size=listed.size, last_modified=listed.last_modified),
        now=datetime.now(UTC),
        tombstone_life=target.settings.tombstone_life,
        observed=target.versioned,
    )


@contextmanager
def _counting(listing: Listing, prefix: str, left: Left, work: Work) -> Iterator[None]:
    """Count the objects while the block runs, to show the time left on a terminal."""
    ending = threading.Event()

    def count() -> None:
        total = 0
        # The total only improves the progress bar.
        with suppress(CommandError, *CALL_ERRORS):
            for of in left.ranges:
                for page in listing.pages(prefix, of.after):
                    if ending.is_set():
                        return
                    total += sum(listed.key in of for listed in page.objects)
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
