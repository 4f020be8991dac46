"""A run in rounds: how it begins, what each round gets, and how it ends."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.reconciliation import rounds
from function.reconciliation.findings import Findings
from function.reconciliation.items import Item, Result
from function.reconciliation.ranges import Range, from_json, size, to_json
from function.reconciliation.rounds import kind_of, name_of
from tests.unit.reconciliation.state_machine import (
    MOST_BYTES,
    NOW,
    Both,
    Comparing,
    Listed,
    Machine,
    after_round,
    begun,
    returned,
)

ALL = Range()


def done(item: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The result of a worker that has finished its item."""
    result = Result(item=Item.of(item).ranges, **more)
    return {**result.as_json(item["room"]), "repairs": item["repairs"]}


def error(item: Mapping[str, Any], cause: str = "boom") -> dict[str, Any]:
    """What the state machine returns if every attempt failed."""
    return {**item, "error": {"Error": "WorkerFailedError", "Cause": cause}}


# --- Begin ---


def test_a_run_begins_with_one_range_of_all_keys_and_a_short_budget() -> None:
    state = begun()

    (item,) = state["work"]
    assert (state["next"], state["round"]) == ("work", 1)
    assert Item.of(item).ranges == (ALL,)
    assert (item["budget_seconds"], item["pieces"]) == (20, 5)


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ({"input": []}, "expected an object"),
        ({"input": {"prefixes": "a"}}, "expected an object with any of mode, prefix and repair"),
        ({"input": {"mode": "compare"}}, "mode is 'compare': expected one of verify, backfill"),
        ({"input": {"prefix": 1}}, "prefix must be text"),
        ({"input": {"repair": "yes"}}, "repair true or false"),
        ({"input": {"repair": True}}, "set reconciliation.repair = true and apply"),
        ({"input": {"mode": "backfill"}}, "set reconciliation.repair = true and apply"),
        ({"input": {"prefix": "a/"}}, f"must begin with {kind_of('verify', 'a/')}-"),
        ({"name": name_of("backfill", "")}, "must begin with verify-all-"),
    ],
)
def test_a_run_that_must_not_begin_says_why(given_: dict[str, Any], reason: str) -> None:
    state = begun(**given_)

    assert state["next"] == "end"
    assert state["result"]["outcome"] == "failed"
    assert reason in state["result"]["reason"]


def test_a_run_repairs_if_it_may_and_is_not_told() -> None:
    assert begun(may_write=True)["run"]["repair"] is True
    assert begun(may_write=False)["run"]["repair"] is False
    assert begun(may_write=True, input={"repair": False})["run"]["repair"] is False


def running(*names: str) -> list[dict[str, Any]]:
    return [
        {"ExecutionArn": f"arn:{name}", "Name": name, "StartDate": f"2026-11-26T15:00:0{second}Z"}
        for second, name in enumerate(names)
    ]


def began(name: str, others: list[dict[str, Any]], **input_: Any) -> str:
    state = begun(name=name, execution=f"arn:{name}", running=others, may_write=True, input=input_)
    return state["result"]["outcome"] if state["result"] else "began"


def test_of_two_runs_of_a_kind_the_later_one_is_skipped() -> None:
    both = running("scheduled-1", "verify-all-2")

    assert began("scheduled-1", both) == "began"
    assert began("verify-all-2", both) == "skipped"
    # A list may not have the run itself yet.
    assert began("verify-all-2", both[:1]) == "skipped"
    assert began("verify-all-2", []) == "began"


def test_of_two_runs_of_the_same_second_one_begins() -> None:
    both = running("a-1", "a-2")
    both[1]["StartDate"] = both[0]["StartDate"]

    assert sorted(began(name, both) for name in ("a-1", "a-2")) == ["began", "skipped"]


def test_a_run_of_another_kind_is_no_reason_to_skip() -> None:
    prefix, other = f"{kind_of('verify', 'a/')}-1", f"{kind_of('verify', 'b/')}-1"
    backfill = f"{kind_of('backfill', '')}-1"

    assert began("verify-all-9", running(prefix, backfill)) == "began"
    assert began(prefix, running("verify-all-1", other, backfill), prefix="a/") == "began"
    assert began(backfill, running("verify-all-1"), mode="backfill") == "began"


def test_the_skipped_run_names_the_other_one() -> None:
    state = begun(name="x", execution="arn:x", running=running("first", "x"))

    assert "run first " in state["result"]["reason"]


def test_names_differ_and_can_name_an_execution() -> None:
    names = {name_of("verify", "a/\n") for _ in range(50)}

    assert len(names) > 45
    assert all(len(name) <= 80 and name.startswith(kind_of("verify", "a/\n")) for name in names)


# --- Rounds ---


def test_budgets_grow_to_ten_minutes() -> None:
    state = begun()
    budgets = []
    for number in range(6):
        (item, *_) = state["work"]
        budgets.append(item["budget_seconds"])
        state = after_round(state, done(item, rest=(f"{number}",)))

    assert budgets == [20, 60, 180, 540, 600, 600]


def test_what_is_left_is_given_to_all_workers() -> None:
    state = begun(concurrency=3)

    state = after_round(state, done(state["work"][0], rest=("b", "d", "f")))

    ranges = [Item.of(item).ranges for item in state["work"]]
    assert ranges == [(Range("b", "d"),), (Range("d", "f"),), (Range("f"),)]


def test_each_segment_keeps_its_share_of_the_ranges() -> None:
    state = begun(concurrency=4)
    state = after_round(state, done(state["work"][0], rest=("b", "m")))
    first, second = state["work"]

    state = after_round(
        state, done(first, rest=("c", "d", "e", "f", "g")), done(second, rest=("n", "p"))
    )

    ranges = [of for item in state["work"] for of in Item.of(item).ranges]
    assert len(ranges) == 4
    # As many of its five ranges and of its two as there are workers.
    assert ranges == [Range("c", "d"), Range("d", "f"), Range("f", "m"), Range("n")]


def test_keys_that_keep_changing_are_spread_over_the_items() -> None:
    state = begun(concurrency=2)
    changing = tuple(Range(key, f"{key}{key}", looks=1) for key in "abc")

    state = after_round(state, done(state["work"][0], rest=("m", "p"), changing=changing))

    first, second = (Item.of(item).ranges for item in state["work"])
    assert first == (Range("m", "p"), changing[0], changing[2])
    assert second == (Range("p"), changing[1])


def test_only_changing_keys_may_be_left() -> None:
    state = begun()
    key = Range("a", "b", looks=1)

    state = after_round(state, done(state["work"][0], changing=(key,)))

    assert [Item.of(item).ranges for item in state["work"]] == [(key,)]
    again = after_round(state, done(state["work"][0], changing=(replace(key, looks=2),)))
    assert Item.of(again["work"][0]).ranges == (replace(key, looks=2),)
    assert after_round(again, done(again["work"][0]))["result"]["outcome"] == "complete"


# --- Results that cannot be right ---


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"rest": ["b"]}, "made no progress"),
        ({"rest": ["a"]}, "keys that it was not given"),
        ({"rest": ["n"]}, "overlap or are not in order"),
        ({"rest": ["d", "c"]}, "overlap or are not in order"),
        ({"rest": ["c", "c"]}, "overlap or are not in order"),
        ({"changing": to_json([Range("x", "y", looks=1)])}, "keys that it was not given"),
        ({"rest": ["c"], "changing": to_json([Range("d", "e", 1)])}, "it was not given"),
        ({"changing": to_json([Range("k", "l", looks=1)])}, "made no progress"),
        ({"changing": to_json([Range("c", "d")])}, "as a key that keeps changing"),
        ({"counts": 7}, "result is wrong"),
        ({"rest": [""]}, "expected an encoded key"),
    ],
)
def test_a_result_that_cannot_be_right_is_a_failure(more: dict[str, Any], cause: str) -> None:
    state = begun()
    item = state["work"][0] | {"ranges": to_json([Range("b", "m"), Range("k", "l", looks=1)])}

    state = after_round(state, done(item) | more)

    result = state["result"]
    assert result["outcome"] == "incomplete"
    assert cause in result["causes"][0]
    assert from_json(result["left"]) == [Range("b", "m")]


def test_a_worker_that_returns_its_range_unchanged_ends_the_run() -> None:
    machine = Machine(lambda _, value: done(value, rest=("",)))

    result = machine.run()

    assert (result["outcome"], machine.rounds) == ("incomplete", 1)
    assert from_json(result["left"]) == [ALL]


# --- The end ---


def test_a_run_without_anything_left_is_complete() -> None:
    state = begun()

    result = after_round(state, done(state["work"][0], counts={"compared": 7}))["result"]

    assert result["outcome"] == "complete"
    assert (result["counts"], result["left"], result["rounds"]) == ({"compared": 7}, [], 1)
    assert result["at_least"] is False


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ({"unread": 1}, "incomplete"),
        ({"unrepaired": 1, "orphan": 1}, "incomplete"),
        ({"failed": 1}, "incomplete"),
        ({"unsettled": 1}, "complete"),
        ({"orphan": 1}, "complete"),
    ],
)
def test_keys_that_failed_make_a_result_incomplete(counts: dict[str, int], outcome: str) -> None:
    state = begun()

    assert after_round(state, done(state["work"][0], counts=counts))["result"]["outcome"] == outcome


def test_a_failed_item_leaves_its_range_and_its_cause_and_the_others_go_on() -> None:
    state = begun()
    state = after_round(state, done(state["work"][0], rest=("b", "m")))
    first, second = state["work"]

    state = after_round(state, error(first, "too hot"), done(second, rest=("n",)))
    assert state["next"] == "work"
    result = after_round(state, done(state["work"][0]))["result"]

    assert (result["outcome"], result["at_least"]) == ("incomplete", True)
    assert result["causes"] == ["WorkerFailedError too hot"]
    assert from_json(result["left"]) == [Range("b", "m")]


def test_counts_of_all_rounds_add_up_and_a_second_attempt_makes_them_the_least() -> None:
    state = begun()
    state = after_round(state, done(state["work"][0], rest=("b",), counts={"compared": 2}))
    assert state["at_least"] is False

    state = after_round(state, done(state["work"][0], attempt=1, counts={"compared": 3}))

    assert state["result"]["counts"] == {"compared": 5}
    assert state["result"]["at_least"] is True


def test_the_first_keys_are_named() -> None:
    state = begun()
    keys = tuple({"kind": "orphan", "key": f"k{number}"} for number in range(9))

    result = after_round(state, done(state["work"][0], keys=keys))["result"]

    assert result["keys"] == list(keys[:5])


@pytest.mark.parametrize("limit", ["rounds", "iterations", "time"])
def test_a_limit_ends_a_run_as_incomplete_with_what_is_left(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOW
    match limit:
        case "rounds":
            monkeypatch.setattr(rounds, "MOST_ROUNDS", 2)
        case "iterations":
            monkeypatch.setattr(rounds, "MOST_ITERATIONS", 7)
        case _:
            now += timedelta(hours=23)
    state = begun()
    state = after_round(state, done(state["work"][0], rest=("b", "m")))
    first, second = state["work"]

    state = after_round(state, done(first), done(second, rest=("n",)), now=now)

    result = state["result"]
    assert (state["next"], result["outcome"]) == ("end", "incomplete")
    assert result["reason"].startswith("the run ended after ")
    assert from_json(result["left"]) == [Range("n")]


def test_a_limit_is_not_reached_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MOST_ROUNDS", 3)
    state = begun()
    for _ in range(2):
        (item, *_) = state["work"]
        state = after_round(state, done(item, rest=(f"{state['round']}",)))

    assert (state["next"], state["round"]) == ("work", 3)


# --- Runs that nobody asked for ---


def test_an_index_that_was_never_filled_ends_the_run_only_if_nobody_asked_for_it() -> None:
    assert begun(never_filled=True)["result"]["outcome"] == "never filled"
    assert begun(never_filled=True, input={"repair": False})["next"] == "work"
    backfill = begun(
        never_filled=True,
        may_write=True,
        input={"mode": "backfill"},
        name=name_of("backfill", ""),
    )
    assert backfill["next"] == "work"


def test_repairs_that_nobody_asked_for_are_limited_over_all_workers_and_rounds() -> None:
    state = begun(may_write=True)
    assert state["work"][0]["repairs"] == 1000

    counts = {"orphan": 900, "repaired": 900, "compared": 900}
    state = after_round(state, done(state["work"][0], rest=("b", "m"), counts=counts))
    assert [item["repairs"] for item in state["work"]] == [50, 50]

    first, second = state["work"]
    counts = {"orphan": 60, "repaired": 50, "compared": 60}
    state = after_round(state, done(first, rest=("c",), counts=counts), done(second))
    assert state["work"][0]["repairs"] == 50
    result = after_round(state, done(state["work"][0]))["result"]
    assert (
        result["reason"]
        == "10 of the differences were not repaired: run file-index verify --repair"
    )


def test_an_attempt_that_died_counts_as_if_it_had_repaired_all_it_may() -> None:
    state = begun(may_write=True)

    state = after_round(state, done(state["work"][0], rest=("b",), attempt=1))

    assert state["work"][0]["repairs"] == 0


def test_repairs_that_were_asked_for_have_no_limit() -> None:
    state = begun(may_write=True, input={"repair": True})

    assert state["work"][0]["repairs"] is None


# --- Sizes ---

_WORST = ("\x01", '"\\', "\U0001f600", "ü")


def worst_key(seed: random.Random) -> str:
    """A key of 1,024 bytes that JSON makes much longer, and that no other key resembles."""
    characters = [seed.choice(_WORST) for _ in range(1024)]
    beginning = f"{seed.randrange(10**6):06}"
    key = beginning + "".join(characters)
    return key.encode()[:1024].decode(errors="ignore")


@pytest.mark.parametrize("concurrency", [1, 5])
def test_no_state_exceeds_what_step_functions_takes(concurrency: int) -> None:
    seed = random.Random(concurrency)  # noqa: S311 # no secret
    keys = Listed(worst_key(seed) for _ in range(400))
    comparing = Comparing(keys, Both(keys, keys), budget=4)

    def work(item: Item, value: Mapping[str, Any]) -> dict[str, Any]:
        chance = seed.random()
        if chance < 0.1 and concurrency > 1:
            return {**value, "error": {"Error": "WorkerFailedError", "Cause": "\x01" * 1500}}
        compared = comparing(item, value)
        result = Result.of(compared)
        hot = tuple(
            Range(key[:-1], key, looks=1)
            for key in keys
            if item.ordinary and key in item.ordinary and (not result.rest or key < result.rest[0])
        )
        examples = tuple(
            {"kind": "unread", "key": worst_key(seed), "cause": '"' * 300} for _ in range(3)
        )
        return returned(replace(result, changing=hot * (chance < 0.3), keys=examples), item)

    machine = Machine(work, concurrency)
    result = machine.run()

    assert machine.rounds > 5
    assert machine.largest_state <= MOST_BYTES
    assert machine.largest_item <= MOST_BYTES
    assert result["keys"]


def test_forty_separate_ranges_of_the_worst_keys_fit() -> None:
    seed = random.Random(40)  # noqa: S311 # no secret
    keys = sorted(worst_key(seed) for _ in range(400))
    state = begun(concurrency=40)
    state = after_round(state, done(state["work"][0], rest=tuple(keys[::10])))
    assert len(state["work"]) == 40

    for number in range(1, 9):
        results = []
        for at, value in enumerate(state["work"]):
            item = Item.of(value)
            hot = Range(keys[10 * at + number - 1], keys[10 * at + number], looks=1)
            result = Result(
                item=item.ranges,
                rest=(keys[10 * at + number],),
                changing=(hot,),
                counts=dict.fromkeys(Findings().counts, 10**9),
                keys=({"kind": "unread", "key": keys[at], "cause": "\\" * 300},),
            )
            results.append(returned(result, item))
        sent = {**state, "work": results}
        state = after_round(state, *results)
        assert len(state["work"]) == 40
        assert MOST_BYTES / 2 < size(sent) <= MOST_BYTES
        assert MOST_BYTES / 2 < size(state) <= MOST_BYTES

    failed = [error(item, "\x01" * 300) for item in state["work"]]
    assert size({**state, "work": failed}) <= MOST_BYTES
    ended = after_round(state, *failed)
    assert size(ended) <= MOST_BYTES
    # What is left covers all that was not done.
    left = from_json(ended["result"]["left"])
    assert all(any(key in of for of in left) for key in keys[9::10])


# --- Every key once ---

keys_ = st.text(st.sampled_from("ab/\x01é\ue000"), min_size=1, max_size=4)


@settings(max_examples=150)
@given(
    st.frozensets(keys_, max_size=25),
    st.frozensets(keys_, max_size=25),
    st.integers(1, 7),
    st.integers(1, 4),
)
def test_every_key_of_bucket_and_table_is_compared_exactly_once(
    bucket: frozenset[str], table: frozenset[str], concurrency: int, budget: int
) -> None:
    keys = Listed(bucket | table)
    compared: Counter[str] = Counter()
    both = Both(Listed(bucket), Listed(table))

    result = Machine(Comparing(keys, both, budget, compared), concurrency).run()

    assert compared == Counter(bucket | table)
    assert result["outcome"] == "complete"
