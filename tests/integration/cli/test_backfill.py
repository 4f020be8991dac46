"""`file-index backfill` that refreshes records; tests/e2e/test_backfill.py inserts them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.function.errors import ContentionError
from cli.function.events import ObjectEvent
from cli.function.indexer import Indexer
from cli.function.objects import Objects
from cli.function.reader import IndexReader
from cli.function.reconciliation import reconciler
from cli.function.reconciliation.insertion import Inserted
from cli.function.record import FileRecord
from cli.function.repository import FileIndex
from function.handler import create_function
from tests.integration.cli.conftest import FileIndexCommand
from tests.integration.conftest import BUCKET
from tests.integration.test_handler import Invocation, recent, settings
from tests.payloads import native, s3_document

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URL = f"s3://{BUCKET}"


def test_a_prefix_without_a_match_is_reported(
    file_index: FileIndexCommand,
    index: FileIndex,  # noqa: ARG001 # the table exists
    s3: "S3Client",  # noqa: ARG001 # the bucket exists
) -> None:
    for options in ((), ("--dry-run",), ("--object-metadata",)):
        said = file_index("backfill", f"{URL}/none", *options)

        assert said.code == 1
        assert said.messages == f"No watched object begins with {URL}/none.\n"


def test_an_unwritable_checkpoint_is_reported_and_does_not_stop_the_backfill(
    file_index: FileIndexCommand,
    reader: IndexReader,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    s3.put_object(Bucket=BUCKET, Key="a")

    said = file_index("backfill", URL, "--object-metadata")

    assert said.code == 0
    assert said.messages.count("This run cannot be resumed: [Errno 20]") == 1
    assert reader.get(BUCKET, "a")


class Inserting:
    """An insertion as DynamoDB does it; moto cannot."""

    def __init__(self, index: FileIndex) -> None:
        self._index = index

    def insert(self, records: Sequence[FileRecord]) -> Inserted:
        for record in records:
            self._index.replace(record, None)
        return Inserted(written=len(records), failed={})


def events(*names: str, **entity: Any) -> list[dict[str, Any]]:
    """Events of the key `a`, in order."""
    return [
        recent(native(name, "a", sequencer=f"00660F798{number}", **entity))
        for number, name in enumerate(names)
    ]


def test_a_key_of_an_unversioned_bucket_is_ordered_after_its_backfill(
    file_index: FileIndexCommand,
    reader: IndexReader,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciler, "Insertion", Inserting)
    monkeypatch.setattr(Objects, "head", no_head)
    s3.put_object(Bucket=BUCKET, Key="a")
    assert file_index("backfill", URL).code == 0
    function = create_function(settings())

    overwritten, deleted = events("ObjectCreated:Put", "ObjectRemoved:Delete", size=7, eTag="e")
    function.handle(s3_document(overwritten), Invocation())
    record = reader.get(BUCKET, "a")
    assert record
    assert (record.known.size, record.observed) == (7, False)

    function.handle(s3_document(deleted), Invocation())
    assert reader.get(BUCKET, "a") is None


def no_head(*_: object) -> None:
    raise AssertionError("nothing is looked at")


def test_a_key_of_a_versioned_bucket_stays_when_a_null_version_expires(
    file_index: FileIndexCommand,
    reader: IndexReader,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciler, "Insertion", Inserting)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"null")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["VersionId"]
    assert file_index("backfill", URL, "--versioned").code == 0
    s3.delete_object(Bucket=BUCKET, Key="a", VersionId="null")

    create_function(settings()).handle(
        s3_document(*events("LifecycleExpiration:Delete")), Invocation()
    )

    record = reader.get(BUCKET, "a")
    assert record
    assert (record.known.size, record.known.version_id, record.observed) == (1, version, True)


def test_a_key_that_others_keep_writing_does_not_stop_the_backfill(
    file_index: FileIndexCommand,
    reader: IndexReader,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refresh(self: Indexer, event: ObjectEvent) -> None:
        if event.key == "a":
            raise ContentionError("the record changed")
        _refresh(self, event)

    _refresh = Indexer.refresh
    monkeypatch.setattr(Indexer, "refresh", refresh)
    for key in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=key)

    said = file_index("backfill", URL, "--object-metadata", "--json")

    assert said.lines == [{"objects": 2, "refreshed": 1}]
    assert reader.get(BUCKET, "b")
