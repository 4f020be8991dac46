"""Buckets of up to a billion keys that are never listed: a key is computed from its number.

python -m tests.unit.reconciliation.many_keys prints how many rounds their verification needs.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from function.reconciliation import rounds
from tests.unit.reconciliation.state_machine import Both, Comparing, Keys, Machine


@dataclass(frozen=True, slots=True)
class Many:
    """Keys in order."""

    count: int
    key: Callable[[int], str]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> str:
        return self.key(number)

    def up_to(self, text: str) -> int:
        """See `Keys`."""
        return bisect_right(range(self.count), text, key=self.key)

    def part(self, begin: float, end: float) -> "Many":
        """Return the keys from one share of all to another, 0 to 1."""
        first, after = int(self.count * begin), int(self.count * end)
        return Many(after - first, lambda number: self.key(first + number))


def dates(count: int) -> Many:
    """Every day of eight years has as many keys."""
    first = date(2019, 1, 1).toordinal()
    a_day = -(-count // (8 * 365))

    def key(number: int) -> str:
        day, rest = divmod(number, a_day)
        return f"{date.fromordinal(first + day):%Y/%m/%d}/{rest:09}.json"

    return Many(count, key)


def hashes(count: int) -> Many:
    """Hexadecimal hashes."""
    return Many(count, lambda number: f"{number * (2**128 // count):032x}")


def uuids(count: int) -> Many:
    """UUIDs in upper case, with hyphens."""

    def key(number: int) -> str:
        digits = f"{number * (2**128 // count):032X}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    return Many(count, key)


def one_directory(count: int) -> Many:
    """Counters with leading zeros."""
    return Many(count, lambda number: f"data/part-{number:012}.parquet")


def counters(count: int) -> Many:
    """Counters without leading zeros, in the order of text: 1, 10, 100, …, 2, 20, …"""

    def key(number: int) -> str:
        found = 1
        while number:
            below, after, keys = found, found + 1, 0
            while below <= count:
                keys += min(count + 1, after) - below
                below, after = below * 10, after * 10
            if keys <= number:
                number -= keys
                found += 1
            else:
                number -= 1
                found *= 10
        return f"images/{found}"

    return Many(count, key)


def long_prefix(count: int) -> Many:
    """A common prefix of 1,000 bytes."""
    return Many(count, lambda number: "p" * 1000 + f"{number:012}")


def directories(count: int) -> Many:
    """Six directories, of which one has nine tenths of the keys."""
    shares = {
        "a/": 0.001,
        "archive/2020/": 0.04,
        "b/logs/app/": 0.9,
        "c/": 0.005,
        "images/thumbs/": 0.05,
        "zz/": 0.004,
    }
    ends = [int(count * share) for share in accumulate(shares.values())]
    names = list(shares)

    def key(number: int) -> str:
        at = min(bisect_right(ends, number), len(names) - 1)
        return f"{names[at]}{number - (ends[at - 1] if at else 0):012}"

    return Many(count, key)


def users(count: int) -> Many:
    """A thousand users, of whom a few have most of the files."""
    shares = [1 / rank for rank in range(1, 1001)]
    random.Random(1).shuffle(shares)  # noqa: S311 # no secret
    total = sum(shares)
    ends = [int(count * share / total) for share in accumulate(shares)]

    def key(number: int) -> str:
        user = min(bisect_right(ends, number), 999)
        return f"users/{user:04}/Akten/Ä{number - (ends[user - 1] if user else 0):010}"

    return Many(count, key)


def nested(count: int) -> Many:
    """Each directory has a tenth of its keys, and one directory with all others: a bad case."""

    def key(number: int) -> str:
        name, left = "", count
        while left > 20:
            here = left // 10
            if number < here:
                return f"{name}a{number:012}"
            number, left = number - here, left - here
            name += "b/"
        return f"{name}a{number:012}"

    return Many(count, key)


SHAPES: tuple[Callable[[int], Many], ...] = (
    dates,
    hashes,
    uuids,
    one_directory,
    counters,
    long_prefix,
    directories,
    users,
)


def sides(keys: Many) -> dict[str, tuple[Keys, Keys]]:
    """Return buckets and tables that have these keys together."""
    nothing = keys.part(0, 0)
    return {
        "equal": (keys, keys),
        "empty index": (keys, nothing),
        "index of the first tenth": (keys, keys.part(0, 0.1)),
        "tail of phantoms": (keys.part(0, 0.1), keys),
        "empty bucket": (nothing, keys),
    }


def rounds_needed(
    keys: Many, both: tuple[Keys, Keys], workers: int, budget: int, partitions: int = 1
) -> int:
    """Return how many rounds a run takes. Every key must have been compared once."""
    comparing = Comparing(keys, Both(*both, partitions=partitions), budget)
    machine = Machine(comparing, workers)
    result = machine.run()
    assert result["outcome"] == "complete", result
    assert comparing.count == len(keys)
    return machine.rounds


def bound(keys: Many, workers: int, budget: int) -> int:
    """Return the most rounds that a run should take."""
    return 4 + 2 * math.ceil(len(keys) / (workers * budget))


def main() -> None:
    """Print a table for docs/scale.md."""
    rounds.MOST_ITERATIONS = rounds.MOST_ROUNDS = 10**9
    million, workers, budget = 10**6, 40, 1_800_000
    print(f"{'keys':<14} {'number':>6} {'rounds':>6} {'of':>4} {'bound':>5}")  # noqa: T201
    for count in (100 * million, 1000 * million):
        for shape in (*SHAPES, nested):
            keys = shape(count)
            needed = rounds_needed(keys, (keys, keys), workers, budget)
            ideal = math.ceil(count / (workers * budget))
            most = bound(keys, workers, budget)
            print(f"{shape.__name__:<14} {count:>6.0e} {needed:>6} {ideal:>4} {most:>5}")  # noqa: T201


if __name__ == "__main__":
    main()
