"""No state of a run is greater than Step Functions takes, whatever the keys."""

import json
from collections.abc import Mapping
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from function.events import MAX_KEY_BYTES
from function.ranges import Range, from_json, separator, size
from function.reconciliation.division import divide
from function.reconciliation.findings import Findings
from function.reconciliation.items import Item, Result
from function.reconciliation.rounds import begin, name_of, total
from tests.unit.reconciliation.simulation import NAMES_OF_COUNTS, STARTED, Keys, Scene, Sides, run

MOST = 200_000
FILTERS = [{"prefix": "f" * 1024, "suffix": "s" * 400}] * 103
BUDGET = 60
CAUSE = json.dumps(
    {
        "errorMessage": "OutOfTimeError: the worker is about to time out with suspects left " * 4,
        "errorType": "WorkerFailedError",
        "requestId": "11111111-2222-3333-4444-555555555555",
        "stackTrace": ['  File "/var/task/function/reconciliation/worker.py", line 1\n'] * 20,
    }
)[:1500]

WORST = {
    "control characters": "\x01",
    "quotes and backslashes": '"\\',
    "emoji": "\U0001f600",
    "three bytes": "\uffff",
    "percent signs": "%",
    "random": "".join(map(chr, Random(1).choices(range(0x20, 0xD7FF), k=300))),  # noqa: S311
}


def long_keys(kind: str, number: int) -> Keys:
    """Keys that are as long as can be, and differ only at the end."""
    text = WORST[kind]
    common = (text * MAX_KEY_BYTES).encode()[: MAX_KEY_BYTES - 6].decode(errors="ignore")
    filling = MAX_KEY_BYTES - len(common.encode()) - 6

    def at(place: int) -> str:
        return common + "~" * filling + f"{place:06}"

    return Keys(number, at)


class Worst:
    """Workers that return as much as they can."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._calls = 0

    def work(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        self._calls += 1
        if self._calls % 5 == 0:
            return {**value, "error": {"Error": "WorkerFailedError", "Cause": CAUSE}}
        item = Item.of(value)
        changing = [Range(of.after, of.up_to, of.looks + 1) for of in item.ranges if of.looks]
        changing = [of for of in changing if of.looks <= 5]
        rest: list[Range] = []
        at = self._keys.at
        if item.ordinary:
            places = self._keys.places(item.ordinary)
            hot = places[: min(BUDGET, 25)]
            befores = [item.ordinary.after, *map(at, hot)]
            changing += [
                Range(separator(before, key), key, looks=1) for before, key in pairwise(befores)
            ]
            if len(places) > BUDGET:
                start = separator(at(places[BUDGET - 1]), at(places[BUDGET]))
                left = Range(start, item.ordinary.up_to)
                rest = divide(left, Sides(self._keys, self._keys), item.pieces)
        example = {"kind": "filtered out", "key": at(0), "cause": '"é' * 150}
        result = Result(
            item=item.ranges,
            rest=tuple(of.after for of in rest),
            changing=tuple(changing),
            counts=dict.fromkeys(NAMES_OF_COUNTS, 9_999_999),
            keys=(example, example, example),
            attempt=1,
        ).as_json(item.room)
        assert size(result) <= item.room
        return result


@pytest.mark.parametrize(
    ("kind", "workers"),
    [
        ("control characters", 5),
        ("quotes and backslashes", 1),
        ("emoji", 5),
        *(
            pytest.param(kind, number, marks=pytest.mark.long)
            for kind in WORST
            for number in (1, 5, 40)
        ),
    ],
)
def test_the_states_of_a_run_fit(kind: str, workers: int) -> None:
    keys = long_keys(kind, workers * BUDGET * 5)
    prefix = keys.at(0)[:-6]
    name = name_of("verify", prefix)
    assert 149_000 < size(FILTERS) <= 150_000
    rounds = cuts = 0

    def seen(state: Mapping[str, Any]) -> None:
        nonlocal rounds, cuts
        rounds = max(rounds, state["round"])
        cuts = max(cuts, len(state["work"]))
        assert size({"step": "total", "state": state}) <= MOST
        for value in state["work"]:
            if "budget_seconds" in value and "error" not in value:
                request = {"step": "work", "item": value, "run": state["run"], "attempt": 0}
                assert size(request | {"filters": FILTERS}) <= MOST

    state = run(
        Worst(keys).work, workers, seen, name=name, input={"prefix": prefix, "mode": "verify"}
    )

    assert state["result"]["prefix"] == prefix
    assert rounds >= 4
    # Long keys do not keep the workers from sharing the work.
    assert cuts == workers
    assert size(state["result"]) <= 25_000


def test_the_request_to_begin_fits() -> None:
    arn = f"arn:aws:states:ap-southeast-1:123456789012:execution:{'n' * 50}-reconciliation"
    running = [
        {
            "ExecutionArn": f"{arn}:{'x' * 80}",
            "Name": "x" * 80,
            "StartDate": "2026-11-26T12:00:00.000Z",
            "StateMachineArn": arn,
            "Status": "RUNNING",
        }
    ] * 80
    request = {
        "step": "begin",
        "input": {"prefix": "\x01" * 1024, "mode": "verify"},
        "execution": f"{arn}:{'x' * 80}",
        "name": "x" * 80,
        "started": "2026-11-26T12:00:00.000Z",
        "running": running,
        "concurrency": 40,
        "filters": FILTERS,
    }

    assert size(request) <= MOST


def test_a_wrong_input_does_not_make_a_long_result() -> None:
    state = run(lambda value: value, 5, input={"mode": "\x01" * 100_000, "prefix": ""})

    assert size(state) <= 3_000


def test_workers_that_all_fail_fit() -> None:
    keys = long_keys("control characters", 40 * 40)
    scene = Scene(keys, keys)
    sizes = []
    calls = 0

    def work(value: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        if calls > 1:
            return {**value, "error": {"Error": "WorkerFailedError", "Cause": CAUSE}}
        item = Item.of(value)
        starts = [of.after for of in divide(Range(), Sides(scene.bucket, scene.table), 40)]
        rest = (keys.at(0), *starts[1:])
        return Result(item=item.ranges, rest=rest).as_json(item.room)

    state = run(work, 40, lambda state: sizes.append(size({"step": "total", "state": state})))

    assert calls > 30
    assert state["result"]["outcome"] == "incomplete"
    assert 100_000 < max(sizes) <= MOST


def unlike_keys(number: int, seed: int) -> Keys:
    """Keys of 1,024 bytes that JSON makes much longer, and that do not resemble each other."""
    random = Random(seed)  # noqa: S311 # the same each time
    keys = set()
    for _ in range(number):
        text = f"{random.randrange(10**6):06}" + "".join(
            random.choices(tuple(WORST.values()), k=1024)
        )
        keys.add(text.encode()[:1024].decode(errors="ignore"))
    listed = sorted(keys)
    return Keys(len(listed), listed.__getitem__)


def test_forty_separate_ranges_of_unlike_keys_fit() -> None:
    keys = unlike_keys(400, 40)
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
