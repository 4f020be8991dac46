"""Ranges of keys, and their form as JSON."""

import json
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.events import MAX_KEY_BYTES
from function.reconciliation.ranges import (
    MAX_ENCODED,
    Range,
    decoded,
    encoded,
    from_json,
    last_key,
    separator,
    size,
    to_json,
)

CHARACTERS = ("\0", "a", "b", "\ud7ff", "\ue000", "\U0010ffff")
TEXTS = sorted("".join(text) for length in range(4) for text in product(CHARACTERS, repeat=length))
WORST = ("\x01", '"', "\\", "\x7f", "ü", "\uffff", "\U0001f600", "\U0010ffff")

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS))
def test_a_separator_is_the_shortest_text_between(one: str, other: str) -> None:
    low, high = sorted((one, other))
    if low == high:
        return

    found = separator(low, high)

    assert low <= found < high
    assert len(found) <= min(len(text) for text in TEXTS if low <= text < high)
    found.encode()  # raises for a surrogate


@given(keys, keys)
def test_a_separator_of_any_keys_lies_between(one: str, other: str) -> None:
    low, high = sorted((one, other))
    if low != high:
        assert low <= separator(low, high) < high
        assert len(separator(low, high).encode()) <= max(len(low.encode()), len(high.encode()))


@pytest.mark.parametrize("prefix", ["", "a", "ab", "abc", "ü", "\U0010ffff", "x" * 1024])
def test_the_last_key_follows_every_key_with_the_prefix(prefix: str) -> None:
    last = last_key(prefix)

    assert last.startswith(prefix)
    assert len(last.encode()) == MAX_KEY_BYTES
    room = MAX_KEY_BYTES - len(prefix.encode())
    for character in ("\x7f", "\u07ff", "\uffff", "\U0010ffff"):
        most = room // len(character.encode())
        assert prefix + character * most <= last


def test_a_range_excludes_its_begin_and_includes_its_end() -> None:
    of = Range("b", "d")

    assert [key for key in "abcde" if key in of] == ["c", "d"]
    assert [key for key in "abcde" if key in Range(up_to="b")] == ["a", "b"]
    assert [key for key in "abcde" if key in Range("c")] == ["d", "e"]


@pytest.mark.parametrize(
    ("of", "is_within"),
    [
        (Range("b", "d"), True),
        (Range("c", "d"), True),
        (Range("a", "c"), False),
        (Range("c", "e"), False),
        (Range("c"), False),
    ],
)
def test_a_range_is_within_another_if_it_has_none_but_its_keys(of: Range, is_within: bool) -> None:
    assert of.is_within(Range("b", "d")) == is_within
    assert of.is_within(Range())


@given(st.lists(keys, unique=True, max_size=8), st.data())
def test_ranges_survive_json(found: list[str], data: st.DataObject) -> None:
    ends = ["", *sorted(found), None]
    ranges = [
        Range(start or "", end, data.draw(st.integers(0, 5)))
        for start, end in pairwise(ends)
        if data.draw(st.booleans())
    ]

    assert from_json(json.loads(json.dumps(to_json(ranges)))) == ranges


def test_neighbours_travel_as_one_list_of_boundaries() -> None:
    ranges = [Range("", "a\n"), Range("a\n", "b%"), Range("c", "d", looks=2), Range("d")]

    assert to_json(ranges) == [
        {"keys": [None, "a%0A", "b%25"]},
        {"keys": ["c", "d"], "looks": 2},
        {"keys": ["d", None]},
    ]


@pytest.mark.parametrize("character", WORST)
def test_the_longest_key_takes_a_known_number_of_bytes(character: str) -> None:
    key = character * (MAX_KEY_BYTES // len(character.encode()))

    assert decoded(encoded(key)) == key
    assert size(encoded(key)) <= MAX_ENCODED + 2  # the quotation marks


@given(keys)
def test_an_encoded_key_needs_no_escape(key: str) -> None:
    assert decoded(encoded(key)) == key
    assert size(encoded(key)) == len(encoded(key)) + 2


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("a", "expected a list of ranges"),
        ([1], "expected keys"),
        ([{"keys": ["a"]}], "at least two boundaries"),
        ([{"keys": ["a", "b"], "look": 1}], "expected keys"),
        ([{"keys": ["b", "a"]}], "in ascending order"),
        ([{"keys": ["a", "a"]}], "in ascending order"),
        ([{"keys": ["a", None, "b"]}], "in ascending order"),
        ([{"keys": ["a", "b", "c"], "looks": 1}], "of a single range"),
        ([{"keys": ["a", "b"], "looks": -1}], "looks is -1"),
        ([{"keys": ["a", 1]}], "expected an encoded key"),
        ([{"keys": ["a", ""]}], "expected an encoded key"),
        ([{"keys": ["a", "%ff"]}], "invalid start byte"),
    ],
)
def test_json_of_no_ranges_is_refused(value: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        from_json(value)
