"""Checkpoints: the remaining work of a stopped run, in the user's files.

NAME.json holds the ranges of keys that are left, the counts so far, and the size of the file of
failed keys that belongs to them. It is replaced atomically. Failed keys are appended to
NAME.TOKEN.failed, one a line, before a checkpoint counts them. After `kill -9`, lines beyond the
counted size are cut off, because their keys are in a range that is left.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .address import Address
from .errors import CommandError
from .function.ranges import Range
from .function.reconciliation.failures import Failure
from .target import Target
from .terminal import counted, write_stderr

_SECONDS = 1.0
_SHARE = 20
"""Writing takes at most one part in so many of a run's time: many suspects are many ranges."""


def identity(target: Target, address: Address) -> tuple[str, ...]:
    """Return the values that identify a run: a checkpoint resumes the same work only."""
    table, region = target.settings.table_name, target.connection.region or "no Region"
    filters, settings = str(target.filters), repr(target.settings)
    return table, region, address.bucket, address.path, filters, settings


@dataclass(frozen=True, slots=True)
class Left:
    """What is left to do, and the counts so far."""

    ranges: tuple[Range, ...] = (Range(),)
    """In key order."""
    retried: int = 0
    """How many bytes of the failed keys have been retried."""
    counts: Mapping[str, int] = field(default_factory=dict)


def in_order(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges in key order; those that touch become one."""
    joined: list[Range] = []
    for one in sorted(ranges, key=lambda one: one.after):
        if joined and joined[-1].up_to == one.after:
            joined[-1] = Range(joined[-1].after, one.up_to)
        else:
            joined.append(Range(one.after, one.up_to))
    return tuple(joined)


@dataclass(frozen=True, slots=True)
class _Failed:
    """The part of the file of failed keys that a checkpoint counts."""

    path: Path
    size: int


class Checkpoint:
    """The progress of a run, and its failed keys. Not safe to share between threads."""

    def __init__(self, command: str, *what: str) -> None:
        """`what` identifies the run: table, bucket, prefix, filters, settings."""
        try:
            state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        except RuntimeError:
            raise CommandError("no home directory for the checkpoint: set HOME") from None
        digest = hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]
        self._command = command
        self._what = what
        self._directory = state / "file-index"
        self._name = f"{command}-{digest}"
        self.path = self._directory / f"{self._name}.json"
        self._failed = _Failed(
            self._directory / f"{self._name}.{secrets.token_hex(4)}.failed", size=0
        )
        self._earlier: _Failed | None = None
        self._unwritten: list[bytes] = []
        """Lines of failed keys since the last write."""
        self._written = 0.0
        self._took = 0.0
        self.is_kept = True
        """Whether all writes have succeeded so far."""

    def begin(self, *, resume: bool) -> Left | None:
        """Return what an earlier run left, if it is resumed. Tell the user either way."""
        left = self.read()
        if left is None:
            if resume:
                write_stderr("There is nothing to resume: starting from the beginning.")
            return None
        after = left.ranges[0].after if left.ranges else ""
        failed = sum(1 for _ in self.failures(left))
        if not resume:
            if left.ranges:
                write_stderr(
                    "An earlier {} stopped after {}: --resume would continue there.",
                    self._command,
                    after,
                )
            else:
                write_stderr(
                    "An earlier {} left {}: --resume would retry them.",
                    self._command,
                    counted(failed, "failed key"),
                )
            return None
        if failed:
            write_stderr("Retrying {} first.", counted(failed, "failed key"))
        if left.ranges:
            write_stderr("Continuing after {}.", after)
        self._resume()
        return left

    def read(self) -> Left | None:
        """Return the remaining work; None without a readable checkpoint."""
        try:
            noted = json.loads(self.path.read_text())
            left, failed = self._left(noted), noted["failed"]
            file = self._directory / Path(failed["file"]).name
            self._earlier = _Failed(file, int(failed["size"]))
            is_whole = not self._earlier.size or (
                self._earlier.path.stat().st_size >= self._earlier.size >= left.retried
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            self._lose(error)
            return None
        except (ValueError, LookupError, TypeError, AttributeError):
            # It is replaced atomically, so another program wrote it.
            return None
        return left if is_whole else None

    @staticmethod
    def _left(noted: Mapping[str, Any]) -> Left:
        return Left(
            ranges=tuple(Range(one["after"] + "", one["up_to"]) for one in noted["ranges"]),
            retried=int(noted["failed"]["retried"]),
            counts={str(name): int(count) for name, count in noted["counts"].items()},
        )

    def _resume(self) -> None:
        """Keep the earlier run's failed keys, without those that its checkpoint does not count."""
        if self._earlier is None or not self._earlier.size:
            return
        try:
            os.truncate(self._earlier.path, self._earlier.size)
        except OSError as error:
            self._lose(error)
            return
        self._failed = self._earlier

    def failures(self, left: Left) -> Iterator[tuple[Failure, int]]:
        """Yield each failed key of the earlier run to retry, and the offset after it.

        Keys that fail again are not among them.
        """
        if self._earlier is None or not self._earlier.size:
            return
        with self._earlier.path.open("rb") as file:
            offset = file.seek(left.retried)
            while offset < self._earlier.size:
                line = file.readline()
                offset += len(line)
                yield Failure.from_line(line), offset

    def add(self, failure: Failure) -> None:
        """Keep a failed key for the next write."""
        if self.is_kept:
            self._unwritten.append(f"{failure.as_line()}\n".encode())

    @property
    def failed_size(self) -> int:
        """How many bytes of failed keys the last write counted."""
        return self._failed.size

    @property
    def is_due(self) -> bool:
        """Whether the last write is a second old, or more if a write takes long."""
        pause = _SECONDS * max(1.0, _SHARE * self._took)
        return self.is_kept and time.monotonic() - self._written >= pause

    def write(self, left: Left) -> None:
        """Replace the checkpoint.

        If that fails, tell the user once and go on: the work itself does not need it.
        """
        if not self.is_kept:
            return
        began = time.monotonic()
        new = self.path.with_suffix(f".{os.getpid()}")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._append()
            with new.open("w") as file:
                file.write(json.dumps(self._noted(left)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            self._remove_earlier()
        except OSError as error:
            self._lose(error)
        self._written = time.monotonic()
        self._took = self._written - began

    def _append(self) -> None:
        if not self._unwritten:
            return
        lines = b"".join(self._unwritten)
        with self._failed.path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._failed = _Failed(self._failed.path, self._failed.size + len(lines))
        self._unwritten.clear()

    def _noted(self, left: Left) -> dict[str, Any]:
        return {
            self._command: self._what,
            "ranges": [{"after": one.after, "up_to": one.up_to} for one in left.ranges],
            "counts": dict(left.counts),
            "failed": {
                "file": self._failed.path.name,
                "size": self._failed.size,
                "retried": left.retried,
            },
        }

    def end(self, left: Left, *, is_done: bool) -> None:
        """Keep the failed keys for a retry, or remove the checkpoint if nothing is left."""
        if is_done:
            self.forget()
        else:
            self.write(left)

    def say_stopped(self, left: Left, done: str) -> None:
        """Tell the user where the run stopped and how to resume it."""
        how = ": continue with --resume" if self.is_kept else ""
        after = left.ranges[0].after if left.ranges else ""
        if after:
            write_stderr("Stopped after {}, {}{}.", after, done, how)
        else:
            write_stderr("Stopped, {}{}.", done, how)

    def forget(self) -> None:
        """Remove the files of this run and of killed ones, because nothing is left to do."""
        if self.is_kept:
            for path in self._directory.glob(f"{self._name}.*"):
                path.unlink(missing_ok=True)

    def _remove_earlier(self) -> None:
        """Remove the failed keys that the replaced checkpoint named."""
        if self._earlier is not None and self._earlier.path != self._failed.path:
            self._earlier.path.unlink(missing_ok=True)
            self._earlier = None

    def _lose(self, error: OSError) -> None:
        self.is_kept = False
        write_stderr("This run cannot be resumed: {}", str(error))
