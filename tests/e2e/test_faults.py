"""The index ends equal to the bucket, whatever goes wrong between the function and AWS.

`make faults` runs it at length and shows the figures.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial

import pytest
from rich.console import Console
from rich.table import Column, Table

from local.waiting import HANG_SECONDS, wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX, QUICK, WAYS
from tests.e2e.proxy import OF_STATEMENTS, Fault, Proxy, at_random
from tests.e2e.stack import Stack

OPERATIONS = int(os.environ.get("OPERATIONS", "80"))
KEYS = min(300, max(20, OPERATIONS // 10))
SEED = 792
"""A seed whose first 60 calls without a queue have every fault, and the first 15 every kill."""
ENOUGH_FOR_ALL_FAULTS = 5000

FEW_OPERATIONS = 200
MORE_OFTEN = max(1, FEW_OPERATIONS / OPERATIONS)
"""Few operations make few calls, so more of the calls have a fault."""
RATES = dict.fromkeys(
    (Fault.INTERNAL_ERROR, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.ANSWER_LOST),
    0.015 * MORE_OFTEN,
) | {Fault.DELAYED: 0.02 * MORE_OFTEN, Fault.LATE: 0.001 * MORE_OFTEN}
STATEMENTS_RATE = 0.1
"""The rate of each fault of statements: a process inserts little among so many overwrites."""
KILL_RATE = 0.004 * MORE_OFTEN
KILL_RATE_OF_BATCHES = 0.001 * MORE_OFTEN
"""The rate per call: a batch makes many calls, and dies with one."""

REDELIVERED_AFTER = QUICK["timeout_seconds"] + 1
MOST_SECONDS = HANG_SECONDS + OPERATIONS
SAID_EVERY_SECONDS = 15

console = Console(highlight=False, width=120)


@dataclass(frozen=True)
class Run:
    """The operations on one deployment, and their results."""

    way: str
    inserts: bool
    """Whether the function inserts records before it puts them."""
    prefix: str
    """The prefix of the run's keys."""
    operations: Counter[str]
    faults: Counter[Fault]
    replayed: int
    """How many dead letters there were."""
    left: int
    """How many dead letters were left at the end."""
    differences: Mapping[str, tuple[object, object]]
    """Differences between bucket and index, at the end."""
    seconds: float
    log: list[str]
    """The function's."""

    @property
    def invocations(self) -> int:
        return sum(line.startswith("START") for line in self.log)

    @cached_property
    def events(self) -> list[dict[str, str]]:
        """The function's lines about object events."""
        return lines_about(self.prefix, self.log)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(line["outcome"] for line in self.events)

    @property
    def redelivered(self) -> int:
        """Return events that the log has more than once; it lacks some of killed invocations."""
        return len(self.events) - len({line["s3_request_id"] for line in self.events})

    @property
    def lost(self) -> int:
        """Return the operations whose event was never processed."""
        return self.operations.total() - len(dealt_with(self.events))


def lines_about(prefix: str, log: list[str]) -> list[dict[str, str]]:
    """Return the function's lines about events of objects under the prefix."""
    lines = [json.loads(line) for line in log if line.startswith("{")]
    return [line for line in lines if line.get("key", "").startswith(prefix)]


def dealt_with(lines: list[dict[str, str]]) -> set[str]:
    """Return the ids of the S3 requests whose events did not fail."""
    return {line["s3_request_id"] for line in lines if line["outcome"] != "failed"}


def run_under_faults(stack: Stack, way: str) -> Run:
    """Change the bucket while calls fail and processes die, then wait, then replay."""
    started = time.time()
    prefix = f"{PREFIX}faults {started}/"
    keys = [f"{prefix}{number}.csv" for number in range(KEYS)]
    queued = "queue" in stack.outputs
    kill_rate = KILL_RATE_OF_BATCHES if queued else KILL_RATE
    rates = RATES | {Fault.KILLED_BEFORE: kill_rate / 2, Fault.KILLED_AFTER: kill_rate / 2}

    with ExitStack() as context:
        proxy = context.enter_context(Proxy(stack.emulator))
        context.enter_context(proxy.before(stack))
        if queued:
            context.enter_context(stack.redelivering_after(REDELIVERED_AFTER))
        with proxy.injecting(at_random(rates, STATEMENTS_RATE, SEED)):
            console.print(f"{way}: {OPERATIONS:,} operations …")
            operations = workload.run(stack, keys, OPERATIONS, SEED)
            wait_until_all_have_ended(stack, proxy, way, prefix, started)
        dead_letters = stack.dead_letters()
        if dead_letters:
            console.print(f"{way}: {stack.file_index('redrive')[1]}", markup=False)
            wait_until_all_have_ended(stack, proxy, way, prefix, started)

    left = stack.dead_letters()
    return Run(
        way=way,
        inserts="INSERT_FIRST" in stack.environment(),
        prefix=prefix,
        operations=operations,
        faults=proxy.injected,
        replayed=dead_letters - left,
        left=left,
        differences=workload.differences(stack, prefix),
        seconds=time.time() - started,
        log=stack.log(started),
    )


def wait_until_all_have_ended(
    stack: Stack, proxy: Proxy, way: str, prefix: str, started: float
) -> None:
    """Wait until every event was processed or is a dead letter, and the queue is empty."""
    last_said = time.monotonic()
    processed: set[str] = set()
    read_at = started

    def ended() -> bool:
        nonlocal last_said, read_at
        if time.monotonic() - last_said > SAID_EVERY_SECONDS:
            last_said = time.monotonic()
            console.print(
                f"{way}: {stack.waiting_messages():,} in the queue,"
                f" {stack.dead_letters():,} dead letters,"
                f" {len(workload.differences(stack, prefix))} keys differ,"
                f" {proxy.injected.total():,} faults injected"
            )
        if stack.waiting_messages():
            return False
        # Reading the whole log each time would take longer than the rest. A line can appear late,
        # with an earlier time.
        since, read_at = max(started, read_at - HANG_SECONDS), time.time()
        processed.update(dealt_with(lines_about(prefix, stack.log(since))))
        return len(processed) + stack.dead_letters() >= OPERATIONS

    wait_for(ended, lambda: workload.differences(stack, prefix), MOST_SECONDS)


def show(runs: Collection[Run]) -> None:
    """Print all runs side by side."""
    table = Table(
        Column("", no_wrap=True),
        *(Column(run.way, justify="right") for run in runs),
        title=f"{OPERATIONS:,} operations, {KEYS} keys",
    )
    rows: dict[str, Callable[[Run], int]] = {
        **{kind: partial(_count, "operations", kind) for kind in ("puts", "overwrites", "deletes")},
        **{f"fault: {fault}": partial(_count, "faults", fault) for fault in Fault},
        "invocations": lambda run: run.invocations,
        **{
            f"events {outcome}": partial(_count, "outcomes", outcome)
            for outcome in ("indexed", "removed", "superseded", "failed")
        },
        "events redelivered": lambda run: run.redelivered,
        "dead letters, replayed": lambda run: run.replayed,
        "dead letters, left": lambda run: run.left,
        "events lost": lambda run: run.lost,
        "keys that differ": lambda run: len(run.differences),
        "seconds": lambda run: round(run.seconds),
    }
    for name, value in rows.items():
        table.add_row(name, *(f"{value(run):,}" for run in runs))
    console.print(table)


def _count(counter: str, what: str, run: Run) -> int:
    counted: Counter[str] = getattr(run, counter)
    return counted[what]


@pytest.fixture(scope="module")
def runs() -> Iterator[list[Run]]:
    """The runs of this process, which are shown at the end."""
    done: list[Run] = []
    yield done
    show(done)


@pytest.mark.parametrize(
    "stack",
    [
        pytest.param(way, marks=[] if way == "eventbridge_queued" else pytest.mark.long)
        for way in WAYS
    ],
    indirect=True,
)
def test_no_event_is_lost_under_faults(stack: Stack, runs: list[Run]) -> None:
    run = run_under_faults(stack, WAYS[stack.name])
    runs.append(run)

    assert run.differences == {}
    assert (run.lost, run.left) == (0, 0)
    if FEW_OPERATIONS < OPERATIONS < ENOUGH_FOR_ALL_FAULTS:
        return  # chance decides which faults there are
    assert run.faults[Fault.KILLED_BEFORE] + run.faults[Fault.KILLED_AFTER] > 0
    # A batch makes few calls.
    if OPERATIONS >= ENOUGH_FOR_ALL_FAULTS or "queue" not in run.way:
        possible = set(Fault) if run.inserts else set(Fault) - OF_STATEMENTS.keys()
        assert set(run.faults) == possible
