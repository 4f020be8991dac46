"""How a range is divided: what must hold for any keys; `test_rounds_needed.py` shows how well."""

from bisect import bisect_right
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from function.events import MAX_KEY_BYTES
from function.reconciliation.division import divide
from function.reconciliation.ranges import Range

keys = st.text(
    st.one_of(
        st.sampled_from("ab/01~\x01é\ud7ff\U0010ffff"), st.characters(exclude_categories=["Cs"])
    ),
    min_size=1,
    max_size=6,
)
sets = st.frozensets(keys, max_size=30)


class Sides:
    """A bucket and a table that are sets of keys."""

    def __init__(self, bucket: frozenset[str], table: frozenset[str]) -> None:
        self._bucket = sorted(bucket)
        self._table = sorted(table)
        self.requests = 0

    def next_object(self, of: Range) -> str | None:
        self.requests += 1
        return self._next(self._bucket, of)

    def next_record(self, of: Range) -> str | None:
        return self._next(self._table, of)

    def last_record(self, of: Range) -> str | None:
        return max((key for key in self._table if key in of), default=None)

    @staticmethod
    def _next(keys: list[str], of: Range) -> str | None:
        at = bisect_right(keys, of.after)
        return keys[at] if at < len(keys) and keys[at] in of else None


@given(sets, sets, st.tuples(st.just("") | keys, st.none() | keys), st.integers(1, 9), st.data())
def test_ranges_cover_the_rest_exactly(
    bucket: frozenset[str],
    table: frozenset[str],
    ends: tuple[str, str | None],
    pieces: int,
    data: st.DataObject,
) -> None:
    after, up_to = ends
    if up_to is not None and up_to <= after:
        return
    rest = Range(after, up_to)
    sides = Sides(bucket, table)
    requests = data.draw(st.integers(0, 100))

    ranges = divide(rest, sides, pieces, requests)

    assert sides.requests <= requests
    assert 1 <= len(ranges) <= pieces
    assert (ranges[0].after, ranges[-1].up_to) == ends
    assert all(one.up_to == other.after for one, other in pairwise(ranges))
    cuts = [one.after for one in ranges[1:]]
    assert all(after < cut and (up_to is None or cut < up_to) for cut in cuts)
    assert all(len(cut.encode()) <= MAX_KEY_BYTES for cut in cuts)
    # There is a key before each cut and between any two, and after the last one.
    known = bucket | table
    assert len(ranges) == 1 or all(any(key in of for key in known) for of in ranges)


def test_a_range_with_one_key_or_none_is_not_divided() -> None:
    for bucket in (frozenset[str](), frozenset("k")):
        assert divide(Range(), Sides(bucket, frozenset()), 5) == [Range()]


def test_many_keys_make_as_many_ranges_as_wanted() -> None:
    bucket = frozenset(f"{number:05}" for number in range(1000))
    sides = Sides(bucket, frozenset())

    ranges = divide(Range(), sides, 8)

    sizes = [sum(key in of for key in bucket) for of in ranges]
    assert len(ranges) == 8
    assert max(sizes) <= 3 * min(sizes)


def test_a_table_beyond_the_bucket_is_divided_too() -> None:
    bucket, table = frozenset("a"), frozenset(f"b{number:04}" for number in range(500))

    ranges = divide(Range(), Sides(bucket, table), 5)

    assert len(ranges) == 5
    assert max(sum(key in of for key in table) for of in ranges) < 250


def test_a_cut_is_as_short_as_separates_its_neighbours() -> None:
    bucket = frozenset(f"{directory}/{'x' * 100}{number}" for directory in "am" for number in "12")

    assert (
        divide(Range(), Sides(bucket, frozenset()), 2) == [Range("", "a~"), Range("a~")]
        or len(divide(Range(), Sides(bucket, frozenset()), 2)[0].up_to or "") < 5
    )
