"""Divides a range of keys into several of about the same size, without counting the keys.

The first key of the range and its last ones are looked up. What lies between is cut in the middle,
by the alphabet, and the cut moves to the next key that exists. The widest part is cut again, until
there are several times as many parts as ranges are wanted. Neighbouring parts then make up ranges
of about the same width.

The alphabet gives most of its width to letters and digits, as most keys do.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from ..events import MAX_KEY_BYTES
from ..ranges import SURROGATES, Range, last_key, separator, shared_length

MOST_REQUESTS = 100
"""The most lists of the bucket for one division."""
_PARTS_PER_RANGE = 3
_LEVELS = 2
"""How many characters of the last keys are looked up beyond those that all keys share."""

_ASCII = [1.0 if chr(code).isalnum() else 0.05 for code in range(128)]
_OTHERS = 4.0
"""The width of all characters beyond ASCII together, which have the same width each."""
_FIRST_OTHER, _LAST_CODE = 128, 0x10FFFF
_BEGINS = [0.0, *accumulate(_ASCII)]
_ALPHABET = _BEGINS[-1] + _OTHERS
_OF_ONE_OTHER = _OTHERS / (_LAST_CODE + 1 - _FIRST_OTHER)
_PRECISE = 8
"""So many characters determine a float."""
_MIDDLE_CHARACTERS = 3


class Sides(Protocol):
    """What the division of a range asks of bucket and table."""

    def next_object(self, of: Range) -> str | None:
        """Return the first key of the range in the bucket."""

    def next_record(self, of: Range) -> str | None:
        """Return the first key of the range in the table, or in a part of the table."""

    def last_record(self, of: Range) -> str | None:
        """Return the last key of the range in the table."""


@dataclass(slots=True)
class _Part:
    start: str
    """Where it begins, exclusive; it ends where the next part begins."""
    first: str
    """Its first key."""
    high: str
    """It has no key after this text."""
    width: float = 0.0
    """The logarithm of its share of all keys, if all texts were as likely; -inf: indivisible."""

    def measure(self, common: int) -> None:
        """Set the width. All parts have `common` characters in common at the beginning."""
        shared = shared_length(self.first, self.high)
        width = _position(self.high[shared:]) - _position(self.first[shared:])
        if width <= 0 or not self.first <= _middle(self.first, self.high) < self.high:
            self.width = -math.inf
            return
        self.width = math.log(width) + sum(
            math.log(_extent(character)[1]) for character in self.first[common:shared]
        )


def divide(rest: Range, sides: Sides, pieces: int, requests: int = MOST_REQUESTS) -> list[Range]:
    """Return at most `pieces` ranges that cover the rest exactly, in key order."""
    keys = _Keys(sides, requests)
    first = keys.first(rest) if pieces > 1 else None
    if first is None:
        return [rest]
    high = max(filter(None, (sides.last_record(rest), _top(first, rest, keys.next_object))))
    parts = [_Part(rest.after, first, high if rest.up_to is None else min(high, rest.up_to))]
    common = shared_length(first, parts[0].high)
    parts[0].measure(common)
    while len(parts) < pieces * _PARTS_PER_RANGE and keys.left:
        number = max(range(len(parts)), key=lambda number: parts[number].width)
        part = parts[number]
        if part.width == -math.inf:
            break
        middle = _middle(part.first, part.high)
        found = keys.first(Range(middle, part.high))
        if found is not None:
            later = _Part(separator(middle, found), found, part.high)
            later.measure(common)
            parts.insert(number + 1, later)
        part.high = middle
        part.measure(common)
    starts = _merged(parts, pieces)
    return [Range(start, end) for start, end in zip(starts, [*starts[1:], rest.up_to], strict=True)]


class _Keys:
    """Looks up keys, as often as is allowed."""

    def __init__(self, sides: Sides, requests: int) -> None:
        self._sides = sides
        self.left = requests

    def next_object(self, of: Range) -> str | None:
        """Return the first key of the range in the bucket; None also if no request is left."""
        if not self.left:
            return None
        self.left -= 1
        return self._sides.next_object(of)

    def first(self, of: Range) -> str | None:
        """Return the first key of the range that either side has."""
        return min(filter(None, (self.next_object(of), self._sides.next_record(of))), default=None)


def _top(first: str, rest: Range, next_object: Callable[[Range], str | None]) -> str:
    """Return a text after the bucket's last key in the range, but not far after it."""
    known = first

    def beyond(end: str) -> str | None:
        if rest.up_to is not None and end >= rest.up_to:
            return None
        return next_object(Range(end, rest.up_to))

    shared, most = 0, len(first)  # characters that all keys have in common
    while shared < most:
        length = (shared + most + 1) // 2
        found = beyond(last_key(first[:length]))
        if found is None:
            shared = length
        else:
            known = max(known, found)
            most = min(length - 1, shared_length(first, found))
    for end in range(shared, shared + _LEVELS):
        if end >= len(known):
            break
        # The last character for which a key has room.
        high = ord(last_key(known[:end])[end])
        low, middle = ord(known[end]), ord("~")
        while low < high:
            middle = middle if low <= middle < high else (low + high) // 2
            found = beyond(last_key(known[:end] + _character(middle)))
            if found is None:
                high = middle
            else:
                known, low = found, max(ord(found[end]), middle + 1)
            middle = (low + high) // 2
    return last_key(known[: shared + _LEVELS])


def _merged(parts: Sequence[_Part], pieces: int) -> list[str]:
    """Return where ranges of about the same width begin, each of neighbouring parts."""
    most = max(part.width for part in parts)
    if most == -math.inf:
        widths = [1.0] * len(parts)
    else:
        widths = [math.exp(part.width - most) for part in parts]
    starts = [parts[0].start]
    left, filled = sum(widths), 0.0
    for part, width in zip(parts, widths, strict=True):
        share = left / max(1, pieces - len(starts) + 1)
        if filled and len(starts) < pieces and filled + width / 2 > share:
            starts.append(part.start)
            left -= filled
            filled = 0.0
        filled += width
    return starts


def _middle(low: str, high: str) -> str:
    """Return a text between two, by the alphabet: `low` <= text < `high`."""
    shared = shared_length(low, high)
    position = (_position(low[shared:]) + _position(high[shared:])) / 2
    text = low[:shared]
    for _ in range(_MIDDLE_CHARACTERS):
        character = _at(position)
        if len((text + character).encode()) > MAX_KEY_BYTES:
            break
        begin, extent = _extent(character)
        text += character
        position = (position - begin) / extent
    return text if low <= text < high else separator(low, high)


def _position(text: str) -> float:
    """Return where a text lies between the first one, 0, and the end of the alphabet, 1."""
    position, width = 0.0, 1.0
    for character in text[:_PRECISE]:
        begin, extent = _extent(character)
        position += width * begin
        width *= extent
    return position


def _extent(character: str) -> tuple[float, float]:
    """Return where the texts that begin with a character begin, and how wide they are."""
    code = ord(character)
    if code < _FIRST_OTHER:
        return _BEGINS[code] / _ALPHABET, _ASCII[code] / _ALPHABET
    begin = _BEGINS[-1] + (code - _FIRST_OTHER) * _OF_ONE_OTHER
    return begin / _ALPHABET, _OF_ONE_OTHER / _ALPHABET


def _at(position: float) -> str:
    """Return the character with which the text at a position begins."""
    place = min(max(position, 0.0), 1.0) * _ALPHABET
    if place < _BEGINS[-1]:
        return chr(bisect_right(_BEGINS, place) - 1)
    return _character(min(_FIRST_OTHER + int((place - _BEGINS[-1]) / _OF_ONE_OTHER), _LAST_CODE))


def _character(code: int) -> str:
    """Return the character, or for a surrogate, which UTF-8 cannot write, the one before."""
    return chr(SURROGATES.start - 1 if code in SURROGATES else code)
