"""Everything that can go wrong while an object event is processed.

FileIndexError
├── SettingsError             an environment variable is missing or wrong
├── MalformedEventError       a payload, or one event in it, cannot be read
├── OtherBucketError          an event about a bucket that the function does not index
├── PermissionDeniedError     AWS refused a call
├── TableMissingError         the table does not exist
├── DerivedBucketMissingError the bucket for derived files does not exist
├── UnreadableRecordError     the table holds an item that this package did not write
├── EventTooOldError          an event older than the tombstones, and no right to look at the object
├── ContentionError           others kept writing the same record
├── OutOfTimeError            the invocation is about to time out
└── ObjectEventsFailedError   what a direct invocation raises after everything else was processed

Every message says what to do. None is swallowed: what failed goes back to where it came from.
"""


class FileIndexError(Exception):
    """An object event, a message or the function itself failed."""


class SettingsError(FileIndexError):
    """An environment variable of the function is missing or wrong."""


class MalformedEventError(FileIndexError):
    """A payload, or one event in it, cannot be read; the message says where and why."""


class OtherBucketError(FileIndexError):
    """An event is about a bucket that the function does not index."""


class PermissionDeniedError(FileIndexError):
    """AWS refused a call; the message names role, action, resource and where to look."""

    def __init__(self, refusal: str, advice: str = "", said: str = "") -> None:
        super().__init__(" ".join(filter(None, (refusal, advice, said))))
        self.refusal = refusal
        """Who may not do what on which resource."""
        self.said = said
        """AWS's own words; empty where it gave none."""


class TableMissingError(FileIndexError):
    """The table that the settings name does not exist."""


class UnreadableRecordError(FileIndexError):
    """The table holds an item that this package did not write."""


class DerivedBucketMissingError(FileIndexError):
    """The bucket for derived files that the settings name does not exist."""


class EventTooOldError(FileIndexError):
    """An event is older than the tombstones live and the object may not be looked at."""


class ContentionError(FileIndexError):
    """A record changed under every attempt to refresh it."""


class OutOfTimeError(FileIndexError):
    """The invocation is about to time out: the object was not started, or not finished."""


class ObjectEventsFailedError(FileIndexError):
    """Events of a direct invocation failed; Lambda retries, then dead-letters the payload."""
