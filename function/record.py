"""What the index holds for one key, and what an object is right now."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from .errors import UnreadableRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMetadata:
    """What S3 says of an object beyond its content, kept with object metadata switched on.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """

    storage_class: str
    content_type: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    cache_control: str | None = None
    archive_status: str | None = None
    restore: str | None = None
    """S3's restore header, with the expiry of the restored copy."""
    encryption: str | None = None
    """`AES256`, `aws:kms` or `aws:kms:dsse`."""
    kms_key_id: str | None = None
    parts: int | None = None
    """How many parts a multipart upload had."""
    user_metadata: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object whose content is read, in the state that its ETag names."""

    bucket: str
    key: str
    etag: str
    """Unquoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile:
    """Where what was made of an object's content is, or why there is nothing."""

    key: str | None = None
    """In the bucket for derived files."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectState:
    """What an object is: as seen, or as far as an event tells."""

    etag: str | None = None
    size: int | None = None
    """Bytes."""
    last_modified: datetime | None = None
    version_id: str | None = None
    """None in a bucket that never was versioned; "null" is a version."""
    metadata: ObjectMetadata | None = None
    derived: DerivedFile = DerivedFile()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What the index holds for one key: an object, or the tombstone of one that is gone."""

    bucket: str
    key: str
    indexed_at: datetime
    revision: str
    """Renewed by every write; compare-and-set uses it."""
    etag: str | None = None
    size: int | None = None
    """Bytes."""
    version_id: str | None = None
    last_modified: datetime | None = None
    """Only where the object was looked at: S3's events carry none."""
    event_name: str | None = None
    """S3's, or `Backfill` or `Repair` where no event led to the write."""
    event_time: datetime | None = None
    sequencer: str | None = None
    request_id: str | None = None
    observed: bool = False
    """The key is looked at and never ordered by sequencer."""
    settled_at: datetime | None = None
    """A repair saw the object after this time, by S3's clock: older events change nothing."""
    deleted: bool = False
    """The record is a tombstone."""
    expires_at: int | None = None
    """When DynamoDB may remove a tombstone, in seconds of Unix time."""
    derived_key: str | None = None
    """With derived files switched on, where the object's is."""
    derived_reason: str | None = None
    """Why there is none."""
    metadata: ObjectMetadata | None = None

    def to_item(self) -> dict[str, Any]:
        """The record as DynamoDB attributes; what is absent or false is left out."""
        item = _attributes(self)
        if self.metadata is not None:
            item |= _attributes(self.metadata)
        return item

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "FileRecord":
        """The record that DynamoDB attributes describe; attributes of others are passed over.

        Raises UnreadableRecordError where it is none.
        """
        try:
            return cls(
                **_values(item, _RECORD_FIELDS),
                # Every record with object metadata has a storage class; without it an attribute of
                # one of these names is somebody else's.
                metadata=ObjectMetadata(**_values(item, _METADATA_FIELDS))
                if "storage_class" in item
                else None,
            )
        except (TypeError, ValueError) as error:
            raise UnreadableRecordError(
                f"the table holds an item that is no record, under {item.get('key')}: {error}. "
                "Somebody else wrote it: remove it"
            ) from error


class WriteRefusedError(Exception):
    """The record in the table did not allow the write."""

    def __init__(self, standing: FileRecord | None) -> None:
        super().__init__("another record stands in the table")
        self.standing = standing
        """The record as it is now; None where it is gone."""


_RECORD_FIELDS = {field.name for field in fields(FileRecord)} - {"metadata"}
_METADATA_FIELDS = {field.name for field in fields(ObjectMetadata)}
_TIMES = {"event_time", "indexed_at", "last_modified", "settled_at"}


def _attributes(values: FileRecord | ObjectMetadata) -> dict[str, Any]:
    named = ((field.name, getattr(values, field.name)) for field in fields(values))
    return {
        name: _attribute(value)
        for name, value in named
        if value is not None and value is not False and name != "metadata"
    }


def _attribute(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case datetime():
            return {"S": format_time(value)}
        case Mapping():
            return {"M": {key: {"S": text} for key, text in value.items()}}
        case _:
            return {"S": value}


def _values(item: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: _value(name, item[name]) for name in names & item.keys()}


def _value(name: str, attribute: Mapping[str, Any]) -> Any:
    match attribute:
        case {"S": text} if name in _TIMES:
            return datetime.fromisoformat(text)
        case {"N": number} if name in ("size", "expires_at", "parts"):
            return int(number)
        case {"M": entries}:
            return {key: entry.get("S") for key, entry in entries.items()}
        case _:
            return next(iter(attribute.values()))


def format_time(time: datetime) -> str:
    """The time as S3's events write it: ISO-8601 in UTC with milliseconds and `Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
