"""A bucket as S3 keeps it, and the events that S3 sends about it.

What is sent is taken from S3's documents:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from itertools import count
from typing import Any

from function.record import ObjectMetadata, ObjectState, format_time
from tests.payloads import native

NULL = "null"
EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
FIRST_SEQUENCER = 0x55AED6DCD90281E0
_SUFFIXES = ("", "4", "", "0C80", "0")
"""Digits after the usual 18, by turns: sequencers of one key are not all equally long."""


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
    etag: str = EMPTY_ETAG
    size: int = 0
    tag: str | None = None
    marker: bool = False


class ModelBucket:
    """Every change returns the record that S3 would put into its event, as S3 writes it."""

    def __init__(
        self, now: Callable[[], datetime], versioning: Versioning = Versioning.NEVER
    ) -> None:
        self._now = now
        self.versioning = versioning
        self._versions: dict[str, list[Version]] = defaultdict(list)
        self._ids = count(1)
        self._null_markers = count(1)
        self._sequencers: dict[tuple[str, str], int] = {}

    def versions(self, key: str) -> list[Version]:
        """All versions and delete markers, oldest first: the last one is the current one."""
        return self._versions[key]

    def put(self, key: str, content: str) -> dict[str, Any]:
        """Upload. Enabled versioning adds a version; else the null version is replaced."""
        version = self._add(key, etag=f"{content}-etag", size=len(content))
        named = {"versionId": version.id} if self.versioning is Versioning.ENABLED else {}
        return self._record(
            "ObjectCreated:Put", key, version, size=version.size, eTag=version.etag, **named
        )

    def delete(self, key: str, *, family: str = "ObjectRemoved") -> dict[str, Any]:
        """Delete without naming a version, whether or not there is an object."""
        if self.versioning is Versioning.NEVER:
            self._drop(key, NULL)
            return self._record(f"{family}:Delete", key, None)
        marker = self._add(key, marker=True)
        # Whether S3 names a null marker is not documented: here every other time.
        unnamed = marker.id == NULL and next(self._null_markers) % 2
        named = {} if unnamed else {"versionId": marker.id}
        return self._record(f"{family}:DeleteMarkerCreated", key, marker, eTag=marker.etag, **named)

    def delete_version(
        self, key: str, version: Version, *, family: str = "ObjectRemoved"
    ) -> dict[str, Any]:
        """Delete a version for good, or undelete by deleting a marker."""
        self._drop(key, version.id)
        return self._record(f"{family}:Delete", key, version, versionId=version.id)

    def tag(self, key: str, version: Version, tag: str | None) -> dict[str, Any]:
        """Tag a version that is not a marker. The event has no sequencer."""
        versions = self._versions[key]
        versions[versions.index(version)] = dataclasses.replace(version, tag=tag)
        named = {} if version.id == NULL else {"versionId": version.id}
        return self._stamped(
            native(f"ObjectTagging:{'Put' if tag else 'Delete'}", key, eTag=version.etag, **named)
        )

    def head(self, key: str, *, metadata: bool) -> ObjectState | None:
        """What HeadObject answers, and GetObjectTagging."""
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
        if self.versioning is Versioning.ENABLED:
            version_id = f"v{next(self._ids)}"
        else:
            version_id = NULL
            self._drop(key, NULL)
        version = Version(
            id=version_id, last_modified=self._now(), etag=etag, size=size, marker=marker
        )
        self._versions[key].append(version)
        return version

    def _drop(self, key: str, version_id: str) -> None:
        self._versions[key] = [v for v in self._versions[key] if v.id != version_id]

    def _record(
        self, name: str, key: str, version: Version | None, **entity: Any
    ) -> dict[str, Any]:
        sequencer = self._sequencer(key, version.id if version else NULL)
        return self._stamped(native(name, key, sequencer=sequencer, **entity))

    def _stamped(self, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"eventTime": format_time(self._now())}

    def _sequencer(self, key: str, version_id: str) -> str:
        """The next sequencer of this version.

        AWS warns against comparing the sequencers of different versions. So here some versions'
        are all smaller than the null version's, and some all greater.
        """
        line = (key, version_id)
        if line not in self._sequencers:
            self._sequencers[line] = FIRST_SEQUENCER + _distance(version_id)
        self._sequencers[line] += 1
        number = self._sequencers[line]
        return f"{number:018X}{_SUFFIXES[number % len(_SUFFIXES)]}"


def _distance(version_id: str) -> int:
    if version_id == NULL:
        return 0
    number = int(version_id[1:])
    return number * (-0x1000 if number % 2 else 0x1000)


@cache
def _metadata(tag: str | None) -> ObjectMetadata:
    tags = {"tag": tag} if tag else None
    return ObjectMetadata(storage_class="STANDARD", tags=tags)
