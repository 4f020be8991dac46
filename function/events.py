"""The values that flow through the function: an event, the message that carried it, its outcome."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from .errors import MalformedEventError
from .sequencer import upload_began

MAX_KEY_BYTES = 1024
"""The longest object key S3 allows, in bytes of UTF-8."""

BACKFILL = "Backfill"
REPAIR = "Repair"
"""Event names of writes that no S3 event caused."""


class Change(Enum):
    """The kind of change that an object event reports."""

    STORED = "stored"
    """New content became current."""
    REMOVED = "removed"
    """A delete of the object, or of the version that the event names."""
    MARKED = "marked"
    """A delete marker became current, or something else that happens only in versioned buckets."""
    TOUCHED = "touched"
    """Tags, storage class or restore state changed, but not the content."""
    UNRELATED = "unrelated"
    """The index does not hold it: ACL, retention, replication, annotation, unknown types.

    Also the change of a backfill or repair, which no event caused.
    """


_DELETES = {"ObjectRemoved:Delete", "LifecycleExpiration:Delete"}
_FAMILIES = {  # all other events, by the part of the name before the colon
    "ObjectCreated": Change.STORED,
    "ObjectRemoved": Change.MARKED,
    "LifecycleExpiration": Change.MARKED,
    "ObjectTagging": Change.TOUCHED,
    "ObjectRestore": Change.TOUCHED,
    "LifecycleTransition": Change.TOUCHED,
    "IntelligentTiering": Change.TOUCHED,
}


def change_of(name: str) -> Change:
    """Return the kind of change that an event reports; `name` is S3's, without the `s3:`."""
    if name in _DELETES:
        return Change.REMOVED
    return _FAMILIES.get(name.partition(":")[0], Change.UNRELATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """One change of one object, as S3 reported it. Fields that S3 left out are None."""

    bucket: str
    key: str
    """The object's key as applications know it: decoded."""
    name: str
    """S3's event name without the `s3:`, also for EventBridge events: `ObjectCreated:Put`."""
    time: datetime | None = None
    size: int | None = None
    """Bytes."""
    etag: str | None = None
    """Unquoted."""
    version_id: str | None = None
    """The version the event names; "null" is one."""
    sequencer: str | None = None
    """Canonical, see `canonical_sequencer`; None if S3 sends none or it does not order content."""
    request_id: str | None = None

    @property
    def change(self) -> Change:
        """The kind of change that the event reports."""
        return change_of(self.name)

    @property
    def began_at(self) -> datetime | None:
        """When the multipart upload that the event completes began, if it completes one."""
        return upload_began(self.name, self.sequencer, self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The carrier of object events that fails on its own: an SQS message, else the invocation."""

    id: str | None
    """The SQS message id; None if the payload is not an SQS batch."""
    events: tuple[ObjectEvent, ...] = ()
    errors: tuple[MalformedEventError, ...] = ()
    """Why parts of the message cannot be read; the rest is in `events`."""
    test_events: int = 0
    """How many `s3:TestEvent` it holds; S3 sends one when a notification is configured."""


class Outcome(StrEnum):
    """The fate of an object event."""

    INDEXED = "indexed"
    REMOVED = "removed"
    SUPERSEDED = "superseded"
    """A duplicate, or older than the record: nothing to do."""
    IGNORED = "ignored"
    FAILED = "failed"
