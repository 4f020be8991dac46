"""What a division learns of bucket and table."""

from typing import cast

import pytest

from function.filters import Filter, Filters
from function.listing import Listing
from function.ranges import Range
from function.reader import IndexReader
from function.reconciliation.sides import BucketAlone, BucketAndTable


class Bucket:
    """Counts the requests."""

    def __init__(self, *keys: str) -> None:
        self._keys = sorted(keys)
        self.requests: list[tuple[str, str]] = []

    def next_object(self, prefix: str, after: str) -> str | None:
        self.requests.append((prefix, after))
        found = (key for key in self._keys if key.startswith(prefix) and key > after)
        return next(found, None)


class Table:
    """Answers with what it was asked."""

    def next_key(self, bucket: str, of: Range, prefix: str) -> str:
        return f"next of {bucket}, {of.after}, {prefix}"

    def last_key(self, bucket: str, of: Range, prefix: str) -> str:
        return f"last of {bucket}, {of.after}, {prefix}"


def sides(bucket: Bucket, *prefixes: str, prefix: str = "", requests: int = 100) -> BucketAndTable:
    filters = Filters(tuple(Filter(one, ".csv") for one in prefixes)) if prefixes else Filters()
    return BucketAndTable(
        cast(Listing, bucket),
        filters,
        prefix,
        requests,
        reader=cast(IndexReader, Table()),
        bucket="b",
    )


@pytest.mark.parametrize(
    ("of", "found", "requests"),
    [
        (Range(), "a/1", 1),
        (Range("a/1"), "a/2.txt", 1),
        (Range("a/1", "a/2"), None, 1),
        # The next prefix.
        (Range("a/2.txt"), "c/1", 2),
        (Range("b"), "c/1", 1),
        (Range("a/2.txt", "b"), None, 1),
        (Range("a/2.txt", "c/0"), None, 2),
        # A prefix without a key, then one with.
        (Range("c/1"), "e/1", 3),
        (Range("e/1"), None, 1),
        (Range("f"), None, 0),
    ],
)
def test_the_next_object_has_the_prefix_of_a_filter(
    of: Range, found: str | None, requests: int
) -> None:
    bucket = Bucket("a/1", "a/2.txt", "b/1", "c/1", "e/1")

    assert sides(bucket, "a/", "c/", "d/", "e/").next_object(of) == found
    assert len(bucket.requests) == requests


def test_the_next_object_is_below_the_prefix() -> None:
    bucket = Bucket("a/1", "a/2", "b/1")

    assert sides(bucket, prefix="a/2").next_object(Range()) == "a/2"
    assert sides(bucket, "a/", prefix="a/2").next_object(Range("a/2")) is None
    assert [prefix for prefix, _ in bucket.requests] == ["a/2", "a/2"]


def test_many_prefixes_take_no_more_requests_than_allowed() -> None:
    bucket = Bucket("z/1")
    asked = sides(bucket, *(f"{number:03}/" for number in range(200)), "z/", requests=150)

    for _ in range(3):
        assert asked.next_object(Range()) is None

    assert len(bucket.requests) == 150


def test_the_table_is_asked_below_the_prefix() -> None:
    asked = sides(Bucket(), prefix="p")

    assert asked.next_record(Range("k")) == "next of b, k, p"
    assert asked.last_record(Range("k")) == "last of b, k, p"


def test_a_backfill_asks_the_bucket_alone() -> None:
    """It needs no permission to query the table."""
    asked = BucketAlone(cast(Listing, Bucket("a")), Filters(), "")

    assert (asked.next_object(Range()), asked.next_record(Range())) == ("a", None)
    assert asked.last_record(Range()) is None
