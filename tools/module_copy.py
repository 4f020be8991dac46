"""A temporary copy of the module to run Terraform in, isolated from the checkout.

The checkout may hold a user's state, selected workspace, backend and variables. Nothing that runs
in the copy sees or changes them.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.terraform_init import init

ROOT = Path(__file__).resolve().parent.parent

# Downloaded once, 600 MB, and linked from each copy. Git ignores every `.terraform`.
_PROVIDER_CACHE = ROOT / "local" / ".terraform" / "plugins"
_LOCK_FILE = ".terraform.lock.hcl"
_KEPT_TERRAFORM_SETTINGS = ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR")


def isolated_environment(directory: Path) -> dict[str, str]:
    """Return the caller's environment variables without those for AWS and Terraform.

    Terraform then keeps what it installs in `directory`, apart from the configuration.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TF_")) or name in _KEPT_TERRAFORM_SETTINGS
    }
    return {
        "TF_PLUGIN_CACHE_DIR": str(_PROVIDER_CACHE),
        **own,
        # The lock file is deleted with the directory, so a cached provider may be linked before its
        # checksum is in it.
        "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "true",
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "400",  # a third of Terraform's time is garbage collection of schemas
        "TF_DATA_DIR": str(directory / "data"),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "TMPDIR": str(directory),  # a provider that is interrupted leaves its socket there
    }


class ModuleCopy:
    """An initialised copy; a context manager that deletes it at the end.

    Terraform runs in it with the given variables, and the caller's own without those for AWS and
    Terraform, which would change what is applied and where.

    `terraform init` runs in it unless `initialised` is given: a copy that was entered before, whose
    provider and lock file are copied. That takes 0.01 s instead of one, and no lock.
    """

    def __init__(
        self, environment: Mapping[str, str], initialised: "ModuleCopy | None" = None
    ) -> None:
        self._given = dict(environment)
        self._initialised = initialised

    @classmethod
    def found_at(cls, parent: str, given: Mapping[str, str]) -> Self:
        """Return the copy that another process has entered, by its `whereabouts`."""
        copy = cls(given)
        copy._parent = Path(parent)
        return copy

    @property
    def whereabouts(self) -> dict[str, Any]:
        """What another process needs to use this copy, for JSON."""
        return {"parent": str(self._parent), "given": self._given}

    def __enter__(self) -> Self:
        self._parent = Path(tempfile.mkdtemp(prefix="file-index-"))
        try:
            self._copy()
            if self._initialised:
                self._copy_initialised(self._initialised)
            else:
                self._init()
        except BaseException:
            shutil.rmtree(self._parent)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._parent)

    @property
    def directory(self) -> Path:
        """The directory of the copy."""
        return self._parent / "module"

    @property
    def data_directory(self) -> Path:
        """The directory that Terraform keeps this copy's provider in."""
        return Path(self.environment["TF_DATA_DIR"])

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment that Terraform runs in."""
        return isolated_environment(self._parent) | self._given

    def _copy(self) -> None:
        self.directory.mkdir()
        for source in ROOT.glob("*.tf"):
            if not source.name.endswith("_override.tf") and source.name != "override.tf":
                shutil.copy(source, self.directory)
        shutil.copy(ROOT / "function.zip", self.directory)
        for directory in ("environments", "examples", "tests/terraform"):
            unwanted = shutil.ignore_patterns(".terraform*", "*.tfstate*")
            shutil.copytree(ROOT / directory, self.directory / directory, ignore=unwanted)

    def _copy_initialised(self, source: "ModuleCopy") -> None:
        # The provider there is a link into the cache or a mirror.
        shutil.copytree(source.data_directory, self.data_directory, symlinks=True)
        shutil.copy(source.directory / _LOCK_FILE, self.directory)

    def _init(self) -> None:
        cache = Path(self.environment["TF_PLUGIN_CACHE_DIR"])
        cache.mkdir(parents=True, exist_ok=True)
        # Terraform does not guard its provider cache against two inits at once.
        with (cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            init(self.directory, self.environment)
