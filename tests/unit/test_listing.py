"""Reading a bucket's listing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from function.errors import BucketMissingError, PermissionDeniedError
from function.filters import Filter, Filters
from function.listed import Listed
from function.listing import Listing
from function.ranges import Range

DATES = [f"Mon, 23 Nov 2026 08:15:{second:02} GMT" for second in range(60)]
FIRST = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
ALL = Filters()


class NoSuchBucketError(Exception):
    pass


class Bucket:
    """S3 with one bucket. Each page is a second later than the last."""

    class exceptions:  # noqa: N801 # botocore's name
        NoSuchBucket = NoSuchBucketError

    def __init__(self, *keys: str, error: Exception | None = None) -> None:
        self._found: list[dict[str, Any]] = [
            {"Key": key, "ETag": f'"{key}"', "Size": 1} for key in sorted(keys)
        ]
        self._error = error
        self.versions: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, str, int]] = []
        """Operation, prefix, where it starts, and the most objects of a page."""
        self.pages = 0

    def get_paginator(self, operation: str) -> Any:
        self._operation = operation
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert asked.pop("Bucket") == "b"
        prefix, most = asked.pop("Prefix"), asked.pop("PaginationConfig")["PageSize"]
        is_versions = self._operation == "list_object_versions"
        start = asked.pop("KeyMarker" if is_versions else "StartAfter", None)
        assert not asked
        self.requests.append((self._operation, prefix, start or "", most))
        if self._error:
            raise self._error
        found = [
            {"LastModified": FIRST, **one}
            for one in (self.versions if is_versions else self._found)
            if one["Key"].startswith(prefix) and one["Key"] > (start or "")
        ]
        for first in range(0, max(len(found), 1), min(most, 2)):
            page = found[first : first + min(most, 2)]
            head = {"HTTPHeaders": {"date": DATES[self.pages]}}
            self.pages += 1
            name = "Versions" if is_versions else "Contents"
            yield {"ResponseMetadata": head} | ({name: page} if page else {})


def listing(bucket: Bucket, filters: Filters = ALL, **options: bool) -> Listing:
    return Listing(cast(Any, bucket), "b", filters, **options)


def keys(bucket: Bucket, prefix: str, after: str = "", filters: Filters = ALL) -> list[str]:
    pages = listing(bucket, filters).pages(prefix, Range(after))
    return [one.key for page in pages for one in page.objects]


def test_a_page_has_its_time_and_every_object_of_it_its_own() -> None:
    bucket = Bucket("a", "b", "c")

    first, second = listing(bucket).pages("")

    assert first.objects == [Listed("a", "a", 1, FIRST), Listed("b", "b", 1, FIRST)]
    assert (first.time, second.time) == (FIRST, FIRST + timedelta(seconds=1))
    assert [one.key for one in second.objects] == ["c"]
    assert bucket.requests == [("list_objects_v2", "", "", 1000)]


def test_an_empty_bucket_has_a_time_too() -> None:
    (page,) = listing(Bucket()).pages("")

    assert (page.objects, page.time) == ([], FIRST)


def test_the_storage_class_is_listed() -> None:
    bucket = Bucket()
    bucket._found = [{"Key": "a", "ETag": '"e"', "Size": 2, "StorageClass": "GLACIER"}]

    (page,) = listing(bucket).pages("")

    assert page.objects == [Listed("a", "e", 2, FIRST, storage_class="GLACIER")]


@pytest.mark.parametrize(
    ("after", "left", "requests"),
    [
        ("", ["a/1", "a/2", "c/1"], [("a/", ""), ("c/", "")]),
        ("a", ["a/1", "a/2", "c/1"], [("a/", ""), ("c/", "")]),
        ("a/", ["a/1", "a/2", "c/1"], [("a/", "a/"), ("c/", "")]),
        ("a/1", ["a/2", "c/1"], [("a/", "a/1"), ("c/", "")]),
        ("a/9", ["c/1"], [("a/", "a/9"), ("c/", "")]),
        ("b", ["c/1"], [("c/", "")]),
        ("c/1", [], [("c/", "c/1")]),
        ("d", [], []),
    ],
)
def test_each_prefix_is_listed_from_the_checkpoint(
    after: str, left: list[str], requests: list[tuple[str, str]]
) -> None:
    bucket = Bucket("a/1", "a/2", "b/1", "c/1")

    assert keys(bucket, "", after, Filters((Filter("a/"), Filter("c/")))) == left
    assert [(prefix, start) for _, prefix, start, _ in bucket.requests] == requests


@pytest.mark.parametrize(
    ("of", "found", "last", "requests"),
    [
        (Range("", "a/1"), [["a/1"]], ["a/1"], [("a/", "")]),
        # The page reaches past the end, or ends with it.
        (Range("a/1", "a/4"), [["a/2", "a/3"], ["a/4"]], ["a/3", "a/4"], [("a/", "a/1")]),
        (Range("a/2", "a/3"), [["a/3"]], ["a/3"], [("a/", "a/2")]),
        (Range("a/3", "a/3x"), [[]], ["a/3x"], [("a/", "a/3")]),
        (Range("a/4", "b"), [["a/5"]], ["a/5"], [("a/", "a/4")]),
        (Range("b", "c/"), [[]], ["c/"], [("c/", "")]),
        (Range("b", "bb"), [], [], []),
    ],
)
def test_a_range_ends_where_it_ends(
    of: Range, found: list[list[str]], last: list[str], requests: list[tuple[str, str]]
) -> None:
    bucket = Bucket("a/1", "a/2", "a/3", "a/4", "a/5", "b/1", "c/1")

    pages = list(listing(bucket, Filters((Filter("a/"), Filter("c/")))).pages("", of))

    assert [[one.key for one in page.objects] for page in pages] == found
    assert [page.last for page in pages] == last
    assert [(prefix, start) for _, prefix, start, _ in bucket.requests] == requests


def test_a_page_without_watched_keys_says_how_far_it_reached() -> None:
    bucket = Bucket("a.csv", "b.txt", "c.txt", "d.csv")

    pages = listing(bucket, Filters((Filter("", ".csv"),))).pages("")

    assert [([one.key for one in page.objects], page.last) for page in pages] == [
        (["a.csv"], "b.txt"),
        (["d.csv"], "d.csv"),
    ]


def test_the_next_object_is_found_by_one_request() -> None:
    bucket = Bucket("a/1", "a/2.txt", "b/1")
    found = listing(bucket, Filters((Filter("a/", ".csv"),)))

    assert found.next_object("a/", "a/1") == "a/2.txt"
    assert found.next_object("a/", "") == "a/1"
    assert found.next_object("a/", "a/2.txt") is None
    assert bucket.requests == [
        ("list_objects_v2", "a/", start, 1) for start in ("a/1", "", "a/2.txt")
    ]


def test_keys_that_no_filter_matches_are_not_listed() -> None:
    bucket = Bucket("a/1.csv", "a/1.txt", "a/2.csv", "b/1.csv")

    assert keys(bucket, "", filters=Filters((Filter("a/", ".csv"),))) == ["a/1.csv", "a/2.csv"]


def test_the_current_versions_are_listed() -> None:
    bucket = Bucket()
    bucket.versions = [
        {"Key": key, "ETag": '"e"', "Size": 1, "VersionId": version, "IsLatest": latest}
        for key, version, latest in (("a", "2", True), ("a", "1", False), ("b", "null", True))
    ]

    pages = listing(bucket, versions=True).pages("", Range("A"))

    found = [(one.key, one.version_id) for page in pages for one in page.objects]
    assert found == [("a", "2"), ("b", None)]
    assert bucket.requests == [("list_object_versions", "", "A", 1000)]


def test_one_object_is_returned_with_the_time() -> None:
    bucket = Bucket("a", "ab")

    assert listing(bucket).find("a") == (Listed("a", "a", 1, FIRST), FIRST)
    assert bucket.requests == [("list_objects_v2", "a", "", 1)]
    # A key that only begins with the given one is another object.
    assert listing(bucket).find("") == (None, FIRST + timedelta(seconds=1))
    assert listing(Bucket("a1")).find("a") == (None, FIRST)
    assert listing(Bucket("a"), Filters((Filter("b"),))).find("a") == (None, FIRST)


def test_one_object_is_listed_to_reach_the_bucket() -> None:
    bucket = Bucket("a", "b", "c")

    listing(bucket).reach("a")

    assert bucket.requests == [("list_objects_v2", "a", "", 1)]


@pytest.mark.parametrize(
    ("versions", "action"), [(False, "ListBucket"), (True, "ListBucketVersions")]
)
def test_a_denial_names_the_action_and_the_bucket(
    versions: bool, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("function.denials._caller", lambda: "me")
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "ListObjectsV2")

    with pytest.raises(
        PermissionDeniedError,
        match=f"me is not authorized to perform: s3:{action} on resource: bucket b",
    ):
        listing(Bucket(error=denied), versions=versions).reach("")


def test_a_missing_bucket_is_named() -> None:
    with pytest.raises(BucketMissingError, match=r"^bucket b does not exist$"):
        listing(Bucket(error=NoSuchBucketError())).reach("")
