"""Step Functions takes 256 KiB: what goes through it stays below 200,000 bytes, for any keys."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from function.reconciliation.division import divide
from function.reconciliation.findings import Findings
from function.reconciliation.items import Item, Result
from function.reconciliation.ranges import Range, from_json, separator, size
from function.reconciliation.rounds import begin, total
from tests.unit.reconciliation.simulation import STARTED, Keys, Sides, run

MOST = 200_000
FILTERS = 150_000
"""The bytes of filters that travel beside an item."""
WORST = ("\x01", '"\\', "\U0001f600", "ü")


def worst_keys(number: int, seed: int) -> Keys:
    """Keys of 1,024 bytes that JSON makes much longer, and that do not resemble each other."""
    random = Random(seed)  # noqa: S311 # the same each time
    keys = set()
    for _ in range(number):
        text = f"{random.randrange(10**6):06}" + "".join(random.choices(WORST, k=1024))
        keys.add(text.encode()[:1024].decode(errors="ignore"))
    listed = sorted(keys)
    return Keys(len(listed), listed.__getitem__)


@pytest.mark.parametrize("workers", [1, 5])
def test_whole_runs_stay_small(workers: int) -> None:
    random = Random(workers)  # noqa: S311 # the same each time
    keys = worst_keys(400, workers)

    def work(value: Mapping[str, Any]) -> Mapping[str, Any]:
        assert size({"item": value, "run": {"prefix": "\x01" * 1024}}) + FILTERS <= MOST
        item = Item.of(value)
        if workers > 1 and random.random() < 0.1:
            return {**value, "error": {"Error": "WorkerFailedError", "Cause": "\x01" * 1500}}
        found = [keys.at(place) for of in item.ranges for place in keys.places(of)]
        ordinary = item.ordinary
        places = keys.places(ordinary) if ordinary else range(0)
        rest: list[Range] = []
        if ordinary and len(places) > 4:
            left = Range(separator(keys.at(places[3]), keys.at(places[4])), ordinary.up_to)
            rest = divide(left, Sides(keys, keys), item.pieces)
        hot = [key for key in found if not rest or key <= rest[0].after]
        changing = [Range(key[:-1], key, looks=1) for key in hot if ordinary and key in ordinary]
        result = Result(
            item=item.ranges,
            rest=tuple(of.after for of in rest),
            changing=tuple(changing) * (random.random() < 0.3),
            keys=({"kind": "unread", "key": keys.at(0), "cause": '"' * 300},) * 3,
        ).as_json(item.room)
        assert size(result) <= item.room
        return result

    def small(state: Mapping[str, Any]) -> None:
        assert size(state) <= MOST

    assert run(work, workers, small)["round"] > 5


def test_forty_separate_ranges_of_the_worst_keys_fit() -> None:
    keys = worst_keys(400, 40)
    request = {
        "input": {},
        "execution": "own",
        "name": "nightly",
        "started": STARTED.isoformat(),
        "running": [],
        "concurrency": 40,
    }
    state = begin(request, may_write=True, repair_at_most=0, is_never_filled=lambda: False)
    first = Item.of(state["work"][0])
    cuts = Result(item=first.ranges, rest=tuple(keys.at(at) for at in range(0, 400, 10)))
    state = total({**state, "work": [cuts.as_json(first.room)]}, now=STARTED)

    for number in range(1, 9):
        results = []
        for at, value in enumerate(state["work"]):
            item = Item.of(value)
            begins, ends = keys.at(10 * at + number - 1), keys.at(10 * at + number)
            result = Result(
                item=item.ranges,
                rest=(ends,),
                changing=(Range(begins, ends, looks=1),),
                counts=dict.fromkeys(Findings().counts, 10**9),
                keys=({"kind": "unread", "key": begins, "cause": "\\" * 300},),
            ).as_json(item.room)
            assert size(result) <= item.room
            results.append(result)
        sent = {**state, "work": results}
        state = total(sent, now=STARTED)
        assert len(state["work"]) == 40
        assert MOST / 2 < size(sent) <= MOST
        assert MOST / 2 < size(state) <= MOST

    failed = [{**value, "error": {"Error": "E", "Cause": "\x01" * 150}} for value in state["work"]]
    ended = total({**state, "work": failed}, now=STARTED)
    assert size({**state, "work": failed}) <= MOST
    assert size(ended) <= MOST
    # What is left covers all that was not done.
    left = from_json(ended["result"]["left"])
    assert all(any(keys.at(place) in of for of in left) for place in range(9, 400, 10))
