"""Runs over buckets and tables of any size, whose keys are computed when they are asked for.

python -m tests.unit.reconciliation.simulation [KEYS [WORKERS [BUDGET]]]

It prints how many rounds a run takes for many shapes of keys. BUDGET is the number of keys that a
worker compares in a round: by default 10 minutes of 3,000 keys a second.
"""

import json
import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any
from zlib import crc32

from function.ranges import Range, separator
from function.reconciliation.division import divide
from function.reconciliation.findings import Findings
from function.reconciliation.items import Item, Result
from function.reconciliation.rounds import begin, total


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


# --- Runs ---

NAMES_OF_COUNTS = list(Findings().counts)

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def run(
    work: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    workers: int,
    seen: Callable[[Mapping[str, Any]], None] = lambda _: None,
    **options: Any,
) -> dict[str, Any]:
    """Do what the state machine does; return its last state.

    `work` turns an item into a result. `seen` is called with each state.
    """
    request = {
        "input": {},
        "execution": "own",
        "name": "nightly",
        "started": STARTED.isoformat(),
        "running": [],
        "concurrency": workers,
    }
    state = begin(
        request | options, may_write=True, repair_at_most=0, is_never_filled=lambda: False
    )
    while True:
        text = json.dumps(state)
        seen(state)
        state = dict(json.loads(text))
        if state["next"] == "end":
            return dict(state)
        state["work"] = [work(item) for item in state["work"]]
        seen(state)
        state = total(state, now=STARTED)


@dataclass(slots=True)
class Scene:
    """A bucket and a table. One of them has all keys of the other."""

    bucket: Keys
    table: Keys
    partitions: int = 1

    @property
    def keys(self) -> Keys:
        return max(self.bucket, self.table, key=lambda keys: keys.number)

    def rounds(self, workers: int, budget: int) -> int:
        """Return how many rounds a run takes, and check that it compares each key once."""
        keys = self.keys

        def work(value: Mapping[str, Any]) -> Mapping[str, Any]:
            item = Item.of(value)
            assert item.ordinary
            places = keys.places(item.ordinary)
            counts = {"compared": min(len(places), budget)}
            rest: list[Range] = []
            if len(places) > budget:
                last, following = (keys.at(places[at]) for at in (budget - 1, budget))
                sides = Sides(self.bucket, self.table, self.partitions)
                left = Range(separator(last, following), item.ordinary.up_to)
                rest = divide(left, sides, item.pieces)
            starts = tuple(of.after for of in rest)
            return Result(item=item.ranges, rest=starts, counts=counts).as_json(item.room)

        result = run(work, workers)["result"]
        assert result["outcome"] == "complete", result["reason"]
        assert result["counts"]["compared"] == keys.number
        return int(result["rounds"])


def bound(number: int, workers: int, budget: int) -> int:
    """The most rounds that so many keys may take."""
    return 4 + 2 * math.ceil(number / (workers * budget))


def scenes(keys: Keys) -> dict[str, Scene]:
    """Ways in which bucket and index can differ."""
    tenth = keys.part(0, keys.number // 10)
    return {
        "same": Scene(keys, keys),
        "empty index": Scene(keys, NONE),
        "index ends early": Scene(keys, tenth),
        "bucket ends early": Scene(tenth, keys),
        "empty bucket": Scene(NONE, keys),
        "bucket ends early, 4 partitions": Scene(tenth, keys, 4),
        "empty bucket, 4 partitions": Scene(NONE, keys, 4),
    }


# --- Shapes: so many keys of a kind ---


def _remembered(number: int, at: Callable[[int], str]) -> Keys:
    return Keys(number, lru_cache(maxsize=1 << 17)(at))


def dates(number: int) -> Keys:
    first, last = date(2019, 1, 1).toordinal(), date(2026, 12, 31).toordinal()
    a_day = -(-number // (last - first))

    def at(place: int) -> str:
        day, rest = divmod(place, a_day)
        return f"{date.fromordinal(first + day):%Y/%m/%d}/{rest:09}.json"

    return _remembered(number, at)


def hashes(number: int) -> Keys:
    return _remembered(number, lambda place: f"{place * (2**128 // number):032x}")


def uuids(number: int) -> Keys:
    def at(place: int) -> str:
        text = f"{place * (2**128 // number):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    return _remembered(number, at)


def one_directory(number: int) -> Keys:
    return _remembered(number, lambda place: f"data/part-{place:012}.parquet")


def long_prefix(number: int) -> Keys:
    return _remembered(number, lambda place: "p" * 1000 + f"{place:012}")


def unpadded(number: int) -> Keys:
    """Numbers without leading zeros, in the order of their texts."""

    def at(place: int) -> str:
        if place == 0:
            return "img/0"
        found, left = 1, place - 1
        while left:
            below, start, end = 0, found, found + 1
            while start < number:
                below += min(number, end) - start
                start, end = start * 10, end * 10
            if below <= left:
                found, left = found + 1, left - below
            else:
                found, left = found * 10, left - 1
        return f"img/{found}"

    return _remembered(number, at)


def _in_directories(sizes: Mapping[str, int]) -> Keys:
    names = sorted(sizes)
    starts = [0, *accumulate(sizes[name] for name in names)]

    def at(place: int) -> str:
        which = bisect_right(starts, place) - 1
        return f"{names[which]}{place - starts[which]:012}"

    return _remembered(starts[-1], at)


def skewed(number: int) -> Keys:
    """One directory has nine of ten keys."""
    names = ["a/", "archive/2020/", "b/logs/app/", "c/", "images/thumbs/"]
    shares = [0.001, 0.04, 0.9, 0.005, 0.054]
    return _in_directories(
        {name: int(number * share) for name, share in zip(names, shares, strict=True)}
    )


def zipf(number: int) -> Keys:
    """The directories of a thousand users: the n-th greatest has 1/n of the greatest's keys."""
    ranks = list(range(1, 1001))
    Random(1).shuffle(ranks)  # noqa: S311 # the same each time
    greatest = number / sum(1 / rank for rank in ranks)
    return _in_directories(
        {f"users/{user:04}/files/": int(greatest / rank) for user, rank in enumerate(ranks)}
    )


def nested(number: int) -> Keys:
    """Each directory has a fifth of the keys below it, and its last directory has the others."""
    sizes, path, left = {}, "", number
    for depth in range(12):
        sizes[f"{path}a/"] = left // 5
        left -= left // 5
        path += f"level-{depth}/"
    return _in_directories(sizes | {path: left})


def many_alphabets(number: int) -> Keys:
    """Mixed case, and letters that take two to four bytes."""
    letters = "".join(sorted("ABCXYZabcxyzÄÖäößжя日本語中😀🚀"))
    digits = 1
    while len(letters) ** digits < number:
        digits += 1
    step = len(letters) ** digits // number

    def at(place: int) -> str:
        rest, text = place * step, ""
        for _ in range(digits):
            rest, digit = divmod(rest, len(letters))
            text = letters[digit] + text
        return f"Fotos/{text}.jpg"

    return _remembered(number, at)


def decoys(number: int) -> Keys:
    """Sixty levels of 676 directories: all have one key, but one has all deeper levels.

    Each round gets past a few levels only, so the bound does not hold.
    """
    letters = "abcdefghijklmnopqrstuvwxyz"
    sizes, path = dict[str, int](), ""
    for _ in range(60):
        sizes |= {f"{path}{one}{other}/": 1 for one in letters for other in letters}
        path += "mq/"
    return _in_directories(sizes | {path: max(1, number - len(sizes))})


SHAPES: dict[str, Callable[[int], Keys]] = {
    "dates": dates,
    "hex hashes": hashes,
    "UUIDs": uuids,
    "one directory": one_directory,
    "common prefix of 1,000 bytes": long_prefix,
    "numbers without zeros": unpadded,
    "one directory has 90%": skewed,
    "Zipf directories": zipf,
    "nested directories": nested,
    "many alphabets": many_alphabets,
}
"""Of these, a run never takes more rounds than `bound`."""


def main(number: int = 10**8, workers: int = 5, budget: int = 1_800_000) -> None:
    """Print a table of the rounds."""
    most = bound(number, workers, budget)
    print(f"{number:,} keys, {workers} workers, {budget:,} keys a round: at most {most} rounds")
    names = ["keys", *scenes(NONE)]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for name, shape in (SHAPES | {"decoys": decoys}).items():
        rounds = (str(of.rounds(workers, budget)) for of in scenes(shape(number)).values())
        print(f"| {name} | {' | '.join(rounds)} |", flush=True)


if __name__ == "__main__":
    main(*(int(float(argument)) for argument in sys.argv[1:]))
