"""`file-index backfill` where records are refreshed; tests/e2e/test_backfill.py inserts them."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from function.errors import ContentionError
from function.event_parser import ObjectEvent
from function.indexer import Indexer
from function.repository import FileIndex
from tests.integration.cli.conftest import FileIndexCommand
from tests.integration.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URL = f"s3://{BUCKET}"


def test_a_prefix_that_matches_nothing_is_said(
    file_index: FileIndexCommand,
    index: FileIndex,  # noqa: ARG001 # the table exists
    s3: "S3Client",  # noqa: ARG001 # the bucket exists
) -> None:
    for options in ((), ("--dry-run",), ("--object-metadata",)):
        said = file_index("backfill", f"{URL}/none", *options)

        assert said.code == 1
        assert said.messages == f"No watched object begins with {URL}/none.\n"


def test_a_place_that_cannot_be_noted_is_said_and_stops_nothing(
    file_index: FileIndexCommand,
    index: FileIndex,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    s3.put_object(Bucket=BUCKET, Key="a")

    said = file_index("backfill", URL, "--object-metadata")

    assert said.code == 0
    assert said.messages.count("--resume will not know where this was: [Errno 20]") == 1
    assert index.get(BUCKET, "a")


def test_a_key_that_others_keep_writing_stops_nothing(
    file_index: FileIndexCommand,
    index: FileIndex,
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
    assert index.get(BUCKET, "b")


@pytest.mark.parametrize("option", ["--resume", "--dry-run"])
def test_a_job_takes_no_options_of_the_other_engine(
    file_index: FileIndexCommand, option: str
) -> None:
    said = file_index("backfill", URL, "--engine", "batch-operations", option)

    assert said.code == 2
    assert "--resume and --dry-run are for --engine local" in said.messages


def test_a_job_needs_the_deployment(file_index: FileIndexCommand) -> None:
    said = file_index("backfill", URL, "--engine", "batch-operations")

    assert said.code == 2
    assert "set backfill_role = true, apply, and leave --table out" in said.messages
