"""Whatever goes wrong between function and AWS, the index ends equal to the bucket.

`make faults` runs it at length and shows the figures.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import pytest
from rich.console import Console
from rich.table import Table

from local.waiting import wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX, WAYS
from tests.e2e.proxy import Fault, Proxy, at_random
from tests.e2e.stack import Stack

OPERATIONS = int(os.environ.get("OPERATIONS", "300"))
KEYS = 300
SEED = 3

RATES = dict.fromkeys(
    (Fault.INTERNAL_ERROR, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.ANSWER_LOST), 0.015
) | {Fault.DELAYED: 0.02, Fault.LATE: 0.001}
KILL_RATE = 0.004
KILL_RATE_OF_BATCHES = 0.001
"""For each call: a batch makes many, and dies with one."""

REDELIVERED_AFTER = 16
QUIET_SECONDS = 8
"""Longer than a try takes to give up, or Lambda waits (on the local AWS) to try again."""

console = Console(highlight=False)


@dataclass(frozen=True)
class Figures:
    """What one run did and what became of it."""

    way: str
    operations: Counter[str]
    faults: Counter[Fault]
    dead_letters: int
    seconds: float
    log: list[str]
    """The function's log of the run."""
    prefix: str
    """Of the run's keys."""

    @property
    def invocations(self) -> int:
        return sum(line.startswith("START") for line in self.log)

    @cached_property
    def events(self) -> list[dict[str, str]]:
        """The function's lines about object events."""
        lines = [json.loads(line) for line in self.log if line.startswith("{")]
        return [line for line in lines if line.get("key", "").startswith(self.prefix)]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(line["outcome"] for line in self.events)

    @property
    def redelivered(self) -> int:
        """Events that the log has more than once; of a killed invocation it has not all."""
        return len(self.events) - len({line["s3_request_id"] for line in self.events})

    @property
    def lost(self) -> int:
        """Operations whose event was never dealt with."""
        dealt_with = {line["s3_request_id"] for line in self.events if line["outcome"] != "failed"}
        return self.operations.total() - len(dealt_with)


@pytest.fixture(scope="module")
def report() -> Iterator[list[Figures]]:
    """Shows all runs side by side, at the end."""
    runs: list[Figures] = []
    yield runs
    table = Table("", *(run.way for run in runs), title=f"{OPERATIONS:,} operations, {KEYS} keys")
    rows: Mapping[str, list[int]] = {
        **{
            kind: [run.operations[kind] for run in runs]
            for kind in ("puts", "overwrites", "deletes")
        },
        **{f"fault: {fault}": [run.faults[fault] for run in runs] for fault in Fault},
        "invocations": [run.invocations for run in runs],
        **{
            f"events {outcome}": [run.outcomes[outcome] for run in runs]
            for outcome in ("indexed", "removed", "superseded", "failed")
        },
        "redelivered": [run.redelivered for run in runs],
        "dead letters, replayed": [run.dead_letters for run in runs],
        "lost": [run.lost for run in runs],
        "seconds": [round(run.seconds) for run in runs],
    }
    for name, values in rows.items():
        table.add_row(name, *(f"{value:,}" for value in values))
    console.print(table)


@pytest.mark.parametrize("stack", WAYS, indirect=True)
def test_no_event_is_lost_under_faults(
    stack: Stack, report: list[Figures], request: pytest.FixtureRequest
) -> None:
    way = WAYS[request.node.callspec.params["stack"]]
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
        with proxy.injecting(at_random(rates, SEED)):
            done = workload.run(stack, keys, OPERATIONS, SEED)
            console.print(f"\n{way}: {done.total():,} operations done; the index follows …")
            wait_until_quiet(stack, proxy, prefix)
        dead_letters = stack.dead_letters()
        if dead_letters:
            code, said = stack.redrive()
            assert code == 0, said
            assert f"{dead_letters:,} replayed, 0 failed again, 0 left" in said
            wait_until_quiet(stack, proxy, prefix)

    figures = Figures(
        way=way,
        operations=done,
        faults=proxy.injected,
        dead_letters=dead_letters,
        seconds=time.time() - started,
        log=stack.log(started),
        prefix=prefix,
    )
    report.append(figures)
    assert workload.differences(stack, prefix) == {}
    assert figures.lost == 0
    assert stack.dead_letters() == 0


def wait_until_quiet(stack: Stack, proxy: Proxy, prefix: str) -> None:
    """Wait until the queue is empty and nobody calls any more."""
    last_said = time.monotonic()

    def quiet() -> bool:
        nonlocal last_said
        if time.monotonic() - last_said > QUIET_SECONDS:
            last_said = time.monotonic()
            console.print(
                f"  {stack.waiting_messages():,} in the queue, "
                f"{stack.dead_letters():,} dead letters,"
                f" {len(workload.differences(stack, prefix))} keys differ,"
                f" {proxy.injected.total():,} faults injected"
            )
        return not stack.waiting_messages() and time.monotonic() - proxy.last_call > QUIET_SECONDS

    wait_for(quiet, lambda: workload.differences(stack, prefix), seconds=3600)
