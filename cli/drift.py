"""In what index and bucket differ: both are in key order, so one pass over each tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .address import Filters
from .function.record import FileRecord, ObjectState
from .listing import Listed, Page, known_version


class Kind(StrEnum):
    """A difference of one key."""

    PHANTOM = "phantom"
    """In the index, not in the bucket."""
    ORPHAN = "orphan"
    """In the bucket, not in the index."""
    MISMATCH = "mismatch"
    """In both, and different."""
    FILTERED_OUT = "filtered out"
    """In the index, though the filters do not match the key."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What counts as a difference."""

    filters: Filters
    versions: bool
    """Whether the version must be the same too."""

    def kind(self, key: str, listed: Listed | None, record: FileRecord | None) -> Kind | None:
        """The difference, if there is one. A tombstone is no record here."""
        if record is not None and record.deleted:
            record = None
        if record is None:
            return Kind.ORPHAN if listed else None
        if not self.filters.match(key):
            return Kind.FILTERED_OUT
        if listed is None:
            return Kind.PHANTOM
        return None if self._are_equal(listed, record.known) else Kind.MISMATCH

    def _are_equal(self, listed: Listed, state: ObjectState) -> bool:
        """Return whether listing and record agree in all that both of them know."""
        if state.etag != listed.etag or state.size not in (None, listed.size):
            return False
        known = state.last_modified
        if known and _seconds(known) != _seconds(listed.last_modified):
            return False
        metadata = state.metadata
        if metadata and listed.storage_class not in (None, metadata.storage_class):
            return False
        # A record of what was looked at has the version, unless the look could not tell it: a
        # listing does not, nor does HEAD of an object encrypted with a key of its owner's (SSE-C).
        if not self.versions or (known and state.version_id is None):
            return True
        return known_version(state.version_id) == listed.version_id


def _seconds(time: datetime) -> datetime:
    # HEAD tells whole seconds.
    return time.replace(microsecond=0)


def merged(
    pages: Iterator[Page], records: Iterator[FileRecord]
) -> Iterator[tuple[datetime | None, Listed | None, FileRecord | None]]:
    """Each key's object and record, and when the object was listed: of a page seen before it."""
    record = next(records, None)
    time = None
    for page in pages:
        time = page.time
        for listed in page.objects:
            while record is not None and record.key < listed.key:
                yield time, None, record
                record = next(records, None)
            if record is not None and record.key == listed.key:
                yield time, listed, record
                record = next(records, None)
            else:
                yield time, listed, None
    while record is not None:
        yield time, None, record
        record = next(records, None)
