"""Processes that work on ranges: real ones."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.connection import Connection
from cli.crew import Budget, Crew, Job
from cli.errors import CommandError
from cli.function.ranges import Range
from local.waiting import HANG_SECONDS, wait_for
from tests.unit.cli.crew_work import KEYS, Noting, Numbers
from tools.module_copy import ROOT

LONG = Budget(seconds=2 * HANG_SECONDS, suspects=1)
HALVES = (Range("", "099"), Range("099"))
HOLD = "150"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def job(directory: Path, **more: str) -> Job[Numbers]:
    return Job(Connection.open(region="eu-west-1"), Noting(directory, **more))


def done(directory: Path) -> list[str]:
    return (directory / "done").read_text().split()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def parts_until(crew: Crew[Numbers], is_enough: object) -> Iterator[Numbers]:
    while crew.is_any_busy and not (callable(is_enough) and is_enough()):
        yield from crew.parts()


def test_processes_share_the_ranges_and_what_stopped_ones_did_is_counted(tmp_path: Path) -> None:
    with Crew(job(tmp_path, hold=HOLD), LONG, 2) as crew:
        for half in HALVES:
            crew.give(half)
        assert not crew.is_any_idle
        keys = [
            key
            for part in parts_until(crew, lambda: crew.is_any_idle and (tmp_path / "pid").exists())
            for key in part.keys
        ]
        pids = {member.process.pid for member in crew._members}
        # The terminal sends it to all processes of the group.
        for pid in pids:
            os.kill(pid or 0, signal.SIGINT)
        keys += [key for part in crew.stop() for key in part.keys]

        left = [*crew.left]

    assert sorted(keys) == sorted(done(tmp_path)) == KEYS[:151]
    assert left == [Range(HOLD)]
    assert not [pid for pid in pids if is_running(pid or 0)]


def test_the_range_of_a_killed_process_is_left_and_named(tmp_path: Path) -> None:
    crew = Crew(job(tmp_path, hold=HOLD), LONG, 1)
    with pytest.raises(CommandError) as raised, crew:  # noqa: PT012 # the context is a part of it
        crew.give(Range("140"))
        wait_for((tmp_path / "pid").exists, lambda: list(tmp_path.iterdir()))
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        for _ in parts_until(crew, None):
            pass

    assert str(raised.value) == (
        f"process {pid} ended with -9 while it worked on the keys after '140': continue with"
        " --resume"
    )
    assert crew.left == [Range("140")]


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from tests.unit.cli import test_crew
directory = Path({str(tmp_path)!r})
with test_crew.Crew(test_crew.job(directory, hold="150"), test_crew.LONG, 1) as crew:
    crew.give(test_crew.Range())
    while not (directory / "pid").exists():
        list(crew.parts())
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT)

    pid = int((tmp_path / "pid").read_text())
    assert killed.returncode == -signal.SIGKILL
    wait_for(lambda: not is_running(pid), lambda: pid)


def test_a_budget_that_is_spent_gives_the_range_back(tmp_path: Path) -> None:
    with Crew(job(tmp_path), Budget(seconds=0, suspects=1), 1) as crew:
        crew.give(Range("", "150"))
        keys = [key for part in parts_until(crew, None) for key in part.keys]

        assert keys == ["000"]
        assert crew.left == [Range("000", "150")]
        assert list(crew.taken_back()) == [Range("000", "150")]
        assert (crew.left, crew.is_any_idle) == ([], True)
