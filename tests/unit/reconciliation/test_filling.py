"""Backfilling a range."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from function.errors import ContentionError
from function.events import ObjectEvent
from function.indexer import Indexer
from function.listed import Listed, Page
from function.listing import Listing
from function.ranges import Range
from function.reconciliation import filling
from function.reconciliation.failures import Failure
from function.reconciliation.filling import Filled, Filling, Inserting, Refreshing
from function.reconciliation.insertion import Inserted, Insertion
from function.record import FileRecord
from function.settings import Settings

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
TIMED_OUT = ReadTimeoutError(endpoint_url="e")


class Bucket:
    """A bucket with pages of three objects; those of `unwatched` are not watched."""

    def __init__(self, keys: str, unwatched: str = "") -> None:
        self._keys = keys
        self._unwatched = unwatched

    def pages(self, prefix: str, of: Range) -> Iterator[Page]:
        assert prefix == "p"
        keys = [key for key in self._keys if key in of]
        for first in range(0, max(1, len(keys)), 3):
            page = keys[first : first + 3]
            objects = [Listed(key, f"etag {key}", 5, NOW) for key in page]
            watched = [one for one in objects if one.key not in self._unwatched]
            yield Page(watched, NOW, page[-1] if page else None)

    def find(self, key: str) -> tuple[Listed | None, datetime]:
        if key == "b":
            raise TIMED_OUT
        return (Listed(key, f"etag {key}", 5, NOW) if key in self._keys else None), NOW


class Writes:
    """Notes the keys of each batch."""

    def __init__(self) -> None:
        self.batches: list[str] = []

    def write(self, objects: Sequence[Listed], done: Filled) -> None:
        if objects:
            self.batches.append("".join(one.key for one in objects))
        done.written += len(objects)


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "MOST_INSERTS", 2)
    monkeypatch.setattr("function.reconciliation.workers.WORKERS", 1)


def filling_of(bucket: Bucket, writer: Any) -> Filling:
    return Filling(cast(Listing, bucket), writer, prefix="p")


def test_a_range_is_written_in_batches() -> None:
    writes = Writes()

    filled = filling_of(Bucket("abcdefgh"), writes).fill(Range("a", "g"), lambda _: False)

    assert filled == Filled(None, objects=6, written=6)
    assert writes.batches == ["bc", "d", "ef", "g"]
    parts = filling_of(Bucket("abcdefgh"), Writes()).filling(Range("a", "g"), lambda _: False)
    assert sum(part.objects for part in parts) == 6


def test_a_spent_budget_leaves_the_rest() -> None:
    writes = Writes()
    asked = iter((False, True))

    filled = filling_of(Bucket("abcdefgh"), writes).fill(Range("", "g"), lambda _: next(asked))

    assert filled == Filled(Range("c", "g"), objects=3, written=3)
    assert writes.batches == ["ab", "c"]


def test_a_budget_is_spent_on_keys_that_no_filter_matches_too() -> None:
    writes = Writes()

    filled = filling_of(Bucket("abcdef", "abcdef"), writes).fill(Range(), lambda _: True)

    assert (filled, writes.batches) == (Filled(Range("c")), [])


@pytest.mark.parametrize("of", [Range("a", "c"), Range("b", "c")])
def test_nothing_is_left_after_the_last_key(of: Range) -> None:
    filled = filling_of(Bucket("abc"), Writes()).fill(of, lambda _: True)

    assert filled.rest is None


def test_any_budgets_write_every_key_once() -> None:
    for budget in range(1, 6):
        writes = Writes()
        bucket = filling_of(Bucket("abcdefghijk", "dik"), writes)
        rest: Range | None = Range()
        rests = []
        while rest:
            left = iter(range(budget))
            rest = bucket.fill(rest, lambda _, left=left: next(left, None) is None).rest  # type: ignore[misc]
            rests.append(rest and rest.after)
        assert "".join(writes.batches) == "abcefghj"
        assert len(rests) == len(set(rests)) <= 12


class Table:
    """Refuses `d`."""

    def __init__(self) -> None:
        self.inserted: list[FileRecord] = []

    def insert(self, records: list[FileRecord]) -> Inserted:
        self.inserted += records
        failed = {one.key: TIMED_OUT for one in records if one.key == "d"}
        return Inserted(len(records) - len(failed), failed)


@pytest.mark.parametrize("versioned", [False, True])
def test_records_are_inserted_as_listed(versioned: bool) -> None:
    table = Table()
    writer = Inserting(
        cast(Insertion, table), "bucket", Settings(table_name="t"), versioned=versioned
    )

    filled = filling_of(Bucket("cde"), writer).fill(Range(), lambda _: False)

    assert filled == Filled(None, 3, 2, failures=[Failure("d", str(TIMED_OUT))])
    first = table.inserted[0]
    assert (first.bucket, first.key, first.event_name) == ("bucket", "c", "Backfill")
    assert (first.known.etag, first.known.size, first.known.last_modified) == ("etag c", 5, NOW)
    assert (first.observed, first.sequencer) == (versioned, None)
    assert len({one.revision for one in table.inserted}) == 3
    assert datetime.now(UTC) - first.indexed_at < timedelta(minutes=1)


def test_failed_keys_are_looked_at_and_inserted_again() -> None:
    """The listing of an earlier run is old, and an object may be gone since."""
    table = Table()
    writer = Inserting(cast(Insertion, table), "bucket", Settings(table_name="t"), versioned=False)

    filled = filling_of(Bucket("acd"), writer).again(["a", "b", "gone", "d"])

    assert [one.key for one in table.inserted] == ["a", "d"]
    assert [one.key for one in filled.failures] == ["b", "d"]
    assert (filled.objects, filled.written) == (3, 1)


def test_an_error_of_the_run_is_not_counted_for_a_retried_object() -> None:
    class Unreachable(Bucket):
        def find(self, _: str) -> tuple[Listed | None, datetime]:
            raise EndpointConnectionError(endpoint_url="e")

    with pytest.raises(EndpointConnectionError):
        filling_of(Unreachable("a"), Writes()).again(["a"])


class Refreshed:
    """Refreshes every key but two."""

    def refresh(self, event: ObjectEvent) -> None:
        assert (event.bucket, event.name) == ("bucket", "Backfill")
        if event.key == "b":
            raise ContentionError("others write it")
        if event.key == "c":
            raise TIMED_OUT


def test_one_object_that_is_not_refreshed_does_not_stop_the_others() -> None:
    writer = Refreshing(cast(Indexer, Refreshed()), "bucket")

    filled = filling_of(Bucket("abcd"), writer).fill(Range(), lambda _: False)

    assert filled == Filled(None, 4, 2, contended=1, failures=[Failure("c", str(TIMED_OUT))])
