"""A bucket as S3 keeps it, and the events that S3 sends about it.

The events follow S3's documents:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from itertools import count, cycle
from typing import Any

from function.record import ObjectMetadata, ObjectState, format_time
from tests.payloads import native

NULL = "null"
EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
_SUFFIXES = ("4", "", "0C80", "", "0")
"""Digits after the usual 18, by turns: sequencers of one key are not all equally long."""
_CLOCKS = (0, 2, -2, 1, -1)
"""The seconds by which the clocks of S3's hosts are ahead, by turns."""
_FIRST_OF_A_SECOND = 0x10000001


class Versioning(Enum):
    """A bucket that once was versioned can only be suspended, never unversioned again."""

    NEVER = "never"
    ENABLED = "enabled"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an object, or a delete marker."""

    id: str
    last_modified: datetime
    order: int
    """Its place among all changes begun in the bucket: the version begun last is current."""
    etag: str = EMPTY_ETAG
    size: int = 0
    tag: str | None = None
    marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload that is open."""

    key: str
    content: str
    began: datetime
    order: int
    number: int
    """Its sequencer as the null version."""


class ModelBucket:
    """A bucket. Every change returns the record that S3 would put into its event."""

    def __init__(
        self, now: Callable[[], datetime], versioning: Versioning = Versioning.NEVER
    ) -> None:
        self._now = now
        self.versioning = versioning
        self._versions: dict[str, list[Version]] = defaultdict(list)
        self._ids = count(1)
        self._orders = count(1)
        self._null_changes: dict[str, int] = defaultdict(int)
        self._unnamed_nulls = count(1)
        self._numbers: dict[tuple[str, str], int] = {}
        self._suffixes = cycle(_SUFFIXES)
        self._clocks = cycle(_CLOCKS)

    def time(self) -> datetime:
        """The time by the clock of one of S3's hosts."""
        return self._now() + timedelta(seconds=next(self._clocks))

    def versions(self, key: str) -> list[Version]:
        """All versions and delete markers, oldest first: the last one is the current one."""
        return self._versions[key]

    def put(self, key: str, content: str) -> dict[str, Any]:
        """Upload. Enabled versioning adds a version; else the null version is replaced."""
        version = self._add(key, etag=f"{content}-etag", size=len(content))
        return self._created("Put", key, version, self._number(key, version.id))

    def begin(self, key: str, content: str) -> Upload:
        """Begin a multipart upload."""
        return Upload(
            key=key,
            content=content,
            began=self.time(),
            order=next(self._orders),
            number=self._number(key, NULL),
        )

    def is_overtaken(self, upload: Upload) -> bool:
        """Whether its object will never be seen: of two changes, the one that began last wins."""
        newest = max((version.order for version in self._versions[upload.key]), default=0)
        return max(newest, self._null_changes[upload.key]) > upload.order

    def complete(self, upload: Upload) -> dict[str, Any]:
        """Complete an upload. Its sequencer and last-modified time are those of its start.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
        key = upload.key
        etag, size = f"{upload.content}-etag", len(upload.content)
        enabled = self.versioning is Versioning.ENABLED
        version = Version(
            id=self._next_id() if enabled else NULL,
            last_modified=upload.began,
            order=upload.order,
            etag=etag,
            size=size,
        )
        if enabled or not self.is_overtaken(upload):
            self._insert(key, version)
        number = self._number(key, version.id, upload.began) if enabled else upload.number
        return self._created("CompleteMultipartUpload", key, version, number)

    def delete(self, key: str, *, family: str = "ObjectRemoved") -> dict[str, Any]:
        """Delete without naming a version, whether or not there is an object."""
        if self.versioning is Versioning.NEVER:
            self._drop_null(key)
            return self._record(f"{family}:Delete", key, self._number(key, NULL))
        marker = self._add(key, marker=True)
        number = self._number(key, marker.id)
        named = self._named(marker)
        return self._record(f"{family}:DeleteMarkerCreated", key, number, eTag=marker.etag, **named)

    def delete_version(
        self, key: str, version: Version, *, family: str = "ObjectRemoved"
    ) -> dict[str, Any]:
        """Delete a version for good, or undelete by deleting a marker."""
        named = {"versionId": version.id}
        if family == "LifecycleExpiration" and version != self._versions[key][-1]:
            named = self._named(version)
        if version.id == NULL:
            self._drop_null(key)
        else:
            self._drop(key, version.id)
        return self._record(f"{family}:Delete", key, self._number(key, version.id), **named)

    def tag(self, key: str, version: Version, tag: str | None) -> dict[str, Any]:
        """Tag a version that is not a marker. The event has no sequencer."""
        versions = self._versions[key]
        versions[versions.index(version)] = dataclasses.replace(version, tag=tag)
        named = {} if version.id == NULL else {"versionId": version.id}
        return self._stamped(
            native(f"ObjectTagging:{'Put' if tag else 'Delete'}", key, eTag=version.etag, **named)
        )

    def head(self, key: str, *, metadata: bool) -> ObjectState | None:
        """Return the response of HeadObject, with that of GetObjectTagging."""
        versions = self._versions.get(key)
        if not versions or versions[-1].marker:
            return None
        current = versions[-1]
        return ObjectState(
            etag=current.etag,
            size=current.size,
            last_modified=current.last_modified,
            version_id=None if self.versioning is Versioning.NEVER else current.id,
            metadata=_metadata(current.tag) if metadata else None,
        )

    def _add(
        self, key: str, *, etag: str = EMPTY_ETAG, size: int = 0, marker: bool = False
    ) -> Version:
        version = Version(
            id=self._next_id() if self.versioning is Versioning.ENABLED else NULL,
            last_modified=self.time(),
            order=next(self._orders),
            etag=etag,
            size=size,
            marker=marker,
        )
        self._insert(key, version)
        return version

    def _next_id(self) -> str:
        return f"v{next(self._ids)}"

    def _insert(self, key: str, version: Version) -> None:
        if version.id == NULL:
            self._drop_null(key, version.order)
        self._versions[key] = sorted([*self._versions[key], version], key=lambda v: v.order)

    def _drop_null(self, key: str, order: int | None = None) -> None:
        self._null_changes[key] = next(self._orders) if order is None else order
        self._drop(key, NULL)

    def _drop(self, key: str, version_id: str) -> None:
        self._versions[key] = [v for v in self._versions[key] if v.id != version_id]

    def _named(self, version: Version) -> dict[str, str]:
        # S3 does not document whether it names a null version that nobody named: here by turns.
        unnamed = version.id == NULL and next(self._unnamed_nulls) % 2
        return {} if unnamed else {"versionId": version.id}

    def _created(self, how: str, key: str, version: Version, number: int) -> dict[str, Any]:
        named = {"versionId": version.id} if self.versioning is Versioning.ENABLED else {}
        return self._record(
            f"ObjectCreated:{how}", key, number, size=version.size, eTag=version.etag, **named
        )

    def _record(self, name: str, key: str, number: int, **entity: Any) -> dict[str, Any]:
        sequencer = f"{number:018X}{next(self._suffixes)}"
        return self._stamped(native(name, key, sequencer=sequencer, **entity))

    def _stamped(self, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"eventTime": format_time(self.time())}

    def _number(self, key: str, version_id: str, began: datetime | None = None) -> int:
        """The next sequencer of this version, without the digits after the usual ones.

        AWS warns against comparing the sequencers of different versions. So here some versions'
        sequencers are all smaller than the null version's, and some are all greater.
        """
        line = (key, version_id)
        seconds = int((began or self.time()).timestamp()) + _distance(version_id)
        number = max(self._numbers.get(line, 0) + 1, (seconds << 32) + _FIRST_OF_A_SECOND)
        self._numbers[line] = number
        return number


def _distance(version_id: str) -> int:
    if version_id == NULL:
        return 0
    number = int(version_id[1:])
    return number % 64 * (-0x1000000 if number % 2 else 0x1000000)


@cache
def _metadata(tag: str | None) -> ObjectMetadata:
    tags = {"tag": tag} if tag else None
    return ObjectMetadata(storage_class="STANDARD", tags=tags)
