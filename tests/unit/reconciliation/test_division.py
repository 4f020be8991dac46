"""The division of a range asks for a few keys and must lose none."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function.events import MAX_KEY_BYTES
from function.ranges import Range
from function.reconciliation.division import MOST_REQUESTS, divide
from tests.unit.reconciliation.simulation import NONE, Keys, Sides

ALPHABET = '\0\x01/09aAz"\\~\x7fä\ud7ff\ue000\U0001f600\U0010ffff'
PREFIXES = ["", "", "data/", "\x01" * 1018, "p" * 1020, "ä" * 509, "\U0010ffff" * 254]


@st.composite
def some_keys(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Keys of a bucket and of a table, which share many."""
    prefix = draw(st.sampled_from(PREFIXES))
    texts = st.text(ALPHABET, min_size=0 if prefix else 1, max_size=6).map(prefix.__add__)
    keys = texts.filter(lambda key: len(key.encode()) <= MAX_KEY_BYTES)
    both = draw(st.sets(keys, max_size=20))
    return sorted(both | draw(st.sets(keys, max_size=10))), sorted(
        both | draw(st.sets(keys, max_size=10))
    )


@st.composite
def a_range(draw: st.DrawFn, keys: list[str]) -> Range:
    """A range that may begin and end at keys, between them, or far from them."""
    ends = st.one_of(st.sampled_from(["", "zzz", *keys]), st.text(ALPHABET, max_size=3))
    after, up_to = draw(ends), draw(st.one_of(st.none(), ends))
    if up_to is not None and up_to <= after:
        after, up_to = up_to, after
    return Range(after, None if up_to == after else up_to)


def check(rest: Range, sides: Sides, pieces: int, requests: int) -> list[Range]:
    """Divide the range, and check what must hold for any."""
    found = divide(rest, sides, pieces, requests)

    assert 1 <= len(found) <= pieces
    assert found[0].after == rest.after
    assert found[-1].up_to == rest.up_to
    assert all(one.up_to == other.after for one, other in pairwise(found))
    cuts = [of.after for of in found[1:]]
    assert all(one < other for one, other in pairwise([rest.after, *cuts]))
    assert all(cut in rest and cut != rest.up_to for cut in cuts)
    assert all(len(cut.encode()) <= MAX_KEY_BYTES for cut in cuts)
    assert all(not of.looks for of in found)
    if cuts:
        # Each range has a key.
        assert all(sides.bucket.count(of) + sides.table.count(of) for of in found)
    assert len(sides.asked) <= requests
    assert len(sides.asked_table) <= requests + 2
    for of in sides.asked + sides.asked_table:
        # S3 and DynamoDB refuse longer texts, and DynamoDB empty ranges.
        ends = [of.after, of.up_to or ""]
        assert all(len(end.encode()) <= MAX_KEY_BYTES for end in ends)
        assert of.up_to is None or of.after < of.up_to
        assert of.is_within(rest)
    return found


@given(st.data())
def test_ranges_cover_the_rest_and_each_has_a_key(data: st.DataObject) -> None:
    bucket, table = data.draw(some_keys())
    rest = data.draw(a_range(bucket + table))
    pieces = data.draw(st.integers(1, 12))
    requests = data.draw(st.sampled_from([0, 1, 2, 5, 20, MOST_REQUESTS]))
    partitions = data.draw(st.sampled_from([1, 3]))

    check(rest, Sides(Keys.of(bucket), Keys.of(table), partitions), pieces, requests)


DATES = [f"2026/{month:02}/{day:02}/{part}" for month in (1, 2) for day in (7, 8) for part in "xy"]


@pytest.mark.parametrize("pieces", [2, 4])
@pytest.mark.parametrize("partitions", [1, 2])
def test_enough_requests_cut_as_often_as_asked(pieces: int, partitions: int) -> None:
    keys = Keys.of(DATES)

    for sides in (Sides(keys, keys), Sides(keys, NONE), Sides(NONE, keys, partitions)):
        found = check(Range(), sides, pieces, MOST_REQUESTS)
        # The first key of a range is known for one partition only.
        assert len(found) == pieces or sides.partitions > 1
        assert len(found) > 1


def test_cuts_are_as_short_as_separates_their_neighbours() -> None:
    keys = Keys.of(DATES)

    found = check(Range(), Sides(keys, keys), 8, MOST_REQUESTS)

    assert [of.after for of in found] == ["", "2026/01/08", "2026/02", "2026/02/08"]


def test_the_last_range_reaches_to_the_end_although_no_key_does() -> None:
    keys = Keys.of(DATES)

    far = check(Range(up_to="zzz"), Sides(keys, keys), 4, MOST_REQUESTS)
    endless = check(Range(), Sides(keys, keys), 4, MOST_REQUESTS)

    assert far[-1].up_to == "zzz"
    assert endless[-1].up_to is None
    assert len(far) == len(endless) == 4


@pytest.mark.parametrize("sides", [(Keys.of("a"), NONE), (NONE, Keys.of("a"))])
@pytest.mark.parametrize("rest", [Range(), Range("A"), Range("A", "a"), Range(up_to="zzz")])
def test_one_key_is_not_divided(sides: tuple[Keys, Keys], rest: Range) -> None:
    assert check(rest, Sides(*sides), 8, MOST_REQUESTS) == [rest]


def test_a_range_without_a_key_is_not_divided() -> None:
    sides = Sides(Keys.of("az"), Keys.of("a"))

    assert check(Range("b", "y"), sides, 8, MOST_REQUESTS) == [Range("b", "y")]


def test_one_piece_takes_no_request() -> None:
    sides = Sides(Keys.of(DATES), NONE)

    assert check(Range("a"), sides, 1, MOST_REQUESTS) == [Range("a")]
    assert not sides.asked
    assert not sides.asked_table


@pytest.mark.parametrize(
    "keys",
    [
        ["a", "b"],
        ["\x01" * 1024, "\x01" * 1023],
        ["ä", "ö", "ü", "日本", "語"],
        ["\U0001f600", "\U0001f601"],
        ["p" * 1023 + "a", "p" * 1023 + "b"],
        ["\U0010ffff" * 256, "\U0010ffff" * 255],
        ["\ud7ff", "\ue000"],
    ],
)
def test_few_keys_get_a_range_each(keys: list[str]) -> None:
    for sides in (Sides(Keys.of(keys), NONE), Sides(NONE, Keys.of(keys))):
        assert len(check(Range(), sides, 8, MOST_REQUESTS)) == len(keys)


@given(st.integers(0, 30))
@example(0)
def test_few_requests_make_fewer_cuts(requests: int) -> None:
    keys = Keys.of(DATES)
    sides = Sides(keys, keys)

    found = check(Range(), sides, 8, requests)

    assert len(found) == 1 or requests > 1


def test_a_tail_of_records_is_cut_at_its_records() -> None:
    bucket, table = Keys.of(DATES), Keys.of([*DATES, *(f"z/{number}" for number in range(100))])
    sides = Sides(bucket, table)

    found = check(Range(), sides, 8, MOST_REQUESTS)

    assert max(table.count(of) for of in found) < 50


def test_a_tail_of_objects_is_cut_although_the_index_ends_early() -> None:
    bucket = Keys.of([*DATES, *(f"z/{number}" for number in range(100))])
    sides = Sides(bucket, Keys.of(DATES))

    found = check(Range(), sides, 8, MOST_REQUESTS)

    assert max(bucket.count(of) for of in found) < 50


@pytest.mark.parametrize(
    "texts",
    [
        ["a" + "\0" * number for number in range(10)],
        ["\x01" * 1018 + "0", "\x01" * 1018 + "\ud7ff\x7f"],
        ["p" * 1022 + "\x7f", "p" * 1022 + "\u07ff"],
    ],
)
def test_odd_keys_may_stay_together(texts: list[str]) -> None:
    keys = Keys.of(texts)

    check(Range(), Sides(keys, keys), 8, MOST_REQUESTS)


@pytest.mark.parametrize("width", [1, 3, 20])
def test_ranges_of_even_keys_are_about_even(width: int) -> None:
    keys = Keys(16**5, lambda place: "x" * width + f"{place:05x}")
    sides = Sides(keys, keys)

    found = check(Range(), sides, 16, MOST_REQUESTS)

    counts = [keys.count(of) for of in found]
    assert len(found) == 16
    assert max(counts) <= 3 * 16**4
