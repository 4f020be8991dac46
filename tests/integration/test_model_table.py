"""The in-memory table of the rule's tests behaves like the real one."""

import dataclasses
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from botocore.config import Config

from function.clients import connector
from function.record import FileRecord, InsertResult, ObjectState, WriteRefusedError
from function.repository import FileIndex
from tests.integration.conftest import BUCKET, TABLE
from tests.integration.partiql import Statements
from tests.unit.rule.model_table import ModelTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPERATIONS = 600
NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)
KEYS = ("a", "b")
BEGAN = f"00{int(NOW.timestamp()) - 30:X}"  # between the two times at which an object was stored
SEQUENCERS = ("0055AE", "0055AE8", "0055AF", "0", BEGAN, f"{BEGAN}8")

Answer = FileRecord | tuple[str, FileRecord | None] | list[InsertResult | Exception] | None


def test_the_model_table_behaves_like_the_table(
    dynamodb: "DynamoDBClient",
) -> None:
    with Statements().running():
        index = FileIndex(connector(Config())("dynamodb"), TABLE)
    random = Random(0)  # noqa: S311 # no secret
    model = ModelTable()
    read: dict[str, list[FileRecord | None]] = {key: [None] for key in KEYS}
    sent: dict[str, FileRecord] = {}
    answers = []
    inserted: list[InsertResult | Exception] = []
    for number in range(OPERATIONS):
        key = random.choice(KEYS)
        operation = random.choice(("put_newer", "replace", "insert", "read", "resend", "remove"))
        record = _record(key, number, random)
        if operation == "resend":
            record = sent.get(key, record)
        sent[key] = record
        # The latest record that was read, or one that was replaced since.
        standing = random.choice(read[key][-3:])
        expected = _answer(model, operation, record, standing)
        if operation == "remove":
            model.remove(BUCKET, key)
            dynamodb.delete_item(
                TableName=TABLE, Key={"partition": {"S": BUCKET}, "key": {"S": key}}
            )
        answer = _answer(index, operation, record, standing)
        assert answer == expected, (number, operation, record, standing)
        answers.append((operation, type(answer)))
        inserted += answer if isinstance(answer, list) else []
        if operation == "read":
            read[key].append(model.read(BUCKET, key))

    # The test has seen both writes that succeed and writes that are refused.
    for operation in ("put_newer", "replace", "resend"):
        assert {(operation, type(None)), (operation, tuple)} <= set(answers)
    assert set(inserted) == {InsertResult.WRITTEN, InsertResult.PRESENT}


def _answer(
    table: ModelTable | FileIndex,
    operation: str,
    record: FileRecord,
    standing: FileRecord | None,
) -> Answer:
    try:
        match operation:
            case "put_newer" if record.sequencer:
                table.put_newer(record)
            case "replace" | "resend":
                table.replace(record, standing)
            case "insert":
                return table.insert([record])
            case "read":
                return table.read(record.bucket, record.key)
    except WriteRefusedError as refused:
        return "refused", refused.standing
    return None


def _record(key: str, number: int, random: Random) -> FileRecord:
    record = FileRecord(
        bucket=BUCKET,
        key=key,
        indexed_at=NOW,
        revision=f"r{number}",
        state=_state(random),
        sequencer=random.choice((*SEQUENCERS, None)),
        observed=random.random() < 0.2,
        event_time=random.choice((None, NOW, NOW + timedelta(milliseconds=number))),
        event_name=random.choice(("ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload")),
        settled_at=NOW + timedelta(milliseconds=number) if random.random() < 0.2 else None,
    )
    return dataclasses.replace(record, expires_at=1_800_000_000) if record.deleted else record


def _state(random: Random) -> ObjectState | None:
    if random.random() < 0.3:
        return None
    stored_at = NOW - timedelta(seconds=random.choice((0, 60)))
    return ObjectState(etag="e", size=0, last_modified=stored_at)
