"""`file-index backfill`: gives the objects that were there before the index their records."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from .address import Address
from .drift import merged
from .errors import FAILED, NO, OK, CommandError
from .failures import CALL_ERRORS, Failure, Failures
from .function.errors import ContentionError
from .function.events import BACKFILL, ObjectEvent
from .function.record import FileRecord, ObjectState
from .insertion import MOST_AT_ONCE, Insertion
from .listing import Listed, Listing
from .place import Left, Place, Range, identity
from .progress import Work
from .report import opened
from .target import Target
from .text import answer, counted, messages, say
from .workers import each


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that are written in one go."""

    ranges: tuple[Range, ...]
    """What is left to do after it."""
    retried: int
    """How much of the failed keys of an earlier run is done after it."""
    objects: Sequence[Listed] = ()
    again: Sequence[str] = ()
    """Keys that failed in an earlier run."""


@dataclass(slots=True)
class Written:
    """What became of a batch."""

    written: int = 0
    contended: int = 0
    """Records that others kept writing, later than this."""
    gone: int = 0
    """Objects that are not there any more."""
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """What became of all objects."""

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
        """What was counted until there."""
        return cls(**{one.name: left.counts.get(one.name, 0) for one in fields(cls)})

    def at(self, left: Left) -> Left:
        """The place, with what was counted until there."""
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
    """Insert a record for each object without one; refresh all where records hold more."""
    listing = Listing(target.s3(), address.bucket, target.filters)
    if dry_run:
        return _look(target, address, listing, as_json=as_json)
    listing.reach(address.key)
    place = Place("backfill", *identity(target, address))
    earlier = place.begin(resume=resume)
    left = earlier or Left()
    counts, failures = Counts.of(left), Failures(goes_on=earlier is not None)
    batches = chain(
        _failed(place, left), _batches(listing, address, left, retried=place.failed_size)
    )
    with ExitStack() as context:
        lines = context.enter_context(opened(report, resumed=earlier is not None))
        try:
            work = context.enter_context(Work("Backfilling"))
            context.enter_context(_counting(listing, address.key, left, work))
            for batch, written in each(_writing(target, address, listing), batches):
                counts.add(batch, written)
                left = Left(batch.ranges, batch.retried)
                work.advance(len(batch.objects))
                for failure in written.failures:
                    lines.write(_line(failure, address))
                    place.add(failure)
                failures.add(written.failures, is_any_done=written.written > 0)
                if place.is_due:
                    lines.flush()
                    place.write(counts.at(left))
        except BaseException:
            lines.flush()  # or else a checkpoint would count what nobody was told
            if left.ranges != (Range(),) or left.retried:
                place.write(counts.at(left))
                place.say_stopped(left, f"{counted(counts.objects, 'object')} done")
            raise
    if refusal := failures.refusal(counts.objects):
        place.forget()
        raise CommandError(refusal)
    place.end(counts.at(replace(left, ranges=())), is_done=not failures.count)
    _answer(target, counts, rate=work.rate, as_json=as_json)
    failures.say(address.bucket, is_kept=place.is_kept)
    if counts.failed:
        return FAILED
    return OK if counts.objects else _nothing(address)


def _answer(target: Target, counts: Counts, *, rate: float, as_json: bool) -> None:
    verb = "refreshed" if target.settings.reads_objects else "inserted"
    if as_json:
        failed = {"failed": counts.failed} if counts.failed else {}
        answer(json.dumps({"objects": counts.objects, verb: counts.written} | failed))
        return
    others = counts.objects - counts.written - counts.contended - counts.failed
    parts = [f"{counts.written:,} {verb}"]
    if others:
        parts.append(f"{others:,} had a record or a tombstone")
    if counts.contended:
        parts.append(f"{counts.contended:,} kept being written by others")
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    objects = counted(counts.objects, "object")
    answer(f"{objects}: {', '.join(parts)}; {rate:,.0f} objects a second.")


def _line(failure: Failure, address: Address) -> str:
    return json.dumps(
        {"kind": "failed", "bucket": address.bucket, "key": failure.key, "cause": failure.cause}
    )


def _look(target: Target, address: Address, listing: Listing, *, as_json: bool) -> int:
    objects = missing = 0
    records = target.index().list_prefix(address.bucket, address.key)
    with Work("Looking") as work:
        for _, listed, record in merged(listing.pages(address.key), records):
            if listed:
                objects += 1
                missing += record is None
                work.advance()
    if as_json:
        answer(json.dumps({"objects": objects, "without_record": missing}))
    elif target.settings.reads_objects:
        answer(
            f"{counted(objects, 'object')}: all would be refreshed; without a record: {missing:,}."
        )
    else:
        answer(f"{counted(objects, 'object')}; without a record: {missing:,}.")
    return OK if objects else _nothing(address)


def _nothing(address: Address) -> int:
    say("No watched object begins with {}.", str(address))
    return NO


def _failed(place: Place, left: Left) -> Iterator[Batch]:
    """What failed in an earlier run."""
    keys: list[str] = []
    retried = left.retried
    for failure, retried in place.failures(left):
        keys.append(failure.key)
        if len(keys) == MOST_AT_ONCE:
            yield Batch(left.ranges, retried, again=keys)
            keys = []
    if keys:
        yield Batch(left.ranges, retried, again=keys)


def _batches(listing: Listing, address: Address, left: Left, *, retried: int) -> Iterator[Batch]:
    """What is left of the bucket."""
    for number, of in enumerate(left.ranges):
        others = left.ranges[number + 1 :]
        for page in listing.pages(address.key, of.after):
            within = [listed for listed in page.objects if listed.key in of]
            for first in range(0, len(within), MOST_AT_ONCE):
                objects = within[first : first + MOST_AT_ONCE]
                yield Batch((Range(objects[-1].key, of.up_to), *others), retried, objects)
            if len(within) < len(page.objects):
                break


def _writing(target: Target, address: Address, listing: Listing) -> Callable[[Batch], Written]:
    """What writes the records of a batch."""
    bucket = address.bucket
    if target.settings.reads_objects:
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
                    done.failures.append(Failure.of(key, error))
            return done

        return refresh
    insertion = Insertion(target.client("dynamodb"), target.settings.table_name, target.index())

    def insert(batch: Batch) -> Written:
        done = Written()
        there = list(_looked_at(listing, batch.again, done.failures))
        done.gone = len(batch.again) - len(there) - len(done.failures)
        objects = [*batch.objects, *there]
        inserted = insertion.insert([_record(target, bucket, listed) for listed in objects])
        done.written = inserted.written
        done.failures += [Failure.of(key, error) for key, error in inserted.failed.items()]
        return done

    return insert


def _looked_at(listing: Listing, keys: Iterable[str], failures: list[Failure]) -> Iterator[Listed]:
    """The objects that are still there."""
    for key in keys:
        try:
            listed, _ = listing.look(key)
        except CALL_ERRORS as error:
            failures.append(Failure.of(key, error))
        else:
            if listed:
                yield listed


def _record(target: Target, bucket: str, listed: Listed) -> FileRecord:
    """Return the record of a listed object.

    It is observed if the bucket has versions: an older one may go by an event that names no
    version, and would take the key along.
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
    """Count meanwhile how much there is, for the time left; only where somebody sees it."""
    ending = threading.Event()

    def count() -> None:
        total = 0
        # Without a number the bar is less telling, no more.
        with suppress(CommandError, *CALL_ERRORS):
            for of in left.ranges:
                for page in listing.pages(prefix, of.after):
                    if ending.is_set():
                        return
                    total += sum(listed.key in of for listed in page.objects)
                    work.set_total(total)

    thread = threading.Thread(target=count, daemon=True)
    if messages.is_terminal:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        if thread.ident is not None:
            thread.join()
