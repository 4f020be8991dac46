"""Inserting missing records, against DynamoDB's possible responses."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from function.errors import PermissionDeniedError, TableMissingError
from function.reconciliation.insertion import Inserted, Insertion
from function.record import FileRecord, ObjectState
from function.repository import FileIndex

RECORDS = [
    FileRecord(
        bucket="b",
        key=key,
        indexed_at=datetime(2026, 11, 23, tzinfo=UTC),
        revision="r",
        state=ObjectState(etag="e"),
    )
    for key in ("one", "it's", "three")
]
STATEMENT = (
    """INSERT INTO "my-files.v2" VALUE {'partition': ?, 'bucket': ?, 'key': ?,"""
    """ 'indexed_at': ?, 'revision': ?, 'etag': ?}"""
)
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/Operator/me is not authorized to perform:"
    " dynamodb:PartiQLInsert on resource: arn:aws:dynamodb:eu-west-1:123456789012:table/t"
)


class Table:
    """A table with a given response for each batch, named by its keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = boto3.client(
            "dynamodb", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self._stubber = Stubber(client)
        self._stubber.activate()
        self.pauses: list[float] = []
        monkeypatch.setattr("time.sleep", self.pauses.append)
        self.insertion = Insertion(FileIndex(client, "my-files.v2"))

    def answers(self, **errors: str | None) -> None:
        """Expect a request for the keys; the response has an error code for each, or None."""
        keys = {record.key.replace("'", ""): record for record in RECORDS}
        statements = [
            {
                "Statement": STATEMENT,
                "Parameters": [
                    {"S": text}
                    for text in ("b", "b", keys[key].key, "2026-11-23T00:00:00.000Z", "r", "e")
                ],
            }
            for key in errors
        ]
        responses: list[dict[str, Any]] = [
            {"Error": {"Code": code, "Message": DENIED}} if code else {} for code in errors.values()
        ]
        self._stubber.add_response(
            "batch_execute_statement", {"Responses": responses}, {"Statements": statements}
        )

    def refuses(self, code: str, message: str) -> None:
        """Expect a request, and reject all of it."""
        self._stubber.add_client_error("batch_execute_statement", code, message)

    def ended(self) -> None:
        self._stubber.assert_no_pending_responses()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    return Table(monkeypatch)


def test_a_key_that_has_a_record_is_skipped(table: Table) -> None:
    table.answers(one=None, its="DuplicateItem", three=None)

    assert table.insertion.insert(RECORDS) == Inserted(2, {})
    assert table.pauses == []


def test_only_throttled_records_are_retried(table: Table) -> None:
    table.answers(one="ThrottlingError", its=None, three="ProvisionedThroughputExceeded")
    table.answers(one=None, three="InternalServerError")
    table.answers(three="DuplicateItem")

    assert table.insertion.insert(RECORDS) == Inserted(2, {})
    assert len(table.pauses) == 2
    assert table.pauses[0] <= 0.1
    assert table.pauses[1] <= 0.2
    table.ended()


def test_retries_are_limited(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: (least, most)[1])
    table.answers(one="ThrottlingError", its=None, three="ValidationError")
    for _ in range(11):
        table.answers(one="ThrottlingError")

    inserted = table.insertion.insert(RECORDS)

    table.ended()
    assert inserted.written == 1
    assert str(inserted.failed["one"]) == (
        "An error occurred (Throttled) when calling the BatchExecuteStatement operation:"
        " 12 times in a row"
    )
    assert "(ValidationError)" in str(inserted.failed["three"])
    # A minute, give or take: each pause is twice the last, up to ten seconds.
    assert table.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10]


def test_a_missing_permission_is_named(table: Table) -> None:
    # AWS denies each statement on its own, or the whole request.
    table.answers(one="AccessDenied", its=None, three=None)
    with pytest.raises(
        PermissionDeniedError,
        match="role Operator is not authorized to perform: dynamodb:PartiQLInsert",
    ):
        table.insertion.insert(RECORDS)

    table.refuses("AccessDeniedException", DENIED)
    with pytest.raises(
        PermissionDeniedError,
        match="role Operator is not authorized to perform: dynamodb:PartiQLInsert",
    ):
        table.insertion.insert(RECORDS)


def test_a_missing_table_is_named(table: Table) -> None:
    table.answers(one="ResourceNotFound", its=None, three=None)
    with pytest.raises(TableMissingError, match=r"table my-files\.v2 does not exist"):
        table.insertion.insert(RECORDS)

    table.refuses("ResourceNotFoundException", "Requested resource not found")
    with pytest.raises(TableMissingError, match=r"table my-files\.v2 does not exist"):
        table.insertion.insert(RECORDS)


def test_an_error_of_one_record_leaves_the_others_alone(table: Table) -> None:
    table.answers(one=None, its="ValidationError", three=None)

    inserted = table.insertion.insert(RECORDS)

    assert inserted.written == 2
    assert list(inserted.failed) == ["it's"]
    assert "(ValidationError)" in str(inserted.failed["it's"])


def test_a_request_that_fails_is_an_error_of_each_of_its_records(table: Table) -> None:
    table.answers(one=None, its="ThrottlingError", three="ThrottlingError")
    table.refuses("ValidationException", "1 validation error detected")

    inserted = table.insertion.insert(RECORDS)

    assert inserted.written == 1
    assert set(inserted.failed) == {"it's", "three"}


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_throttled_request_is_retried(table: Table, code: str) -> None:
    table.refuses(code, "slow down")
    table.answers(one=None, its=None, three=None)

    assert table.insertion.insert(RECORDS) == Inserted(3, {})
    table.ended()


def test_an_error_of_the_run_is_raised(table: Table) -> None:
    table.refuses("ExpiredTokenException", "The security token included in the request is expired")

    with pytest.raises(ClientError, match="ExpiredTokenException"):
        table.insertion.insert(RECORDS)


def test_nothing_is_inserted_without_a_request(table: Table) -> None:
    assert table.insertion.insert([]) == Inserted(0, {})
