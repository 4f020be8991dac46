"""What goes to a worker and comes back: it fits, and it is checked."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.ranges import Range, size, to_json
from function.reconciliation.items import Item, Result, shortened, thinned
from tests.unit.reconciliation.simulation import NAMES_OF_COUNTS

OWN = Range("b", "x")
HOT = Range("a", "a1", looks=2)
ENDLESS = Range("b")


def test_an_item_survives_the_round_trip() -> None:
    item = Item(ranges=(OWN, HOT), budget_seconds=60, pieces=5, room=9000)

    assert Item.of(json.loads(json.dumps(item.as_json()))) == item
    assert item.ordinary == OWN
    assert Item(ranges=(HOT,), budget_seconds=60, pieces=5, room=9000).ordinary is None


def test_a_result_survives_the_round_trip() -> None:
    result = Result(
        item=(OWN, HOT),
        rest=("c", "d", "e"),
        changing=(Range("a", "a1", looks=3), Range("b", "b1", looks=1)),
        counts={"compared": 7, "phantom": 1},
        keys=({"kind": "phantom", "key": "b"},),
        attempt=1,
    )

    found = Result.of(json.loads(json.dumps(result.as_json(9000))))

    assert found == result
    assert found.left == [Range("c", "d"), Range("d", "e"), Range("e", "x")]


@pytest.mark.parametrize(
    ("item", "rest", "left"),
    [
        ((ENDLESS,), ("c",), [Range("c")]),
        ((ENDLESS,), ("c", "d"), [Range("c", "d"), Range("d")]),
        ((OWN,), (), []),
        ((HOT,), (), []),
    ],
)
def test_what_is_left_reaches_to_the_end_of_the_item(
    item: tuple[Range, ...], rest: tuple[str, ...], left: list[Range]
) -> None:
    assert Result(item=item, rest=rest).left == left


FOREIGN = "a worker returned keys that it was not given"
NO_PROGRESS = "a worker made no progress"
DISORDER = "a worker returned ranges that overlap or are not in order"


@pytest.mark.parametrize(
    ("rest", "changing", "message"),
    [
        (["a"], [], FOREIGN),
        (["b"], [], NO_PROGRESS),
        (["b", "c"], [], NO_PROGRESS),
        (["c", "c"], [], DISORDER),
        (["d", "c"], [], DISORDER),
        (["x"], [], DISORDER),
        (["c", "y"], [], DISORDER),
        # A key that it was given changed, but nobody looked.
        ([], [Range("a", "a1", looks=2)], NO_PROGRESS),
        ([], [Range("a", "a1", looks=1)], NO_PROGRESS),
        # More than the key.
        ([], [Range("", "a1", looks=3)], FOREIGN),
        # Other keys than its own, or than it has compared.
        ([], [Range("a1", "a2", looks=1)], FOREIGN),
        ([], [Range("x", "y", looks=1)], FOREIGN),
        (["c"], [Range("c", "d", looks=1)], FOREIGN),
        (["c"], [Range("b1", "d", looks=1)], FOREIGN),
        ([], [Range("c", "d")], "a worker returned a range as a key that keeps changing"),
        ([], [Range("c", "d", looks=1), Range("c", "d", looks=1)], "a worker returned a key twice"),
        ([], [Range("d", "f", looks=1), Range("c", "e", looks=1)], "a worker returned a key twice"),
    ],
)
def test_a_result_that_is_no_part_of_the_item_is_refused(
    rest: list[str], changing: list[Range], message: str
) -> None:
    value = Result(item=(OWN, HOT)).as_json(9000) | {"rest": rest, "changing": to_json(changing)}

    with pytest.raises(ValueError, match=f"^{message}$"):
        Result.of(value)


def test_keys_of_an_endless_range_are_a_part_of_it() -> None:
    changing = [Range("z", "zz", looks=1), Range("c", "d", looks=1)]
    value = Result(item=(ENDLESS,)).as_json(9000)

    assert Result.of(value | {"changing": to_json(changing)}).changing == tuple(changing)
    with pytest.raises(ValueError, match="as a key that keeps changing"):
        Result.of(value | {"changing": to_json([Range("c", None, looks=1)])})


def test_a_worker_with_changing_keys_only_has_no_rest() -> None:
    value = Result(item=(HOT,)).as_json(9000)

    with pytest.raises(ValueError, match=FOREIGN):
        Result.of(value | {"rest": ["c"]})
    with pytest.raises(ValueError, match=FOREIGN):
        Result.of(value | {"changing": to_json([Range("c", "d", looks=1)])})


def test_an_item_with_an_error_is_a_result() -> None:
    item = Item(ranges=(OWN, HOT), budget_seconds=60, pieces=5, room=9000)
    caught = item.as_json() | {"error": {"Error": "Lambda.Unknown", "Cause": "it died " * 200}}

    found = Result.of(caught)

    assert found.item == (OWN, HOT)
    assert found.attempt > 0
    assert found.error
    assert found.error.startswith("Lambda.Unknown it died")
    assert size(found.error) <= 300


@pytest.mark.parametrize("cause", ["short", "long " * 100, "\U0001f600" * 300, '"\\\x01' * 300])
def test_a_worker_can_say_that_it_failed(cause: str) -> None:
    item = Item(ranges=(OWN,), budget_seconds=60, pieces=5, room=0)
    value = Result(item=item.ranges, error=cause).as_json(item.least_room)

    assert size(value) <= item.least_room
    found = Result.of(value)
    assert found.error
    assert cause.startswith(found.error)
    assert found.attempt == 0


COUNTS = dict.fromkeys(NAMES_OF_COUNTS, 9_999_999_999)


@settings(max_examples=25)
@given(
    texts=st.lists(st.text('\x01"a\U0001f600', min_size=1, max_size=200), max_size=3),
    cuts=st.integers(1, 40),
    hot=st.integers(0, 40),
    more=st.integers(0, 6000),
    prefix=st.sampled_from(["p", "\x01" * 900, "\U0001f600" * 200]),
)
def test_a_result_fits_into_the_room(
    texts: list[str], cuts: int, hot: int, more: int, prefix: str
) -> None:
    own = Range(prefix)
    item = Item(ranges=(own,), budget_seconds=60, pieces=5, room=0)
    ends = [f"{prefix}{number:03}" for number in range(cuts + hot)]
    result = Result(
        item=item.ranges,
        rest=tuple(ends[hot:]),
        changing=tuple(
            Range(one, other, looks=1)
            for one, other in zip([prefix, *ends], ends[:hot], strict=False)
        ),
        counts=COUNTS,
        keys=tuple({"kind": "phantom", "key": text} for text in texts),
    )

    value = result.as_json(item.least_room + more)

    assert size(value) <= item.least_room + more
    found = Result.of(json.loads(json.dumps(value)))
    # The rest is still covered, and no key that changes goes unmentioned.
    assert found.rest[0] == result.rest[0]
    assert set(found.rest) <= set(result.rest)
    assert found.changing == result.changing[: len(found.changing)]
    dropped = len(result.changing) - len(found.changing)
    assert found.counts["unread"] == COUNTS["unread"] + dropped
    assert found.counts["compared"] == COUNTS["compared"] + dropped
    if size(result.as_json(10**9)) <= item.least_room + more:
        assert found == result


def test_less_room_leaves_out_examples_first_then_cuts() -> None:
    item = Item(ranges=(ENDLESS,), budget_seconds=60, pieces=5, room=0)
    rest = tuple(f"c{number:0100}" for number in range(40))
    result = Result(item=item.ranges, rest=rest, keys=({"kind": "phantom", "key": "k" * 900},))

    whole = size(result.as_json(10**9))
    less, least = (Result.of(result.as_json(room)) for room in (whole - 1, item.least_room))

    assert (less.keys, less.rest) == ((), rest)
    assert 1 < len(least.rest) < len(rest)
    # They are spread evenly.
    steps = {rest.index(other) - rest.index(one) for one, other in pairwise(least.rest)}
    assert max(steps) - min(steps) <= 1


def test_changing_keys_leave_room_for_cuts() -> None:
    own = Range("b")
    hot = tuple(Range(f"b{number:0100}", f"b{number:0100}x", looks=1) for number in range(100))
    rest = tuple(f"c{number:0100}" for number in range(40))

    found = Result.of(Result(item=(own,), rest=rest, changing=hot).as_json(9000))

    assert 10 < len(found.changing) < 100
    assert len(found.rest) > 10


@pytest.mark.parametrize("text", ["", "abc", "a" * 400, "\U0001f600" * 400, '"' * 400, "\ud800"])
def test_a_shortened_text_fits(text: str) -> None:
    found = shortened(text, 100)

    assert size(found) <= 100
    assert text.startswith(found)
    assert found == text or size(text[: len(found) + 1]) > 100


@pytest.mark.parametrize(("number", "found"), [(1, "a"), (2, "ad"), (3, "ace"), (6, "abcdef")])
def test_the_first_value_stays(number: int, found: str) -> None:
    assert thinned("abcdef", number) == tuple(found)


@pytest.mark.parametrize("missing", ["ranges", "rest", "changing", "counts", "keys", "attempt"])
def test_a_result_needs_all_fields(missing: str) -> None:
    value: dict[str, Any] = Result(item=(OWN,)).as_json(9000)
    del value[missing]

    with pytest.raises(KeyError, match=missing):
        Result.of(value)
