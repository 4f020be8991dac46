"""The events in everything that can invoke the function."""

import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function.errors import MalformedEventError
from function.event_parser import canonical_sequencer, parse
from function.events import Change, ObjectEvent
from tests.payloads import (
    BUCKET,
    TEST_EVENT,
    created,
    eventbridge,
    failure_record,
    native,
    removed,
    s3_document,
    sns,
    sns_body,
    sqs,
)

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
SEQUENCER = "0055AED6DCD90281E5"
VERSION = "096fKKXTRTtl3on89fVO.nfljtsv6qko"


def only_event(payload: object) -> ObjectEvent:
    (message,) = parse(payload)
    assert message.errors == ()
    (event,) = message.events
    return event


def test_every_field_of_a_native_record_is_read() -> None:
    event = only_event(s3_document(created(versionId=VERSION)))

    assert event == ObjectEvent(
        bucket=BUCKET,
        key="a.txt",
        name="ObjectCreated:Put",
        time=datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC),
        size=1024,
        etag=ETAG,
        version_id=VERSION,
        sequencer=SEQUENCER,
        request_id="C3D13FE58DE4C810",
    )
    assert None not in astuple(event)


# Every row of the table of event types: name, what S3 sends with it, and what it says.
CONTENT = {"size": 3, "eTag": ETAG, "sequencer": SEQUENCER}
ROWS: list[tuple[str, dict[str, Any], Change]] = [
    *(
        (f"ObjectCreated:{how}", CONTENT | version, Change.STORED)
        for how in ("Put", "Post", "Copy", "CompleteMultipartUpload")
        for version in ({}, {"versionId": VERSION})
    ),
    ("ObjectRemoved:Delete", {"sequencer": SEQUENCER}, Change.REMOVED),
    ("ObjectRemoved:Delete", {"sequencer": SEQUENCER, "versionId": VERSION}, Change.REMOVED),
    ("ObjectRemoved:Delete", {"sequencer": SEQUENCER, "versionId": "null"}, Change.REMOVED),
    (
        "ObjectRemoved:DeleteMarkerCreated",
        {"eTag": ETAG, "sequencer": SEQUENCER, "versionId": VERSION},
        Change.MARKED,
    ),
    ("LifecycleExpiration:Delete", {"sequencer": SEQUENCER}, Change.REMOVED),
    (
        "LifecycleExpiration:DeleteMarkerCreated",
        {"eTag": ETAG, "sequencer": SEQUENCER, "versionId": VERSION},
        Change.MARKED,
    ),
    ("ObjectTagging:Put", {"eTag": ETAG}, Change.TOUCHED),
    ("ObjectTagging:Delete", {"eTag": ETAG, "versionId": VERSION}, Change.TOUCHED),
    ("ObjectAcl:Put", {"eTag": ETAG}, Change.UNRELATED),
    ("ObjectRestore:Post", {"size": 3, "eTag": ETAG}, Change.TOUCHED),
    ("ObjectRestore:Completed", {"size": 3, "eTag": ETAG, "versionId": VERSION}, Change.TOUCHED),
    ("ObjectRestore:Delete", {"eTag": ETAG}, Change.TOUCHED),
    ("LifecycleTransition", {"eTag": ETAG}, Change.TOUCHED),
    ("IntelligentTiering", {"eTag": ETAG}, Change.TOUCHED),
    ("Replication:OperationFailedReplication", {"eTag": ETAG}, Change.UNRELATED),
    ("ObjectRetention:Put", {"eTag": ETAG}, Change.UNRELATED),
    ("ReducedRedundancyLostObject", {}, Change.UNRELATED),
    ("ObjectInvented:Tomorrow", {"eTag": ETAG}, Change.UNRELATED),
]


@pytest.mark.parametrize(("name", "entity", "change"), ROWS)
def test_a_native_event_type_is_read_with_what_s3_sends(
    name: str, entity: dict[str, Any], change: Change
) -> None:
    event = only_event(s3_document(native(name, **entity)))

    assert (event.name, event.change) == (name, change)
    assert (event.size, event.etag) == (entity.get("size"), entity.get("eTag"))
    assert (event.version_id, event.sequencer) == (
        entity.get("versionId"),
        entity.get("sequencer"),
    )


@pytest.mark.parametrize("name", ["ObjectRestore:Completed", "ObjectAnnotation:Put"])
def test_a_sequencer_that_does_not_order_content_is_ignored(name: str) -> None:
    assert only_event(s3_document(native(name, sequencer=SEQUENCER))).sequencer is None


EVENTBRIDGE_ROWS = [
    ("Object Created", "PutObject", {}, "ObjectCreated:Put"),
    ("Object Created", "POST Object", {}, "ObjectCreated:Post"),
    ("Object Created", "CopyObject", {}, "ObjectCreated:Copy"),
    ("Object Created", "CompleteMultipartUpload", {}, "ObjectCreated:CompleteMultipartUpload"),
    ("Object Created", "SomethingNew", {}, "ObjectCreated:SomethingNew"),
    ("Object Deleted", "DeleteObject", "Permanently Deleted", "ObjectRemoved:Delete"),
    (
        "Object Deleted",
        "DeleteObject",
        "Delete Marker Created",
        "ObjectRemoved:DeleteMarkerCreated",
    ),
    (
        "Object Deleted",
        "Lifecycle Expiration",
        "Permanently Deleted",
        "LifecycleExpiration:Delete",
    ),
    (
        "Object Deleted",
        "Lifecycle Expiration",
        "Delete Marker Created",
        "LifecycleExpiration:DeleteMarkerCreated",
    ),
    ("Object Restore Initiated", "", {}, "ObjectRestore:Post"),
    ("Object Restore Completed", "", {}, "ObjectRestore:Completed"),
    ("Object Restore Expired", "", {}, "ObjectRestore:Delete"),
    ("Object Storage Class Changed", "", {}, "LifecycleTransition"),
    ("Object Access Tier Changed", "", {}, "IntelligentTiering"),
    ("Object ACL Updated", "", {}, "ObjectAcl:Put"),
    ("Object Tags Added", "", {}, "ObjectTagging:Put"),
    ("Object Tags Deleted", "", {}, "ObjectTagging:Delete"),
    ("Object Annotation Created", "", {}, "ObjectAnnotation:Put"),
    ("Object Annotation Removed", "", {}, "ObjectAnnotation:Delete"),
    ("Object Of Tomorrow", "", {}, "Object Of Tomorrow"),
]


@pytest.mark.parametrize(("detail_type", "reason", "deletion", "name"), EVENTBRIDGE_ROWS)
def test_an_eventbridge_event_has_s3s_event_name(
    detail_type: str, reason: str, deletion: str, name: str
) -> None:
    payload = eventbridge(detail_type, reason=reason)
    if deletion:
        payload["detail"]["deletion-type"] = deletion

    assert only_event(payload).name == name


def test_every_field_of_an_eventbridge_event_is_read() -> None:
    payload = eventbridge(
        key="a+b %41.txt",
        size=5,
        etag=ETAG,
        sequencer="617f08299329d189",
        **{"version-id": VERSION},
    )

    event = only_event(payload)

    assert event == ObjectEvent(
        bucket=BUCKET,
        key="a+b %41.txt",
        name="ObjectCreated:Put",
        time=datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC),
        size=5,
        etag=ETAG,
        version_id=VERSION,
        sequencer="00617F08299329D189",
        request_id="C3D13FE58DE4C810",
    )
    assert None not in astuple(event)


S3_WRAPPERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("sqs", sqs),
    ("sns", sns),
    ("sns in sqs", lambda document: sqs(sns_body(document))),
    ("failure record", failure_record),
    ("failure record in sqs", lambda document: sqs(failure_record(document))),
    ("failure record of sns", lambda document: failure_record(sns(document))),
    ("sqs in a failure record", lambda document: failure_record(sqs(document))),
]


@pytest.mark.parametrize("wrap", [w for _, w in S3_WRAPPERS], ids=[name for name, _ in S3_WRAPPERS])
@pytest.mark.parametrize(
    "document",
    [s3_document(created("a b+c")), eventbridge(key="a b+c", sequencer=SEQUENCER)],
    ids=["native", "eventbridge"],
)
def test_a_wrapper_changes_nothing(wrap: Callable[[Any], Any], document: Any) -> None:
    assert only_event(wrap(document)) == only_event(document)


def test_the_events_of_an_sqs_batch_stay_with_their_messages() -> None:
    messages = parse(sqs(s3_document(created("a"), created("b")), s3_document(removed("c"))))

    assert [(m.id, [e.key for e in m.events]) for m in messages] == [
        ("m0", ["a", "b"]),
        ("m1", ["c"]),
    ]


def test_a_payload_that_is_not_sqs_is_one_message_without_an_id() -> None:
    (message,) = parse(s3_document(created("a"), created("b")))

    assert message.id is None
    assert [event.key for event in message.events] == ["a", "b"]


@pytest.mark.parametrize("wrap", [lambda body: body, sqs, lambda body: sqs(sns_body(body))])
def test_the_test_event_is_recognized_by_its_name(wrap: Callable[[Any], Any]) -> None:
    (message,) = parse(wrap(TEST_EVENT))

    assert (message.test_events, message.events, message.errors) == (1, (), ())


def test_a_malformed_message_leaves_the_others_of_its_batch_alone() -> None:
    messages = parse(sqs("not json", s3_document(created("b")), {"what": "is this"}))

    assert [len(message.errors) for message in messages] == [1, 0, 1]
    assert [event.key for event in messages[1].events] == ["b"]


def test_a_malformed_record_leaves_the_others_of_its_message_alone() -> None:
    (message,) = parse(s3_document(created("a"), native(key=""), created("c")))

    assert [event.key for event in message.events] == ["a", "c"]
    (error,) = message.errors
    assert "key is missing or empty" in str(error)


def broken(**changes: Any) -> dict[str, Any]:
    return s3_document(created() | changes)


S3_PART = created()["s3"]
MALFORMED: list[tuple[object, str]] = [
    (None, "the payload is null"),
    ([], "the payload is an array"),
    ("text", "the payload is a string"),
    (b"bytes", "the payload is bytes, expected an object"),
    ({}, "not an event of S3"),
    ({b"bytes": 1}, "not an event of S3"),
    ({"Records": {}}, "Records is an object, expected an array"),
    ({"Records": [1]}, "an entry of Records is a whole number"),
    ({"Records": [{}]}, "s3 is null"),
    (broken(eventName=None), "eventName is missing"),
    (
        broken(eventVersion="3.0"),
        '^eventVersion "3.0": only 2.x is understood; a newer release of the module may read it$',
    ),
    (broken(s3=S3_PART | {"object": 1}), "^s3.object is a whole number, expected an object$"),
    (broken(s3=S3_PART | {"bucket": []}), "^s3.bucket is an array, expected an object$"),
    ({**eventbridge(), "detail": 1}, "^detail is a whole number, expected an object$"),
    ({**eventbridge(), "detail": {"object": 1}}, "^detail.object is a whole number"),
    (
        {**eventbridge(), "detail": {"object": {"key": "k"}, "bucket": 1}},
        "^detail.bucket is a whole number",
    ),
    (broken(eventTime="yesterday"), '^eventTime "yesterday" is not an ISO-8601 time$'),
    (broken(s3=S3_PART | {"bucket": {"name": ""}}), "name is missing or empty"),
    (s3_document(created("")), "key is missing or empty"),
    (
        s3_document(created("ä" * 513)),
        r'^key of 1026 bytes: S3 allows 1024; it begins "\\u00e4\\u00e4',
    ),
    (s3_document(created(size=2**63)), "size is not a number of bytes from 0"),
    (s3_document(created(sequencer="xyz")), '^sequencer "xyz" is not a hexadecimal string$'),
    (
        s3_document(created(sequencer="A" * 65)),
        f'^sequencer of 65 digits, more than 64: it begins "{"A" * 64}"$',
    ),
    (eventbridge(sequencer="A" * 65), "sequencer of 65 digits, more than 64"),
    (s3_document(created(size=-1)), "size is not a number of bytes from 0"),
    (s3_document(created(size=True)), "size is not a number of bytes from 0"),
    (s3_document(created(size=10**39)), "size is not a number of bytes from 0"),
    (s3_document(created(size=float("nan"))), "size is a number, expected a whole number"),
    (s3_document(created(size="3")), "size is a string, expected a whole number"),
    (broken(eventTime="0001-01-01T00:00:00+23:59"), "is not an ISO-8601 time"),
    (
        broken(s3=S3_PART | {"object": {"key": "%FF"}}),
        '^key "%FF" does not decode to UTF-8$',
    ),
    (broken(s3=S3_PART | {"object": {"key": "\ud800"}}), "not valid Unicode"),
    (eventbridge(key="\ud800"), "not valid Unicode"),
    ({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, "messageId is missing"),
    ({"Records": [{"EventSource": "aws:sns"}]}, "^Sns is null, expected an object$"),
    (
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "no"}}]},
        r'^the SNS message is not JSON \(.*: "no"$',
    ),
    ({"Type": "Notification", "Message": "no"}, r'^the SNS message is not JSON \(.*: "no"$'),
    (failure_record(failure_record({})), "not an event of S3"),
]


@pytest.mark.parametrize(("payload", "reason"), MALFORMED, ids=[reason for _, reason in MALFORMED])
def test_a_payload_that_cannot_be_read_is_refused_with_the_reason(
    payload: object, reason: str
) -> None:
    with pytest.raises(MalformedEventError, match=reason):
        parse(payload)


CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37",
    "TopicArn": "arn:aws:sns:eu-central-1:123456789012:t",
    "Message": "You have chosen to subscribe to the topic arn:aws:sns:eu-central-1:123456789012:t.",
    "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
}
API_CALL = {
    "version": "0",
    "detail-type": "AWS API Call via CloudTrail",
    "source": "aws.s3",
    "time": "2026-11-23T08:15:30Z",
    "detail": {
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "requestParameters": {"bucketName": BUCKET, "key": "a.txt"},
    },
}
TRAIL = {
    "Records": [
        {
            "eventVersion": "1.09",
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject",
            "eventTime": "2026-11-23T08:15:30Z",
            "requestParameters": {"bucketName": BUCKET, "key": "a.txt"},
        }
    ]
}


@pytest.mark.parametrize(
    ("document", "reasons"),
    [
        (
            CONFIRMATION,
            [
                "an SNS SubscriptionConfirmation of topic "
                '"arn:aws:sns:eu-central-1:123456789012:t", not an S3 event: ',
                "aws sns confirm-subscription",
                "then delete the message",
            ],
        ),
        (
            CONFIRMATION | {"Type": "UnsubscribeConfirmation"},
            ["an SNS UnsubscribeConfirmation of topic", "no longer come from this topic"],
        ),
        (API_CALL, ["a CloudTrail event, not an S3", "Send S3's own events", "verify --repair"]),
        (API_CALL | {"detail-type": "AWS Service Event via CloudTrail"}, ["a CloudTrail event"]),
        (TRAIL, ["a CloudTrail event, not an S3"]),
    ],
    ids=["confirmation", "unsubscribed", "api call", "service event", "trail"],
)
@pytest.mark.parametrize("wrap", [lambda body: body, sqs, lambda body: sqs(sns_body(body))])
def test_a_known_document_that_is_not_an_s3_event_is_named_with_what_to_do(
    document: Any, reasons: list[str], wrap: Callable[[Any], Any]
) -> None:
    try:
        (message,) = parse(wrap(document))
        (error,) = message.errors
    except MalformedEventError as raised:
        error = raised

    for reason in reasons:
        assert reason in str(error)


@pytest.mark.parametrize(
    "document",
    [
        {"Type": "SubscriptionConfirmation"},
        {"Type": ["SubscriptionConfirmation"], "TopicArn": "t"},
        {"Type": "Invented", "TopicArn": "t"},
        {"detail-type": "Object Created", "source": "aws.other"},
        {"source": "aws.s3"},
        {"requestPayload": s3_document(created())},
        {"requestContext": {}},
    ],
)
def test_a_document_that_only_looks_known_is_not_named(document: Any) -> None:
    with pytest.raises(MalformedEventError, match="not an event of S3, SQS"):
        parse(document)


COMPLETED_AT = "2024-04-05T04:09:42.000Z"  # 660F7986


@pytest.mark.parametrize(
    ("name", "sequencer", "began"),
    [
        ("ObjectCreated:CompleteMultipartUpload", "00660F7986D160712D", 0),
        ("ObjectCreated:CompleteMultipartUpload", "00660F7980D160712D", 6),
        ("ObjectCreated:CompleteMultipartUpload", "00660F7980", 6),
        ("ObjectCreated:CompleteMultipartUpload", "00660F798", 6),
        # No time, or an impossible one.
        ("ObjectCreated:Put", "00660F7980D160712D", None),
        ("ObjectCreated:CompleteMultipartUpload", "00660F7987D160712D", None),
        ("ObjectCreated:CompleteMultipartUpload", "0055AED6DCD90281E5", None),
        ("ObjectCreated:CompleteMultipartUpload", "FF660F7980D160712D", None),
        ("ObjectCreated:CompleteMultipartUpload", None, None),
    ],
)
def test_a_completed_upload_began_when_its_sequencer_says(
    name: str, sequencer: str | None, began: int | None
) -> None:
    event = only_event(s3_document(native(name, sequencer=sequencer) | {"eventTime": COMPLETED_AT}))

    expected = None if began is None else datetime(2024, 4, 5, 4, 9, 42 - began, tzinfo=UTC)
    assert event.began_at == expected


@pytest.mark.parametrize(("late", "is_known"), [(0, True), (1, False)])
def test_an_upload_is_open_for_a_year_at_most(late: int, is_known: bool) -> None:
    completed = datetime(2025, 4, 6, 4, 9, 42 + late, tzinfo=UTC)  # 366 days later
    record = native("ObjectCreated:CompleteMultipartUpload", sequencer="00660F7986D160712D")

    event = only_event(s3_document(record | {"eventTime": completed.isoformat()}))

    assert (event.began_at is not None) is is_known


def test_without_its_time_the_start_of_an_upload_is_unknown() -> None:
    record = native("ObjectCreated:CompleteMultipartUpload", sequencer="00660F7980D160712D")

    assert only_event(s3_document(record | {"eventTime": None})).began_at is None


def test_endless_wrappers_are_refused() -> None:
    payload: Any = s3_document(created())
    for _ in range(20):
        payload = failure_record(payload)

    with pytest.raises(MalformedEventError, match=r"^more than 8 wrappers around an S3 event$"):
        parse(payload)


@pytest.mark.parametrize(
    ("wrap", "most"),
    [
        (failure_record, 8),
        (lambda body: sqs(failure_record(body)), 7),
        (lambda body: sns(failure_record(body)), 7),
        (lambda body: sqs(sns_body(failure_record(body))), 6),
    ],
)
def test_eight_wrappers_are_read_and_nine_are_not(wrap: Callable[[Any], Any], most: int) -> None:
    def wrapped(times: int) -> Any:
        payload: Any = eventbridge()
        for _ in range(times - 1):
            payload = failure_record(payload)
        return wrap(payload)

    assert only_event(wrapped(most)).key == "a.txt"
    try:
        (message,) = parse(wrapped(most + 1))
        (error,) = message.errors
    except MalformedEventError as raised:
        error = raised
    assert "more than 8 wrappers" in str(error)


def test_text_that_is_not_json_is_shown() -> None:
    (message,) = parse(sqs("not json"))

    assert str(message.errors[0]).startswith("the SQS body is not JSON (")
    assert str(message.errors[0]).endswith('): "not json"')


def test_json_nested_too_deeply_is_refused() -> None:
    (message,) = parse(sqs("[" * 100_000))

    assert "not JSON" in str(message.errors[0])


def test_many_malformed_records_are_counted_and_the_first_is_explained() -> None:
    with pytest.raises(MalformedEventError, match=r"key is missing or empty \(99 other records"):
        parse(s3_document(created(""), *[created(sequencer="-")] * 99))


@pytest.mark.parametrize(
    ("length", "shown"), [(198, '"' + "x" * 198 + '"'), (199, '"' + "x" * 199)]
)
def test_the_text_of_an_error_is_bounded(length: int, shown: str) -> None:
    (message,) = parse(sqs("x" * length))

    assert str(message.errors[0]).endswith(f": {shown}" if length < 199 else f": {shown}...")


def test_a_malformed_record_beside_a_test_event_loses_neither() -> None:
    (message,) = parse({"Records": [*sns(TEST_EVENT)["Records"], {}]})

    assert (message.test_events, len(message.errors)) == (1, 1)


def test_only_a_batch_of_nothing_but_sqs_messages_gets_a_batch_response() -> None:
    (message,) = parse({"Records": [*sqs(s3_document(created("a")))["Records"], created("b")]})

    assert message.id is None
    assert [event.key for event in message.events] == ["a", "b"]


@pytest.mark.parametrize("size", [0, 2**63 - 1])
def test_any_size_that_a_table_can_store_is_read(size: int) -> None:
    assert only_event(s3_document(created(size=size))).size == size


@pytest.mark.parametrize("key", ["a" * 1024, "ä" * 512])
def test_a_key_of_the_maximum_length_is_read(key: str) -> None:
    assert only_event(s3_document(created(key))).key == key


def test_a_native_sequencer_is_not_mistaken_for_one_of_eventbridge() -> None:
    event = only_event(s3_document(created(sequencer="617f08299329d189")))

    assert event.sequencer == "617F08299329D189"


def test_an_upload_on_eventbridge_without_a_reason_is_an_upload() -> None:
    event = only_event(eventbridge(reason=""))

    assert (event.name, event.change) == ("ObjectCreated", Change.STORED)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose time zone is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text", ["2026-11-23T08:15:30.123Z", "2026-11-23T08:15:30.123", "2026-11-23T09:15:30.123+01:00"]
)
def test_times_are_in_utc(text: str, elsewhere: None) -> None:  # noqa: ARG001 # the machine
    found = only_event(broken(eventTime=text)).time

    assert found == datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)
    assert found.tzinfo is UTC


def test_empty_fields_are_absent() -> None:
    event = only_event(
        s3_document(native(versionId="", eTag="", sequencer=None) | {"eventTime": None})
    )

    assert (event.version_id, event.etag, event.sequencer, event.time) == (None,) * 4


def test_unknown_fields_and_event_versions_of_the_same_major_are_accepted() -> None:
    assert only_event(broken(eventVersion="2.99", tomorrow={"x": 1})).key == "a.txt"


def test_a_record_without_response_elements_is_read() -> None:
    record = created()
    del record["responseElements"]

    assert only_event(s3_document(record)).request_id is None


def test_the_prefix_of_event_names_in_configurations_is_removed() -> None:
    assert only_event(s3_document(native("s3:ObjectCreated:Put"))).change is Change.STORED


# Laws.

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: len(key.encode()) <= 1024
)


@given(keys)
@example("a b+c%20d&ü/日本.txt")
@example("+")
@example("%2B")
def test_any_key_survives_the_native_encoding(key: str) -> None:
    assert only_event(s3_document(native(key=key))).key == key


@given(keys, st.sampled_from([quote, quote_plus]), st.sampled_from(["", "/", "!'()*~"]))
def test_any_key_survives_every_variant_of_form_encoding(
    key: str, encode: Callable[..., str], safe: str
) -> None:
    record = native()
    record["s3"]["object"]["key"] = encode(key, safe=safe)

    assert only_event(s3_document(record)).key == key


@given(keys)
@example("a b+c%20d&ü/日本.txt")
def test_any_key_survives_eventbridge_which_does_not_encode(key: str) -> None:
    assert only_event(eventbridge(key=key)).key == key


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: (
        st.lists(values, max_size=4) | st.dictionaries(st.text(st.characters()), values, max_size=4)
    ),
    max_leaves=20,
)
FIELDS = [
    *("Records", "body", "messageId", "eventSource", "EventSource", "Sns", "Message", "Type"),
    *("Event", "requestPayload", "requestContext", "source", "detail-type", "detail", "object"),
    *("bucket", "name", "key", "s3", "eventName", "eventVersion", "eventTime", "time", "size"),
    *("eTag", "etag", "versionId", "version-id", "sequencer", "reason", "responseElements"),
]
WORDS = ["aws:sqs", "aws:sns", "aws:s3", "aws.s3", "s3:TestEvent", "Notification", "Object Created"]
near_misses = st.recursive(
    json_values | st.sampled_from(WORDS) | st.text(),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)
    ),
    max_leaves=30,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a JSON document."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(p for name, entry in inner for p in places(entry, (*path, name)))]


def with_replaced(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    if not path:
        return replacement
    copy = value.copy()
    copy[path[0]] = with_replaced(value[path[0]], path[1:], replacement)
    return copy


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A real payload with one thing in it replaced by any JSON value."""
    payload: Any = draw(
        st.sampled_from(
            [
                s3_document(created()),
                eventbridge(),
                sqs(s3_document(created())),
                sns(eventbridge()),
                failure_record(s3_document(created())),
                TEST_EVENT,
            ]
        )
    )
    return with_replaced(payload, draw(st.sampled_from(places(payload))), draw(json_values))


@given(json_values | near_misses | damaged())
def test_any_json_value_is_parsed_or_refused_as_malformed(payload: Any) -> None:
    try:
        messages = parse(payload)
    except MalformedEventError as error:
        assert str(error).isprintable()  # noqa: PT017 # nothing else may be raised
    else:
        for message in messages:
            for event in message.events:
                assert event.bucket
                assert 0 < len(event.key.encode()) <= 1024


hexadecimal = st.text("0123456789abcdefABCDEF", min_size=1, max_size=24)


@given(hexadecimal, hexadecimal)
@example("0", "00")
@example("0055AED6DCD90281E5", "0055aed6dcd90281e50")
def test_canonical_sequencers_order_as_s3_documents(one: str, other: str) -> None:
    width = max(len(one), len(other))
    padded = one.upper().ljust(width, "0"), other.upper().ljust(width, "0")
    canonical = canonical_sequencer(one), canonical_sequencer(other)

    assert (canonical[0] < canonical[1]) == (padded[0] < padded[1])
    assert (canonical[0] == canonical[1]) == (padded[0] == padded[1])


# Recorded from production, natively and through EventBridge, and as S3's documents show them.
@pytest.mark.parametrize(
    ("sent", "eventbridge_form", "canonical"),
    [
        ("00660F7986D160712D", False, "00660F7986D160712D"),
        ("00660F7986D160712D", True, "00660F7986D160712D"),
        ("006386FE29685D0356", True, "006386FE29685D0356"),
        ("617f08299329d189", True, "00617F08299329D189"),
        ("617f08299329d1890c80", True, "00617F08299329D1890C8"),
        ("617f0829", True, "00617F0829"),
        # Native ones stay as they are.
        ("617f08299329d189", False, "617F08299329D189"),
        ("A" * 64, False, "A" * 64),
        ("000", False, "0"),
    ],
)
def test_a_sequencer_has_one_canonical_form(
    sent: str, eventbridge_form: bool, canonical: str
) -> None:
    assert canonical_sequencer(sent, eventbridge=eventbridge_form) == canonical
    if not eventbridge_form:
        assert canonical_sequencer(sent) == canonical


# Until 2106 Unix seconds do not begin with 00.
@given(
    st.text("0123456789ABCDEF", min_size=16, max_size=24).filter(
        lambda digits: not digits.startswith("00")
    )
)
def test_both_forms_of_an_eventbridge_sequencer_are_equal(digits: str) -> None:
    native_form = canonical_sequencer("00" + digits)

    assert canonical_sequencer(digits.lower(), eventbridge=True) == native_form
    assert canonical_sequencer("00" + digits, eventbridge=True) == native_form
