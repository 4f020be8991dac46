"""The function with INSERT first, on moto."""

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cli.function.reader import IndexReader
from function.handler import RESERVED_MS, Function, create_function
from function.repository import FileIndex
from local.waiting import HANG_SECONDS
from tests.integration.conftest import BUCKET
from tests.integration.partiql import Statements
from tests.integration.test_handler import Invocation, recent, settings
from tests.payloads import created, removed, s3_document, sqs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def statements(dynamodb: "DynamoDBClient") -> Iterator[Statements]:  # noqa: ARG001 # the table exists
    statements = Statements()
    with statements.running():
        yield statements


@pytest.fixture
def function(statements: Statements) -> Function:  # noqa: ARG001 # the clients' calls are its
    return create_function(settings(insert_first=True))


def uploads(*keys: str, sequencer: str = "0055", **entity: Any) -> dict[str, Any]:
    """A batch with a message for each upload."""
    return sqs(*(s3_document(recent(created(key, sequencer=sequencer, **entity))) for key in keys))


def keys(number: int) -> list[str]:
    return [f"{one:03}" for one in range(number)]


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class OutOfTimeAfterARequest(Invocation):
    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def get_remaining_time_in_millis(self) -> int:
        return RESERVED_MS - 1 if self._statements.calls else 60_000


class OutOfTimeDuringARequest(Invocation):
    """An invocation whose time is over when its first request has begun."""

    def __init__(self) -> None:
        self.requested = threading.Event()

    def get_remaining_time_in_millis(self) -> int:
        if threading.current_thread() is threading.main_thread():
            assert self.requested.wait(HANG_SECONDS)
        return 0 if self.requested.is_set() else 60_000


def test_a_hundred_new_objects_take_four_requests(
    function: Function, statements: Statements, reader: IndexReader
) -> None:
    assert failed(function.handle(uploads(*keys(100)), Invocation())) == []

    assert statements.calls == {"BatchExecuteStatement": 4}
    assert [record.key for record in reader.list_prefix(BUCKET)] == keys(100)


def test_an_inserted_record_equals_one_that_was_put(
    function: Function, statements: Statements, index: FileIndex
) -> None:
    function.handle(uploads("a", "b"), Invocation())
    inserted = index.read(BUCKET, "a")
    index._client.delete_item(  # as if it had never been there
        TableName="files", Key={"partition": {"S": BUCKET}, "key": {"S": "a"}}
    )
    function.handle(uploads("a"), Invocation())
    put = index.read(BUCKET, "a")

    assert (statements.calls["BatchExecuteStatement"], statements.calls["PutItem"]) == (1, 1)
    assert inserted
    assert put
    different = {"revision", "indexed_at", "event_time"}
    old, new = (
        {name: value for name, value in record.to_item().items() if name not in different}
        for record in (inserted, put)
    )
    assert old == new


def test_records_that_exist_are_put(
    function: Function, statements: Statements, reader: IndexReader
) -> None:
    function.handle(uploads("a", "b"), Invocation())
    statements.calls.clear()

    answer = function.handle(uploads("a", "b", "c", sequencer="0056", size=7), Invocation())

    assert failed(answer) == []
    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 2}
    assert [record.known.size for record in reader.list_prefix(BUCKET)] == [7, 7, 7]


def test_deletes_are_put_beside_the_inserts(
    function: Function, statements: Statements, reader: IndexReader
) -> None:
    function.handle(uploads("a", "b"), Invocation())
    statements.calls.clear()
    records = [recent(removed("a", sequencer="0056")), *(recent(created(k)) for k in ("c", "d"))]

    answer = function.handle(s3_document(*records), Invocation())

    assert (answer["indexed"], answer["removed"]) == (2, 1)
    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 1}
    assert [record.key for record in reader.list_prefix(BUCKET)] == ["b", "c", "d"]


def test_a_single_new_object_is_put(function: Function, statements: Statements) -> None:
    records = [recent(created("a")), recent(removed("b")), recent(removed("c"))]

    function.handle(s3_document(*records), Invocation())

    assert statements.calls == {"PutItem": 3}


def test_nothing_is_inserted_unless_the_settings_say_so(
    statements: Statements, reader: IndexReader
) -> None:
    function = create_function(settings())

    function.handle(uploads("a", "b"), Invocation())

    assert statements.calls == {"PutItem": 2}
    assert len(list(reader.list_prefix(BUCKET))) == 2


def test_objects_of_another_bucket_are_not_inserted(
    statements: Statements, reader: IndexReader
) -> None:
    function = create_function(settings(insert_first=True, bucket_name="another"))

    assert failed(function.handle(uploads("a", "b"), Invocation())) == ["m0", "m1"]

    assert statements.calls == {}
    assert list(reader.list_prefix(BUCKET)) == []


@pytest.mark.parametrize(
    "code",
    ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"],
)
def test_a_throttled_insert_is_put(
    function: Function, statements: Statements, reader: IndexReader, code: str
) -> None:
    statements.errors = {"b": code}

    assert failed(function.handle(uploads("a", "b", "c"), Invocation())) == []

    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 1}
    assert len(list(reader.list_prefix(BUCKET))) == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            "AccessDenied",
            "dynamodb:PartiQLInsert on resource: table files. The module grants it if",
        ),
        ("ResourceNotFound", "table files does not exist"),
        ("ValidationError", "ValidationError"),
    ],
)
def test_an_insert_that_fails_fails_its_key_alone(
    function: Function,
    statements: Statements,
    reader: IndexReader,
    caplog: pytest.LogCaptureFixture,
    code: str,
    error: str,
) -> None:
    statements.errors = {"b": code}

    assert failed(function.handle(uploads("a", "b", "c"), Invocation())) == ["m1"]

    assert statements.calls == {"BatchExecuteStatement": 1}
    assert [record.key for record in reader.list_prefix(BUCKET)] == ["a", "c"]
    assert error in caplog.text


def test_every_key_fails_if_inserts_are_denied(
    function: Function, statements: Statements, caplog: pytest.LogCaptureFixture
) -> None:
    statements.request_error = "AccessDeniedException"

    assert failed(function.handle(uploads("a", "b"), Invocation())) == ["m0", "m1"]

    assert statements.calls == {"BatchExecuteStatement": 1}
    assert "is not authorized to perform: dynamodb:PartiQLInsert" in caplog.text


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_throttled_request_leads_to_puts_that_find_what_it_has_written(
    function: Function, statements: Statements, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    caplog.set_level(logging.INFO)
    statements.request_error = code

    assert failed(function.handle(uploads("a", "b"), Invocation())) == []

    # The records are there, with the revisions of the puts: the puts have succeeded.
    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 2}
    assert [line.message for line in caplog.records][:-1] == ["indexed", "indexed"]


def test_a_request_that_fails_is_logged_and_ends_the_inserts(
    function: Function, statements: Statements, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    statements.request_error = "ValidationException"

    assert failed(function.handle(uploads(*keys(60)), Invocation())) == []

    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 60}
    assert [line.message for line in caplog.records] == [
        "not inserted",
        *["indexed"] * 60,
        "summary",
    ]
    assert caplog.records[0].exc_info


def test_inserts_stop_when_too_many_were_refused(
    function: Function, statements: Statements
) -> None:
    function.handle(uploads(*keys(100)), Invocation())
    statements.calls.clear()

    function.handle(uploads(*keys(100), sequencer="0056"), Invocation())

    assert statements.calls == {"BatchExecuteStatement": 1, "PutItem": 100}


def test_no_insert_is_started_in_the_reserved_time(
    function: Function, statements: Statements, reader: IndexReader
) -> None:
    answer = function.handle(uploads(*keys(60)), Invocation(RESERVED_MS - 1))

    assert len(failed(answer)) == 60
    assert statements.calls == {}
    assert list(reader.list_prefix(BUCKET)) == []


def test_records_inserted_before_time_ran_out_are_indexed(
    function: Function, statements: Statements, reader: IndexReader
) -> None:
    answer = function.handle(uploads(*keys(60)), OutOfTimeAfterARequest(statements))

    assert statements.calls == {"BatchExecuteStatement": 1}
    assert len(failed(answer)) == 35
    assert [record.key for record in reader.list_prefix(BUCKET)] == keys(25)


def test_an_insert_without_a_response_does_not_keep_the_invocation_from_ending(
    function: Function, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    invocation = OutOfTimeDuringARequest()
    ended = threading.Event()

    def insert(*_: object) -> None:
        invocation.requested.set()
        assert ended.wait(HANG_SECONDS)

    monkeypatch.setattr(FileIndex, "insert", insert)

    answer = function.handle(uploads("a", "b"), invocation)

    ended.set()
    assert failed(answer) == ["m0", "m1"]
    assert caplog.text.count("the invocation is about to time out") == 2
