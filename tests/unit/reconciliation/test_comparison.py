"""Index and bucket side by side."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.filters import Filter, Filters
from function.listed import Listed, Page
from function.reconciliation.comparison import Comparison, Kind, merged
from function.record import FileRecord, ObjectMetadata, ObjectState

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)

keys = st.lists(st.text(max_size=3), unique=True).map(sorted)


def listed(
    key: str,
    etag: str = "e",
    size: int = 1,
    version_id: str | None = None,
    storage_class: str | None = "STANDARD",
) -> Listed:
    return Listed(key, etag, size, NOW, version_id, storage_class)


def in_class(storage_class: str) -> ObjectMetadata:
    return ObjectMetadata(storage_class=storage_class)


def record(key: str, etag: str | None = "e", size: int | None = 1, **more: Any) -> FileRecord:
    return FileRecord(
        bucket="b",
        key=key,
        indexed_at=NOW,
        revision="r",
        state=ObjectState(etag=etag, size=size, **more),
    )


TOMBSTONE = FileRecord(bucket="b", key="in/a", indexed_at=NOW, revision="r", state=None)


@given(objects=keys, records=keys, page_size=st.integers(1, 3))
def test_every_key_is_met_once_with_object_and_record(
    objects: list[str], records: list[str], page_size: int
) -> None:
    pages = [
        Page([listed(key) for key in page], NOW, page[-1])
        for page in (
            objects[first : first + page_size] for first in range(0, len(objects), page_size)
        )
    ]

    met = list(merged(iter(pages), map(record, records)))

    assert [one.key for one in met] == sorted(one.key for one in met)
    assert [
        (one.listed and one.listed.key, one.stored and one.stored.key)
        for one in met
        if one.listed or one.stored
    ] == [
        (key if key in objects else None, key if key in records else None)
        for key in sorted({*objects, *records})
    ]


def test_both_sides_have_been_read_up_to_the_end_of_each_page() -> None:
    pages = [Page([], NOW, "b"), Page([listed("d")], NOW, "e"), Page([], NOW)]
    records = map(record, ("a", "b", "c", "e", "f"))

    met = [(one.key, bool(one.listed or one.stored)) for one in merged(iter(pages), records)]

    assert met == [
        ("a", True),
        ("b", True),
        ("b", False),
        ("c", True),
        ("d", True),
        ("e", True),
        ("e", False),
        ("f", True),
    ]


@pytest.mark.parametrize(
    ("one", "other", "versions", "kind"),
    [
        (listed("in/a"), record("in/a"), False, None),
        (listed("in/a"), None, False, Kind.ORPHAN),
        (listed("in/a"), TOMBSTONE, False, Kind.ORPHAN),
        (None, record("in/a"), False, Kind.PHANTOM),
        (None, TOMBSTONE, False, None),
        (listed("in/a"), record("in/a", etag="other"), False, Kind.MISMATCH),
        (listed("in/a"), record("in/a", size=2), False, Kind.MISMATCH),
        (listed("in/a"), record("in/a", etag=None, size=None), False, Kind.MISMATCH),
        (listed("in/a", version_id="v1"), record("in/a"), False, None),
        (listed("in/a", version_id="v1"), record("in/a"), True, Kind.MISMATCH),
        (listed("in/a", version_id="v1"), record("in/a", version_id="v0"), True, Kind.MISMATCH),
        (listed("in/a", version_id="v1"), record("in/a", version_id="v1"), True, None),
        (listed("in/a"), record("in/a", version_id="null"), True, None),
        (None, record("out/a"), False, Kind.FILTERED_OUT),
        (listed("out/a"), record("out/a"), False, Kind.FILTERED_OUT),
        # An event may name no size.
        (listed("in/a"), record("in/a", size=None), False, None),
        (listed("in/a"), record("in/a", etag=None), False, Kind.MISMATCH),
        # HEAD has whole seconds.
        (listed("in/a"), record("in/a", last_modified=NOW), False, None),
        (listed("in/a"), record("in/a", last_modified=NOW + 0.9 * SECOND), False, None),
        (listed("in/a"), record("in/a", last_modified=NOW + SECOND), False, Kind.MISMATCH),
        (listed("in/a"), record("in/a", last_modified=NOW - SECOND), False, Kind.MISMATCH),
        (listed("in/a"), record("in/a", metadata=in_class("STANDARD")), False, None),
        (listed("in/a"), record("in/a", metadata=in_class("GLACIER")), False, Kind.MISMATCH),
        (
            listed("in/a", storage_class=None),
            record("in/a", metadata=in_class("GLACIER")),
            False,
            None,
        ),
        # An observed record without a version is a backfill's, or the object uses SSE-C.
        (listed("in/a", version_id="v1"), record("in/a", last_modified=NOW), True, None),
        (
            listed("in/a", version_id="v1"),
            record("in/a", last_modified=NOW - SECOND),
            True,
            Kind.MISMATCH,
        ),
        (
            listed("in/a", version_id="v1"),
            record("in/a", last_modified=NOW, version_id="v0"),
            True,
            Kind.MISMATCH,
        ),
        (listed("in/a", version_id="v1"), record("in/a", version_id="v0"), False, None),
        (listed("in/a"), record("in/a", version_id="v0"), True, Kind.MISMATCH),
    ],
)
def test_what_counts_as_a_difference(
    one: Listed | None, other: FileRecord | None, versions: bool, kind: Kind | None
) -> None:
    comparison = Comparison(Filters((Filter("in/"),)), versions)
    key = one.key if one else other.key if other else ""

    assert comparison.kind(key, one, other) is kind
