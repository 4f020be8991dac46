"""Every key is compared once, whatever is left, retried, lost or changed meanwhile."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from function.ranges import Range, from_json, separator
from function.reconciliation.division import divide
from function.reconciliation.items import Item, Result
from tests.unit.reconciliation.simulation import Keys, Sides, run

MOST_LOOKS = 5
TEXTS = st.text("ab/\x01ä\U0001f600", min_size=1, max_size=5)


@dataclass(slots=True)
class Workers:
    """Workers that compare a few keys each, and sometimes die."""

    bucket: Keys
    table: Keys
    changes: dict[str, int]
    """How often a key still changes."""
    random: Random
    dying: float
    """How likely an attempt dies."""
    done: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    died: bool = False

    def work(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for attempt in range(2):
            if self.random.random() >= self.dying:
                return self._attempt(Item.of(value), attempt).as_json(value["room"])
            self.died = True
        return {**value, "error": {"Error": "Lambda.Unknown", "Cause": "it ran out of memory"}}

    def _attempt(self, item: Item, attempt: int) -> Result:
        changing, compared, unsettled = [], 0, 0
        for of in item.ranges:
            if not of.looks:
                continue
            if not self._changes(of.up_to or ""):
                self.done[of.up_to or ""] += 1
                compared += 1
            elif of.looks < MOST_LOOKS:
                changing.append(replace(of, looks=of.looks + 1))
            else:
                self.done[of.up_to or ""] += 1
                compared, unsettled = compared + 1, unsettled + 1
        self.unsettled += unsettled
        rest: list[Range] = []
        if item.ordinary:
            keys = self._keys(item.ordinary)
            budget = self.random.randint(1, 6)
            for before, key in pairwise([item.ordinary.after, *keys[:budget]]):
                if self._changes(key):
                    changing.append(Range(separator(before, key), key, looks=1))
                else:
                    self.done[key] += 1
                    compared += 1
            if len(keys) > budget:
                left = Range(separator(keys[budget - 1], keys[budget]), item.ordinary.up_to)
                rest = divide(left, Sides(self.bucket, self.table, 2), item.pieces)
        return Result(
            item=item.ranges,
            rest=tuple(of.after for of in rest),
            changing=tuple(changing),
            counts={"compared": compared, "unsettled": unsettled},
            attempt=attempt,
        )

    def _changes(self, key: str) -> bool:
        self.changes[key] = self.changes.get(key, 0) - 1
        return self.changes[key] >= 0

    def _keys(self, of: Range) -> list[str]:
        sides = (self.bucket, self.table)
        return sorted({side.at(place) for side in sides for place in side.places(of)})


@settings(max_examples=60)
@given(
    bucket=st.sets(TEXTS, max_size=40),
    table=st.sets(TEXTS, max_size=40),
    changes=st.dictionaries(TEXTS, st.integers(1, 8), max_size=5),
    changing=st.integers(0, 5),
    workers=st.sampled_from([1, 2, 5, 40]),
    dying=st.sampled_from([0.0, 0.0, 0.2, 0.6]),
    seed=st.integers(0, 1000),
)
def test_every_key_is_compared_once(
    bucket: set[str],
    table: set[str],
    changes: dict[str, int],
    changing: int,
    workers: int,
    dying: float,
    seed: int,
) -> None:
    keys = bucket | table
    changes |= dict.fromkeys(sorted(keys)[:changing], 7)
    crew = Workers(Keys.of(bucket), Keys.of(table), dict(changes), Random(seed), dying)  # noqa: S311 # told by hypothesis

    result = run(crew.work, workers)["result"]

    left = from_json(result["left"])
    lost = {key for key in keys if any(key in of for of in left)}
    # A key is compared, or its range is left; ranges that are named together may have both.
    assert keys - lost <= crew.done.keys()
    assert all(number == 1 for number in crew.done.values())
    assert crew.done.keys() <= keys
    assert result["counts"].get("compared", 0) == crew.done.total()
    assert result["counts"].get("unsettled", 0) == crew.unsettled
    assert result["at_least"] is crew.died
    assert result["outcome"] == ("incomplete" if left else "complete")
    if not crew.died:
        assert not left
        assert crew.done == Counter(keys)
