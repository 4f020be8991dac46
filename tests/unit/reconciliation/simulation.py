"""Buckets and tables of any size, whose keys are computed when they are asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from zlib import crc32

from function.reconciliation.ranges import Range


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in ascending order."""

    number: int
    at: Callable[[int], str]
    """The key at a place, from 0."""

    @classmethod
    def of(cls, keys: Iterable[str]) -> "Keys":
        found = sorted(set(keys))
        return cls(len(found), found.__getitem__)

    def part(self, start: int, end: int) -> "Keys":
        """The keys from one place up to another."""
        return Keys(end - start, lambda place: self.at(start + place))

    def up_to(self, text: str | None) -> int:
        """How many keys there are up to and including a text."""
        return self.number if text is None else bisect_right(range(self.number), text, key=self.at)

    def places(self, of: Range) -> range:
        return range(self.up_to(of.after) if of.after else 0, self.up_to(of.up_to))

    def count(self, of: Range) -> int:
        return len(self.places(of))


NONE = Keys.of([])


@dataclass(slots=True)
class Sides:
    """Answers a division as bucket and table do, and keeps what was asked."""

    bucket: Keys
    table: Keys
    partitions: int = 1
    """Of the table: the first key of a range is known for one of them."""
    asked: list[Range] = field(default_factory=list)
    """Of the bucket."""
    asked_table: list[Range] = field(default_factory=list)

    def next_object(self, of: Range) -> str | None:
        self.asked.append(of)
        return _first(self.bucket, of)

    def next_record(self, of: Range) -> str | None:
        self.asked_table.append(of)
        return _first(self.table, of, self.partitions)

    def last_record(self, of: Range) -> str | None:
        self.asked_table.append(of)
        places = self.table.places(of)
        return self.table.at(places[-1]) if places else None


def _first(keys: Keys, of: Range, partitions: int = 1) -> str | None:
    start = keys.up_to(of.after) if of.after else 0
    for place in range(start, keys.number):
        key = keys.at(place)
        if key not in of:
            return None
        if crc32(key.encode()) % partitions == 0:
            return key
    return None


def remembered(number: int, at: Callable[[int], str]) -> Keys:
    """Keys that take long to compute."""
    return Keys(number, cache(at))
