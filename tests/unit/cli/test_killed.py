"""A backfill and a repair, killed at every point at which something reaches the disk."""

import json
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli import killed
from tests.unit.cli.killed import KEYS, KILLED, REFUSED

OBJECTS = {"backfill": "objects", "verify": "compared"}
DONE = {"backfill": 0, "verify": 1}

context = get_context("forkserver")
context.set_forkserver_preload(["pytest", "tests.unit.cli.killed"])


class Home:
    """The directory with everything that outlives a command's runs."""

    def __init__(self, command: str, path: Path) -> None:
        path.mkdir()
        self._command = command
        self._path = path

    def run(self, *, refused: tuple[str, ...], resume: bool) -> int:
        return killed.run(self._command, self._path, refused, resume=resume)

    def die(self, at: int, *, refused: tuple[str, ...], resume: bool) -> bool:
        """Whether there is such a point."""
        process = context.Process(
            target=killed.die,
            args=(self._command, self._path, refused, at),
            kwargs={"resume": resume},
        )
        process.start()
        process.join()
        assert process.exitcode in (2, KILLED), self.messages
        return process.exitcode == KILLED

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self._path / "answer").read_text().splitlines()[-1]))

    @property
    def messages(self) -> str:
        return (self._path / "messages").read_text()

    @property
    def writes(self) -> list[str]:
        """Return the keys, each as often as it was written."""
        return (self._path / "table").read_text().split()

    @property
    def files(self) -> list[Path]:
        return list((self._path / "file-index").iterdir())


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_killed_at_any_point_resumes_and_every_count_is_right(
    command: str, tmp_path: Path
) -> None:
    for point in count(1):
        home = Home(command, tmp_path / str(point))
        has_died = home.die(point, refused=REFUSED, resume=False)
        begun = len(set(home.writes)) if (tmp_path / str(point) / "table").exists() else 0

        assert home.run(refused=REFUSED, resume=True) == 2, home.messages
        assert set(home.writes) == set(KEYS) - set(REFUSED)
        assert (home.summary[OBJECTS[command]], home.summary["failed"]) == (len(KEYS), 2), point
        # Little was repeated: no more than was in flight.
        assert len(home.writes) - len(set(home.writes)) <= begun

        before = home.writes
        assert home.run(refused=(), resume=True) == DONE[command], home.messages
        assert sorted(home.writes[len(before) :]) == sorted(REFUSED)
        assert home.summary[OBJECTS[command]] == len(KEYS)
        assert "failed" not in home.summary
        assert home.files == []
        if not has_died:
            break
    assert point > 15


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_killed_during_retries_forgets_no_failed_key(command: str, tmp_path: Path) -> None:
    for point in count(1):
        home = Home(command, tmp_path / str(point))
        assert home.run(refused=REFUSED, resume=False) == 2
        has_died = home.die(point, refused=REFUSED[1:], resume=True)

        assert home.run(refused=REFUSED[1:], resume=True) == 2, home.messages
        assert (home.summary[OBJECTS[command]], home.summary["failed"]) == (len(KEYS), 1), point
        assert home.run(refused=(), resume=True) == DONE[command], home.messages
        assert home.summary[OBJECTS[command]] == len(KEYS)
        assert set(home.writes) == set(KEYS)
        assert home.files == []
        if not has_died:
            break
    assert point > 5
