"""`file-index backfill`: gives the objects that were there before the index their records."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from function.errors import ContentionError, FileIndexError
from function.event_parser import ObjectEvent
from function.indexer import BACKFILL
from function.record import FileRecord

from .address import Address
from .drift import merged
from .errors import NO, OK, CommandError, region
from .insertion import MOST_AT_ONCE, Insertion
from .listing import Listed, Listing
from .place import Place
from .progress import Work
from .target import Target
from .text import answer, messages, say
from .workers import each


def backfill(
    target: Target, address: Address, *, resume: bool, dry_run: bool, as_json: bool
) -> int:
    """Insert a record for each object without one; refresh all where records hold more."""
    listing = Listing(target.s3(), address.bucket, target.filters)
    if dry_run:
        return _look(target, address, listing, as_json=as_json)
    place = Place(target.settings.table_name, *_where(target, address))
    start_after = place.read() or ""
    if start_after and resume:
        say("Going on after {}.", start_after)
    elif resume:
        say("There is nothing to resume: from the beginning.")
    elif start_after:
        say("An earlier backfill stopped after {}: --resume would go on there.", start_after)
        start_after = ""
    write = _writing(target, address)
    done = objects = 0
    last = start_after
    try:
        with Work("Backfilling") as work, _counting(listing, address.key, start_after, work):
            for batch, written in each(write, _batches(listing, address, start_after)):
                objects += len(batch)
                done += written
                last = batch[-1].key
                place.write(last)
                work.advance(len(batch))
            rate = work.rate
    except BaseException:
        if last:
            place.write(last, now=True)
            how = ": go on with --resume" if place.is_kept else ""
            say("Stopped after {}, {:,} objects done{}.", last, objects, how)
        raise
    place.forget()
    verb = "refreshed" if target.settings.reads_objects else "inserted"
    if as_json:
        answer(json.dumps({"objects": objects, verb: done}))
    else:
        others = f", {objects - done:,} had a record or a tombstone" if objects > done else ""
        answer(f"{objects:,} objects: {done:,} {verb}{others}; {rate:,.0f} objects a second.")
    return _nothing(address) if not objects and not start_after else OK


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
        answer(f"{objects:,} objects, all of which would be refreshed; {missing:,} have no record.")
    else:
        answer(f"{objects:,} objects, {missing:,} of which have no record.")
    return OK if objects else _nothing(address)


def _nothing(address: Address) -> int:
    say("No watched object begins with {}.", str(address))
    return NO


def _where(target: Target, address: Address) -> tuple[str, ...]:
    settings = target.settings
    what = f"{settings.object_metadata} {settings.object_tags} {settings.derived_bucket}"
    return region(), address.bucket, address.key, str(target.filters), what


def _batches(listing: Listing, address: Address, start_after: str) -> Iterator[list[Listed]]:
    for page in listing.pages(address.key, start_after):
        for first in range(0, len(page.objects), MOST_AT_ONCE):
            yield page.objects[first : first + MOST_AT_ONCE]


def _writing(target: Target, address: Address) -> Callable[[Sequence[Listed]], int]:
    """What writes the records of a batch, and answers how many it wrote."""
    bucket = address.bucket
    if target.settings.reads_objects:
        indexer = target.indexer()

        def refresh(batch: Sequence[Listed]) -> int:
            written = 0
            for listed in batch:
                with suppress(ContentionError):  # others keep writing the record, later than this
                    indexer.refresh(ObjectEvent(bucket=bucket, key=listed.key, name=BACKFILL))
                    written += 1
            return written

        return refresh
    insertion = Insertion(target.client("dynamodb"), target.settings.table_name, target.index())
    observed = target.versioned
    return lambda batch: insertion.insert(
        [_record(bucket, listed, observed=observed) for listed in batch]
    )


def _record(bucket: str, listed: Listed, *, observed: bool) -> FileRecord:
    """The record of a listed object.

    Observed if the bucket has versions: an older one may go by an event that names no version, and
    would take the key along.
    """
    return FileRecord(
        bucket=bucket,
        key=listed.key,
        indexed_at=datetime.now(UTC),
        revision=secrets.token_hex(8),
        etag=listed.etag,
        size=listed.size,
        last_modified=listed.last_modified,
        event_name=BACKFILL,
        observed=observed,
    )


@contextmanager
def _counting(listing: Listing, prefix: str, start_after: str, work: Work) -> Iterator[None]:
    """Count meanwhile how much there is, for the time left; only where somebody sees it."""
    ending = threading.Event()

    def count() -> None:
        total = 0
        # Without a number the bar is less telling, no more.
        with suppress(CommandError, FileIndexError, BotoCoreError, ClientError):
            for page in listing.pages(prefix, start_after):
                if ending.is_set():
                    return
                total += len(page.objects)
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
