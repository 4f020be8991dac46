"""Turns a payload into messages of object events. Pure: no AWS, no clock.

It reads S3's own document, also inside SQS, SNS and SNS in SQS (wrapped or raw); EventBridge
events, also in SQS; and the record of a Lambda on-failure destination. They may be nested.

Documents:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import unquote_plus

from .errors import MalformedEventError
from .events import MAX_KEY_BYTES, Change, Message, ObjectEvent, change_of

__all__ = ["Change", "Message", "ObjectEvent", "canonical_sequencer", "parse"]

_MAX_SIZE = 2**63 - 1  # far above S3's largest object, and DynamoDB keeps it exactly
_MAX_WRAPPERS = 8
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")
_MAX_SEQUENCER_DIGITS = 64  # S3's have about 18

_EVENTBRIDGE_NAMES = {
    "Object Restore Initiated": "ObjectRestore:Post",
    "Object Restore Completed": "ObjectRestore:Completed",
    "Object Restore Expired": "ObjectRestore:Delete",
    "Object Storage Class Changed": "LifecycleTransition",
    "Object Access Tier Changed": "IntelligentTiering",
    "Object ACL Updated": "ObjectAcl:Put",
    "Object Tags Added": "ObjectTagging:Put",
    "Object Tags Deleted": "ObjectTagging:Delete",
    "Object Annotation Created": "ObjectAnnotation:Put",
    "Object Annotation Removed": "ObjectAnnotation:Delete",
}
_EVENTBRIDGE_CREATED = {
    "PutObject": "Put",
    "POST Object": "Post",
    "CopyObject": "Copy",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}

# Known documents that are not S3 events, and what to do about them.
_SUBSCRIPTION = (
    "an SNS {} of topic {}, not an S3 event: confirm the subscription (aws sns "
    "confirm-subscription with the message's TopicArn and Token, or open its SubscribeURL within "
    "three days), then delete the message"
)
_UNSUBSCRIPTION = (
    "an SNS {} of topic {}, not an S3 event: S3's events no longer come from this topic. Subscribe "
    "again if they should, then delete the message"
)
_CLOUDTRAIL = (
    "a CloudTrail event, not an S3 event notification: CloudTrail records API calls and does not "
    "say what became of the object. Send S3's own events: a notification of the bucket, or an "
    'EventBridge rule with source "aws.s3" and detail-type "Object Created" and "Object Deleted". '
    "Then delete the message and run file-index verify --repair"
)
_SNS_ADVICE = {
    "SubscriptionConfirmation": _SUBSCRIPTION,
    "UnsubscribeConfirmation": _UNSUBSCRIPTION,
}

T = TypeVar("T")


def parse(payload: object) -> tuple[Message, ...]:
    """Return the messages in the payload that Lambda was invoked with.

    Raises MalformedEventError if nothing in the payload can be read. Otherwise an unreadable
    message or record is reported in `Message.errors`, and does not affect the others.
    """
    records = _records(payload)
    if records and all(_source(record) == "aws:sqs" for record in records):
        return tuple(_sqs_message(record) for record in records)
    found = _Collector()
    found.read(payload)
    if found.errors and not (found.events or found.test_events):
        others = len(found.errors) - 1
        more = f" ({others} other records cannot be read either)" if others else ""
        raise MalformedEventError(f"{found.errors[0]}{more}")
    return (found.message(None),)


def canonical_sequencer(sequencer: str, *, eventbridge: bool = False) -> str:
    """Return the sequencer in the form that plain string comparison orders as S3 documents.

    S3 says to pad the shorter with zeros on the right and to compare as strings. In upper case and
    without trailing zeros no padding is needed. AWS documents EventBridge's sequencers without the
    leading 00 of the native ones; it is restored, so that both forms are equal.

    Raises MalformedEventError if it is not hexadecimal or too long.
    """
    if not _HEXADECIMAL.fullmatch(sequencer):
        raise MalformedEventError(f"sequencer {_shown(sequencer)} is not a hexadecimal string")
    if len(sequencer) > _MAX_SEQUENCER_DIGITS:
        raise MalformedEventError(
            f"sequencer of {len(sequencer)} digits, more than {_MAX_SEQUENCER_DIGITS}: "
            f"it begins {_shown(sequencer[:_MAX_SEQUENCER_DIGITS])}"
        )
    if eventbridge and not sequencer.startswith("00"):
        sequencer = "00" + sequencer
    return sequencer.upper().rstrip("0") or "0"


class _Collector:
    """Collects the events in one message while it unwraps them."""

    def __init__(self) -> None:
        self.events: list[ObjectEvent] = []
        self.errors: list[MalformedEventError] = []
        self.test_events = 0

    def message(self, message_id: str | None) -> Message:
        """Return what was collected."""
        return Message(
            id=message_id,
            events=tuple(self.events),
            errors=tuple(self.errors),
            test_events=self.test_events,
        )

    def read(self, document: object, depth: int = 0) -> None:
        """Add the events in the document, or the error if it cannot be read."""
        try:
            self._read(document, depth)
        except MalformedEventError as error:
            self.errors.append(error)

    def _read(self, document: object, depth: int) -> None:
        if depth > _MAX_WRAPPERS:
            raise MalformedEventError(f"more than {_MAX_WRAPPERS} wrappers around an S3 event")
        document = _mapping(document, "the payload")
        if "Records" in document:
            for record in _records(document):
                self.read_record(record, depth + 1)
        elif document.get("Event") == "s3:TestEvent":
            self.test_events += 1
        elif document.get("Type") == "Notification" and "Message" in document:
            self.read(_decoded(_text(document, "Message"), "the SNS message"), depth + 1)
        elif advice := _foreign(document):
            raise MalformedEventError(advice)
        elif document.get("source") == "aws.s3" and "detail-type" in document:
            self.events.append(_eventbridge_event(document))
        elif "requestPayload" in document and "requestContext" in document:
            self.read(document["requestPayload"], depth + 1)
        else:
            raise MalformedEventError(
                "not an event of S3, SQS, SNS, EventBridge or a Lambda failure destination: "
                f"an object with {_shown(sorted(document))}"
            )

    def read_record(self, record: object, depth: int) -> None:
        """Add the events in an entry of `Records`."""
        try:
            record = _mapping(record, "an entry of Records")
            source = _source(record)
            if source == "s3.amazonaws.com":
                raise MalformedEventError(_CLOUDTRAIL)
            if source == "aws:sqs":
                self.read(_decoded(_text(record, "body"), "the SQS body"), depth)
            elif source == "aws:sns":
                notification = _mapping(record.get("Sns"), "Sns")
                self.read(_decoded(_text(notification, "Message"), "the SNS message"), depth)
            else:
                self.events.append(_native_event(record))
        except MalformedEventError as error:
            self.errors.append(error)


def _sqs_message(record: object) -> Message:
    message_id = _text(_mapping(record, "an entry of Records"), "messageId")
    found = _Collector()
    found.read_record(record, 1)
    return found.message(message_id)


def _native_event(record: Mapping[str, object]) -> ObjectEvent:
    version = _optional_text(record, "eventVersion")
    if version is not None and not version.startswith("2."):
        raise MalformedEventError(
            f"eventVersion {_shown(version)}: only 2.x is understood; "
            "a newer release of the module may read it"
        )
    s3 = _mapping(record.get("s3"), "s3")
    entity = _mapping(s3.get("object"), "s3.object")
    response = record.get("responseElements")
    name = _text(record, "eventName").removeprefix("s3:")
    return ObjectEvent(
        bucket=_text(_mapping(s3.get("bucket"), "s3.bucket"), "name"),
        key=_checked_key(_form_decoded(_text(entity, "key"))),
        name=name,
        time=_optional_time(record, "eventTime"),
        size=_optional_size(entity),
        etag=_optional_text(entity, "eTag"),
        version_id=_optional_text(entity, "versionId"),
        sequencer=_content_sequencer(entity, name, eventbridge=False),
        request_id=_optional_text(response, "x-amz-request-id")
        if isinstance(response, Mapping)
        else None,
    )


def _eventbridge_event(document: Mapping[str, object]) -> ObjectEvent:
    detail = _mapping(document.get("detail"), "detail")
    entity = _mapping(detail.get("object"), "detail.object")
    name = _eventbridge_name(_text(document, "detail-type"), detail)
    return ObjectEvent(
        bucket=_text(_mapping(detail.get("bucket"), "detail.bucket"), "name"),
        key=_checked_key(_text(entity, "key")),  # not encoded here: decoding would corrupt it
        name=name,
        time=_optional_time(document, "time"),
        size=_optional_size(entity),
        etag=_optional_text(entity, "etag"),
        version_id=_optional_text(entity, "version-id"),
        sequencer=_content_sequencer(entity, name, eventbridge=True),
        request_id=_optional_text(detail, "request-id"),
    )


def _eventbridge_name(detail_type: str, detail: Mapping[str, object]) -> str:
    reason = _optional_text(detail, "reason")
    if detail_type == "Object Created":
        return (
            f"ObjectCreated:{_EVENTBRIDGE_CREATED.get(reason, reason)}"
            if reason
            else "ObjectCreated"
        )
    if detail_type == "Object Deleted":
        family = "LifecycleExpiration" if reason == "Lifecycle Expiration" else "ObjectRemoved"
        marker = detail.get("deletion-type") == "Delete Marker Created"
        return f"{family}:{'DeleteMarkerCreated' if marker else 'Delete'}"
    return _EVENTBRIDGE_NAMES.get(detail_type, detail_type)


def _foreign(document: Mapping[str, object]) -> str | None:
    """Return what the document is and what to do, if it is a known one but not an S3 event."""
    kind = document.get("Type")
    if isinstance(kind, str) and kind in _SNS_ADVICE and "TopicArn" in document:
        return _SNS_ADVICE[kind].format(kind, _shown(document["TopicArn"]))
    if str(document.get("detail-type")).endswith("via CloudTrail"):
        return _CLOUDTRAIL
    return None


def _records(payload: object) -> list[object]:
    """Return the list under `Records`; an empty one if the payload has none."""
    if not isinstance(payload, Mapping) or "Records" not in payload:
        return []
    records = payload["Records"]
    if not isinstance(records, list):
        raise MalformedEventError(f"Records is {_kind(records)}, expected an array")
    return records


def _source(record: object) -> object:
    if not isinstance(record, Mapping):
        return None
    return record.get("eventSource", record.get("EventSource"))


def _form_decoded(key: str) -> str:
    """Decode the key once: S3 form-encodes it in its own document, and only there."""
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise MalformedEventError(f"key {_shown(key)} does not decode to UTF-8") from None


def _checked_key(key: str) -> str:
    length = len(key.encode())
    if length > MAX_KEY_BYTES:
        raise MalformedEventError(
            f"key of {length} bytes: S3 allows {MAX_KEY_BYTES}; it begins {_shown(key)}"
        )
    return key


def _content_sequencer(entity: Mapping[str, object], name: str, *, eventbridge: bool) -> str | None:
    """Return the canonical sequencer if the event's sequencer orders content."""
    sequencer = _optional_text(entity, "sequencer")
    if sequencer is None or change_of(name) in (Change.TOUCHED, Change.UNRELATED):
        return None
    return canonical_sequencer(sequencer, eventbridge=eventbridge)


def _decoded(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"{where} is not JSON ({error}): {_shown(text)}") from None


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise MalformedEventError(f"{where} is {_kind(value)}, expected an object")
    return value


def _text(document: Mapping[str, object], field: str) -> str:
    text = _optional_text(document, field)
    if text is None:
        raise MalformedEventError(f"{field} is missing or empty")
    return text


def _optional_text(document: Mapping[str, object], field: str) -> str | None:
    """Return the field's text; null and "" count as absent, as S3 and its imitators use them."""
    value = _optional(document, field, str)
    if not value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedEventError(f"{field} {_shown(value)} is not valid Unicode") from None
    return value


def _optional_size(entity: Mapping[str, object]) -> int | None:
    size = _optional(entity, "size", int)
    if size is not None and (isinstance(size, bool) or not 0 <= size <= _MAX_SIZE):
        raise MalformedEventError(f"size is not a number of bytes from 0 to {_MAX_SIZE}")
    return size


def _optional_time(document: Mapping[str, object], field: str) -> datetime | None:
    text = _optional_text(document, field)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedEventError(f"{field} {_shown(text)} is not an ISO-8601 time") from None


def _optional(document: Mapping[str, object], field: str, kind: type[T]) -> T | None:
    value = document.get(field)
    if value is not None and not isinstance(value, kind):
        raise MalformedEventError(f"{field} is {_kind(value)}, expected {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a whole number",
    list: "an array",
    str: "a string",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    """Return the beginning of a value from outside, in ASCII and on one line."""
    text = json.dumps(value, default=str)
    limit = 200
    return text if len(text) <= limit else f"{text[:limit]}..."
