"""The state machine of reconciliation.tf, in this process, with workers on sets of keys."""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from function.reconciliation.division import MOST_REQUESTS, divide
from function.reconciliation.items import Item, Result
from function.reconciliation.ranges import Range, separator, size
from function.reconciliation.rounds import begin, total

STARTED = "2026-11-26T15:00:00.000Z"
NOW = datetime(2026, 11, 26, 15, 1, tzinfo=UTC)
MOST_BYTES = 200_000
FILTERS = 150_000
"""The bytes of filters that travel beside an item."""


def request(**given: Any) -> dict[str, Any]:
    """What the state machine asks at the beginning of a run."""
    asked = {
        "step": "begin",
        "input": {},
        "execution": "arn:own",
        "name": "b1946ac9",
        "started": STARTED,
        "running": [],
        "concurrency": 5,
    }
    return asked | given


def begun(*, may_write: bool = False, never_filled: bool = False, **given: Any) -> dict[str, Any]:
    return begin(
        request(**given),
        may_write=may_write,
        repair_at_most=1000,
        is_never_filled=lambda: never_filled,
    )


def after_round(state: Mapping[str, Any], *results: Any, now: datetime = NOW) -> dict[str, Any]:
    """Return the state after its workers returned these results."""
    return total({**state, "work": list(results)}, now=now)


Work = Callable[[Item, Mapping[str, Any]], Any]
"""A worker: takes an item, and that as JSON; returns its result as JSON."""


@dataclass
class Machine:
    """Runs a run to its end, and looks at all that goes through Step Functions."""

    work: Work
    concurrency: int = 5
    rounds: int = 0
    largest_state: int = 0
    """Bytes."""
    largest_item: int = 0
    """Bytes, with the filters that travel beside it."""
    items: int = 0

    def run(self, **given: Any) -> dict[str, Any]:
        state = begun(concurrency=self.concurrency, **given)
        self._look_at(state)
        while state["next"] == "work":
            self.rounds += 1
            work = []
            for item in state["work"]:
                travels = size({"item": item, "run": state["run"]}) + FILTERS
                self.largest_item = max(self.largest_item, travels)
                work.append(self.work(Item.of(item), item))
                self.items += 1
            state = {**state, "work": work}
            self._look_at(state)
            state = total(json.loads(json.dumps(state)), now=NOW)
            self._look_at(state)
        result: dict[str, Any] = state["result"]
        return result

    def _look_at(self, state: Any) -> None:
        self.largest_state = max(self.largest_state, size(state))


class Keys(Protocol):
    """Keys in order, of which there may be too many to list."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> str: ...

    def up_to(self, text: str) -> int:
        """Return how many keys sort before the text, or are the text."""


def span(keys: Keys, of: Range) -> tuple[int, int]:
    """Return the number of the first key in a range, and that of the first one after it."""
    begin = keys.up_to(of.after) if of.after else 0
    return begin, len(keys) if of.up_to is None else keys.up_to(of.up_to)


@dataclass
class Both:
    """A bucket and a table, as a division sees them."""

    bucket: Keys
    table: Keys
    partitions: int = 1
    requests: int = 0

    def next_object(self, of: Range) -> str | None:
        self.requests += 1
        begin, end = span(self.bucket, of)
        return self.bucket[begin] if begin < end else None

    def next_record(self, of: Range) -> str | None:
        begin, end = span(self.table, of)
        sample = (self.table[number] for number in range(begin, min(end, begin + 1000)))
        return next(
            (key for key in sample if zlib.crc32(key.encode()) % self.partitions == 0), None
        )

    def last_record(self, of: Range) -> str | None:
        begin, end = span(self.table, of)
        return self.table[end - 1] if begin < end else None


@dataclass
class Comparing:
    """A worker that compares a number of keys, and divides the rest."""

    keys: Keys
    """All keys of bucket and table."""
    both: Both
    budget: int
    compared: Counter[str] | None = None
    """Which keys were compared; None: they are only counted."""
    count: int = 0

    def __call__(self, item: Item, _: Mapping[str, Any]) -> dict[str, Any]:
        result = Result(item=item.ranges)
        for of in item.ranges:
            begin, end = span(self.keys, of)
            done = min(end, begin + self.budget)
            self._compare(begin, done)
            if done < end:
                rest = Range(separator(self.keys[done - 1], self.keys[done]), of.up_to)
                self.both.requests = 0
                left = divide(rest, self.both, item.pieces)
                assert self.both.requests <= MOST_REQUESTS
                result = replace(result, rest=tuple(one.after for one in left))
        return returned(result, item)

    def _compare(self, begin: int, end: int) -> None:
        self.count += end - begin
        if self.compared is not None:
            self.compared.update(self.keys[number] for number in range(begin, end))


def returned(result: Result, item: Item) -> dict[str, Any]:
    """Return the result as JSON, which must fit into its room."""
    value = replace(result, repairs=item.repairs).as_json(item.room)
    assert size(value) <= item.room
    return value


class Listed(Sequence[str]):
    """A few keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = sorted(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: Any) -> Any:
        return self._keys[number]

    def up_to(self, text: str) -> int:
        return sum(key <= text for key in self._keys)
