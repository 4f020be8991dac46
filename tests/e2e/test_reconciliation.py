"""Runs of the state machine with the real worker: they find and mend what differs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from local.deployment import without_events
from local.waiting import wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Call, Fault, Proxy, at_random
from tests.e2e.stack import Stack
from tests.e2e.worker import Worker

KINDS = ("phantom", "orphan", "mismatch", "filtered out")


@pytest.fixture
def worker(unversioned: Stack) -> Worker:
    return Worker.of(unversioned)


@pytest.fixture
def prefix() -> str:
    """A prefix of the test's own."""
    return f"{PREFIX}{uuid4().hex[:8]}/"


def drifts(result: dict[str, dict[str, int]]) -> dict[str, int]:
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


LOST = {"phantom": 1, "orphan": 1, "mismatch": 1}


def test_lost_events_are_found_and_mended(worker: Worker, prefix: str) -> None:
    lose_events(worker, prefix)
    before = workload.differences(worker, prefix)

    found = worker.run(prefix=prefix, repair=False)

    assert (found["outcome"], drifts(found), found["counts"]["compared"]) == ("complete", LOST, 4)
    assert workload.differences(worker, prefix) == before

    mended = worker.run(prefix=prefix)

    assert (mended["outcome"], drifts(mended)) == ("complete", LOST)
    assert (mended["counts"]["repaired"], mended["at_least"]) == (3, False)
    assert workload.differences(worker, prefix) == {}
    differences = wait_for(
        lambda: len(found := worker.lines_about(prefix, "difference")) == 6 and found,
        worker.log_lines,
    )
    assert {line["kind"]: line["key"].removeprefix(prefix) for line in differences} == {
        "phantom": "deleted.csv",
        "orphan": "put.csv",
        "mismatch": "overwritten.csv",
    }
    assert all("_aws" in line for line in differences)

    clean = worker.run(prefix=prefix)

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
