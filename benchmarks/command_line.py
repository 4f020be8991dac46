"""Measures `file-index`: start-up, backfill, verify and `ls`, beside other ways to do the same.

A command's CPU time includes its start-up and all processes that it starts. Its memory is the most
that all of them hold at once.
"""

import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import psutil

from tools.package import ROOT

from .function.bench import PYTHON
from .large_bucket import BUCKET, TABLE, LargeBucket
from .pairs import ratio
from .progress import note
from .results import Figure, Ratio, Section

FILE_INDEX = (str(PYTHON), "-m", "cli")
AWS = (str(PYTHON), str(PYTHON.with_name("aws")))

EARLIER = "0508edd"
"""The commit that the targets of verify and `ls` compare with."""
MANY, MORE = 100_000, 1_000_000
"""Keys to list and to compare."""
FILLED = {"put_item": 3_000, "batch_writer": 10_000}
"""Objects of a backfill. The loop of put_item takes half a minute for them."""
LATENCY_MS = 5

VERIFY = ("verify", f"s3://{BUCKET}", "--table", TABLE)
LS = ("ls", f"s3://{BUCKET}", "--recursive", "--table", TABLE)
BACKFILL = ("backfill", f"s3://{BUCKET}", "--table", TABLE)


class BenchmarkError(Exception):
    """A command failed or did not do what is measured; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command used."""

    cpu: float
    """Seconds."""
    wall: float
    """Seconds."""
    megabytes: float = 0
    """The most memory at once, if it was watched."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs commands in a directory, with this environment and no other."""

    directory: Path = ROOT
    environment: Mapping[str, str] | None = None

    def run(self, *command: str, watched: bool = False) -> Usage:
        """Run a command to its end. Raises BenchmarkError if it fails."""
        with TemporaryDirectory() as home, TemporaryFile() as messages:
            environment = {"HOME": home, "PATH": os.environ["PATH"], **(self.environment or {})}
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=messages,
            )
            megabytes = _most_megabytes(process.pid) if watched else 0
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                messages.seek(0)
                said = messages.read().decode()
                raise BenchmarkError(f"{' '.join(command)} ended with {process.returncode}: {said}")
        return Usage(used.ru_utime + used.ru_stime, wall, megabytes)

    def cpu(self, *command: str) -> float:
        """Return a command's CPU milliseconds."""
        return self.run(*command).cpu * 1000

    def wall(self, *command: str) -> float:
        """Return a command's wall milliseconds."""
        return self.run(*command).wall * 1000


def measure() -> Section:
    """Measure everything."""
    ratios = [_start_up(), *_backfills(), *_listings()]
    return Section(title="command line", ratios=ratios, figures=list(_figures()))


def _start_up() -> Ratio:
    here = Runner()
    return ratio(
        "CPU, file-index --help / aws --version",
        partial(here.cpu, *FILE_INDEX, "--help"),
        partial(here.cpu, *AWS, "--version"),
        pairs=11,
        target=0.5,
    )


def _backfills() -> Iterator[Ratio]:
    for other, objects in FILLED.items():
        fill = (str(PYTHON), "-m", "benchmarks.fill", other, BUCKET, TABLE)
        for latency in (LATENCY_MS, 0):
            with LargeBucket(objects, latency) as large:
                runner = Runner(environment=large.environment)
                filled = partial(_filled, large, runner.wall if latency else runner.cpu)
                what = f"wall time at {latency} ms" if latency else "CPU"
                yield ratio(
                    f"{what}, backfill of {objects:,} / {other}",
                    partial(filled, *FILE_INDEX, *BACKFILL),
                    partial(filled, *fill),
                )


def _filled(large: LargeBucket, measured: Callable[..., float], *command: str) -> float:
    before = large.written()
    found = measured(*command)
    if (written := large.written() - before) != large.objects:
        raise BenchmarkError(f"{' '.join(command)} wrote {written} items, not {large.objects}")
    return found


def _listings() -> Iterator[Ratio]:
    with LargeBucket(MANY) as large, earlier_commit() as directory, on_one_core():
        here = Runner(environment=large.environment)
        earlier = Runner(directory, large.environment)
        yield ratio(
            f"CPU on one core, ls of {MANY:,} / aws s3 ls",
            partial(here.cpu, *FILE_INDEX, *LS),
            partial(here.cpu, *AWS, "s3", "ls", f"s3://{BUCKET}", "--recursive"),
        )
        for command, target in ((VERIFY, 0.5), (LS, 0.75)):
            yield ratio(
                f"CPU on one core, {command[0]} of {MANY:,} / commit {EARLIER}",
                partial(here.cpu, *FILE_INDEX, *command),
                partial(earlier.cpu, *FILE_INDEX, *command),
                target=target,
            )


def _figures() -> Iterator[Figure]:
    for command in (VERIFY, LS):
        most = {}
        for keys in (MANY, MORE):
            with LargeBucket(keys) as large:
                runner = Runner(environment=large.environment)
                used = runner.run(*FILE_INDEX, *command, watched=True)
            note(f"{command[0]} of {keys:,}: {used}")
            name = f"{command[0]} of {keys:,} keys"
            yield Figure(name=name, value=round(keys / used.wall), unit="keys per second")
            yield Figure(name=f"{name}, CPU", value=used.cpu / keys * 1e6, unit="µs per key")
            yield Figure(name=f"{name}, memory", value=round(used.megabytes), unit="MB")
            most[keys] = used.megabytes
        yield Figure(
            name=f"{command[0]}, memory at {MORE:,} / at {MANY:,}",
            value=most[MORE] / most[MANY],
            unit="ratio",
            target=1.2,
        )


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep what is started meanwhile on one core, where `file-index` works in one process.

    Otherwise the number of its processes, each with a start-up, would depend on the machine.
    """
    if not hasattr(os, "sched_setaffinity"):  # macOS
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def earlier_commit() -> Iterator[Path]:
    """Unpack the command line as it was at the earlier commit."""
    packed = subprocess.run(
        ["git", "archive", EARLIER, "cli", "function"], cwd=ROOT, check=True, capture_output=True
    )
    with TemporaryDirectory() as directory:
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
            archive.extractall(directory, filter="data")
        yield Path(directory)


def _most_megabytes(pid: int) -> float:
    """Return the most memory of a process and those that it starts, once it has ended."""
    # Not the kernel's count, which begins with this process's own memory at the fork.
    seen = psutil.Process(pid)
    most = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        held = 0
        for process in (seen, *seen.children(recursive=True)):
            with suppress(psutil.Error):
                held += process.memory_info().rss
        most = max(most, held)
        time.sleep(0.05)
    return most / 2**20
