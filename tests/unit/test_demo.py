"""The commands that `make demo KEEP=1` prints to paste."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local.demo import instructions
from local.deployment import Deployment


@dataclass
class Deployed:
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"TF_WORKSPACE": "it's local"}

    def outputs(self) -> dict[str, Any]:
        return {"bucket": {"name": "files-000000000000"}}


def pasted(directory: Path, *lines: str) -> str:
    return subprocess.run(
        ["bash", "-O", "expand_aliases"],  # as in a terminal
        input="\n".join(lines),
        cwd=directory.parent,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    ).stdout


def test_the_printed_commands_can_be_pasted(tmp_path: Path) -> None:
    directory = tmp_path / "a copy"
    directory.mkdir()
    lines = instructions(cast(Deployment, Deployed(directory)))
    until = lines.index("")

    said = pasted(directory, *lines[:until], 'echo "$TF_WORKSPACE in $PWD"', "file-index --help")

    assert said.splitlines()[0] == f"it's local in {directory}"
    assert "Usage: file-index" in said


def test_the_bucket_is_named(tmp_path: Path) -> None:
    assert "file-index ls s3://files-000000000000" in instructions(
        cast(Deployment, Deployed(tmp_path))
    )
