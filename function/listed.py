"""Objects, as a listing describes them."""

from dataclasses import dataclass
from datetime import datetime

_NO_VERSION = "null"


def known_version(version_id: str | None) -> str | None:
    """Return the version id; None for "null", which a bucket without versioning has."""
    return None if version_id == _NO_VERSION else version_id


@dataclass(frozen=True, slots=True)
class Listed:
    """An object, as a listing describes it."""

    key: str
    etag: str
    size: int
    """Bytes."""
    last_modified: datetime
    version_id: str | None = None
    """None if versions are not listed, or the bucket has none."""
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Objects that existed at a time."""

    objects: list[Listed]
    time: datetime
    """By S3's clock, in whole seconds."""
    last: str | None = None
    """The last key that was listed, watched or not; None if there was none."""
