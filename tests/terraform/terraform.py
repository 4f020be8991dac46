"""Terraform in a copy of the module, or of a part of it."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHANGE = re.compile(r"^  # (\S+) (?:will|must) be (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A root module, and the environment that Terraform runs in it with."""

    directory: Path
    environment: Mapping[str, str]

    def at(self, path: str) -> "Configuration":
        """The root module in another folder of this one, with a data directory of its own."""
        directory = self.directory / path
        data = {"TF_DATA_DIR": str(directory / ".terraform")}
        return Configuration(directory, {**self.environment, **data})

    def terraform(self, *command: str, workspace: str = "default") -> tuple[int, str]:
        """What Terraform does: its exit code and its words."""
        ran = subprocess.run(
            ["terraform", command[0], "-no-color", *command[1:]],
            cwd=self.directory,
            env={**self.environment, "TF_WORKSPACE": workspace},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout

    def succeed(self, *command: str, workspace: str = "default") -> str:
        """What Terraform says; the test fails with these words if Terraform does."""
        code, said = self.terraform(*command, workspace=workspace)
        if code != 0:
            pytest.fail(f"terraform {' '.join(command)}:\n{said}", pytrace=False)
        return said


def by_heading(said: str, heading: re.Pattern[str]) -> dict[str, str]:
    """What is said under each heading, by the heading's group."""
    parts = heading.split(said)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def planned_changes(plan: str) -> dict[str, str]:
    """Resource: what a plan says becomes of it, such as "replaced, as requested"."""
    return dict(_CHANGE.findall(plan))
