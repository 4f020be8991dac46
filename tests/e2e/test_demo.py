"""`make demo`, from the first line to the last."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.cells import cell_len

from local.demo import NEXT_STEPS
from tools.module_copy import ROOT

COLUMNS = 100
SCREEN = 30
"""Lines."""
RULE = re.compile(r"^(.+) ─+$", re.MULTILINE)


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "local.demo", *options],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(COLUMNS), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # it cleans up; without effect if it has ended


@pytest.mark.long
def test_each_part_keeps_its_promise_on_one_screen() -> None:
    with demo() as process:
        said = process.communicate()[0]

    assert process.returncode == 0, said
    opening, *rest = RULE.split(said)
    parts = dict(zip(rest[::2], rest[1::2], strict=True))
    assert max(map(cell_len, said.splitlines())) <= COLUMNS
    assert {title: text for title, text in parts.items() if text.count("\n") > SCREEN} == {}
    assert re.search(r"terraform apply: (\d+) resources created", opening), said
    filled, read, repeated, failed, lost, further = parts.values()
    assert '"outcome": "indexed", "key": "reports/2026/q3.json"' in filled
    assert "with space + plus.csv" in read
    assert "ünïcode/日本語.txt" in read
    assert "draft.tmp" not in read
    assert repeated.count("the record is unchanged") == 2
    assert "it was deleted" in repeated
    assert '"errorType": "PermissionDeniedError"' in failed
    assert "1 replayed, 0 failed again" in failed
    assert "3 late report.csv" in failed
    assert "3 repaired" in lost
    assert "no drift" in lost
    assert all(task in further for task in NEXT_STEPS)
    created, destroyed = re.findall(r"(\d+) resources (?:created|destroyed)", said)
    assert created == destroyed != "0"


@pytest.mark.long
def test_it_can_be_left_running_until_ctrl_c() -> None:
    with demo("--keep") as process:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        commands = [line for line in said if line.startswith(("export ", "alias ", "cd "))]
        (listing,) = (line for line in said if line.startswith("file-index ls "))
        pasted = subprocess.run(
            ["bash", "-O", "expand_aliases"],  # as in a terminal
            input="".join([*commands, listing]),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        process.send_signal(signal.SIGINT)
        rest = process.communicate()[0]

    assert " nobody was told.csv\n" in pasted.stdout, pasted
    assert (process.returncode, "Interrupted" in rest) == (130, True)
