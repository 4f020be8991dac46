"""What `make demo` prints around its story: counts, commands to paste, where to go next."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from local.demo import NEXT_STEPS, Resources, instructions
from local.deployment import Deployment
from tools.module_copy import ROOT


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


def test_the_resources_of_each_command_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    resources = Resources()

    for command, names in (("apply", "abc"), ("destroy", "ab")):
        with resources.counted(f"terraform {command}", "done"):
            for name in names:
                resources.finished(name)

    said = re.sub(r"[\d.]+ s$", "… s", capsys.readouterr().out, flags=re.MULTILINE)
    assert (
        said
        == "terraform apply: 3 resources done in … s\nterraform destroy: 2 resources done in … s\n"
    )


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("place", [place for places in NEXT_STEPS.values() for place in places])
def test_the_next_step_leads_somewhere(place: str) -> None:
    name, _, anchor = place.partition("#")

    assert (ROOT / name).exists()
    assert not anchor or anchor in anchors(ROOT / name)
