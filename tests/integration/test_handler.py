"""The function as Lambda calls it, on moto."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cli.function.reader import IndexReader
from function import handler
from function.errors import MalformedEventError, ObjectEventsFailedError, PermissionDeniedError
from function.handler import Function, create_function
from function.record import FileRecord, format_time
from function.report import JsonFormatter
from function.repository import FileIndex
from function.settings import Settings
from local.waiting import HANG_SECONDS
from tests.integration.conftest import BUCKET, TABLE
from tests.payloads import (
    TEST_EVENT,
    created,
    eventbridge,
    failure_record,
    native,
    removed,
    s3_document,
    sns,
    sqs,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

VERSION = "096fKKXTRTtl3on89fVO.nfljtsv6qko"


class Invocation:
    """Lambda's context, with the remaining time."""

    def __init__(self, remaining_ms: int = 60_000) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


def recent(record: dict[str, Any], age: timedelta = timedelta(seconds=2)) -> dict[str, Any]:
    return record | {"eventTime": format_time(datetime.now(UTC) - age)}


def lives(tombstone: FileRecord, life: timedelta, after: datetime, before: datetime) -> bool:
    """Return whether a tombstone written between two times lives that long, to the second."""
    assert tombstone.expires_at
    return int((after + life).timestamp()) <= tombstone.expires_at <= (before + life).timestamp()


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "table_name": TABLE,
        "table_partitions": 1,
        "tombstone_life": timedelta(days=30),
        "object_metadata": False,
        "object_tags": False,
    }
    return Settings(**values | changes)


@pytest.fixture
def function(index: FileIndex, s3: "S3Client") -> Function:  # noqa: ARG001 # table and bucket exist
    return create_function(settings())


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The lines written so far, as JSON."""
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonFormatter())
    return lambda: [
        json.loads(line) for line in caplog.text.splitlines() if '"logger": "file_index"' in line
    ]


def outcomes(lines: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if "key" in line:
            found.setdefault(line["outcome"], []).append(line["key"])
    return found


def refuse_writes_of(
    monkeypatch: pytest.MonkeyPatch, key: str, code: str = "ThrottlingException"
) -> None:
    put_newer = FileIndex.put_newer

    def put(self: FileIndex, record: FileRecord) -> None:
        if record.key == key:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")
        put_newer(self, record)

    monkeypatch.setattr(FileIndex, "put_newer", put)


def test_an_upload_is_indexed(function: Function, reader: IndexReader) -> None:
    answer = function.handle(s3_document(recent(created("a b+ü"))), Invocation())

    assert answer == {"indexed": 1, "removed": 0, "superseded": 0, "ignored": 0, "failed": 0}
    record = reader.get(BUCKET, "a b+ü")
    assert record
    assert (record.known.size, record.sequencer, record.event_name, record.request_id) == (
        1024,
        "0055AED6DCD90281E5",
        "ObjectCreated:Put",
        "C3D13FE58DE4C810",
    )
    assert record.known.last_modified is None
    assert not record.observed


def test_a_delete_leaves_a_tombstone_that_outlives_late_events(
    function: Function, index: FileIndex, reader: IndexReader
) -> None:
    before = datetime.now(UTC)

    answer = function.handle(s3_document(recent(removed())), Invocation())
    after = datetime.now(UTC)
    late = function.handle(s3_document(recent(created())), Invocation())

    assert (answer["removed"], late["superseded"]) == (1, 1)
    assert reader.get(BUCKET, "a.txt") is None
    tombstone = index.read(BUCKET, "a.txt")
    assert tombstone
    assert tombstone.expires_at
    assert lives(tombstone, timedelta(days=30), before, after)


def test_a_duplicate_changes_nothing(function: Function, index: FileIndex) -> None:
    payload = s3_document(recent(created()))
    function.handle(payload, Invocation())
    once = index.read(BUCKET, "a.txt")

    assert function.handle(payload, Invocation())["superseded"] == 1
    assert index.read(BUCKET, "a.txt") == once


def test_the_events_of_a_key_in_one_invocation_need_one_write(
    function: Function, reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    put_newer = FileIndex.put_newer

    def put(self: FileIndex, record: FileRecord) -> None:
        writes.append(record)
        put_newer(self, record)

    monkeypatch.setattr(FileIndex, "put_newer", put)

    answer = function.handle(
        s3_document(
            recent(created(sequencer="03", size=3)),
            recent(created(sequencer="01", size=1)),
            recent(removed(sequencer="02")),
        ),
        Invocation(),
    )

    assert (answer["indexed"], answer["superseded"], len(writes)) == (1, 2, 1)
    record = reader.get(BUCKET, "a.txt")
    assert record
    assert record.known.size == 3


def test_many_keys_are_indexed_at_once(function: Function, reader: IndexReader) -> None:
    records = [recent(created(f"{number:03}")) for number in range(100)]

    assert function.handle(s3_document(*records), Invocation())["indexed"] == 100
    assert len(list(reader.list_prefix(BUCKET))) == 100


REFRESHED = {
    "a version": recent(created(versionId=VERSION)),
    "the null version": recent(removed(versionId="null")),
    "a delete marker": recent(
        native("ObjectRemoved:DeleteMarkerCreated", "a.txt", sequencer="01", versionId=VERSION)
    ),
    "no sequencer": recent(native("ObjectCreated:Put", "a.txt", size=1)),
    "tagging": recent(native("ObjectTagging:Put", "a.txt")),
    "old": recent(created(), timedelta(days=29, minutes=1)),
    "no time": created() | {"eventTime": None},
}


@pytest.mark.parametrize("record", REFRESHED.values(), ids=list(REFRESHED))
def test_if_the_event_does_not_decide_the_object_is_looked_at(
    function: Function, reader: IndexReader, s3: "S3Client", record: dict[str, Any]
) -> None:
    assert function.handle(s3_document(record), Invocation())["removed"] == 1
    assert reader.get(BUCKET, "a.txt") is None

    s3.put_object(Bucket=BUCKET, Key="a.txt", Body=b"12345")
    assert function.handle(s3_document(record), Invocation())["indexed"] == 1
    found = reader.get(BUCKET, "a.txt")
    assert found
    assert (found.known.size, found.known.last_modified is not None) == (5, True)


def test_an_event_younger_than_the_tombstones_is_applied_without_a_look(
    function: Function, reader: IndexReader
) -> None:
    function.handle(s3_document(recent(created(), timedelta(days=28, hours=23))), Invocation())

    assert reader.get(BUCKET, "a.txt") is not None


def test_with_object_metadata_every_event_looks(reader: IndexReader, s3: "S3Client") -> None:
    s3.put_object(
        Bucket=BUCKET, Key="a.txt", Body=b"12345", ContentType="text/csv", Tagging="class=secret"
    )

    function = create_function(settings(object_metadata=True, object_tags=True))
    function.handle(s3_document(recent(created())), Invocation())

    record = reader.get(BUCKET, "a.txt")
    assert record
    assert record.known.metadata
    assert (record.known.size, record.known.metadata.content_type, record.known.metadata.tags) == (
        5,
        "text/csv",
        {"class": "secret"},
    )


@pytest.mark.parametrize("wrap", [s3_document, lambda r: sns(s3_document(r))])
def test_an_event_of_no_interest_to_the_index_is_ignored_with_a_warning(
    function: Function, index: FileIndex, lines: Callable[[], list[Any]], wrap: Callable[..., Any]
) -> None:
    answer = function.handle(wrap(native("ObjectAcl:Put", "a.txt")), Invocation())

    assert answer["ignored"] == 1
    assert index.read(BUCKET, "a.txt") is None
    assert (lines()[0]["level"], lines()[0]["message"]) == ("WARNING", "ignored")


def test_an_eventbridge_event_and_a_failure_record_are_indexed(
    function: Function, reader: IndexReader
) -> None:
    event = eventbridge(key="a+b", size=1, etag="e", sequencer="617f08299329d189")
    event["time"] = format_time(datetime.now(UTC))

    function.handle(event, Invocation())
    function.handle(failure_record(s3_document(recent(created("c+d")))), Invocation())

    assert [record.key for record in reader.list_prefix(BUCKET)] == ["a+b", "c+d"]


def test_the_test_event_is_counted_and_does_nothing(
    function: Function, lines: Callable[[], list[Any]]
) -> None:
    assert function.handle(sqs(TEST_EVENT), Invocation()) == {"batchItemFailures": []}
    assert lines()[-1]["test_events"] == 1


# Failures.


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"hello": "world"}, "not an event of S3"),
        (s3_document(created("")), "key is missing or empty"),
        (s3_document(created("ü" * 513)), "S3 allows 1024"),
    ],
)
def test_an_unreadable_direct_payload_raises_so_that_lambda_keeps_it(
    function: Function, lines: Callable[[], list[Any]], payload: Any, reason: str
) -> None:
    with pytest.raises(MalformedEventError, match=reason):
        function.handle(payload, Invocation())

    (malformed,) = lines()
    assert (malformed["message"], malformed["errorType"]) == ("malformed", "MalformedEventError")
    assert malformed["Failed"] == 1


def test_a_direct_invocation_raises_after_everything_else_was_processed(
    function: Function, reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writes_of(monkeypatch, "b")
    payload = s3_document(*(recent(created(key)) for key in ("a", "b", "c")), created(""))

    with pytest.raises(
        ObjectEventsFailedError,
        match=r"2 of 4 object events failed: MalformedEventError: key is .*; ClientError: .*: no",
    ):
        function.handle(payload, Invocation())

    assert [record.key for record in reader.list_prefix(BUCKET)] == ["a", "c"]


def test_a_failed_invocation_names_the_first_failures_and_counts_the_others(
    function: Function,
) -> None:
    payload = s3_document(created("a"), *(created("") for _ in range(5)))

    with pytest.raises(ObjectEventsFailedError, match=r"5 of 6 .*; and 2 more, see the log"):
        function.handle(payload, Invocation())


def test_the_response_to_an_sqs_batch_names_the_failed_messages(
    function: Function, reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writes_of(monkeypatch, "b")

    answer = function.handle(
        sqs(
            s3_document(recent(created("a"))),
            "not json",
            s3_document(recent(created("b"))),
            s3_document(recent(created("c"))),
        ),
        Invocation(),
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    assert [record.key for record in reader.list_prefix(BUCKET)] == ["a", "c"]


def test_every_message_that_gave_an_event_to_a_failed_group_is_reported(
    function: Function, lines: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writes_of(monkeypatch, "b")

    answer = function.handle(
        sqs(
            s3_document(recent(created("b", sequencer="02"))),
            s3_document(recent(created("a"))),
            s3_document(recent(created("b", sequencer="01")), recent(created("c"))),
        ),
        Invocation(),
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert lines()[-1]["Failed"] == 2


def test_an_sqs_message_without_an_id_fails_the_whole_batch(function: Function) -> None:
    payload = sqs(s3_document(created()))
    del payload["Records"][0]["messageId"]

    with pytest.raises(MalformedEventError, match="messageId is missing"):
        function.handle(payload, Invocation())


def of_another_bucket(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"s3": record["s3"] | {"bucket": {"name": "logs"}}}


@pytest.mark.parametrize(
    "record", [recent(created("b")), native("ObjectAcl:Put", "b")], ids=["upload", "unrelated"]
)
def test_an_event_about_another_bucket_fails_alone(
    index: FileIndex,
    reader: IndexReader,
    s3: "S3Client",  # noqa: ARG001 # the bucket exists
    lines: Callable[[], list[Any]],
    record: dict[str, Any],
) -> None:
    function = create_function(settings(bucket_name=BUCKET))

    answer = function.handle(
        sqs(
            s3_document(recent(created("a"))),
            s3_document(of_another_bucket(record), recent(created("c"))),
        ),
        Invocation(),
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [found.key for found in reader.list_prefix(BUCKET)] == ["a", "c"]
    assert index.read("logs", "b") is None
    (failed,) = [line for line in lines() if line.get("outcome") == "failed"]
    assert (failed["bucket"], failed["errorType"]) == ("logs", "OtherBucketError")
    assert failed["errorMessage"] == (
        "the event is about bucket logs, and this function indexes only reports: remove the "
        "notification, rule or subscription that sends it here, then delete the message"
    )
    assert lines()[-1]["Failed"] == 1


def test_without_a_bucket_name_any_bucket_is_indexed(
    function: Function, reader: IndexReader
) -> None:
    function.handle(
        s3_document(recent(created("a")), of_another_bucket(recent(created("b")))), Invocation()
    )

    assert reader.get(BUCKET, "a")
    assert reader.get("logs", "b")


@pytest.mark.parametrize(("remaining_ms", "started"), [(5000, True), (4999, False)])
def test_nothing_is_started_in_the_last_five_seconds(
    function: Function,
    reader: IndexReader,
    lines: Callable[[], list[Any]],
    remaining_ms: int,
    started: bool,
) -> None:
    payload = sqs(*(s3_document(recent(created(key))) for key in ("a", "b")))

    answer = function.handle(payload, Invocation(remaining_ms))

    assert len(answer["batchItemFailures"]) == (0 if started else 2)
    assert len(list(reader.list_prefix(BUCKET))) == (2 if started else 0)
    errors = {line["errorMessage"] for line in lines() if line.get("errorType") == "OutOfTimeError"}
    assert [error.startswith("not started") for error in errors] == ([] if started else [True])


class TimeUpAtTheSecondKey(Invocation):
    """Workers have time; the waiting thread has none once all keys but the second are done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._waiting = threading.current_thread()
        self._work: list[Future[Any]] = []
        submit = ThreadPoolExecutor.submit

        def noted(pool: ThreadPoolExecutor, /, *call: Any) -> Future[Any]:
            self._work.append(submit(pool, *call))
            return self._work[-1]

        monkeypatch.setattr(ThreadPoolExecutor, "submit", noted)

    def get_remaining_time_in_millis(self) -> int:
        if threading.current_thread() is not self._waiting:
            return super().get_remaining_time_in_millis()
        first, _, *others = self._work
        wait([first, *others])
        return 0


def test_only_unfinished_events_are_reported_as_failed(
    function: Function,
    reader: IndexReader,
    lines: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time_is_up = threading.Event()
    put_newer = FileIndex.put_newer

    def put(self: FileIndex, record: FileRecord) -> None:
        if record.key == "b":
            time_is_up.wait(HANG_SECONDS)
        put_newer(self, record)

    monkeypatch.setattr(FileIndex, "put_newer", put)
    payload = sqs(*(s3_document(recent(created(key))) for key in ("a", "b", "c")))

    try:
        answer = function.handle(payload, TimeUpAtTheSecondKey(monkeypatch))
    finally:
        time_is_up.set()

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert {"a", "c"} <= {record.key for record in reader.list_prefix(BUCKET)}
    (failed,) = [line for line in lines() if line.get("outcome") == "failed"]
    assert (failed["key"], failed["errorType"]) == ("b", "OutOfTimeError")
    assert "raise function.timeout_seconds" in failed["errorMessage"]


def _call(call: Callable[[], Any]) -> Any:
    return call()


def _call_in_another_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("run", [_call, _call_in_another_thread])
def test_a_single_event_that_gets_no_answer_is_reported_before_the_invocation_ends(
    function: Function,
    index: FileIndex,
    lines: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Callable[[], Any]], Any],
) -> None:
    answers = threading.Event()
    put_newer = FileIndex.put_newer

    def put(self: FileIndex, record: FileRecord) -> None:
        answers.wait(HANG_SECONDS)
        put_newer(self, record)

    monkeypatch.setattr(FileIndex, "put_newer", put)
    monkeypatch.setattr(handler, "RESERVED_MS", 0)
    event = s3_document(recent(created("a")))

    try:
        with pytest.raises(ObjectEventsFailedError, match="OutOfTimeError: not finished"):
            run(lambda: function.handle(event, Invocation(handler.REPORTING_MS + 10)))
    finally:
        answers.set()
    answer = run(lambda: function.handle(event, Invocation()))

    failed, _ = lines()
    assert (failed["key"], failed["errorType"], failed["Failed"]) == ("a", "OutOfTimeError", 1)
    assert answer["failed"] == 0
    assert index.read(BUCKET, "a")


def test_a_missing_table_fails_with_a_line_that_names_the_variable(
    s3: "S3Client",  # noqa: ARG001 # the bucket exists
    lines: Callable[[], list[Any]],
) -> None:
    function = create_function(settings(table_name="nowhere"))

    with pytest.raises(ObjectEventsFailedError, match="TableMissingError: table nowhere"):
        function.handle(s3_document(recent(created())), Invocation())

    assert lines()[0]["outcome"] == "failed"
    assert "environment variable TABLE_NAME" in lines()[0]["errorMessage"]


def test_an_event_older_than_tombstones_fails_if_the_object_may_not_be_looked_at(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", denied)

    with pytest.raises(
        ObjectEventsFailedError, match=r"EventTooOldError: .*object_metadata = { enabled = true }"
    ):
        function.handle(s3_document(recent(created(), timedelta(days=40))), Invocation())
    with pytest.raises(ObjectEventsFailedError, match="PermissionDeniedError"):
        function.handle(s3_document(recent(created(versionId=VERSION))), Invocation())


def test_an_event_that_is_too_old_does_not_fail_a_newer_one_of_its_key(
    function: Function, reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionDeniedError("is not authorized to perform: dynamodb:GetItem")

    monkeypatch.setattr(FileIndex, "read", denied)

    answer = function.handle(
        sqs(
            s3_document(recent(created(sequencer="01"), timedelta(days=40))),
            s3_document(recent(created(sequencer="02", size=2))),
        ),
        Invocation(),
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    monkeypatch.undo()
    record = reader.get(BUCKET, "a.txt")
    assert record
    assert record.known.size == 2


def test_another_denial_for_an_old_event_is_explained_as_itself(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> None:
        raise PermissionDeniedError("is not authorized to perform: dynamodb:PutItem")

    monkeypatch.setattr(FileIndex, "replace", denied)

    with pytest.raises(
        ObjectEventsFailedError,
        match="PermissionDeniedError: is not authorized to perform: dynamodb:Put",
    ):
        function.handle(s3_document(recent(created(), timedelta(days=40))), Invocation())


def test_every_setting_takes_effect(dynamodb: "DynamoDBClient", s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a.txt", Body=b"1", Tagging="class=secret")
    function = create_function(
        settings(table_partitions=4, tombstone_life=timedelta(days=15), object_metadata=True)
    )

    before = datetime.now(UTC)
    function.handle(s3_document(recent(created()), recent(removed("gone"))), Invocation())
    after = datetime.now(UTC)

    index = FileIndex(dynamodb, TABLE, partitions=4)
    record, tombstone = index.read(BUCKET, "a.txt"), index.read(BUCKET, "gone")
    assert record
    assert record.known.metadata
    assert record.known.metadata.tags is None
    assert tombstone
    assert tombstone.expires_at
    assert lives(tombstone, timedelta(days=15), before, after)


# Logs.


def test_every_object_has_a_line_and_an_invocation_about_several_a_summary(
    function: Function, lines: Callable[[], list[Any]]
) -> None:
    before = datetime.now(UTC)
    function.handle(
        s3_document(recent(created("a", sequencer="02", versionId=None)), recent(removed("b"))),
        Invocation(),
    )
    took_ms = (datetime.now(UTC) - before) / timedelta(milliseconds=1)

    *objects, summary = lines()
    (indexed,) = [line for line in objects if line["outcome"] == "indexed"]
    assert 2000 <= indexed.pop("lag_ms") <= 2002 + took_ms
    indexed.pop("timestamp")
    assert indexed == {
        "level": "INFO",
        "message": "indexed",
        "logger": "file_index",
        "outcome": "indexed",
        "bucket": BUCKET,
        "key": "a",
        "event": "ObjectCreated:Put",
        "sequencer": "02",
        "s3_request_id": "C3D13FE58DE4C810",
    }
    assert outcomes(objects) == {"indexed": ["a"], "removed": ["b"]}
    assert summary["message"] == "summary"
    assert {name: summary[name] for name in ("Indexed", "Removed", "messages")} == {
        "Indexed": 1,
        "Removed": 1,
        "messages": 1,
    }
    assert "Failed" not in summary
    assert len(summary["Lag"]) == 2


def test_the_summary_is_written_even_if_the_lines_of_objects_are_not(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    function.handle(s3_document(recent(created("a")), recent(created("b"))), Invocation())

    assert [record.message for record in caplog.records] == ["summary"]


@pytest.mark.parametrize("wrap", [s3_document, lambda *records: sqs(s3_document(*records))])
def test_an_invocation_about_one_event_has_one_line(
    function: Function, lines: Callable[[], list[Any]], wrap: Callable[..., Any]
) -> None:
    function.handle(wrap(recent(created("a"))), Invocation())

    (line,) = lines()
    assert (line["message"], line["key"], line["Indexed"]) == ("indexed", "a", 1)


@pytest.mark.parametrize("key", ['"\n{"level": "ERROR"}', "\u2028\x1b[31m", "\x00\r\n"])
def test_a_key_from_outside_cannot_break_a_line(
    function: Function, lines: Callable[[], list[Any]], key: str
) -> None:
    function.handle(s3_document(recent(created(key))), Invocation())

    assert [line["key"] for line in lines()] == [key]


def test_text_from_outside_cannot_break_the_line_of_a_malformed_payload(
    function: Function, lines: Callable[[], list[Any]]
) -> None:
    function.handle(sqs('\n{"level":"ERROR"}\u2028 is not JSON'), Invocation())

    (malformed,) = lines()
    assert malformed["errorMessage"].isprintable()
    assert malformed["message_id"] == "m0"
