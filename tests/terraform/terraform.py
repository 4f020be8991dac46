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
    """A root module, and the environment in which Terraform runs."""

    directory: Path
    environment: Mapping[str, str]

    def at(self, path: str) -> "Configuration":
        """Return the root module in a subdirectory, with its own data directory."""
        directory = self.directory / path
        data = {"TF_DATA_DIR": str(directory / ".terraform")}
        return Configuration(directory, {**self.environment, **data})

    def terraform(self, *command: str, workspace: str = "default") -> tuple[int, str]:
        """Run Terraform; return its exit code and output."""
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
        """Run Terraform and return its output; fail the test with it if Terraform fails."""
        code, said = self.terraform(*command, workspace=workspace)
        if code != 0:
            pytest.fail(f"terraform {' '.join(command)}:\n{said}", pytrace=False)
        return said


def by_heading(said: str, heading: re.Pattern[str]) -> dict[str, str]:
    """Return the text under each heading, by the heading's group."""
    parts = heading.split(said)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def planned_changes(plan: str) -> dict[str, str]:
    """Return what a plan does to each resource, such as "replaced, as requested"."""
    return dict(_CHANGE.findall(plan))
