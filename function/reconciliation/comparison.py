"""Differences between index and bucket, found in one pass, because both are in key order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ..filters import Filters
from ..listed import Listed, Page, known_version
from ..record import FileRecord, ObjectState, Unreadable


class Kind(StrEnum):
    """How index and bucket differ in a key."""

    PHANTOM = "phantom"
    """In the index, not in the bucket."""
    ORPHAN = "orphan"
    """In the bucket, not in the index."""
    MISMATCH = "mismatch"
    """In both, but different."""
    FILTERED_OUT = "filtered out"
    """In the index, but no filter matches the key."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What counts as a difference."""

    filters: Filters
    versions: bool
    """Whether versions are compared too."""

    def kind(self, key: str, listed: Listed | None, record: FileRecord | None) -> Kind | None:
        """Return how they differ, if they do. A tombstone counts as no record."""
        if record is not None and record.deleted:
            record = None
        if record is None:
            return Kind.ORPHAN if listed else None
        if not self.filters.matches(key):
            return Kind.FILTERED_OUT
        if listed is None:
            return Kind.PHANTOM
        return None if self._are_equal(listed, record.known) else Kind.MISMATCH

    def _are_equal(self, listed: Listed, state: ObjectState) -> bool:
        """Return whether object and record agree in everything that both have."""
        if state.etag != listed.etag or state.size not in (None, listed.size):
            return False
        known = state.last_modified
        if known and _seconds(known) != _seconds(listed.last_modified):
            return False
        metadata = state.metadata
        if metadata and listed.storage_class not in (None, metadata.storage_class):
            return False
        # A record made from the object has the version if S3 told it. A listing does not tell it,
        # nor does HEAD of an object with a customer-provided key (SSE-C).
        if not self.versions or (known and state.version_id is None):
            return True
        return known_version(state.version_id) == listed.version_id


def _seconds(time: datetime) -> datetime:
    # HeadObject returns whole seconds.
    return time.replace(microsecond=0)


class Met(NamedTuple):
    """What both sides have of a key."""

    key: str
    time: datetime | None
    """When the last page was listed; None if nothing was listed yet."""
    listed: Listed | None
    stored: FileRecord | Unreadable | None
    """Without it and without `listed`, both sides have been read up to this key."""


def merged(pages: Iterator[Page], stored: Iterator[FileRecord | Unreadable]) -> Iterator[Met]:
    """Yield object and record of each key in order, and the last key of each page."""
    record = next(stored, None)
    time = None
    for page in pages:
        time = page.time
        for listed in page.objects:
            while record is not None and record.key < listed.key:
                yield Met(record.key, time, None, record)
                record = next(stored, None)
            if record is not None and record.key == listed.key:
                yield Met(listed.key, time, listed, record)
                record = next(stored, None)
            else:
                yield Met(listed.key, time, listed, None)
        if page.last is not None:
            while record is not None and record.key <= page.last:
                yield Met(record.key, time, None, record)
                record = next(stored, None)
            yield Met(page.last, time, None, None)
    while record is not None:
        yield Met(record.key, time, None, record)
        record = next(stored, None)
