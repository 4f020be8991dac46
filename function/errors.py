"""Everything that can go wrong while an object event is processed or the index is read.

FileIndexError
├── SettingsError             an environment variable is missing or wrong
├── MalformedEventError       a payload, or one event in it, cannot be read
├── OtherBucketError          an event about a bucket that the function does not index
├── PermissionDeniedError     AWS denied a call
├── TableMissingError         the table does not exist
├── PartitionsError           the table was written with another number of partitions
├── BucketMissingError        the bucket to list does not exist
├── DerivedBucketMissingError the bucket for derived files does not exist
├── UnreadableRecordError     the table holds an item that this package did not write
├── EventTooOldError          an event older than the tombstones; the object may not be read
├── ContentionError           the record changed during every attempt to write it
├── OutOfTimeError            the invocation is about to time out
├── WorkerFailedError         a worker of a reconciliation failed; another attempt may succeed
└── ObjectEventsFailedError   events of a direct invocation failed

Every message says what to do. None is swallowed: a message that fails goes back to its source.
"""


class FileIndexError(Exception):
    """Base class of this package's errors."""


class SettingsError(FileIndexError):
    """An environment variable of the function is missing or wrong."""


class MalformedEventError(FileIndexError):
    """A payload, or one event in it, cannot be read; the message says where and why."""


class OtherBucketError(FileIndexError):
    """An event is about a bucket that the function does not index."""


class PermissionDeniedError(FileIndexError):
    """AWS denied a call; the message names role, action, resource and what to check."""

    def __init__(self, refusal: str, advice: str = "", said: str = "") -> None:
        super().__init__(" ".join(filter(None, (refusal, advice, said))))
        self.refusal = refusal
        """The denial: the role, the action and the resource."""
        self.said = said
        """AWS's own words; empty if it gave none."""


class TableMissingError(FileIndexError):
    """The table does not exist in the client's Region and account."""

    def __init__(self, missing: str, advice: str = "") -> None:
        super().__init__(": ".join(filter(None, (missing, advice))))
        self.missing = missing
        """Which table is missing, and where."""


class PartitionsError(FileIndexError):
    """The table was written with another number of partitions, so records would not be found."""


class BucketMissingError(FileIndexError):
    """The bucket to list does not exist; a listing never takes it for an empty one."""


class UnreadableRecordError(FileIndexError):
    """The table holds an item that this package did not write."""


class DerivedBucketMissingError(FileIndexError):
    """The bucket for derived files that the settings name does not exist."""


class EventTooOldError(FileIndexError):
    """An event outlived its tombstone, and the function is not allowed to look at the object."""


class ContentionError(FileIndexError):
    """A record changed during every attempt to refresh it."""


class OutOfTimeError(FileIndexError):
    """The invocation is about to time out, and the object was not started or not finished."""


class WorkerFailedError(FileIndexError):
    """A worker of a reconciliation failed; the state machine starts it again."""


class ObjectEventsFailedError(FileIndexError):
    """Events of a direct invocation failed; Lambda retries, then dead-letters the payload."""
