"""Measure a backfill against a loop of put_item: run by `make bench`.

python -m benchmarks.backfill [OBJECTS]

Both write to the local AWS in the same run, first without latency and then with 5 ms before
every call, as on a network. Only the ratio is meaningful: the local AWS is not DynamoDB.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Column, Table

from cli.function.reconciliation.insertion import Insertion
from cli.function.reconciliation.workers import each
from cli.function.record import FileRecord, ObjectState
from cli.function.repository import MOST_INSERTS, FileIndex
from local.emulator import Emulator

LATENCIES_MS = (0, 5)
BUCKET = "files"


def main() -> None:
    """Print both rates in objects per second, and their ratio."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = Table(
        Column("latency"),
        *(Column(name, justify="right") for name in ("put_item loop", "backfill", "ratio")),
        title=f"{objects:,} objects, objects per second",
    )
    with Emulator() as emulator:
        for latency in LATENCIES_MS:
            loop, backfill = (
                objects / _seconds(write, emulator, objects, latency)
                for write in (_loop, _backfill)
            )
            rows.add_row(
                f"{latency} ms", f"{loop:,.0f}", f"{backfill:,.0f}", f"{backfill / loop:.1f}"
            )
    Console().print(rows)


def _seconds(
    write: Callable[[Any, str, list[FileRecord]], None],
    emulator: Emulator,
    objects: int,
    latency_ms: int,
) -> float:
    table = f"bench-{uuid4().hex[:12]}"
    client = emulator.client("dynamodb")
    names = ("partition", "key")
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
    )
    now = datetime.now(UTC)
    records = [
        FileRecord(
            bucket=BUCKET,
            key=f"2026/11/{number:08}.csv",
            indexed_at=now,
            revision="0123456789abcdef",
            state=ObjectState(
                etag="d41d8cd98f00b204e9800998ecf8427e", size=number, last_modified=now
            ),
        )
        for number in range(objects)
    ]
    client.meta.events.register("before-send", lambda **_: time.sleep(latency_ms / 1000))
    began = time.monotonic()
    write(client, table, records)
    return time.monotonic() - began


def _loop(client: Any, table: str, records: list[FileRecord]) -> None:
    index = FileIndex(client, table)
    for record in records:
        client.put_item(TableName=table, Item=index.to_item(record))


def _backfill(client: Any, table: str, records: list[FileRecord]) -> None:
    insertion = Insertion(FileIndex(client, table))
    batches = [
        records[first : first + MOST_INSERTS] for first in range(0, len(records), MOST_INSERTS)
    ]
    written = sum(inserted.written for _, inserted in each(insertion.insert, batches))
    if written != len(records):
        raise RuntimeError(f"{written} of {len(records)} were written")


if __name__ == "__main__":
    main()
