"""Errors of one object, and errors that stop a run, in `backfill` and `verify --repair`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from cli import checkpoint, failures
from cli.function.errors import ContentionError
from cli.function.indexer import Indexer
from cli.function.reader import IndexReader
from cli.function.record import FileRecord, ObjectState
from cli.function.repository import FileIndex
from tests.integration.cli.conftest import FileIndexCommand, Said
from tests.integration.cli.faults import Faults
from tests.integration.conftest import BUCKET, TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

URL = f"s3://{BUCKET}"
KEYS = ("a", "b", "c", "d")
BACKFILL = ("backfill", URL, "--object-metadata")
REPAIR = ("verify", URL, "--repair", "--grace", "0")
ENDPOINT = "https://reports.s3.amazonaws.com/b"


@pytest.fixture
def faults(
    monkeypatch: pytest.MonkeyPatch,
    s3: "S3Client",
    index: FileIndex,  # noqa: ARG001 # the table exists
) -> Faults:
    # Every step is a checkpoint: none is skipped as too early.
    monkeypatch.setattr(checkpoint, "_SECONDS", 0)
    for key in KEYS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    return Faults(monkeypatch)


def indexed(reader: IndexReader) -> list[str]:
    return [record.key for record in reader.list_prefix(BUCKET)]


def checkpoints(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.rglob("file-index/*")]


def done_of(said: Said, command: tuple[str, ...]) -> int:
    summary = said.lines[-1]
    return int(summary["refreshed" if command is BACKFILL else "repaired"])


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("HeadObject", "403"),
        ("HeadObject", "503"),
        ("HeadObject", "KMS.DisabledException"),
        ("HeadObject", ReadTimeoutError(endpoint_url=ENDPOINT)),
        ("HeadObject", ConnectionClosedError(endpoint_url=ENDPOINT)),
        ("GetItem", "InternalServerError"),
        ("PutItem", "ProvisionedThroughputExceededException"),
        ("PutItem", "ValidationException"),
    ],
)
def test_an_error_of_one_object_does_not_stop_the_others(
    file_index: FileIndexCommand,
    faults: Faults,
    reader: IndexReader,
    tmp_path: Path,
    command: tuple[str, ...],
    operation: str,
    error: str | BaseException,
) -> None:
    report = tmp_path / "report.jsonl"
    faults.fail(operation, error, "b")

    said = file_index(*command, "--json", "--report", str(report))

    assert (said.code, said.lines[-1]["failed"], done_of(said, command)) == (2, 1, 3), said
    assert indexed(reader) == ["a", "c", "d"]
    heading, named = said.messages.splitlines()
    assert heading == "1 key failed; --resume retries it:"
    assert named.startswith(f"  {URL}/b: ")
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    causes = {line["key"]: line["cause"] for line in lines if "cause" in line}
    assert {"b": named.removeprefix(f"  {URL}/b: ")} == causes

    faults.end()
    again = file_index(*command, "--json", "--resume", "--report", str(report))

    assert again.code == (0 if command is BACKFILL else 1)
    assert (done_of(again, command), "failed" in again.lines[-1]) == (4, False)
    assert indexed(reader) == list(KEYS)
    # Only the failed key was retried.
    assert set(faults.keys("PutItem")) == {"b"}
    assert again.messages == "Retrying 1 failed key first.\n"
    assert len(report.read_text().splitlines()) > len(lines) - (command is BACKFILL)
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        (
            "PutItem",
            "AccessDeniedException",
            "is not authorized to perform: dynamodb:PutItem on resource: table files",
        ),
        ("PutItem", "ExpiredTokenException", "(ExpiredTokenException)"),
        ("PutItem", "ResourceNotFoundException", "table files does not exist in us-east-1"),
        ("GetItem", "UnrecognizedClientException", "(UnrecognizedClientException)"),
        ("HeadObject", NoCredentialsError(), "credentials and Region are as for the AWS CLI"),
        ("HeadObject", EndpointConnectionError(endpoint_url=ENDPOINT), "Could not connect"),
    ],
)
def test_an_error_of_the_run_stops_it_and_it_can_be_resumed(
    file_index: FileIndexCommand,
    faults: Faults,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: tuple[str, ...],
    operation: str,
    error: str | BaseException,
    message: str,
) -> None:
    monkeypatch.setattr("cli.function.reconciliation.filling.MOST_INSERTS", 1)
    faults.fail(operation, error, "c")

    said = file_index(*command, "--json")

    assert said.code == 2
    assert message in said.messages
    assert "Stopped after b, 2 " in said.messages
    faults.end()
    again = file_index(*command, "--json", "--resume")
    assert again.messages == "Continuing after b.\n"
    assert again.code == (0 if command is BACKFILL else 1)
    assert indexed(reader) == list(KEYS)
    assert set(faults.keys("HeadObject")) <= {"c", "d"}
    number = again.lines[-1]["objects" if command is BACKFILL else "compared"]
    assert number == 4
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
def test_if_every_object_is_denied_it_is_reported_once(
    file_index: FileIndexCommand, faults: Faults, tmp_path: Path, command: tuple[str, ...]
) -> None:
    faults.fail("HeadObject", "403")

    said = file_index(*command, "--json")

    assert (said.code, said.messages.count("\n")) == (2, 1)
    assert (
        "is not authorized to perform: s3:GetObject or s3:ListBucket on resource: object reports/a"
        in said.messages
    )
    assert not [line for line in said.lines if "key" not in line]
    # Nothing was done, so the next run starts over.
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
def test_if_the_first_objects_are_denied_the_run_stops_and_can_resume_past_them(
    file_index: FileIndexCommand,
    faults: Faults,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setattr(failures, "MOST_DENIED", 2)
    monkeypatch.setattr("cli.function.reconciliation.filling.MOST_INSERTS", 1)
    faults.fail("HeadObject", "403", "a", "b", "c")

    said = file_index(*command)

    assert said.code == 2
    assert "access to each of the first 2 objects was denied" in said.messages
    again = file_index(*command, "--resume", "--json")
    assert (again.code, again.lines[-1]["failed"]) == (2, 3)
    assert indexed(reader) == ["d"]
    faults.end()
    assert done_of(file_index(*command, "--resume", "--json"), command) == 4
    assert indexed(reader) == list(KEYS)


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
def test_a_denial_among_successful_objects_does_not_stop_the_run(
    file_index: FileIndexCommand,
    faults: Faults,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setattr(failures, "MOST_DENIED", 2)
    monkeypatch.setattr("cli.function.reconciliation.filling.MOST_INSERTS", 1)
    faults.fail("HeadObject", "403", "b", "c", "d")

    said = file_index(*command, "--json")

    assert (said.code, said.lines[-1]["failed"]) == (2, 3)
    assert indexed(reader) == ["a"]


def test_a_key_that_failed_twice_is_tried_a_third_time(
    file_index: FileIndexCommand, faults: Faults, reader: IndexReader
) -> None:
    faults.fail("HeadObject", "403", "b", "c")
    for command in (BACKFILL, REPAIR):
        assert file_index(*command).code == 2
    for code, *left in ((2, "c"), (2, "c"), (0,)):
        faults.end()
        if left:
            faults.fail("HeadObject", "403", *left)
        said = file_index(*BACKFILL, "--resume", "--json")
        assert (said.code, said.lines[-1].get("failed", 0)) == (code, len(left))
        assert said.lines[-1]["refreshed"] == 4 - len(left)
    # A backfill's failures are not a verification's.
    assert "2 failed" in file_index(*REPAIR, "--resume").messages
    assert indexed(reader) == list(KEYS)


def test_the_first_failures_are_named_and_the_report_names_all(
    file_index: FileIndexCommand, faults: Faults, s3: "S3Client", tmp_path: Path
) -> None:
    keys = [f"z{number}" for number in range(8)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key)
    faults.fail("HeadObject", "403", *keys)
    report = tmp_path / "report"

    said = file_index(*BACKFILL, "--report", str(report))

    assert said.messages.splitlines()[0] == "8 keys failed; --resume retries them:"
    assert [line.split(":")[1] for line in said.messages.splitlines()[1:6]] == [
        f"//reports/{key}" for key in keys[:5]
    ]
    assert said.messages.splitlines()[6] == "  … and 3 more: --report FILE names all."
    assert "12 objects: 4 refreshed, 8 failed; " in said.answer
    reported = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["kind"], line["key"]) for line in reported] == [("failed", key) for key in keys]


def test_drift_that_cannot_be_repaired_is_still_drift(
    file_index: FileIndexCommand, faults: Faults
) -> None:
    faults.fail("HeadObject", "403", "b")

    said = file_index(*REPAIR, "--json")
    drawn = file_index(*REPAIR)

    assert said.lines[-1]["drift"]["orphan"] == 4
    assert (said.lines[-1]["repaired"], said.lines[-1]["failed"]) == (3, 1)
    found = {line["key"]: line["repaired"] for line in said.lines if "key" in line}
    assert found == {"a": True, "b": False, "c": True, "d": True}
    assert "4 keys compared, 1 drift, 1 failed." in drawn.answer
    assert drawn.code == 2


@pytest.mark.parametrize("stopped_at", range(1, 5))
def test_a_verification_resumes_at_its_checkpoint_and_counts_everything(
    file_index: FileIndexCommand,
    faults: Faults,
    s3: "S3Client",
    stopped_at: int,
    tmp_path: Path,
) -> None:
    def run(*options: str) -> Said:
        return file_index("verify", URL, "--grace", "0", "--json", "--report", report, *options)

    report = str(tmp_path / "report")
    assert file_index(*BACKFILL).code == 0
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"other")
    s3.put_object(Bucket=BUCKET, Key="c", Body=b"other")
    s3.delete_object(Bucket=BUCKET, Key="d")
    s3.put_object(Bucket=BUCKET, Key="e")
    whole = run()
    lines = Path(report).read_text()
    _interrupt(faults, stopped_at)

    said = run()
    # No work is left in flight.
    faults.end()
    again = run("--resume")

    assert said.code == 130
    assert again.code == 1
    assert again.lines[-1] == whole.lines[-1]
    assert Path(report).read_text() == lines
    if "Stopped" in said.messages:
        assert again.messages.startswith("Continuing after ")


def _interrupt(faults: Faults, at: int) -> None:
    """Interrupt the command when it reads a record for this time."""
    reads: list[Any] = []

    class Counting:
        def __eq__(self, operation: object) -> bool:
            if operation == "GetItem":
                reads.append(operation)
            return len(reads) == at and operation == "GetItem"

        __hash__ = None  # type: ignore[assignment]

    faults.fail(Counting(), KeyboardInterrupt())  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [BACKFILL, REPAIR])
def test_a_report_is_kept_if_the_bucket_does_not_exist(
    file_index: FileIndexCommand,
    index: FileIndex,  # noqa: ARG001 # the table exists
    tmp_path: Path,
    command: tuple[str, ...],
) -> None:
    report = tmp_path / "report"
    report.write_text("of an earlier run\n")

    said = file_index(command[0], "s3://absent", *command[2:], "--report", str(report))

    assert said.code == 2
    assert report.read_text() == "of an earlier run\n"


def test_an_unsettled_key_is_reported_but_is_not_a_failure(
    file_index: FileIndexCommand,
    faults: Faults,
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    report = tmp_path / "report"
    refresh = Indexer.refresh

    def contended(indexer: Indexer, event: Any, settled: Any = None) -> Any:
        if event.key == "b":
            raise ContentionError("others write it")
        return refresh(indexer, event, settled)

    with monkeypatch.context() as patched:
        patched.setattr(Indexer, "refresh", contended)
        said = file_index(*REPAIR, "--json", "--report", str(report))
        again = file_index(*REPAIR, "--json")

    assert (said.code, said.lines[-1]["unsettled"], said.lines[-1]["repaired"]) == (1, 1, 3)
    assert said.messages == ""
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    causes = {line["key"]: line.get("cause") for line in lines}
    assert causes["b"] == "it kept changing: not compared"
    assert checkpoints(tmp_path) == []
    # It says nothing about the others, which are equal.
    assert (again.code, again.lines[-1]["unsettled"], again.lines[-1]["repaired"]) == (0, 1, 0)
    assert indexed(reader) == ["a", "c", "d"]
    del faults


@pytest.mark.parametrize("partitions", [1, 4])
def test_an_index_is_read_on_from_any_key(dynamodb: "DynamoDBClient", partitions: int) -> None:
    index = FileIndex(dynamodb, TABLE, partitions)
    keys = [f"in/{number:02}" for number in range(20)] + ["in/\U0001f600", "in/\uffff"]
    for key in [*keys, "out/1"]:
        record = FileRecord(
            bucket=BUCKET, key=key, indexed_at=datetime.now(UTC), revision="r", state=ObjectState()
        )
        index.replace(record, None)

    reader = IndexReader(dynamodb, TABLE, partitions)
    for after in ("in/", "in/07", "in/07 ", "in/\uffff", "in/\U0001f600"):
        left = [record.key for record in reader.list_prefix(BUCKET, "in/", after)]
        assert left == sorted(key for key in keys if key > after)
