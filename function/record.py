"""What the index holds for one key, and how DynamoDB stores it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from .errors import UnreadableRecordError
from .events import ObjectEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMetadata:
    """An object's properties beyond its content; recorded if object metadata is on.

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
    """The number of parts of a multipart upload."""
    checksum: str | None = None
    """As S3 returns it: Base64, with `-` and the number of parts if it is composite."""
    checksum_algorithm: str | None = None
    """`CRC64NVME`, `SHA256` and so on."""
    checksum_type: str | None = None
    """`FULL_OBJECT` or `COMPOSITE`."""
    user_metadata: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object to read, with the content that its ETag names."""

    bucket: str
    key: str
    etag: str
    """Unquoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile:
    """Where an object's derived file is, or why it has none."""

    key: str | None = None
    """The key in the bucket for derived files."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectState:
    """An object as it was seen, or as far as an event describes it."""

    etag: str | None = None
    size: int | None = None
    """Bytes."""
    last_modified: datetime | None = None
    version_id: str | None = None
    """None if the bucket was never versioned; "null" is a version."""
    metadata: ObjectMetadata | None = None
    derived: DerivedFile = DerivedFile()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What the index holds for one key: its object, and what caused the write."""

    bucket: str
    key: str
    indexed_at: datetime
    revision: str
    """Renewed by every write, for compare-and-set."""
    state: ObjectState | None
    """None: the object is gone, and the record is its tombstone."""
    event_name: str | None = None
    """S3's, or `Backfill` or `Repair` if no event caused the write."""
    event_time: datetime | None = None
    request_id: str | None = None
    sequencer: str | None = None
    """The greatest one so far, not always this event's."""
    observed: bool = False
    """Events of the key always refresh the record; sequencers do not decide."""
    settled_at: datetime | None = None
    """A repair saw the object after this time, by S3's clock: older events change nothing."""
    expires_at: int | None = None
    """When DynamoDB may remove a tombstone, in seconds of Unix time."""

    @classmethod
    def of(  # noqa: PLR0913 # what a write decides
        cls,
        event: ObjectEvent,
        state: ObjectState | None,
        *,
        now: datetime,
        tombstone_life: timedelta,
        sequencer: str | None = None,
        observed: bool = False,
        settled_at: datetime | None = None,
    ) -> "FileRecord":
        """Return a new record, caused by the event, with a revision of its own."""
        return cls(
            bucket=event.bucket,
            key=event.key,
            indexed_at=now,
            revision=secrets.token_hex(8),
            state=state,
            event_name=event.name,
            event_time=event.time,
            request_id=event.request_id,
            sequencer=sequencer,
            observed=observed,
            settled_at=settled_at,
            expires_at=None if state else int((now + tombstone_life).timestamp()),
        )

    @property
    def deleted(self) -> bool:
        """Whether the record is a tombstone."""
        return self.state is None

    @property
    def known(self) -> ObjectState:
        """The object's state; an empty one if the record is a tombstone."""
        return self.state or ObjectState()

    def to_item(self) -> dict[str, Any]:
        """Return the record as DynamoDB attributes, with its state's at the top level."""
        item = to_attributes(self)
        if self.state is None:
            return item | {_DELETED: {"BOOL": True}}
        item |= to_attributes(self.state) | to_attributes(self.state.derived, _DERIVED)
        return item | (to_attributes(self.state.metadata) if self.state.metadata else {})

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "FileRecord":
        """Return the record that DynamoDB attributes describe; it ignores any others.

        Raises UnreadableRecordError if they do not describe a record.
        """
        try:
            return cls(state=_state(item), **from_attributes(cls, item))
        except (TypeError, ValueError) as error:
            raise UnreadableRecordError(
                f"the table holds an item that is not a record, under {item.get('key')}: {error}. "
                "It was not written by file-index: remove it"
            ) from error


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item of the table that is not a record."""

    key: str
    error: UnreadableRecordError


class InsertResult(Enum):
    """What became of a record that was to be inserted, unless it failed."""

    WRITTEN = auto()
    PRESENT = auto()
    """The key already has a record or a tombstone."""
    THROTTLED = auto()
    """DynamoDB was throttling or had an error of its own; another attempt may succeed."""


class WriteRefusedError(Exception):
    """The record in the table did not allow the write."""

    def __init__(self, standing: FileRecord | None) -> None:
        super().__init__("the table holds another record")
        self.standing = standing
        """The record in the table; None if there is none."""


_DELETED = "deleted"
_DERIVED = "derived_"


def _state(item: Mapping[str, Any]) -> ObjectState | None:
    if item.get(_DELETED) == {"BOOL": True}:
        return None
    # Every record with object metadata has a storage class; without it, an attribute that has the
    # name of a metadata field is not the function's.
    has_metadata = "storage_class" in item
    return ObjectState(
        derived=DerivedFile(**from_attributes(DerivedFile, item, _DERIVED)),
        metadata=ObjectMetadata(**from_attributes(ObjectMetadata, item)) if has_metadata else None,
        **from_attributes(ObjectState, item),
    )


def to_attributes(values: object, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a dataclass as DynamoDB attributes.

    A field that is None or false has no attribute, and neither has one that is a dataclass.
    """
    kind: type = type(values)
    found = {name: getattr(values, name) for name in _kinds(kind)}
    return {
        prefix + name: _attribute(value)
        for name, value in found.items()
        if value is not None and value is not False
    }


def from_attributes(kind: type, item: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the arguments for a dataclass, the inverse of `to_attributes`."""
    return {
        name: _value(item[prefix + name], type_)
        for name, type_ in _kinds(kind).items()
        if prefix + name in item
    }


@cache
def _kinds(kind: type) -> dict[str, Any]:
    """Return the type of each field that is an attribute; of `X | None`, it is X."""
    kinds = {
        name: next((one for one in get_args(hint) if one is not NoneType), hint)
        if isinstance(hint, UnionType)
        else hint
        for name, hint in get_type_hints(kind).items()
    }
    return {name: type_ for name, type_ in kinds.items() if not is_dataclass(type_)}


def _attribute(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case datetime():
            return {"S": format_time(value)}
        case Mapping():
            return {"M": {key: _attribute(entry) for key, entry in value.items()}}
        case str():
            return {"S": value}
        case _:
            raise TypeError(f"{value!r} is not of a type that an attribute can have")


def _value(attribute: Mapping[str, Any], type_: object) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "S" and type_ is datetime:
        return datetime.fromisoformat(value)
    if kind == "N":
        return int(value)
    if kind == "M":
        return {key: _value(entry, str) for key, entry in value.items()}
    return value


def format_time(time: datetime) -> str:
    """Return the time as S3's events have it: ISO-8601 in UTC with milliseconds and `Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
