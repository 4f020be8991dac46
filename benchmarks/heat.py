"""Simulate how a table splits for heat: how many writes a second it takes, by shape of keys.

python -m benchmarks.heat [MINUTES]

The model, after what AWS says about DynamoDB (docs/scale.md has the addresses):

- Items are ordered by the hash of the partition key and then by the sort key. A DynamoDB partition
  is an interval of this order and takes 1,000 write units a second. A new on-demand table has four.
- A DynamoDB partition that throttles for five minutes in a row is split at the median of the keys
  that it last received. This takes no time, and the table may have any number of them.
- It is not split if nearly all later keys are on one side of that median, because a split would not
  help then.
- Throttled writes are not repeated, so the rates are what the table takes and not what it owes.

A record is one write unit. The model leaves out the quotas of table and account.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from function.repository import partition_of

BUCKET = "files"
WRITES_PER_SECOND = 1000
"""Of a DynamoDB partition."""
FIRST = 4
"""DynamoDB partitions of a new on-demand table."""
MINUTES_OF_HEAT = 5
LEAST_SHARE = 0.1
"""A split helps if at least this part of the keys is on either side."""
ENOUGH = 0.95
"""A few samples are always over a limit that all together meet."""
SAMPLES = 10_000
"""Keys drawn for a minute; each stands for the same number of writes."""
START = datetime(2026, 11, 27, tzinfo=UTC)

RATES = (1_000, 10_000, 100_000)
PARTITIONS = (1, 8, 64)

Place = tuple[bytes, str]
"""Hash of the partition key, sort key: a place in the order of all items."""


def _dates(at: datetime, random: Random) -> str:
    return f"{at:%Y/%m/%d/%H%M%S}{random.randrange(10**6):06}.json"


def _dates_in_directories(at: datetime, random: Random) -> str:
    return f"device-{random.randrange(1000):03}/{_dates(at, random)}"


def _hashes(_: datetime, random: Random) -> str:
    return f"{random.getrandbits(128):032x}.json"


SHAPES: dict[str, Callable[[datetime, Random], str]] = {
    "dates": _dates,
    "dates in directories": _dates_in_directories,
    "hashes": _hashes,
}


@dataclass(frozen=True, slots=True)
class Minute:
    """What a table did in a minute."""

    taken: float
    """Writes a second that were not throttled."""
    partitions: int
    """DynamoDB partitions at its end."""


@dataclass(slots=True)
class Part:
    """A DynamoDB partition: from a place on, up to the next one's."""

    start: Place
    hot_minutes: int = 0
    median: Place | None = None
    """Of the keys of the last minute."""
    places: list[Place] = field(default_factory=list)
    """Written to in this minute."""

    def write(self, weight: float) -> float:
        """Return how many of this minute's writes a second are taken."""
        offered = len(self.places) * weight
        self.hot_minutes = self.hot_minutes + 1 if offered > WRITES_PER_SECOND else 0
        return min(offered, WRITES_PER_SECOND)

    def split(self) -> "Part | None":
        """Return the upper part if the heat lasted and a split helps. Forget this minute's keys."""
        last, places = self.median, sorted(self.places)
        self.median = places[len(places) // 2] if places else None
        self.places = []
        if self.hot_minutes < MINUTES_OF_HEAT or last is None or last == self.start:
            return None
        below = bisect_left(places, last) / len(places)
        if not LEAST_SHARE <= below <= 1 - LEAST_SHARE:
            return None
        self.hot_minutes, self.median = 0, None
        return Part(last)


@dataclass(frozen=True, slots=True)
class Workload:
    """Uploads of keys that never occur twice."""

    shape: str
    """Of the keys; SHAPES has them."""
    partitions: int
    """As the input `table.partitions`."""
    rate: int
    """Uploads per second."""


def simulate(
    workload: Workload, minutes: int, samples: int = SAMPLES, seed: int = 1
) -> Iterator[Minute]:
    """Yield what a new table does in each minute."""
    random = Random(seed)  # noqa: S311 # no secret
    parts = [Part((bytes([first * 256 // FIRST]) if first else b"", "")) for first in range(FIRST)]
    for minute in range(minutes):
        starts = [part.start for part in parts]
        for sample in range(samples):
            at = START + timedelta(minutes=minute, seconds=60 * sample / samples)
            place = _place(SHAPES[workload.shape](at, random), workload.partitions)
            parts[bisect_right(starts, place) - 1].places.append(place)
        taken = sum(part.write(workload.rate / samples) for part in parts)
        parts += [upper for part in parts if (upper := part.split())]
        parts.sort(key=lambda part: part.start)
        yield Minute(taken, len(parts))


def _place(key: str, partitions: int) -> Place:
    name = partition_of(BUCKET, key, partitions)
    return md5(name.encode(), usedforsecurity=False).digest(), key


def main() -> None:
    """Print what a new table takes, for each shape, rate and number of partitions."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    rows = Table(
        "keys",
        Column("uploads per second", justify="right"),
        *(Column(f"partitions = {partitions}", justify="right") for partitions in PARTITIONS),
        title=(
            f"writes per second that a new table takes after {minutes} minutes,"
            f" and when it took {ENOUGH:.0%} of the uploads"
        ),
    )
    console = Console()
    runs = [(shape, rate) for shape in SHAPES for rate in RATES]
    for shape, rate in track(runs, "simulating", console=console, transient=True):
        cells = (_cell(Workload(shape, partitions, rate), minutes) for partitions in PARTITIONS)
        rows.add_row(shape, f"{rate:,}", *cells)
    console.print(rows)


def _cell(workload: Workload, minutes: int) -> str:
    table = list(simulate(workload, minutes))
    enough = (
        number for number, minute in enumerate(table) if minute.taken >= ENOUGH * workload.rate
    )
    first = next(enough, None)
    return f"{table[-1].taken:,.0f}, {'never' if first is None else f'{first} min'}"


if __name__ == "__main__":
    main()
