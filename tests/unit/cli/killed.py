"""A run that dies at a chosen point, as by `kill -9`, and does nothing afterwards.

There is a point after each change of the disk: the table's writes, and each step of a checkpoint.
Everything that outlives the process is in files.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from botocore.exceptions import ClientError

from cli import backfill, checkpoint, engine, verify
from cli.address import Address
from cli.errors import cause
from cli.function.denials import explained_read_denial
from cli.function.events import ObjectEvent
from cli.function.filters import Filters
from cli.function.listed import Listed, Page
from cli.function.listing import EVERYTHING
from cli.function.ranges import Range
from cli.function.reconciliation import filling
from cli.function.reconciliation.reconciler import Reconciler
from cli.function.record import FileRecord, ObjectState
from cli.function.settings import Settings
from cli.target import Target
from tests.unit.cli.deployments import CONNECTION

KEYS = tuple("abcdefg")
REFUSED = ("c", "f")
KILLED = 137
NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)


class Points:
    """Counts the points; at one of them the process ends."""

    def __init__(self, die_at: int) -> None:
        """Die at the point with the number `die_at`; 0 means never."""
        self._die_at = die_at
        self._count = 0

    def passed(self) -> None:
        self._count += 1
        if self._count == self._die_at:
            os._exit(KILLED)

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            self.passed()
            return call(*arguments, **more)

        return wrapped

    def after(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            answer = call(*arguments, **more)
            self.passed()
            return answer

        return wrapped


class Disk:
    """A bucket, and a table that is a file with a line for each write."""

    def __init__(self, table: Path, points: Points, refused: tuple[str, ...]) -> None:
        self._table = table
        self._points = points
        self._refused = refused

    def written(self) -> set[str]:
        return set(self._table.read_text().split()) if self._table.exists() else set()

    def reach(self, _: str) -> None:
        pass

    def pages(self, _: str, of: Range = EVERYTHING) -> Iterator[Page]:
        left = [self._listed(key) for key in KEYS if key in of]
        for first in range(0, len(left), 3):
            page = left[first : first + 3]
            yield Page(page, NOW, page[-1].key)

    def find(self, key: str) -> tuple[Listed | None, datetime]:
        return self._listed(key), NOW

    def list_range(self, _: str, of: Range, __: str = "") -> Iterator[FileRecord]:
        written = self.written()
        return (self._record(key) for key in sorted(written) if key in of)

    def read(self, _: str, key: str) -> FileRecord | None:
        return self._record(key) if key in self.written() else None

    def refresh(self, event: ObjectEvent, _: datetime | None = None) -> None:
        if event.key in self._refused:
            with explained_read_denial("b", event.key):
                raise ClientError({"Error": {"Code": "403", "Message": ""}}, "HeadObject")
        with self._table.open("a") as file:
            file.write(f"{event.key}\n")
        self._points.passed()

    @staticmethod
    def _listed(key: str) -> Listed:
        return Listed(key, f"etag {key}", 1, NOW)

    @staticmethod
    def _record(key: str) -> FileRecord:
        return FileRecord(
            bucket="b",
            key=key,
            indexed_at=NOW,
            revision="r",
            state=ObjectState(etag=f"etag {key}", size=1),
        )


class DiskReconciler(Reconciler):
    """Works on a disk, which takes the place of both clients."""

    @property
    def listing(self) -> Any:
        return self.s3

    @property
    def reader(self) -> Any:
        return self.dynamodb

    def _indexer(self) -> Any:
        return self.dynamodb


class DiskTarget:
    """The commands' target: see `cli.target.Target`."""

    connection = CONNECTION
    filters = Filters()
    settings = Settings(table_name="table", object_metadata=True)

    def __init__(self, disk: Disk) -> None:
        self._disk: Any = disk

    def reconciler(self, address: Address, *, compare_versions: bool = False) -> Reconciler:
        assert not compare_versions
        return DiskReconciler(
            s3=self._disk,
            dynamodb=self._disk,
            settings=self.settings,
            bucket=address.bucket,
            prefix=address.path,
            filters=self.filters,
            versioned=False,
            cause=cause,
        )


def run(
    command: str,
    home: Path,
    refused: tuple[str, ...],
    *,
    resume: bool,
    die_at: int = 0,
    report: Path | None = None,
) -> int:
    """Run a command; returns its exit code, unless the process dies at a point."""
    points = Points(die_at)
    disk = Disk(home / "table", points, refused)
    target = cast(Target, DiskTarget(disk))
    address = Address("b", "")
    with (
        (home / "answer").open("w") as answer,
        (home / "messages").open("a") as messages,
        redirect_stdout(answer),
        redirect_stderr(messages),
        patch.dict(os.environ, {"XDG_STATE_HOME": str(home)}),
        patch.object(checkpoint, "_SECONDS", 0),
        patch.object(backfill, "MOST_INSERTS", 2),
        patch.object(filling, "MOST_INSERTS", 2),
        patch.object(engine, "cores", lambda: 1),
        # The data to be synchronized has already left the process.
        patch.object(os, "fsync", points.before(os.fsync)),
        patch.object(Path, "replace", points.after(Path.replace)),
        patch.object(Path, "unlink", points.after(Path.unlink)),
        patch("cli.function.denials._caller", lambda: "me"),
    ):
        if command == "backfill":
            return backfill.backfill(
                target, address, resume=resume, dry_run=False, report=report, as_json=True
            )
        return verify.verify(
            target,
            address,
            repair=True,
            versions=False,
            grace=0,
            resume=resume,
            report=report,
            as_json=True,
        )


def die(command: str, home: Path, refused: tuple[str, ...], die_at: int, *, resume: bool) -> None:
    """Run a command in a process of its own, which exits as the command does, or with KILLED."""
    os._exit(run(command, home, refused, resume=resume, die_at=die_at))
