"""Ranges of keys: the unit of work of verification, repair and backfill.

S3 and DynamoDB order keys by their UTF-8 bytes. Python orders text by code points, which is the
same order.
"""

import json
from base64 import b85decode, b85encode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import quote, unquote

from .events import MAX_KEY_BYTES

_LAST = "\U0010ffff"
_LAST_OF_BYTES = ("", "\x7f", "\u07ff", "\uffff")
"""The last character that UTF-8 writes with that many bytes."""
SURROGATES = range(0xD800, 0xE000)
"""Code points that UTF-8 cannot write."""
# Printable ASCII that JSON does not escape, without the percent sign.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"%\\')
_MARK = "%="  # in percent-encoded text, two digits follow a percent sign
MAX_ENCODED = len(_MARK) + MAX_KEY_BYTES * 5 // 4
"""The longest encoded key, in bytes."""


@dataclass(frozen=True, slots=True)
class Range:
    """The keys after one, up to and including another."""

    after: str = ""
    """Empty: from the first key."""
    up_to: str | None = None
    """None: to the last key."""
    looks: int = 0
    """For a single key that keeps changing: how often it was looked at. Otherwise 0."""

    def __contains__(self, key: str) -> bool:
        return self.after < key and (self.up_to is None or key <= self.up_to)

    def is_within(self, other: "Range") -> bool:
        """Return whether the other range has all keys of this one."""
        ends = other.up_to is None or (self.up_to is not None and self.up_to <= other.up_to)
        return other.after <= self.after and ends


def shared_length(one: str, other: str) -> int:
    """Return how many characters two texts have in common at the beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def separator(low: str, high: str) -> str:
    """Return the shortest text from `low` on that sorts before `high`, which is greater."""
    shared = shared_length(low, high)
    if shared == len(low):
        return low
    if shared + 1 < len(high):
        return high[: shared + 1]
    between = _before(high[shared])
    if between > low[shared]:
        return low[:shared] + between
    # Only texts that begin like `low` are left.
    for end in range(shared + 1, len(low) - 1):
        if low[end] != _LAST:
            return low[:end] + _next(low[end])
    return low


def _before(character: str) -> str:
    code = ord(character) - 1
    return chr(SURROGATES.start - 1 if code in SURROGATES else code)


def _next(character: str) -> str:
    code = ord(character) + 1
    return chr(SURROGATES.stop if code in SURROGATES else code)


def last_key(prefix: str) -> str:
    """Return the greatest possible key that begins with the prefix."""
    room = MAX_KEY_BYTES - len(prefix.encode())
    return prefix + _LAST * (room // 4) + _LAST_OF_BYTES[room % 4]


def to_json(ranges: Iterable[Range]) -> list[dict[str, Any]]:
    """Return ranges in key order as JSON: neighbours as one list of boundaries."""
    found: list[dict[str, Any]] = []
    last: Range | None = None
    for one in ranges:
        if last and one.after == last.up_to and one.looks == last.looks == 0:
            found[-1]["keys"].append(_end(one.up_to))
        else:
            keys = [_end(one.after or None), _end(one.up_to)]
            found.append({"keys": keys} | ({"looks": one.looks} if one.looks else {}))
        last = one
    return found


def from_json(value: Any) -> list[Range]:
    """Return the ranges that `to_json` wrote. Raises ValueError."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{value!r}: expected a list of ranges")
    return [of for one in value for of in _ranges(one)]


def _ranges(value: Any) -> Iterable[Range]:
    match value:
        case {"keys": [_, _, *_] as keys, **others} if others.keys() <= {"looks"}:
            looks = others.get("looks", 0)
        case _:
            raise ValueError(f"{value!r}: expected keys, a list of at least two boundaries")
    if isinstance(looks, bool) or not isinstance(looks, int) or looks < 0:
        raise ValueError(f"looks is {looks!r}: expected a whole number")
    if looks and len(keys) != 2:  # noqa: PLR2004
        raise ValueError(f"looks is {looks!r}: expected a single range")
    bounds = [None if key is None else decoded(key) for key in keys]
    ends = bounds[1:]
    if None in ends[:-1] or any(
        end is not None and start is not None and end <= start for start, end in pairwise(bounds)
    ):
        raise ValueError(f"{keys!r}: expected boundaries in ascending order")
    return [Range(start or "", end, looks) for start, end in pairwise(bounds)]


def _end(key: str | None) -> str | None:
    return None if key is None else encoded(key)


@lru_cache(maxsize=1024)  # a result is made smaller until it fits
def encoded(key: str) -> str:
    """Return a key as JSON carries it: percent-encoded, or Base85 after a mark if that is shorter.

    The longest key takes `MAX_ENCODED` bytes, whatever its characters.
    """
    plain = quote(key, safe=_PLAIN)
    coded = _MARK + b85encode(key.encode()).decode()
    return min(plain, coded, key=len)


def decoded(text: Any) -> str:
    """Return the key that `encoded` wrote. Raises ValueError."""
    if isinstance(text, str) and text:
        with suppress(ValueError):
            if text.startswith(_MARK):
                return b85decode(text.removeprefix(_MARK)).decode()
            return unquote(text, errors="strict")
    raise ValueError(f"{text!r}: expected an encoded key")


def size(value: Any) -> int:
    """Return the bytes of a value as JSON."""
    return len(json.dumps(value))
