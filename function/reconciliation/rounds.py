"""A run in rounds: which ranges the workers of the next round get, and when the run ends.

The state machine keeps no state of its own. It passes the state of a run to `begin` or `total`,
and what they return says what comes next. Each state is JSON of less than 200,000 bytes, because
Step Functions refuses more than 256 KiB.
"""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from ..events import MAX_KEY_BYTES
from ..ranges import Range, from_json, size, to_json
from .comparison import Kind
from .items import Item, Result, shortened

MODES = ("verify", "backfill")

NEVER_FILLED = "the index has no record of the bucket, which has objects: run file-index backfill"

MOST_ROUNDS = 200
MOST_ITERATIONS = 2_000
"""Each attempt counts. An iteration has about 10 events, and a Standard execution at most 25,000.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""
LONGEST_RUN = timedelta(hours=21)
"""Three hours less than the time-out of the state machine, so that a round can end before it."""

_ROOM_FOR_WORK = 180_000
_ROOM_FOR_ITEM = 40_000
"""Filters of 150,000 bytes and a prefix travel beside it."""
_ROOM_FOR_KEYS = 4_000
_ROOM_FOR_LEFT = 4_000
_ROOM_FOR_CAUSES = 2_000
_LONGEST_SHOWN = 300
_MOST_KEYS = 5
_FIRST_BUDGET_SECONDS = 20
_LONGEST_BUDGET_SECONDS = 600
_NAMED = re.compile(r"((?:verify|backfill)-(?:all|[0-9a-f]{12}))-.+")


def kind_of(mode: str, prefix: str) -> str:
    """Return the kind of a run: two runs of a kind do the same work."""
    digest = hashlib.sha256(prefix.encode()).hexdigest()[:12] if prefix else "all"
    return f"{mode}-{digest}"


def name_of(mode: str, prefix: str) -> str:
    """Return a new name for a run. It begins with the kind, because a list of runs has no more."""
    return f"{kind_of(mode, prefix)}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def begin(
    request: Mapping[str, Any],
    *,
    may_write: bool,
    repair_at_most: int,
    is_never_filled: Callable[[], bool],
) -> dict[str, Any]:
    """Return the state of a run before its first round.

    `may_write` is the worker's permission. A run that was not told whether to repair repairs if it
    may, but at most so many keys, and does nothing if the index was never filled.
    """
    run = {
        "mode": "verify",
        "prefix": "",
        "repair": may_write,
        "repair_at_most": None,
        "name": request["name"],
        "started": request["started"],
        "concurrency": request["concurrency"],
    }
    refusal = _refusal(request["input"], request["name"], may_write=may_write)
    if refusal:
        return _ended(_state(run), "failed", refusal)
    run |= {name: value for name, value in request["input"].items() if value is not None}
    if other := _earlier(request, run):
        reason = (
            f"run {other} of the same kind is under way: start this one again when it has ended"
        )
        return _ended(_state(run), "skipped", reason)
    if request["input"].get("repair") is None and run["mode"] == "verify":
        run["repair_at_most"] = repair_at_most
        if is_never_filled():
            return _ended(_state(run), "never filled", NEVER_FILLED)
    return _next_round(_state(run), [[Range()]], [])


def _refusal(given: Any, name: str, *, may_write: bool) -> str | None:
    """Return why a run with this input must not begin; None if it may."""
    if not isinstance(given, Mapping) or given.keys() - {"mode", "prefix", "repair"}:
        shown = shortened(repr(given), _LONGEST_SHOWN)
        return f"the input is {shown}: expected an object with any of mode, prefix and repair"
    mode, prefix, repair = (given.get(name) for name in ("mode", "prefix", "repair"))
    if mode not in (None, *MODES):
        shown = shortened(repr(mode), _LONGEST_SHOWN)
        return f"mode is {shown}: expected one of {', '.join(MODES)}"
    if not (prefix is None or _begins_keys(prefix)) or not isinstance(repair, bool | None):
        return f"prefix must be text of at most {MAX_KEY_BYTES} bytes, and repair true or false"
    if not may_write and (repair or mode == "backfill"):
        return "the worker may not write: set reconciliation.repair = true and apply"
    kind = kind_of(mode or "verify", prefix or "")
    if kind != kind_in(name):
        return f"the name of such a run must begin with {kind}-, so that others can tell its kind"
    return None


def _begins_keys(prefix: Any) -> bool:
    try:
        return isinstance(prefix, str) and len(prefix.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:  # JSON can hold a lone surrogate
        return False


def kind_in(name: str) -> str:
    """Return the kind of the run with this name; a name that says none is of the schedule."""
    named = _NAMED.fullmatch(name)
    return named[1] if named else kind_of("verify", "")


def _earlier(request: Mapping[str, Any], run: Mapping[str, Any]) -> str | None:
    """Return the name of a run of the same kind that began earlier and has not ended."""
    kind = kind_of(run["mode"], run["prefix"])

    def order(other: Mapping[str, Any]) -> tuple[str, str]:
        return str(other["StartDate"]), other["ExecutionArn"]

    others = [one for one in request["running"] if kind_in(one["Name"]) == kind]
    # A list may not have the run itself yet.
    own = order({"StartDate": request["started"], "ExecutionArn": request["execution"]})
    own = next((order(one) for one in others if order(one)[1] == own[1]), own)
    earlier = [one["Name"] for one in others if order(one) < own]
    return earlier[0] if earlier else None


def total(state: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return the state after a round, in which the results of the workers are `work`."""
    done = dict(state)
    counts = Counter(state["counts"])
    lost = from_json(state["lost"])
    keys, causes = list(state["keys"]), list(state["causes"])
    segments: list[list[Range]] = []
    changing: list[Range] = []
    repaired = 0
    for value in state["work"]:
        result = _result(value)
        # A worker that ended with an error may have logged, and repaired, what nobody counts.
        done["at_least"] |= result.attempt > 0 or result.error is not None
        done["iterations"] += result.attempt
        repaired += result.counts.get("repaired", 0) + _unknown_repairs(result)
        if result.error:
            causes.append(result.error)
            lost += result.item
            continue
        counts.update(result.counts)
        keys += result.keys
        segments += [result.left] if result.left else []
        changing += result.changing
    done |= {
        "counts": dict(counts),
        "keys": _fitting(keys[:_MOST_KEYS], _ROOM_FOR_KEYS),
        "causes": _fitting(list(dict.fromkeys(causes)), _ROOM_FOR_CAUSES),
        "lost": to_json(_covering(lost)),
        "repairs": None if state["repairs"] is None else max(0, state["repairs"] - repaired),
    }
    if not (segments or changing):
        outcome = "incomplete" if lost or _is_unread(counts) else "complete"
        return _ended(done, outcome, _unrepaired(done))
    if limit := _limit(done, now):
        left = [of for segment in segments for of in segment] + changing
        done["lost"] = to_json(_covering([*lost, *left]))
        return _ended(done, "incomplete", limit)
    return _next_round(done, segments, changing)


def _result(value: Mapping[str, Any]) -> Result:
    try:
        return Result.of(value)
    except (KeyError, TypeError, ValueError) as error:
        item = tuple(from_json(value["ranges"]))
        return Result(item=item, error=f"the worker's result is wrong: {error}")


def _unknown_repairs(result: Result) -> int:
    """Return the most that the first attempt has repaired if it died: later ones repair nothing."""
    is_known = result.attempt == 0 and not result.error
    return 0 if is_known else result.repairs or 0


def _unrepaired(state: Mapping[str, Any]) -> str:
    """Say how to repair what the run was not allowed to repair, if there is anything."""
    if state["repairs"] is None or not state["run"]["repair"]:
        return ""
    counts = state["counts"]
    kept = counts.get(str(Kind.FILTERED_OUT), 0)
    left = sum(counts.get(str(kind), 0) for kind in Kind) - kept
    left -= counts.get("repaired", 0) + counts.get("unrepaired", 0)
    reasons = []
    if left:
        reasons.append(f"{left} differences were not repaired: run file-index verify --repair")
    if kept:
        reasons.append(
            f"{kept} records are filtered out: if the filters are right, file-index verify --repair"
            " removes the records"
        )
    return "; ".join(reasons)


def _is_unread(counts: Mapping[str, int]) -> bool:
    return any(counts.get(name) for name in ("unread", "unrepaired", "failed"))


def _limit(state: Mapping[str, Any], now: datetime) -> str | None:
    """Return why the run must end before all is done; None if it may go on."""
    if state["round"] >= MOST_ROUNDS:
        return f"the run ended after {MOST_ROUNDS} rounds"
    if state["iterations"] + state["run"]["concurrency"] > MOST_ITERATIONS:
        return f"the run ended after {state['iterations']} iterations"
    if now - datetime.fromisoformat(state["run"]["started"]) >= LONGEST_RUN:
        return f"the run ended after {LONGEST_RUN.total_seconds() / 3600:.0f} hours"
    return None


def _state(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": run,
        "round": 0,
        "iterations": 0,
        "counts": {},
        "keys": [],
        "causes": [],
        "at_least": False,
        "lost": [],
        "repairs": run["repair_at_most"],
    }


def _next_round(
    state: Mapping[str, Any], segments: Sequence[Sequence[Range]], changing: Sequence[Range]
) -> dict[str, Any]:
    """Return the state of the next round. Each segment is made of neighbouring ranges."""
    workers = state["run"]["concurrency"]
    budget = min(_LONGEST_BUDGET_SECONDS, _FIRST_BUDGET_SECONDS * 3 ** state["round"])
    shares = [[of] for segment in _shared(segments, workers) for of in segment]
    shares += [[] for _ in range(min(workers, len(changing)) - len(shares))]
    allowed = state["repairs"]
    items = [
        Item(
            ranges=tuple(of),
            budget_seconds=budget,
            pieces=workers,
            room=0,
            # The first items get the remainder.
            repairs=allowed if allowed is None else (allowed + number) // len(shares),
        )
        for number, of in enumerate(reversed(shares))
    ][::-1]
    free = _ROOM_FOR_WORK - sum(item.least_room for item in items)
    items, dropped = _with_changing(items, changing, free // 2)
    counts = Counter(state["counts"])
    counts.update({"compared": dropped, "unread": dropped} if dropped else {})
    room = (_ROOM_FOR_WORK - sum(item.least_room for item in items)) // len(items)
    work = [replace(item, room=item.least_room + room).as_json() for item in items]
    return {
        **state,
        "counts": dict(counts),
        "next": "work",
        "round": state["round"] + 1,
        "iterations": state["iterations"] + len(work),
        "work": work,
        "result": None,
    }


def _with_changing(
    items: Sequence[Item], changing: Iterable[Range], room: int
) -> tuple[list[Item], int]:
    """Spread keys that keep changing over the items; return also how many found no room."""
    shares, dropped = [list(item.ranges) for item in items], 0
    sizes = [size(item.as_json()) for item in items]
    for key in changing:
        needed = size(to_json([key]))
        smallest = sizes.index(min(sizes))
        if needed > room or sizes[smallest] + needed > _ROOM_FOR_ITEM:
            dropped += 1
            continue
        shares[smallest].append(key)
        sizes[smallest] += needed
        room -= needed
    return [
        replace(item, ranges=tuple(of)) for item, of in zip(items, shares, strict=True) if of
    ], dropped


def _shared(segments: Sequence[Sequence[Range]], pieces: int) -> list[list[Range]]:
    """Merge neighbours until there are at most so many ranges: each segment keeps its share."""
    numbers = [1] * len(segments)
    for _ in range(pieces - len(segments) if segments else 0):
        # The segment whose ranges would stand for most cuts gets one range more.
        most = max(range(len(segments)), key=lambda number: len(segments[number]) / numbers[number])
        if len(segments[most]) <= numbers[most]:
            break
        numbers[most] += 1
    return [_merged(segment, number) for segment, number in zip(segments, numbers, strict=True)]


def _merged(segment: Sequence[Range], number: int) -> list[Range]:
    """Merge neighbouring ranges into so many."""
    starts = [segment[rank * len(segment) // number].after for rank in range(number)]
    return [Range(start or "", end) for start, end in pairwise([*starts, segment[-1].up_to])]


def _covering(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges that have all these keys, and perhaps others, but fit into a state."""
    found: list[Range] = []
    for of in sorted(ranges, key=lambda of: of.after):
        last = found[-1] if found else None
        if last and (last.up_to is None or of.after <= last.up_to):
            found[-1] = Range(last.after, _further(last.up_to, of.up_to))
        else:
            found.append(Range(of.after, of.up_to))
    while size(to_json(found)) > _ROOM_FOR_LEFT:
        found = [
            Range(one[0].after, one[-1].up_to)
            for one in (found[first : first + 2] for first in range(0, len(found), 2))
        ]
    return found


def _further(one: str | None, other: str | None) -> str | None:
    return None if one is None or other is None else max(one, other)


def _fitting(values: Sequence[Any], room: int) -> list[Any]:
    """Return the first values that fit."""
    found: list[Any] = []
    for value in values:
        if size([*found, value]) <= room:
            found.append(value)
    return found


def _ended(state: Mapping[str, Any], outcome: str, reason: str = "") -> dict[str, Any]:
    run = state["run"]
    result = {
        "outcome": outcome,
        "reason": reason,
        "mode": run["mode"],
        "prefix": run["prefix"],
        "repair": run["repair"],
        "name": run["name"],
        "started": run["started"],
        "rounds": state["round"],
        "counts": state["counts"],
        "keys": state["keys"],
        "causes": state["causes"],
        "left": state["lost"],
        "at_least": state["at_least"],
    }
    return {**state, "next": "end", "work": [], "result": result}
