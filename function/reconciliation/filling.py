"""Backfills a range of keys: inserts the missing records, or refreshes all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ..errors import ContentionError
from ..events import BACKFILL, ObjectEvent
from ..indexer import Indexer
from ..listed import Listed
from ..listing import Listing
from ..ranges import Range
from ..record import FileRecord, ObjectState
from ..repository import MOST_INSERTS
from ..settings import Settings
from .failures import CALL_ERRORS, Failure
from .insertion import Insertion
from .verification import rest_of
from .workers import each


@dataclass(slots=True)
class Filled:
    """What was written for a range, or for a part of it."""

    rest: Range | None
    """What is left of the range."""
    objects: int = 0
    written: int = 0
    contended: int = 0
    """Records that other writers kept changing."""
    failures: list[Failure] = field(default_factory=list)

    def add(self, later: "Filled") -> None:
        """Add the part that follows."""
        self.rest = later.rest
        self.objects += later.objects
        self.written += later.written
        self.contended += later.contended
        self.failures += later.failures


class Writer(Protocol):
    """Writes the records of objects: `Inserting` or `Refreshing`."""

    def write(self, objects: Sequence[Listed], done: Filled) -> None:
        """Write the records, and count them in `done`."""


class Filling:
    """Backfills the keys below one prefix. Safe to share between threads."""

    def __init__(
        self,
        listing: Listing,
        writer: Writer,
        *,
        prefix: str,
        cause: Callable[[Exception], str] = str,
    ) -> None:
        """`cause` words an error."""
        self._listing = listing
        self._writer = writer
        self._prefix = prefix
        self._cause = cause

    def fill(self, of: Range, is_spent: Callable[[int], bool]) -> Filled:
        """Backfill a range until it ends or the budget is spent.

        `is_spent` is asked after each batch.
        """
        whole = Filled(of)
        for part in self.filling(of, is_spent):
            whole.add(part)
        return whole

    def filling(self, of: Range, is_spent: Callable[[int], bool]) -> Iterator[Filled]:
        """Do as `fill`, but yield each part of the range as it is finished, in order."""
        return (filled for _, filled in each(self._write, self._batches(of, is_spent)))

    def again(self, keys: Sequence[str]) -> Filled:
        """Retry keys that failed; those without an object any more are left out."""
        done = Filled(None)
        there = []
        for key in keys:
            try:
                listed, _ = self._listing.find(key)
            except CALL_ERRORS as error:
                done.failures.append(Failure.of(key, error, self._cause))
                done.objects += 1
            else:
                there += [listed] if listed else []
        done.objects += len(there)
        self._writer.write(there, done)
        return done

    def _batches(
        self, of: Range, is_spent: Callable[[int], bool]
    ) -> Iterator[tuple[Range | None, Sequence[Listed]]]:
        for page in self._listing.pages(self._prefix, of):
            for first in range(0, len(page.objects), MOST_INSERTS):
                objects = page.objects[first : first + MOST_INSERTS]
                yield rest_of(of, objects[-1].key), objects
                if is_spent(0):
                    return
            if page.last is not None:
                yield rest_of(of, page.last), ()
                if is_spent(0):
                    return
        yield None, ()

    def _write(self, batch: tuple[Range | None, Sequence[Listed]]) -> Filled:
        rest, objects = batch
        done = Filled(rest, len(objects))
        self._writer.write(objects, done)
        return done


class Refreshing:
    """Refreshes the record of every object."""

    def __init__(
        self, indexer: Indexer, bucket: str, cause: Callable[[Exception], str] = str
    ) -> None:
        self._indexer = indexer
        self._bucket = bucket
        self._cause = cause

    def write(self, objects: Sequence[Listed], done: Filled) -> None:
        """See `Writer`."""
        for listed in objects:
            try:
                self._indexer.refresh(
                    ObjectEvent(bucket=self._bucket, key=listed.key, name=BACKFILL)
                )
                done.written += 1
            except ContentionError:
                done.contended += 1
            except CALL_ERRORS as error:
                done.failures.append(Failure.of(listed.key, error, self._cause))


class Inserting:
    """Inserts a record for each object whose key has neither record nor tombstone."""

    def __init__(
        self,
        insertion: Insertion,
        bucket: str,
        settings: Settings,
        *,
        versioned: bool,
        cause: Callable[[Exception], str] = str,
    ) -> None:
        self._insertion = insertion
        self._bucket = bucket
        self._settings = settings
        self._versioned = versioned
        self._cause = cause

    def write(self, objects: Sequence[Listed], done: Filled) -> None:
        """See `Writer`."""
        inserted = self._insertion.insert([self._record(listed) for listed in objects])
        done.written += inserted.written
        done.failures += [
            Failure.of(key, error, self._cause) for key, error in inserted.failed.items()
        ]

    def _record(self, listed: Listed) -> FileRecord:
        """Return the record of a listed object.

        It is observed if the bucket has versions. Otherwise an event that removes an older version
        without naming it would remove the key.
        """
        return FileRecord.of(
            ObjectEvent(bucket=self._bucket, key=listed.key, name=BACKFILL),
            ObjectState(etag=listed.etag, size=listed.size, last_modified=listed.last_modified),
            now=datetime.now(UTC),
            tombstone_life=self._settings.tombstone_life,
            observed=self._versioned,
        )
