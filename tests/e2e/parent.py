"""A user's stack that uses the module."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.frame import Shared
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import init


class Parent:
    """The stack, in a folder of its own."""

    def __init__(self, copy: ModuleCopy) -> None:
        self.source = str(copy.directory)
        """The module's source: absolute, because a kept provider runs in another directory."""
        self.directory: Path = copy.directory.parent / "parent"
        self.directory.mkdir()
        self._environment = {
            **copy.environment,
            "TF_DATA_DIR": f"{self.directory}/data",
            "TF_WORKSPACE": "default",
        }

    def init(self) -> None:
        """Initialise it after its files are written."""
        init(self.directory, self._environment)

    def apply(self) -> str | None:
        """Apply it; return Terraform's errors if that fails."""
        ran = self._terraform("apply", "-auto-approve")
        return ran.stdout + ran.stderr if ran.returncode else None

    def planned(self) -> dict[str, str]:
        """Return what a plan would do, by resource."""
        ran = self._terraform("plan")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        messages: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
        changes = [m["change"] for m in messages if m["type"] == "planned_change"]
        return {
            change["resource"]["addr"]: change["action"]
            for change in changes
            if change["action"] != "read"
        }

    def file_index(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `file-index` where the stack was applied."""
        return self._run(sys.executable, "-m", "cli", *arguments)

    def _terraform(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("terraform", command, "-json", *arguments)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env={**self._environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def parent_stack(shared: Shared) -> Iterator[Parent]:
    """Create a directory beside a copy of the module, in which the test writes a stack."""
    environment = {**shared.emulator.environment, **shared.provider}
    with ModuleCopy(environment, shared.module) as copy:
        yield Parent(copy)
