"""`file-index backfill` on the local AWS: moto cannot insert with BatchExecuteStatement."""

import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event

import psutil
import pytest
from rich.console import Console

from cli.function.reconciliation.workers import WORKERS
from cli.function.record import FileRecord, ObjectState
from local.emulator import Emulator
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e import workload
from tests.e2e.bare import TOGETHER, Bare
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Call, Decide, Fault, Proxy
from tests.e2e.stack import Stack

OBJECTS = int(os.environ.get("OBJECTS", "3000"))
FEW = 120
MANY = 1700
"""Objects, enough for two interrupted backfills that each write up to BEGUN batches."""
BEGUN = 2 * WORKERS + 2
"""The first batch that is written only after a checkpoint of another batch."""
MOST_MB = 120
KEYS = (
    "a/1",
    "in box/ü+.csv",
    "line\nbreak",
    "quote'\"?",
    "Same",
    "same",
    "trailing ",
    "x" * 1024,
    "\x1b[31mred",
    "\U0001f600",
)
NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)

console = Console(highlight=False, width=120)


def fill(bare: Bare, number_of_objects: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bare.put(f"{number:06}"), range(number_of_objects)))


@pytest.fixture(scope="module")
def full_bucket(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    full = Bare(emulator, tmp_path_factory.mktemp("full"))
    fill(full, MANY)
    return full.bucket


@pytest.fixture
def full(emulator: Emulator, tmp_path: Path, full_bucket: str) -> Bare:
    """A bucket with many objects, and an empty index."""
    return Bare(emulator, tmp_path, full_bucket)


def differences(bare: Bare) -> list[tuple[object, ...]]:
    pages = bare.s3.get_paginator("list_objects_v2").paginate(Bucket=bare.bucket)
    bucket = {
        (found["Key"], found["ETag"].strip('"'), found["Size"])
        for page in pages
        for found in page.get("Contents", [])
    }
    records = bare.index.list_prefix(bare.bucket)
    index = {(record.key, record.known.etag, record.known.size) for record in records}
    return sorted(bucket ^ index)


def test_every_object_gets_a_record_and_existing_records_stay(bare: Bare) -> None:
    for key in KEYS:
        bare.put(key, key.encode())
    known = FileRecord(
        bucket=bare.name, key="same", indexed_at=NOW, revision="r", state=ObjectState(etag="live")
    )
    gone = FileRecord(
        bucket=bare.name, key="Same", indexed_at=NOW, revision="r", state=None, expires_at=2**31
    )
    bare.store(known)
    bare.store(gone)

    dry = bare.file_index("backfill", bare.url(), "--dry-run", "--json")
    assert (dry.code, json.loads(dry.answer)) == (0, {"objects": 10, "without_record": 9})
    done = bare.file_index("backfill", bare.url())
    again = bare.file_index("backfill", bare.url(), "--json")

    assert (done.code, done.messages) == (0, "")
    assert done.answer.startswith("10 objects: 8 inserted, 2 had a record or a tombstone; ")
    assert json.loads(again.answer) == {"objects": 10, "inserted": 0}
    assert bare.index.read(bare.name, "same") == known
    assert bare.index.read(bare.name, "Same") == gone
    for key in set(KEYS) - {"same", "Same"}:
        record = bare.index.get(bare.name, key)
        assert record
        head = bare.s3.head_object(Bucket=bare.name, Key=key)
        assert (record.known.etag, record.known.size) == (
            head["ETag"].strip('"'),
            head["ContentLength"],
        )
        assert (record.event_name, record.sequencer, record.observed) == ("Backfill", None, False)
        assert record.known.last_modified


def test_only_watched_objects_are_inserted(bare: Bare) -> None:
    for key in ("in/1.csv", "in/2.txt", "in/b/3.csv", "out/4.csv", "zip/5"):
        bare.put(key)

    done = bare.file_index(
        "backfill", bare.url(), "--json", "--filter", "in/*.csv", "--filter", "z"
    )

    assert json.loads(done.answer) == {"objects": 3, "inserted": 3}
    assert [record.key for record in bare.index.list_prefix(bare.name)] == [
        "in/1.csv",
        "in/b/3.csv",
        "zip/5",
    ]


def test_with_object_metadata_every_record_is_refreshed(bare: Bare) -> None:
    bare.s3.put_object(Bucket=bare.name, Key="a", Body=b"1", ContentType="text/css")
    old = FileRecord(
        bucket=bare.name,
        key="a",
        indexed_at=NOW,
        revision="r",
        sequencer="0055",
        state=ObjectState(),
    )
    bare.store(old)

    done = bare.file_index("backfill", bare.url(), "--object-metadata", "--json")

    assert json.loads(done.answer) == {"objects": 1, "refreshed": 1}
    record = bare.index.get(bare.name, "a")
    assert record
    assert record.known.metadata
    assert (record.known.metadata.content_type, record.sequencer) == ("text/css", "0055")


def killing_at(number: int, fault: Fault) -> Decide:
    """Kill a command at its write of that number, and prevent every later one."""
    numbers = count(1)

    def decide(call: Call) -> Fault | None:
        if call.operation != "BatchExecuteStatement" or (now := next(numbers)) < number:
            return None
        return fault if now == number else Fault.KILLED_BEFORE

    return decide


@pytest.mark.long  # tests/unit/cli/test_killed.py does it at every point
def test_a_killed_backfill_resumes_at_its_checkpoint(full: Bare) -> None:
    beginnings = []
    for number, fault in (
        (1, Fault.KILLED_BEFORE),  # before the first write
        (1, Fault.KILLED_AFTER),  # after a write, before a checkpoint is stored
        (BEGUN, Fault.KILLED_BEFORE),  # after a checkpoint is stored
        (BEGUN, Fault.KILLED_AFTER),  # after more writes than the checkpoint has
        (1, Fault.KILLED_BEFORE),  # before the first write of a resumed backfill
    ):
        with Proxy(full.emulator) as proxy, proxy.injecting(killing_at(number, fault)):
            killed = full.file_index(
                "backfill", full.url(), "--resume", environment=proxy.environment("DYNAMODB")
            )
        assert (killed.code, killed.answer) == (-signal.SIGKILL, "")
        beginnings.append(killed.messages.strip())

    done = full.file_index("backfill", full.url(), "--resume", "--json")

    assert done.code == 0
    assert differences(full) == []
    beginnings.append(done.messages.strip())
    assert beginnings[:3] == ["There is nothing to resume: starting from the beginning."] * 3
    places = [said.removeprefix("Continuing after ") for said in beginnings[3:]]
    assert "000000" < places[0] < places[1] == places[2]
    assert json.loads(done.answer)["objects"] == MANY
    # Nothing is left to resume.
    again = full.file_index("backfill", full.url(), "--resume")
    assert again.messages == "There is nothing to resume: starting from the beginning.\n"


@pytest.mark.long  # tests/unit/cli/test_killed.py ends it at every point
def test_an_interrupted_backfill_says_how_to_resume(full: Bare) -> None:
    numbers, under_way, interrupted = count(1), Event(), Event()

    def hold(call: Call) -> None:
        if call.operation == "BatchExecuteStatement" and next(numbers) >= BEGUN:
            under_way.set()
            interrupted.wait(HANG_SECONDS)

    with Proxy(full.emulator) as proxy, proxy.injecting(hold):
        process = full.start("backfill", full.url(), environment=proxy.environment("DYNAMODB"))
        assert under_way.wait(HANG_SECONDS)
        process.send_signal(signal.SIGINT)
        interrupted.set()
        _, messages = process.communicate()

    assert process.returncode == 130
    said, last = messages.splitlines()
    assert "Stopped after 00" in said
    assert "objects done: continue with --resume." in said
    assert last == "Interrupted."
    again = full.file_index("backfill", full.url(), "--json")
    assert "An earlier backfill stopped after 00" in again.messages
    assert json.loads(again.answer)["objects"] == MANY
    assert differences(full) == []


def test_two_processes_backfill_verify_and_repair(bare: Bare) -> None:
    fill(bare, FEW)
    phantoms = {f"{number:06} phantom" for number in range(0, FEW, 40)}
    for key in phantoms:
        state = ObjectState(etag="e", size=1)
        bare.store(FileRecord(bucket=bare.name, key=key, indexed_at=NOW, revision="r", state=state))

    done = bare.file_index("backfill", bare.url(), "--json", program=TOGETHER)
    repair = ("verify", bare.url(), "--repair", "--grace", "0", "--json")
    repaired = bare.file_index(*repair, program=TOGETHER)

    assert (done.code, json.loads(done.answer)) == (0, {"objects": FEW, "inserted": FEW})
    *found, summary = [json.loads(line) for line in repaired.answer.splitlines()]
    assert {line["key"]: line["kind"] for line in found} == dict.fromkeys(phantoms, "phantom")
    assert repaired.code == 1
    # On a slow machine, progress is a line every 15 seconds.
    assert all(line.startswith("Verifying: ") for line in repaired.messages.splitlines())
    assert (summary["compared"], summary["repaired"]) == (FEW + len(phantoms), len(phantoms))
    assert differences(bare) == []


@pytest.mark.long  # tests/unit/cli/test_crew.py kills one too
def test_a_process_that_is_killed_loses_no_key(full: Bare) -> None:
    numbers = count(1)

    def killed_once(call: Call) -> Fault | None:
        is_the_one = call.operation == "BatchExecuteStatement" and next(numbers) == BEGUN
        return Fault.KILLED_AFTER if is_the_one else None

    with Proxy(full.emulator) as proxy, proxy.injecting(killed_once):
        killed = full.file_index(
            "backfill", full.url(), environment=proxy.environment("DYNAMODB"), program=TOGETHER
        )
    done = full.file_index("backfill", full.url(), "--resume", "--json", program=TOGETHER)

    assert (killed.code, killed.answer) == (2, "")
    assert re.search(
        r"^file-index: process \d+ ended with -9 while it worked on the keys after '.*'.*:"
        r" continue with --resume$",
        killed.messages,
        re.MULTILINE,
    ), killed.messages
    assert (done.code, json.loads(done.answer)["objects"]) == (0, MANY), done.messages
    assert differences(full) == []


@pytest.mark.long
def test_ctrl_c_stops_all_processes_and_every_count_is_right(full: Bare) -> None:
    numbers, under_way, interrupted = count(1), Event(), Event()

    def hold(call: Call) -> None:
        if call.operation == "BatchExecuteStatement" and next(numbers) >= BEGUN:
            under_way.set()
            interrupted.wait(HANG_SECONDS)

    with Proxy(full.emulator) as proxy, proxy.injecting(hold):
        process = full.start(
            "backfill", full.url(), environment=proxy.environment("DYNAMODB"), program=TOGETHER
        )
        assert under_way.wait(HANG_SECONDS)
        children = psutil.Process(process.pid).children()
        for one in (psutil.Process(process.pid), *children):  # as a terminal does
            one.send_signal(signal.SIGINT)
        interrupted.set()
        _, messages = process.communicate()
    done = full.file_index("backfill", full.url(), "--resume", "--json", program=TOGETHER)

    assert process.returncode == 130, messages
    assert "objects done: continue with --resume." in messages
    assert "Traceback" not in messages
    assert len(children) >= 2
    _, running = psutil.wait_procs(children, HANG_SECONDS)
    assert not running
    assert (done.code, json.loads(done.answer)["objects"]) == (0, MANY), done.messages
    assert differences(full) == []


def test_events_during_a_backfill_win(unversioned: Stack) -> None:
    stack = unversioned
    prefix = f"{PREFIX}beside a backfill/"
    keys = [f"{prefix}{number}.csv" for number in range(40)]
    table = stack.outputs["table"]["name"]
    dynamodb = stack.emulator.client("dynamodb")
    workload.run(stack, keys, 150, seed=1)
    wait_for(
        lambda: not workload.differences(stack, prefix), lambda: workload.differences(stack, prefix)
    )
    # As if half of the objects were older than the index.
    for record in list(stack.index.list_prefix(stack.bucket, prefix))[::2]:
        place = {"partition": {"S": stack.bucket}, "key": {"S": record.key}}
        dynamodb.delete_item(TableName=table, Key=place)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(workload.run, stack, keys, 150, seed=2)
        while not working.done():
            code, said = stack.file_index("backfill", f"s3://{stack.bucket}/{prefix}")
            assert code == 0, said

    wait_for(
        lambda: not workload.differences(stack, prefix), lambda: workload.differences(stack, prefix)
    )


@pytest.mark.long
def test_memory_does_not_grow_with_the_bucket(bare: Bare) -> None:
    """`make large` does it with 100,000 objects."""
    fill(bare, OBJECTS)
    began = time.monotonic()

    backfill = bare.measured("backfill", bare.url())
    seconds = time.monotonic() - began
    verify = bare.measured("verify", bare.url(), "--grace", "1")

    for what, done in (("backfill", backfill), ("verify", verify)):
        console.print(f"{what} of {OBJECTS:,} objects: {done.peak_mb:.0f} MB at most")
        console.print(done.answer, markup=False)
        assert done.code == 0, done.messages
        assert done.peak_mb < MOST_MB
    console.print(f"backfill: {OBJECTS / seconds:,.0f} objects a second, start included")
    assert differences(bare) == []
