"""Ranges of keys, texts between keys, and both as JSON."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function.events import MAX_KEY_BYTES
from function.ranges import (
    MAX_ENCODED,
    Range,
    decoded,
    encoded,
    from_json,
    last_key,
    separator,
    shared_length,
    size,
    to_json,
)

# Around the gap of the surrogates, and both ends of Unicode.
ALPHABET = "\0\x01ab\x7f\x80\ud7ff\ue000\U0010fffe\U0010ffff"
SHORT = st.text(ALPHABET, max_size=4)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def is_key(text: str) -> bool:
    return len(text.encode()) <= MAX_KEY_BYTES


@given(low=SHORT, high=SHORT)
@example(low="a", high="a\0")
@example(low="ab1", high="ac2")
@example(low="a\U0010ffff\U0010ffff", high="b")
@example(low="\ud7ff\x7f\x7f", high="\ue000")
def test_nothing_shorter_separates(low: str, high: str) -> None:
    if low > high:
        low, high = high, low
    if low == high:
        return

    found = separator(low, high)

    assert low <= found < high
    assert len(found) <= len(low)
    # Brute force: shorter texts of the alphabet and of the neighbours of its characters.
    shared = shared_length(low, high)
    near = {_neighbour(character, step) for character in low + high for step in (-1, 0, 1)}
    shorter = (
        low[:shared] + "".join(end)
        for length in range(max(0, len(found) - shared))
        for end in product(sorted(near | set(ALPHABET)), repeat=length)
    )
    assert not any(low <= text < high for text in shorter)


def _neighbour(character: str, step: int) -> str:
    code = min(max(ord(character) + step, 0), 0x10FFFF)
    return chr(code if not 0xD800 <= code < 0xE000 else code + step * 0x800)


@given(
    shared=st.sampled_from(["", "p" * 1000, "\U0010ffff" * 253, "ä" * 506]),
    low=st.text(ALPHABET, max_size=24),
    high=st.text(ALPHABET, max_size=24),
)
def test_what_separates_keys_could_be_a_key(shared: str, low: str, high: str) -> None:
    low, high = sorted((shared + low, shared + high))
    if low == high or not is_key(low) or not is_key(high):
        return

    found = separator(low, high)

    assert low <= found < high
    assert is_key(found)


def test_a_separator_is_as_short_as_keys_allow() -> None:
    assert separator("2026/01/31/x", "2026/02/01/y") == "2026/02"
    assert separator("2026/01/31/x", "2026/02") == "2026/010"
    assert separator("2026/01/31/x", "2026/02/") == "2026/02"
    assert separator("a", "a/b") == "a"
    assert separator("", "a") == ""


def test_a_separator_skips_the_code_points_of_surrogates() -> None:
    assert separator("a", "\ue000") == "\ud7ff"
    assert separator("a\ud7ffbc", "b") == "a\ue000"


@pytest.mark.parametrize("prefix", ["", "a", "ab/", "p" * 1021, "p" * 1022, "p" * 1023, "p" * 1024])
def test_the_last_key_is_the_greatest_with_its_prefix(prefix: str) -> None:
    last = last_key(prefix)

    assert last.startswith(prefix)
    assert len(last.encode()) == MAX_KEY_BYTES
    # The last character is the greatest that has room.
    if last != prefix:
        greater = last[:-1] + _neighbour(last[-1], 1)
        assert greater == last or not is_key(greater)


@given(prefix=st.text(ALPHABET, max_size=3), end=st.text(ALPHABET, max_size=3))
def test_no_key_with_the_prefix_sorts_after_the_last(prefix: str, end: str) -> None:
    assert prefix + end <= last_key(prefix)


def test_a_range_excludes_its_start_and_includes_its_end() -> None:
    of = Range("b", "d")

    assert [key for key in "abcde" if key in of] == ["c", "d"]
    assert "\0" in Range()
    assert last_key("") in Range("b")


@given(
    inner=st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["b", "c", None])),
    outer=st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["b", "c", None])),
)
def test_a_range_is_within_one_that_has_its_ends(
    inner: tuple[str, str | None], outer: tuple[str, str | None]
) -> None:
    keys = ["a", "a1", "b", "b1", "c", "c1"]
    one, other = Range(*inner), Range(*outer)
    has_all = all(key in other for key in keys if key in one)

    # "b" to "b" is empty: everything has its keys, but only ranges around it have its ends.
    assert one.is_within(other) == has_all or one.after == one.up_to


@st.composite
def some_ranges(draw: st.DrawFn) -> list[Range]:
    ends = sorted(draw(st.sets(KEYS, min_size=1, max_size=8)))
    starts = ["", *ends]
    ranges = []
    for start, end in zip(starts, [*ends, None], strict=True):
        match draw(st.sampled_from(["left out", "ordinary", "ordinary", "key"])):
            case "ordinary":
                ranges.append(Range(start, end))
            case "key":
                ranges.append(Range(start, end, looks=draw(st.integers(1, 6))))
    return ranges


@given(some_ranges())
def test_ranges_survive_the_round_trip(ranges: list[Range]) -> None:
    assert from_json(json.loads(json.dumps(to_json(ranges)))) == ranges


def test_neighbours_are_one_list_of_boundaries() -> None:
    neighbours = [Range("", "b"), Range("b", "d"), Range("d")]

    assert to_json(neighbours) == [{"keys": [None, "b", "d", None]}]
    assert to_json([Range("a", "b"), Range("c", "d")]) == [
        {"keys": ["a", "b"]},
        {"keys": ["c", "d"]},
    ]
    hot = [Range("a", "b"), Range("b", "c", looks=2), Range("c", "d")]
    assert to_json(hot) == [
        {"keys": ["a", "b"]},
        {"keys": ["b", "c"], "looks": 2},
        {"keys": ["c", "d"]},
    ]


@given(KEYS)
@example("%=")
@example("%25")
@example("%=abc")
@example("\0")
@example('"\\%')
def test_a_key_survives_the_round_trip(key: str) -> None:
    text = encoded(key)

    assert decoded(text) == key
    # JSON escapes nothing in it.
    assert len(json.dumps(text)) == len(text) + 2
    assert len(text) <= len("%=") + -(-len(key.encode()) * 5 // 4)


@pytest.mark.parametrize("character", ["a", "\x01", '"', "\\", "%", "ä", "\U0001f600"])
def test_the_longest_key_takes_the_most_that_is_said(character: str) -> None:
    key = character * (MAX_KEY_BYTES // len(character.encode()))

    assert len(encoded(key)) == (MAX_KEY_BYTES if character == "a" else MAX_ENCODED)


def test_plain_keys_stay_readable() -> None:
    assert encoded("data/2026/a b+c=d.csv") == "data/2026/a b+c=d.csv"
    assert encoded("bücher/2026/a.csv") == "b%C3%BCcher/2026/a.csv"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "None: expected a list of ranges"),
        ("abc", "'abc': expected a list of ranges"),
        ({}, "expected a list of ranges"),
        ([None], "None: expected keys, a list of at least two boundaries"),
        ([["a", "b"]], "expected keys, a list of at least two boundaries"),
        ([{"keys": ["a"]}], "expected keys, a list of at least two boundaries"),
        ([{"keys": "ab"}], "expected keys, a list of at least two boundaries"),
        ([{"keys": ["a", "b"], "other": 1}], "expected keys, a list of at least two boundaries"),
        ([{"keys": ["a", "b"], "looks": -1}], "looks is -1: expected a whole number"),
        ([{"keys": ["a", "b"], "looks": "1"}], "looks is '1': expected a whole number"),
        ([{"keys": ["a", "b"], "looks": True}], "looks is True: expected a whole number"),
        ([{"keys": ["a", "b", "c"], "looks": 1}], "looks is 1: expected a single range"),
        ([{"keys": ["b", "a"]}], "expected boundaries in ascending order"),
        ([{"keys": ["a", "a"]}], "expected boundaries in ascending order"),
        ([{"keys": ["a", None, "b"]}], "expected boundaries in ascending order"),
        ([{"keys": ["", "b"]}], "'': expected an encoded key"),
        ([{"keys": [1, "b"]}], "1: expected an encoded key"),
        ([{"keys": ["%FF", None]}], "'%FF': expected an encoded key"),
        ([{"keys": ["%=\x01", None]}], "expected an encoded key"),
        ([{"keys": ["%=~~~~~", None]}], "expected an encoded key"),
    ],
)
def test_nonsense_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        from_json(value)

    assert message in str(raised.value)


def test_the_size_is_that_of_json() -> None:
    assert size({"a": "ä\U0001f600"}) == len(json.dumps({"a": "ä\U0001f600"}).encode())
