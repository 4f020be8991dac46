"""The rules of a run in rounds: who may begin, who gets what, and when it ends."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.ranges import Range, from_json, to_json
from function.reconciliation import rounds
from function.reconciliation.items import Item, Result
from function.reconciliation.rounds import begin, kind_of, name_of, total

STARTED = "2026-11-26T12:00:00.000Z"
NOW = datetime(2026, 11, 26, 12, 5, tzinfo=UTC)
OWN = "arn:aws:states:eu-west-1:123456789012:execution:files-reconciliation:own"


def request(
    given: Any = None, name: str = "nightly", running: Sequence[Any] = (), concurrency: int = 5
) -> dict[str, Any]:
    return {
        "step": "begin",
        "input": {} if given is None else given,
        "execution": OWN,
        "name": name,
        "started": STARTED,
        "running": running,
        "concurrency": concurrency,
    }


def other(name: str, started: str, arn: str = "arn:other") -> dict[str, str]:
    return {"ExecutionArn": arn, "Name": name, "StartDate": started}


def started(
    given: Any = None, *, may_write: bool = True, never_filled: bool = False, **options: Any
) -> dict[str, Any]:
    state = begin(
        request(given, **options),
        may_write=may_write,
        repair_at_most=1000,
        is_never_filled=lambda: never_filled,
    )
    return passed(state)


def named(mode: str, prefix: str) -> str:
    """A name that is the same in every process that collects the tests."""
    return f"{kind_of(mode, prefix)}-1"


def passed(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as the state machine passes it on."""
    found = json.loads(json.dumps(state))
    assert isinstance(found, dict)
    return found


def totalled(state: Mapping[str, Any], *results: Any, now: datetime = NOW) -> dict[str, Any]:
    return passed(total(passed({**state, "work": results}), now=now))


def items(state: Mapping[str, Any]) -> list[Item]:
    return [Item.of(value) for value in state["work"]]


def done(item: Item, *rest: str, **options: Any) -> dict[str, Any]:
    """What a worker returns."""
    return Result(item=item.ranges, rest=rest, **options).as_json(item.room)


def caught(item: Item, cause: str = "Sandbox.Timedout") -> dict[str, Any]:
    """What the state machine returns in a worker's place."""
    return item.as_json() | {"error": {"Error": "States.TaskFailed", "Cause": cause}}


def spread(concurrency: int = 5, ends: str = "bcdefghij") -> dict[str, Any]:
    """A run in its second round."""
    state = started(concurrency=concurrency)
    return totalled(state, done(items(state)[0], *ends[: max(1, concurrency)]))


# --- Begin ---


def test_a_run_begins_with_one_worker_for_everything() -> None:
    state = started()

    assert state["next"] == "work"
    assert state["round"] == 1
    (item,) = items(state)
    assert item.ranges == (Range(),)
    assert item.pieces == 5
    assert item.budget_seconds == 20
    assert state["run"]["mode"] == "verify"
    assert state["run"]["prefix"] == ""


@pytest.mark.parametrize("may_write", [True, False])
def test_repair_is_by_default_what_the_deployment_allows(may_write: bool) -> None:
    assert started(may_write=may_write)["run"]["repair"] is may_write
    assert started({"repair": False}, may_write=may_write)["run"]["repair"] is False


def test_null_is_as_good_as_absent() -> None:
    assert started({"mode": None, "prefix": None, "repair": None})["run"] == started()["run"]


@pytest.mark.parametrize("mode", ["verify", "backfill"])
@pytest.mark.parametrize("prefix", ["", "data/", "ä"])
def test_a_run_with_the_name_of_its_kind_begins(mode: str, prefix: str) -> None:
    state = started({"mode": mode, "prefix": prefix}, name=named(mode, prefix))

    assert state["next"] == "work"
    assert (state["run"]["mode"], state["run"]["prefix"]) == (mode, prefix)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "the input is []: expected an object"),
        ("verify", "the input is 'verify': expected an object"),
        ({"modus": "verify"}, "expected an object with any of mode, prefix and repair"),
        ({"grace_seconds": 5}, "expected an object with any of mode, prefix and repair"),
        ({"mode": "repair"}, "mode is 'repair': expected one of verify, backfill"),
        ({"mode": ["verify"]}, "mode is ['verify']: expected one of"),
        ({"prefix": 1}, "prefix must be text of at most 1024 bytes"),
        ({"prefix": "p" * 1025}, "prefix must be text of at most 1024 bytes"),
        ({"prefix": "\ud800"}, "prefix must be text of at most 1024 bytes"),
        ({"repair": "true"}, "repair true or false"),
        ({"repair": 1}, "repair true or false"),
        ({"prefix": "data/"}, f"must begin with {kind_of('verify', 'data/')}-"),
        ({"mode": "backfill"}, "must begin with backfill-all-"),
        ({"x": "y" * 100_000}, "expected an object"),
        ({"mode": "y" * 100_000}, "expected one of"),
    ],
)
def test_a_wrong_input_is_refused(given: Any, reason: str) -> None:
    state = started(given)

    assert state["next"] == "end"
    assert state["work"] == []
    assert state["result"]["outcome"] == "failed"
    assert reason in state["result"]["reason"]
    assert len(state["result"]["reason"]) < 500


@pytest.mark.parametrize("given", [{"repair": True}, {"mode": "backfill"}])
def test_a_run_that_may_not_write_is_refused(given: Any) -> None:
    name = named(given.get("mode", "verify"), "")

    state = started(given, name=name, may_write=False)

    assert state["result"]["outcome"] == "failed"
    assert "set reconciliation.repair = true and apply" in state["result"]["reason"]
    assert started(given, name=name, may_write=True)["next"] == "work"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, named("verify", "data/")),
        ({}, named("backfill", "")),
        ({"prefix": "data/"}, named("verify", "other/")),
        ({"prefix": "data/"}, named("backfill", "data/")),
        ({"prefix": "data/"}, kind_of("verify", "data/")),  # nothing after the kind
        ({"mode": "backfill"}, named("backfill", "data/")),
    ],
)
def test_a_run_whose_name_says_another_kind_is_refused(given: Any, name: str) -> None:
    assert started(given, name=name)["result"]["outcome"] == "failed"


def test_kinds_differ_by_mode_and_prefix() -> None:
    kinds = {kind_of(mode, prefix) for mode in ("verify", "backfill") for prefix in ("", "a", "b")}

    assert len(kinds) == 6
    assert name_of("verify", "a") != name_of("verify", "a")
    assert len(name_of("backfill", "a")) <= 80  # the most that Step Functions takes


# --- Another run of the same kind ---

EARLIER, LATER = "2026-11-26T11:59:59.000Z", "2026-11-26T12:00:01.000Z"
ITSELF = other("nightly", STARTED, OWN)


@pytest.mark.parametrize("name", ["by hand", "verify-all-x", named("verify", "")])
def test_a_run_is_skipped_if_one_of_its_kind_began_earlier(name: str) -> None:
    state = started(running=[ITSELF, other(name, EARLIER)])

    assert state["next"] == "end"
    assert state["work"] == []
    assert state["result"]["outcome"] == "skipped"
    assert f"run {name} of the same kind is under way" in state["result"]["reason"]


@pytest.mark.parametrize(
    "running",
    [
        [],
        [ITSELF],
        [ITSELF, other("by hand", LATER)],
        [ITSELF, other(named("verify", "data/"), EARLIER)],
        [ITSELF, other(named("backfill", ""), EARLIER)],
    ],
)
def test_a_run_goes_on_beside_later_ones_and_other_kinds(running: list[Any]) -> None:
    assert started(running=running)["next"] == "work"


@pytest.mark.parametrize("full", ["verify", "backfill"])
def test_a_full_run_does_not_block_one_for_a_prefix(full: str) -> None:
    name = named("verify", "data/")
    itself = other(name, STARTED, OWN)

    state = started(
        {"prefix": "data/"}, name=name, running=[itself, other(named(full, ""), EARLIER)]
    )

    assert state["next"] == "work"


def test_a_run_that_is_not_yet_in_the_list_is_ordered_by_its_own_start() -> None:
    assert started(running=[other("by hand", LATER)])["next"] == "work"
    assert started(running=[other("by hand", EARLIER)])["result"]["outcome"] == "skipped"


@given(st.lists(st.integers(0, 2), min_size=2, max_size=5))
def test_of_runs_at_once_exactly_one_goes_on(seconds: list[int]) -> None:
    running = [
        other(f"run-{number}", f"2026-11-26T12:00:0{second}.000Z", f"arn:{number}")
        for number, second in enumerate(seconds)
    ]

    states = [
        begin(
            request(running=running) | {"execution": one["ExecutionArn"], "name": one["Name"]},
            may_write=True,
            repair_at_most=1000,
            is_never_filled=lambda: False,
        )
        for one in running
    ]

    assert sorted(state["next"] for state in states) == ["end"] * (len(seconds) - 1) + ["work"]


# --- Rounds ---


def test_what_is_left_is_shared_by_the_workers() -> None:
    state = spread()

    assert [item.ranges for item in items(state)] == [
        (Range("b", "c"),),
        (Range("c", "d"),),
        (Range("d", "e"),),
        (Range("e", "f"),),
        (Range("f"),),
    ]
    assert state["iterations"] == 6


def test_budgets_grow() -> None:
    state, budgets = started(concurrency=1), []
    for end in "bcdefg":
        (item,) = items(state)
        budgets.append(item.budget_seconds)
        state = totalled(state, done(item, end))

    assert budgets == [20, 60, 180, 540, 600, 600]
    assert state["round"] == 7


def test_neighbours_are_merged_and_each_segment_keeps_its_share() -> None:
    state = spread(concurrency=4)
    first, second, third, fourth = items(state)

    state = totalled(
        state,
        done(first, "b1", "b2", "b3", "b4", "b5", "b6"),
        done(second, "c1", "c2"),
        done(third),
        done(fourth),
    )

    assert [item.ranges[0] for item in items(state)] == [
        Range("b1", "b3"),
        Range("b3", "b5"),
        Range("b5", "c"),
        Range("c1", "d"),
    ]


def test_more_cuts_than_workers_are_merged_evenly() -> None:
    state = started(concurrency=3)

    state = totalled(state, done(items(state)[0], *"bcdefghij"))

    assert [item.ranges[0] for item in items(state)] == [
        Range("b", "e"),
        Range("e", "h"),
        Range("h"),
    ]


def test_a_run_is_complete_when_nothing_is_left() -> None:
    state = spread(concurrency=2)
    first, second = items(state)
    counts = {"compared": 10, "phantom": 1, "repaired": 1}
    key = {"kind": "phantom", "key": "b1"}

    state = totalled(state, done(first, counts=counts, keys=(key,)), done(second, counts=counts))

    assert state["next"] == "end"
    assert state["work"] == []
    assert state["result"] == {
        "outcome": "complete",
        "reason": "",
        "mode": "verify",
        "prefix": "",
        "repair": True,
        "name": "nightly",
        "started": STARTED,
        "rounds": 2,
        "counts": {"compared": 20, "phantom": 2, "repaired": 2},
        "keys": [key],
        "causes": [],
        "left": [],
        "at_least": False,
    }


def test_a_run_in_which_everything_is_equal_says_so() -> None:
    state = started()

    result = totalled(state, done(items(state)[0], counts={"compared": 7, "phantom": 0}))["result"]

    assert (result["outcome"], result["at_least"], result["rounds"]) == ("complete", False, 1)
    assert (result["keys"], result["causes"], result["left"]) == ([], [], [])
    assert result["counts"] == {"compared": 7, "phantom": 0}


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("unread", "incomplete"),
        ("unrepaired", "incomplete"),
        ("failed", "incomplete"),
        ("unsettled", "complete"),
        ("mismatch", "complete"),
        ("filtered out", "complete"),
        ("contended", "complete"),
    ],
)
def test_only_failures_make_a_result_incomplete(name: str, outcome: str) -> None:
    state = started()

    result = totalled(state, done(items(state)[0], counts={"compared": 1, name: 1}))["result"]

    assert result["outcome"] == outcome


def test_a_failure_of_an_earlier_round_counts() -> None:
    state = started(concurrency=1)
    state = totalled(state, done(items(state)[0], "b", counts={"unread": 1}))

    assert totalled(state, done(items(state)[0]))["result"]["outcome"] == "incomplete"


def test_the_first_examples_are_kept() -> None:
    state = spread(concurrency=4)
    keys = [
        tuple({"kind": "orphan", "key": f"{number}{more}"} for more in "xyz") for number in range(4)
    ]

    result = totalled(
        state, *(done(item, keys=some) for item, some in zip(items(state), keys, strict=True))
    )["result"]

    assert [key["key"] for key in result["keys"]] == ["0x", "0y", "0z", "1x", "1y"]


def test_an_example_that_is_too_long_leaves_room_for_others() -> None:
    state = spread(concurrency=2)
    first, second = items(state)

    result = totalled(
        state,
        done(first, keys=({"kind": "orphan", "key": "\x01" * 1024},)),
        done(second, keys=({"kind": "orphan", "key": "short"},)),
    )["result"]

    assert [key["key"] for key in result["keys"]] == ["short"]


# --- Workers that fail ---


def test_a_retried_worker_makes_the_counts_a_minimum() -> None:
    state = spread(concurrency=2)
    first, second = items(state)

    state = totalled(state, done(first, "b1", attempt=1), done(second))
    assert state["at_least"] is True
    result = totalled(state, done(items(state)[0]))["result"]

    assert (result["outcome"], result["at_least"]) == ("complete", True)


def test_a_range_whose_worker_failed_is_left_and_the_others_go_on() -> None:
    state = spread(concurrency=3)
    first, second, third = items(state)

    state = totalled(state, done(first), caught(second), done(third, "x"))
    assert [item.ranges for item in items(state)] == [(Range("x"),)]
    result = totalled(state, done(items(state)[0]))["result"]

    assert result["outcome"] == "incomplete"
    assert from_json(result["left"]) == [Range("c", "d")]
    assert result["causes"] == ["States.TaskFailed Sandbox.Timedout"]
    assert result["at_least"] is True


def test_a_worker_that_says_why_it_failed_is_a_failed_one() -> None:
    state = started()
    item = items(state)[0]

    result = totalled(state, done(item, error="the bucket is gone"))["result"]

    assert result["outcome"] == "incomplete"
    assert from_json(result["left"]) == [Range()]
    assert result["causes"] == ["the bucket is gone"]
    # It may have found differences before.
    assert result["at_least"] is True


def test_a_cause_is_named_once() -> None:
    state = spread(concurrency=3)

    result = totalled(state, *map(caught, items(state)))["result"]

    assert len(result["causes"]) == 1
    assert from_json(result["left"]) == [Range("b")]


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"rest": ["b"]}, "a worker made no progress"),
        ({"rest": ["a"]}, "a worker returned keys that it was not given"),
        ({"rest": ["b2", "b1"]}, "a worker returned ranges that overlap or are not in order"),
        ({"rest": ["b1", "c"]}, "a worker returned ranges that overlap or are not in order"),
        ({"rest": [1]}, "expected an encoded key"),
        ({"rest": None}, "the worker's result is wrong"),
        ({"counts": None}, "the worker's result is wrong"),
        ({"changing": [{"keys": ["x", "y"], "looks": 1}]}, "it was not given"),
    ],
)
def test_a_wrong_result_is_a_failure(wrong: dict[str, Any], cause: str) -> None:
    state = spread(concurrency=2)
    first, second = items(state)
    value = done(first, counts={"compared": 99}) | wrong

    result = totalled(state, value, done(second))["result"]

    assert result["outcome"] == "incomplete"
    assert cause in result["causes"][0]
    assert from_json(result["left"]) == [Range("b", "c")]
    assert result["at_least"] is True
    assert "compared" not in result["counts"]


# --- Limits ---


def test_a_run_ends_after_the_most_rounds() -> None:
    state = started(concurrency=1)
    while state["next"] == "work":
        (item,) = items(state)
        assert item.ordinary
        state = totalled(state, done(item, item.ordinary.after + "x" if item.ordinary else ""))

    assert state["result"]["rounds"] == rounds.MOST_ROUNDS
    assert state["result"]["outcome"] == "incomplete"
    assert state["result"]["reason"] == "the run ended after 200 rounds"
    assert from_json(state["result"]["left"]) == [Range("x" * 200)]


def test_a_run_ends_before_it_exceeds_the_iterations() -> None:
    state = started(concurrency=40)
    while state["next"] == "work":
        results = []
        for item in items(state):
            assert item.ordinary
            start = item.ordinary.after
            cuts = (
                [f"{start}{number:02}" for number in range(1, 41)] if not start else [start + "0"]
            )
            results.append(done(item, *cuts))
        state = totalled(state, *results)

    result = state["result"]
    assert rounds.MOST_ITERATIONS - 40 < state["iterations"] <= rounds.MOST_ITERATIONS
    assert result["rounds"] < rounds.MOST_ROUNDS
    assert result["outcome"] == "incomplete"
    assert result["reason"] == f"the run ended after {state['iterations']} iterations"
    # Step Functions ends an execution with more than 25,000 events.
    assert state["iterations"] * 10 + result["rounds"] * 15 < 25_000


@pytest.mark.parametrize(("hours", "goes_on"), [(20.9, True), (21, False), (30, False)])
def test_a_run_ends_before_it_times_out(hours: float, goes_on: bool) -> None:
    state = started(concurrency=2)
    now = datetime.fromisoformat(STARTED) + timedelta(hours=hours)

    state = totalled(state, done(items(state)[0], "b", "c"), now=now)

    assert (state["next"] == "work") is goes_on
    if not goes_on:
        assert state["result"]["outcome"] == "incomplete"
        assert state["result"]["reason"] == "the run ended after 21 hours"
        assert from_json(state["result"]["left"]) == [Range("b")]


def test_a_run_that_is_done_is_complete_however_late() -> None:
    state = started()
    now = datetime.fromisoformat(STARTED) + timedelta(hours=21.5)

    assert totalled(state, done(items(state)[0]), now=now)["result"]["outcome"] == "complete"


def test_what_is_left_names_failed_ranges_and_changing_keys_too() -> None:
    state = spread(concurrency=3)
    first, second, third = items(state)
    late = NOW + timedelta(days=1)

    result = totalled(
        state,
        caught(first),
        done(second, changing=(Range("c1", "c2", looks=1),)),
        done(third, "x"),
        now=late,
    )["result"]

    assert from_json(result["left"]) == [Range("b", "c"), Range("c1", "c2"), Range("x")]


def test_many_ranges_left_are_named_together() -> None:
    state = spread(concurrency=40, ends="".join(chr(0x100 + number) for number in range(40)))
    failing = [item for number, item in enumerate(items(state)) if number % 2]
    rest = [done(item) for number, item in enumerate(items(state)) if not number % 2]
    long = "\x01" * 1000
    changing = tuple(Range(f"{long}{n:02}", f"{long}{n:02}x", looks=1) for n in range(20))

    left = totalled(state, *map(caught, failing), *rest)["result"]["left"]
    assert from_json(left) == [Range(*_ends(item)) for item in failing]

    state = started(concurrency=1)
    item = items(state)[0]
    late = NOW + timedelta(days=1)
    left = totalled(state, done(item, changing=changing), now=late)["result"]["left"]
    covering = from_json(left)
    assert len(json.dumps(left)) <= 4000
    assert all(any(of.is_within(one) for one in covering) for of in map(_plain, changing))


def _ends(item: Item) -> tuple[str, str | None]:
    assert item.ordinary
    return item.ordinary.after, item.ordinary.up_to


def _plain(of: Range) -> Range:
    return Range(of.after, of.up_to)


# --- Keys that keep changing ---


def hot(number: int, looks: int = 1, text: str = "b") -> Range:
    return Range(f"{text}{number:04}", f"{text}{number:04}x", looks=looks)


def test_changing_keys_are_spread_over_the_workers() -> None:
    state = started(concurrency=3)
    changing = tuple(hot(number, text="0") for number in range(6))

    state = totalled(state, done(items(state)[0], "b", "c", "d", changing=changing))

    assert [len(item.ranges) for item in items(state)] == [3, 3, 3]
    assert [item.ordinary for item in items(state)] == [
        Range("b", "c"),
        Range("c", "d"),
        Range("d"),
    ]
    given = [of for item in items(state) for of in item.ranges if of.looks]
    assert sorted(given, key=lambda of: of.after) == list(changing)


def test_changing_keys_alone_have_workers_too() -> None:
    state = started(concurrency=3)

    state = totalled(state, done(items(state)[0], changing=(hot(1), hot(2))))
    assert [item.ranges for item in items(state)] == [(hot(1),), (hot(2),)]

    first, second = items(state)
    state = totalled(state, done(first, changing=(hot(1, looks=2),)), done(second))
    assert [item.ranges for item in items(state)] == [(hot(1, looks=2),)]

    state = totalled(state, done(items(state)[0], counts={"compared": 1, "unsettled": 1}))
    assert state["result"]["outcome"] == "complete"


def test_changing_keys_without_room_are_unread() -> None:
    state = started(concurrency=1)
    (item,) = items(state)
    changing = tuple(hot(number, text="b" * 500) for number in range(60))

    state = totalled(state, done(item, changing=changing, counts={"compared": 5}))

    (item,) = items(state)
    taken = len(item.ranges)
    assert 30 < taken < 60
    assert item.ranges == changing[:taken]
    assert state["counts"] == {"compared": 5 + 60 - taken, "unread": 60 - taken}


def test_a_lost_changing_key_is_left() -> None:
    state = started(concurrency=1)
    state = totalled(state, done(items(state)[0], changing=(hot(1),)))

    result = totalled(state, caught(items(state)[0]))["result"]

    assert result["outcome"] == "incomplete"
    assert from_json(result["left"]) == [_plain(hot(1))]


def test_states_keep_ranges_as_json() -> None:
    state = spread(concurrency=2)

    assert state["work"][0]["ranges"] == to_json([Range("b", "c")])


def test_changing_keys_leave_room_for_the_results_of_all_workers() -> None:
    state = started(concurrency=5)
    changing = tuple(hot(number, text="0" * 500) for number in range(150))
    item = items(state)[0]
    value = Result(item=item.ranges, rest=tuple("bcdef"), changing=changing).as_json(10**6)

    state = totalled(state, value)

    taken = sum(len(item.ranges) - 1 for item in items(state))
    assert 60 < taken < 90
    assert state["counts"]["unread"] == 150 - taken
    assert sum(item.room for item in items(state)) <= 180_000
    assert min(item.room - item.least_room for item in items(state)) > 10_000


def test_a_range_within_one_that_is_left_is_not_named_again() -> None:
    state = spread(concurrency=2) | {"lost": to_json([Range("a", "z")])}
    first, second = items(state)

    result = totalled(state, caught(first), done(second))["result"]

    assert from_json(result["left"]) == [Range("a", "z")]


def test_the_segment_with_most_cuts_gets_most_workers() -> None:
    state = spread(concurrency=4)
    first, second, third, fourth = items(state)

    state = totalled(
        state,
        done(first, "b1"),
        done(second, "c1", "c2", "c3", "c4", "c5", "c6"),
        done(third),
        done(fourth),
    )

    assert [item.ranges[0].after for item in items(state)] == ["b1", "c1", "c3", "c5"]


# --- Runs that nobody asked to repair ---


def test_an_index_that_was_never_filled_ends_such_a_run_only() -> None:
    state = started(never_filled=True)

    assert state["result"]["outcome"] == "never filled"
    assert "run file-index backfill" in state["result"]["reason"]
    assert started({"repair": False}, never_filled=True)["next"] == "work"
    backfill = started({"mode": "backfill"}, never_filled=True, name=name_of("backfill", ""))
    assert backfill["next"] == "work"


def test_its_repairs_are_limited_over_all_workers_and_rounds() -> None:
    state = started(concurrency=2)
    (item,) = items(state)
    assert item.repairs == 1000

    counts = {"orphan": 900, "repaired": 900, "compared": 900}
    state = totalled(state, done(item, "b", "m", counts=counts))
    first, second = items(state)
    assert (first.repairs, second.repairs) == (50, 50)

    counts = {"orphan": 60, "repaired": 50, "compared": 60}
    state = totalled(state, done(first, "c", counts=counts), done(second))
    (item,) = items(state)
    assert item.repairs == 50
    reason = totalled(state, done(item))["result"]["reason"]
    assert reason == "10 differences were not repaired: run file-index verify --repair"


def test_an_attempt_that_died_counts_as_if_it_had_repaired_all_it_may() -> None:
    state = started()
    (item,) = items(state)

    state = totalled(state, done(item, "b", attempt=1, repairs=item.repairs))

    assert items(state)[0].repairs == 0


def test_a_run_that_was_asked_to_repair_has_no_limit() -> None:
    assert items(started({"repair": True}))[0].repairs is None
    assert items(started(may_write=False))[0].repairs is not None
