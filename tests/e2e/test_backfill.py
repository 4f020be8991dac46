"""`file-index backfill` on the local AWS, whose BatchExecuteStatement is the one it needs."""

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from function.record import FileRecord
from local.waiting import wait_for
from tests.e2e import workload
from tests.e2e.bare import Bare
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

OBJECTS = int(os.environ.get("OBJECTS", "3000"))
KILLS = 6
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


def fill(bare: Bare, count: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bare.put(f"{number:06}"), range(count)))


def differences(bare: Bare) -> list[tuple[object, ...]]:
    pages = bare.s3.get_paginator("list_objects_v2").paginate(Bucket=bare.name)
    bucket = {
        (found["Key"], found["ETag"].strip('"'), found["Size"])
        for page in pages
        for found in page.get("Contents", [])
    }
    records = bare.index.list_prefix(bare.name)
    index = {(record.key, record.etag, record.size) for record in records}
    return sorted(bucket ^ index)


def test_every_object_gets_a_record_and_every_record_stays(bare: Bare) -> None:
    for key in KEYS:
        bare.put(key, key.encode())
    known = FileRecord(bucket=bare.name, key="same", indexed_at=NOW, revision="r", etag="live")
    gone = FileRecord(
        bucket=bare.name, key="Same", indexed_at=NOW, revision="r", deleted=True, expires_at=2**31
    )
    bare.index.replace(known, None)
    bare.index.replace(gone, None)

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
        assert (record.etag, record.size) == (head["ETag"].strip('"'), head["ContentLength"])
        assert (record.event_name, record.sequencer, record.observed) == ("Backfill", None, False)
        assert record.last_modified


def test_only_what_is_watched_is_inserted(bare: Bare) -> None:
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
    old = FileRecord(bucket=bare.name, key="a", indexed_at=NOW, revision="r", sequencer="0055")
    bare.index.replace(old, None)

    done = bare.file_index("backfill", bare.url(), "--object-metadata", "--json")

    assert json.loads(done.answer) == {"objects": 1, "refreshed": 1}
    record = bare.index.get(bare.name, "a")
    assert record
    assert record.metadata
    assert (record.metadata.content_type, record.sequencer) == ("text/css", "0055")


def test_killed_at_any_moment_it_goes_on_where_it_was(bare: Bare) -> None:
    fill(bare, OBJECTS)
    chance = random.Random(4)  # noqa: S311 # no secret
    began = []
    for _ in range(KILLS):
        process = bare.start("backfill", bare.url(), "--resume")
        time.sleep(chance.uniform(0.5, 1.5))
        process.kill()
        _, messages = process.communicate()
        began.append(messages.partition("Going on after ")[2].strip())

    done = bare.file_index("backfill", bare.url(), "--resume", "--json")

    assert done.code == 0
    assert differences(bare) == []
    assert began[-1], "no backfill was killed after it had begun"
    assert sorted(began) == began, "an interrupted backfill went back"
    assert json.loads(done.answer)["objects"] <= OBJECTS
    # There is nothing to resume any more.
    again = bare.file_index("backfill", bare.url(), "--resume")
    assert again.messages == "There is nothing to resume: from the beginning.\n"


def test_interrupted_it_says_how_to_go_on(bare: Bare, tmp_path: Path) -> None:
    fill(bare, OBJECTS)
    process = bare.start("backfill", bare.url())
    wait_for(lambda: list(tmp_path.rglob("backfill-*.json")), process.poll)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate()

    if process.returncode == 0:
        pytest.skip("it was quicker")
    assert process.returncode == 130
    said, interrupted = messages.splitlines()
    assert "Stopped after 00" in said
    assert "objects done: go on with --resume." in said
    assert interrupted == "Interrupted."
    again = bare.file_index("backfill", bare.url(), "--json")
    assert "An earlier backfill stopped after 00" in again.messages
    assert json.loads(again.answer)["objects"] == OBJECTS
    assert differences(bare) == []


def test_events_go_on_beside_it_and_win(unversioned: Stack) -> None:
    stack = unversioned
    prefix = f"{PREFIX}beside a backfill/"
    keys = [f"{prefix}{number}.csv" for number in range(40)]
    table = stack.outputs["table"]["name"]
    dynamodb = stack.emulator.client("dynamodb")
    workload.run(stack, keys, 150, seed=1)
    wait_for(
        lambda: not workload.differences(stack, prefix), lambda: workload.differences(stack, prefix)
    )
    # As if half of it had been there before the index.
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
