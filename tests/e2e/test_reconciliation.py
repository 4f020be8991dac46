"""Runs of the state machine with the real worker: they find and mend what differs."""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from local.deployment import without_events
from local.waiting import wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Call, Fault, Proxy
from tests.e2e.stack import Stack
from tests.e2e.worker import Worker

T = TypeVar("T")

KINDS = ("phantom", "orphan", "mismatch", "filtered out")


@pytest.fixture
def worker(unversioned: Stack) -> Worker:
    return Worker.of(unversioned)


@pytest.fixture
def prefix() -> str:
    """A prefix of the test's own."""
    return f"{PREFIX}{uuid4().hex[:8]}/"


def drifts(result: Mapping[str, Any]) -> dict[str, int]:
    """The differences that a run found, by kind."""
    return {kind: n for kind in KINDS if (n := result["counts"].get(kind, 0))}


def lose_events(worker: Worker, prefix: str) -> None:
    """Put, delete and overwrite an object each without an event, beside one that stays."""
    names = ("deleted", "overwritten", "stays")
    for name in names:
        worker.put(f"{prefix}{name}.csv")
    for name in names:
        worker.wait_until_indexed(f"{prefix}{name}.csv")
    with without_events(worker.s3, worker.bucket):
        worker.put(f"{prefix}put.csv")
        worker.put(f"{prefix}overwritten.csv", b"longer")
        worker.delete(f"{prefix}deleted.csv")
    # A record from before the filters were as they are.
    unwatched = worker.upload_event(f"{prefix}unwatched.txt", eTag="e", size=1)
    assert worker.function.invoke(unwatched)[0] is None


LOST = {"phantom": 1, "orphan": 1, "mismatch": 1, "filtered out": 1}


def test_lost_events_are_found_and_mended(worker: Worker, prefix: str) -> None:
    lose_events(worker, prefix)
    before = workload.differences(worker, prefix)

    found = worker.run(prefix=prefix, repair=False)

    assert (found["outcome"], drifts(found), found["counts"]["compared"]) == ("complete", LOST, 5)
    assert workload.differences(worker, prefix) == before

    mended = worker.run(prefix=prefix, repair=True)

    assert (mended["outcome"], drifts(mended)) == ("complete", LOST)
    assert (mended["counts"]["repaired"], mended["at_least"]) == (4, False)
    assert workload.differences(worker, prefix) == {}
    differences = worker.wait_for_lines(prefix, "difference", 8)
    assert {line["kind"]: line["key"].removeprefix(prefix) for line in differences} == {
        "phantom": "deleted.csv",
        "orphan": "put.csv",
        "mismatch": "overwritten.csv",
        "filtered out": "unwatched.txt",
    }
    assert all("_aws" in line for line in differences)

    clean = worker.run(prefix=prefix, repair=True)

    assert (clean["outcome"], drifts(clean), clean["counts"]["compared"]) == ("complete", {}, 3)


def test_a_second_run_is_skipped_while_one_is_under_way_but_not_one_for_a_prefix(
    worker: Worker, prefix: str
) -> None:
    with without_events(worker.s3, worker.bucket):
        worker.put(f"{prefix}put.csv")  # which makes the first run wait for the grace period
    names = [f"{number} {prefix[-6:-1]}" for number in (1, 2)]

    first, second = [worker.start_run(name, repair=False) for name in names]
    third = worker.start_run(prefix=prefix, repair=False)

    skipped = worker.result(second)
    assert (skipped["outcome"], skipped["counts"]) == ("skipped", {})
    assert names[0] in skipped["reason"]
    assert drifts(worker.result(third)) == {"orphan": 1}
    assert drifts(worker.result(first))["orphan"] >= 1


def test_a_deployment_without_repair_verifies_and_refuses_to_write(external: Stack) -> None:
    worker = Worker.of(external)
    prefix = f"{PREFIX}{uuid4().hex[:8]}/"
    with without_events(worker.s3, worker.bucket):
        worker.put(f"{prefix}put.csv")

    refused = worker.run(prefix=prefix, repair=True)
    verified = worker.run(prefix=prefix)

    assert refused["outcome"] == "failed"
    assert "set reconciliation.repair = true and apply" in refused["reason"]
    assert (verified["outcome"], verified["repair"], drifts(verified)) == (
        *("complete", False),
        {"orphan": 1},
    )
    assert worker.record(f"{prefix}put.csv") is None


def test_a_backfill_inserts_what_is_missing_and_leaves_tombstones_alone(
    worker: Worker, prefix: str
) -> None:
    gone, there = f"{prefix}gone.csv", f"{prefix}there.csv"
    worker.put(gone)
    worker.wait_until_indexed(gone)
    worker.delete(gone)
    tombstone = worker.wait_until_removed(gone)
    with without_events(worker.s3, worker.bucket):
        worker.put(gone)
        worker.put(there)
        worker.put(f"{prefix}unwatched.txt")

    result = worker.run(mode="backfill", prefix=prefix)

    assert (result["outcome"], result["counts"]["objects"]) == ("complete", 2)
    assert (result["counts"]["written"], result["counts"]["failed"]) == (1, 0)
    assert worker.record(gone) == tombstone
    assert worker.index.get(worker.bucket, there)
    assert worker.record(f"{prefix}unwatched.txt") is None


FEW = 150
"""Keys of each kind of drift, enough for several workers under faults."""
MANY = 20_000
LONG_SECONDS = 1800
"""A limit that only a hang exceeds."""
FAULTS = (Fault.INTERNAL_ERROR, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.ANSWER_LOST)
FAULT_RATE = 0.01
KILLS = 3
GRACE_UNDER_LOAD = 5
"""Seconds: on a busy machine the local AWS is slow with events."""
OPERATIONS = 16
"""On the bucket, until their events have been processed."""
RUNS = 20


def in_parallel(do: Callable[[str], object], things: Iterable[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(do, things))


def parts(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield the things, so many at a time."""
    return (things[first : first + most] for first in range(0, len(things), most))


def lose_many_events(worker: Worker, prefix: str) -> dict[str, int]:
    """Cause many differences of each kind."""
    keys = [f"{prefix}{number:03}.csv" for number in range(3 * FEW)]
    with without_events(worker.s3, worker.bucket):
        in_parallel(worker.put, keys[:FEW] + keys[2 * FEW :])
    for some in parts(keys[FEW:], 100):
        records = [
            worker.upload_event(key, eTag="of another object", size=7)["Records"][0] for key in some
        ]
        assert worker.function.invoke({"Records": records})[0] is None
    assert len(workload.differences(worker, prefix)) == len(keys)
    return {"phantom": FEW, "orphan": FEW, "mismatch": FEW}


def forget(worker: Worker, prefix: str) -> None:
    """Delete all records below the prefix."""
    dynamodb = worker.emulator.client("dynamodb")
    table = worker.outputs["table"]["name"]
    keys = [record.key for record in worker.index.list_prefix(worker.bucket, prefix)]
    requests = [
        {"DeleteRequest": {"Key": {"partition": {"S": worker.bucket}, "key": {"S": key}}}}
        for key in keys
    ]
    for some in parts(requests, 25):
        dynamodb.batch_write_item(RequestItems={table: some})


@pytest.mark.long
def test_a_worker_killed_after_its_first_repair_hides_no_difference(
    worker: Worker, prefix: str
) -> None:
    lose_events(worker, prefix)
    killed: list[Call] = []

    def decide(call: Call) -> Fault | None:
        if call.operation != "PutItem" or killed:
            return None
        killed.append(call)
        return Fault.KILLED_AFTER

    with Proxy(worker.emulator) as proxy, proxy.before(worker), proxy.injecting(decide):
        result = worker.run(prefix=prefix, repair=True)

    assert (result["outcome"], result["at_least"]) == ("complete", True)
    assert sum(drifts(result).values()) < sum(LOST.values())
    assert workload.differences(worker, prefix) == {}
    logged = {line["kind"] for line in worker.lines_about(prefix, "difference")}
    assert logged == LOST.keys()


@pytest.mark.long
def test_two_runs_that_repair_the_same_keys_are_harmless(worker: Worker, prefix: str) -> None:
    lost = lose_many_events(worker, prefix)
    before = workload.differences(worker, prefix)

    runs = [worker.start_run(repair=True), worker.start_run(prefix=prefix, repair=True)]
    whole, part = map(worker.result, runs)

    assert whole["outcome"] == part["outcome"] == "complete"
    assert workload.differences(worker, prefix) == {}
    assert all(number <= lost[kind] for kind, number in drifts(part).items())
    repaired = worker.lines_about(prefix, "repaired")
    assert {line["key"] for line in repaired} == before.keys()
    assert {line["run"] for line in repaired} == {whole["name"], part["name"]}
    assert drifts(worker.run(prefix=prefix, repair=True)) == {}


@pytest.mark.long
def test_workers_that_are_throttled_and_killed_change_no_result(
    worker: Worker, prefix: str
) -> None:
    lost = lose_many_events(worker, prefix)
    chance = random.Random(7)  # noqa: S311 # no secret
    calls, kills = count(), iter(range(KILLS))

    def decide(_: Call) -> Fault | None:
        if next(calls) % 200 == 150 and next(kills, None) is not None:
            return Fault.KILLED_AFTER
        return chance.choice(FAULTS) if chance.random() < FAULT_RATE else None

    with Proxy(worker.emulator) as proxy, proxy.before(worker), proxy.injecting(decide):
        found = worker.run(prefix=prefix, repair=False)
        mended = worker.run(prefix=prefix, repair=True)
        injected = proxy.injected

    assert (found["outcome"], drifts(found)) == ("complete", lost)
    assert mended["outcome"] == "complete"
    assert found["at_least"] or mended["at_least"]
    assert workload.differences(worker, prefix) == {}
    assert drifts(worker.run(prefix=prefix, repair=True)) == {}
    assert injected.keys() == {*FAULTS, Fault.KILLED_AFTER}


@pytest.mark.long
def test_runs_under_live_writes_find_no_false_drift(worker: Worker, prefix: str) -> None:
    own = worker.environment()
    worker.set_environment(own | {"GRACE_SECONDS": str(GRACE_UNDER_LOAD)})
    stopped = threading.Event()

    def write() -> int:
        """Return the number of operations. Few are under way, or their events would be late."""
        for seed in count():
            if stopped.is_set():
                return seed * OPERATIONS
            own_keys = [f"{prefix}{seed}/{number}.csv" for number in range(OPERATIONS // 2)]
            workload.run(worker, own_keys, OPERATIONS, seed)
            wait_for(lambda: workload.differences(worker, f"{prefix}{seed}/") == {}, worker.log)  # noqa: B023 # waited for
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            results = [worker.run(prefix=prefix, repair=False) for _ in range(RUNS)]
        finally:
            stopped.set()
            worker.set_environment(own)

    assert writing.result() > RUNS * OPERATIONS
    assert [(one["outcome"], drifts(one)) for one in results] == [("complete", {})] * RUNS
    assert results[-1]["counts"]["compared"] > 0


@pytest.fixture(scope="module")
def many(unversioned: Stack) -> str:
    """A prefix with many objects and no record."""
    prefix = f"{PREFIX}{uuid4().hex[:8]}/"
    with without_events(unversioned.s3, unversioned.bucket):
        in_parallel(unversioned.put, (f"{prefix}{number:06}.csv" for number in range(MANY)))
    return prefix


@contextmanager
def changing(stack: Stack, key: str) -> Iterator[None]:
    """Keep changing an object, and keep its record different."""
    stopped = threading.Event()

    def change() -> None:
        for number in count():
            if stopped.is_set():
                return
            stack.put(key, b"x" * (number % 1000 + 1))
            stack.invoke(stack.upload_event(key, eTag=f"of another object {number}", size=number))

    with ThreadPoolExecutor(1) as pool, without_events(stack.s3, stack.bucket):
        done = pool.submit(change)
        try:
            yield
        finally:
            stopped.set()
        done.result()


@pytest.mark.long
def test_many_orphans_and_one_key_that_keeps_changing(
    worker: Worker, unversioned: Stack, many: str
) -> None:
    hot = f"{many}010000.csv"

    with changing(unversioned, hot):
        result = worker.run(LONG_SECONDS, prefix=many, repair=True)

    assert result["outcome"] == "complete"
    counts = result["counts"]
    assert (counts["compared"], counts["orphan"], counts["repaired"]) == (
        *(MANY, MANY - 1),
        MANY - 1,
    )
    assert (counts["unsettled"], counts["unread"]) == (1, 0)
    assert result["rounds"] > 1
    assert workload.differences(worker, many).keys() == {hot}
    again = worker.run(LONG_SECONDS, prefix=many, repair=True)
    assert (again["outcome"], drifts(again)) == ("complete", {"mismatch": 1})


@pytest.mark.long
def test_a_backfill_stopped_in_the_middle_and_started_again_equals_the_bucket(
    worker: Worker, many: str
) -> None:
    forget(worker, many)
    gone = f"{many}000500.csv"
    worker.delete(gone)
    tombstone = worker.wait_until_removed(gone)
    with without_events(worker.s3, worker.bucket):
        worker.put(gone)

    def filled() -> int:
        return sum(1 for _ in worker.index.list_prefix(worker.bucket, many))

    stopped = worker.start_run(mode="backfill", prefix=many)
    wait_for(lambda: filled() > 1000, filled)
    worker.stop(stopped)
    at_stop = filled()
    result = worker.run(LONG_SECONDS, mode="backfill", prefix=many)

    assert at_stop < MANY - 1
    assert (result["outcome"], result["counts"]["objects"]) == ("complete", MANY)
    assert workload.differences(worker, many).keys() == {gone}
    assert worker.record(gone) == tombstone


def test_a_backfill_and_a_repair_reach_every_partition_of_the_table(metadata: Stack) -> None:
    worker = Worker.of(metadata)
    prefix = f"{PREFIX}{uuid4().hex[:8]}/"
    keys = [f"{prefix}{number}.csv" for number in range(9)]
    with without_events(worker.s3, worker.bucket):
        for key in keys:
            worker.put(key)

    filled = worker.run(mode="backfill", prefix=prefix)
    with without_events(worker.s3, worker.bucket):
        for key in keys[1:]:
            worker.delete(key)
    mended = worker.run(prefix=prefix, repair=True)

    assert (filled["outcome"], filled["counts"]["written"]) == ("complete", 9)
    assert (drifts(mended), mended["counts"]["repaired"]) == ({"phantom": 8}, 8)
    assert worker.outputs["table"]["partitions"] == 3
    assert workload.differences(worker, prefix) == {}
