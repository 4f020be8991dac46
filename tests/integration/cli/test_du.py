"""`file-index du`."""

from dataclasses import replace
from datetime import UTC, datetime

from cli.function.record import FileRecord, ObjectState
from tests.integration.cli.conftest import FileIndexCommand, Store
from tests.integration.conftest import BUCKET

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)


def record(key: str, size: int | None = 1536) -> FileRecord:
    state = ObjectState(etag="e", size=size)
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, revision="r", state=state)


def test_du_shows_size_and_number_of_objects_by_directory(
    file_index: FileIndexCommand, store: Store
) -> None:
    for key in ("in/a/1", "in/a/2", "in/b\n/c/3", "in/4", "other"):
        store(record(key))
    store(replace(record("in/a/gone"), state=None, expires_at=1))

    said = file_index("du", f"s3://{BUCKET}/in/")
    assert (said.code, said.answer.splitlines()) == (
        0,
        [
            f"           3072            2 s3://{BUCKET}/in/a/",
            f"           1536            1 s3://{BUCKET}/in/b\\n/",
            f"           6144            4 s3://{BUCKET}/in/",
        ],
    )
    said = file_index("du", f"s3://{BUCKET}/in/", "--depth", "0", "--human-readable")
    assert said.answer.split() == ["6.0", "KiB", "4", f"s3://{BUCKET}/in/"]


def test_du_as_json_counts_what_the_filters_match(
    file_index: FileIndexCommand, store: Store
) -> None:
    for key in ("in/a/1.csv", "in/a/2.txt", "in/b/c/3.csv"):
        store(record(key))

    said = file_index("du", f"s3://{BUCKET}", "--depth", "2", "--json", "--filter", "in/*.csv")

    assert said.lines == [
        {"prefix": "in/a/", "objects": 1, "bytes": 1536},
        {"prefix": "in/b/", "objects": 1, "bytes": 1536},
        {"prefix": "in/", "objects": 2, "bytes": 3072},
        {"prefix": "", "objects": 2, "bytes": 3072},
    ]


def test_du_takes_a_prefix_as_ls_prints_it(file_index: FileIndexCommand, store: Store) -> None:
    store(record("in\n/a"))

    assert file_index("du", f"s3://{BUCKET}/in\\n/", "--json").lines == [
        {"prefix": "in\n/", "objects": 1, "bytes": 1536}
    ]


def test_du_of_nothing_says_no(file_index: FileIndexCommand, store: Store) -> None:
    store(record("a"))

    said = file_index("du", f"s3://{BUCKET}/b")

    assert (said.code, said.answer) == (1, "")
    assert said.messages == f"Nothing in the index begins with s3://{BUCKET}/b.\n"


def test_du_refuses_a_wrong_number_of_partitions(
    file_index: FileIndexCommand, store: Store
) -> None:
    store(record("a"))

    said = file_index("du", f"s3://{BUCKET}", "--partitions", "2")

    assert (said.code, said.answer) == (2, "")
    assert "does not have --partitions 2" in said.messages
