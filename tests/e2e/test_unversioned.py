"""An unversioned bucket: one write for an event, ordered by sequencer; filters; failures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.payloads import s3_document

# The deployment watches these, and nothing else.
PREFIX = "in box/ü+/"


@pytest.mark.parametrize(
    "name",
    ["plain.csv", "a b.csv", "a+b.csv", "100%25.csv", "日本語.csv", "q/r/s.csv", "'\"&=?.csv"],
)
def test_a_file_is_indexed_under_its_own_key(unversioned: Stack, name: str) -> None:
    unversioned.put(PREFIX + name, name.encode())

    record = unversioned.wait_until_indexed(PREFIX + name)

    assert (record.known.size, record.observed, record.known.version_id) == (
        len(name.encode()),
        False,
        None,
    )


def test_overwrite_copy_multipart_and_delete_are_followed(unversioned: Stack) -> None:
    key, copy, large = (f"{PREFIX}{name}.csv" for name in ("life", "copy", "large"))
    unversioned.put(key, b"1")
    unversioned.put(key, b"22")
    assert unversioned.wait_until_indexed(key).known.size == 2

    unversioned.s3.copy_object(
        Bucket=unversioned.bucket, Key=copy, CopySource={"Bucket": unversioned.bucket, "Key": key}
    )
    assert unversioned.wait_until_indexed(copy).event_name == "ObjectCreated:Copy"

    upload = {"Bucket": unversioned.bucket, "Key": large}
    upload["UploadId"] = unversioned.s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": unversioned.s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in ((1, b"x" * 5 * 2**20), (2, b"y"))
    ]
    unversioned.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    record = unversioned.wait_until_indexed(large)
    assert (record.known.size, record.event_name) == (
        5 * 2**20 + 1,
        "ObjectCreated:CompleteMultipartUpload",
    )
    assert record.known.etag
    assert record.known.etag.endswith("-2")

    unversioned.delete(key)
    assert unversioned.wait_until_removed(key).expires_at


def test_a_bulk_delete_removes_every_key(unversioned: Stack) -> None:
    keys = [f"{PREFIX}bulk {number}.csv" for number in range(5)]
    for key in keys:
        unversioned.put(key)
    for key in keys:
        unversioned.wait_until_indexed(key)

    unversioned.s3.delete_objects(
        Bucket=unversioned.bucket, Delete={"Objects": [{"Key": key} for key in keys]}
    )

    for key in keys:
        unversioned.wait_until_removed(key)


def test_only_keys_that_match_the_filters_are_indexed(unversioned: Stack) -> None:
    others = (f"{PREFIX}other.txt", "elsewhere/file.csv", "in+box/%C3%BC+/file.csv")
    for key in others:
        unversioned.put(key)
    unversioned.put(f"{PREFIX}last.csv")

    unversioned.wait_until_indexed(f"{PREFIX}last.csv")

    assert not any(unversioned.record(key) for key in others)


def test_a_duplicate_and_a_late_event_are_superseded(unversioned: Stack) -> None:
    key = f"{PREFIX}twice.csv"
    unversioned.put(key, b"1")
    unversioned.put(key, b"22")
    unversioned.wait_until_indexed(key)
    record = unversioned.record(key)
    assert record
    first, latest = unversioned_events(unversioned, key, record.sequencer)

    error, answer = unversioned.invoke(s3_document(latest))
    assert (error, answer["superseded"]) == (None, 1)
    error, answer = unversioned.invoke(s3_document(first))
    assert (error, answer["superseded"]) == (None, 1)
    assert unversioned.record(key) == record


def unversioned_events(
    stack: Stack, key: str, sequencer: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event of the key's latest upload as S3 reported it, and an earlier one."""

    def event(sequencer: str | None) -> dict[str, Any]:
        line = stack.wait_for_line(key=key)
        return {
            "eventVersion": "2.6",
            "eventSource": "aws:s3",
            "eventTime": line["timestamp"],
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": stack.bucket},
                "object": {
                    "key": key.replace("+", "%2B").replace(" ", "+"),
                    "size": 9,
                    "eTag": "9",
                    "sequencer": sequencer,
                },
            },
        }

    return event("00"), event(sequencer)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {}}}]}, "eventName is missing"),
    ({"Records": [{"eventName": "x", "s3": {"bucket": {"name": "b"}, "object": {}}}]}, "key is"),
    ({"hello": "world 1"}, "not an event of S3"),
    ({"Records": "hello world 2"}, "Records is a string"),
]


def test_an_unreadable_message_is_explained_and_kept(unversioned: Stack) -> None:
    for number, (payload, _) in enumerate(BROKEN):
        unversioned.emulator.client("lambda").invoke(
            FunctionName=unversioned.outputs["function"]["name"],
            InvocationType="Event",
            Payload=json.dumps(payload | {"marker": f"broken-{number}"}),
        )

    for number, (payload, reason) in enumerate(BROKEN):
        letter = unversioned.wait_for_dead_letter(f"broken-{number}")
        assert letter["requestPayload"] == payload | {"marker": f"broken-{number}"}
        assert any(
            reason in line["errorMessage"] for line in unversioned.log_lines(message="malformed")
        )


def test_an_event_that_needs_a_denied_look_fails_and_says_what_to_do(
    unversioned: Stack,
) -> None:
    old = {
        "eventVersion": "2.6",
        "eventTime": "2020-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": unversioned.bucket},
            "object": {"key": "old.csv", "sequencer": "FF"},
        },
    }

    error, answer = unversioned.invoke(s3_document(old))

    assert error
    line = unversioned.wait_for_line(key="old.csv", outcome="failed")
    assert line["errorType"] == "EventTooOldError"
    assert "set object_metadata = { enabled = true }" in line["errorMessage"]
    assert "is not authorized to perform: dynamodb:GetItem" in line["errorMessage"]
    assert "EventTooOldError" in answer["errorMessage"]


def test_an_unknown_event_type_is_ignored_with_a_warning(unversioned: Stack) -> None:
    event = {
        "eventVersion": "2.6",
        "eventName": "ObjectInvented:Tomorrow",
        "s3": {"bucket": {"name": unversioned.bucket}, "object": {"key": "new.csv"}},
    }

    assert unversioned.invoke(s3_document(event))[1]["ignored"] == 1

    assert unversioned.wait_for_line(key="new.csv")["level"] in ("WARN", "WARNING")


def test_a_missing_table_is_explained_and_its_events_can_be_replayed(
    unversioned: Stack,
) -> None:
    key = f"{PREFIX}no table.csv"
    with without_table(unversioned):
        unversioned.put(key)
        line = unversioned.wait_for_line(key=key, outcome="failed")
        letter = unversioned.wait_for_dead_letter(key)

    assert line["errorType"] == "TableMissingError"
    assert "environment variable TABLE_NAME" in line["errorMessage"]
    assert unversioned.invoke(letter)[0] is None
    unversioned.wait_until_indexed(key)


@contextmanager
def without_table(stack: Stack) -> Iterator[None]:
    """The deployment after somebody deleted its table."""
    dynamodb = stack.emulator.client("dynamodb")
    table = dynamodb.describe_table(TableName=stack.outputs["table"]["name"])["Table"]
    dynamodb.delete_table(TableName=table["TableName"])
    try:
        yield
    finally:
        dynamodb.create_table(
            TableName=table["TableName"],
            KeySchema=table["KeySchema"],
            AttributeDefinitions=table["AttributeDefinitions"],
            BillingMode="PAY_PER_REQUEST",
        )
