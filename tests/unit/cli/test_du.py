"""Totals by directory, from records in key order."""

from datetime import UTC, datetime
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from cli.du import totals
from cli.function.record import FileRecord, ObjectState

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)


def record(key: str, size: int | None) -> FileRecord:
    state = ObjectState(etag="e", size=size)
    return FileRecord(bucket="reports", key=key, indexed_at=NOW, revision="r", state=state)


def found(sizes: dict[str, int | None], prefix: str, depth: int) -> list[tuple[str, int, int]]:
    records = [record(key, sizes[key]) for key in sorted(sizes)]
    return [(total.prefix, total.objects, total.size) for total in totals(records, prefix, depth)]


SIZES: dict[str, int | None] = {
    "in/a": 1,
    "in/a/1": 2,
    "in/a/b/2": 4,
    "in/a/b/c/3": 8,
    "in/a0": 16,
    "in/z/": None,
}


def test_directories_down_to_the_depth_come_before_the_one_that_contains_them() -> None:
    assert found(SIZES, "in/", 0) == [("in/", 6, 31)]
    assert found(SIZES, "in/", 2) == [
        ("in/a/b/", 2, 12),
        ("in/a/", 3, 14),
        ("in/z/", 1, 0),
        ("in/", 6, 31),
    ]


def test_a_prefix_that_ends_within_a_name_counts_whatever_begins_with_it() -> None:
    assert found({"2025/a": 1, "2026/a": 2, "20261": 4}, "202", 1) == [
        ("2025/", 1, 1),
        ("2026/", 1, 2),
        ("202", 3, 7),
    ]


def test_without_records_the_prefix_is_empty() -> None:
    assert found({}, "in/", 3) == [("in/", 0, 0)]


@given(
    sizes=st.dictionaries(st.text("ab/é", min_size=1, max_size=6), st.integers(0, 9)),
    depth=st.integers(0, 4),
)
def test_every_directory_is_counted_once_with_all_that_it_contains(
    sizes: dict[str, int | None], depth: int
) -> None:
    directories = {
        directory
        for key in sizes
        for directory in list(accumulate(part + "/" for part in key.split("/")[:-1]))[:depth]
    }

    expected = {
        prefix: (
            sum(key.startswith(prefix) for key in sizes),
            sum(size or 0 for key, size in sizes.items() if key.startswith(prefix)),
        )
        for prefix in (*directories, "")
    }
    totals_found = found(sizes, "", depth)
    assert {prefix: (objects, size) for prefix, objects, size in totals_found} == expected
    assert len(totals_found) == len(expected)
