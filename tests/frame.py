"""What all tests share: one local AWS, one provider process, and the requested deployments.

The process in which pytest was started makes them in threads, because an apply waits more than it
computes, and writes down where each can be found. The tests read that, in the same process or in
a worker of pytest-xdist.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from local.deployment import Deployment
from local.emulator import Emulator
from local.provider import KeptProvider, provider_binary
from local.waiting import wait_for
from tests.e2e.deployments import DEPLOYMENTS
from tests.e2e.stack import Stack
from tools.module_copy import ModuleCopy

OPTIONAL = ("uncorrected", *DEPLOYMENTS)
"""Fixtures that are made only for a test that names them."""

_HANGS_AFTER_SECONDS = 1800


class Frame:
    """Makes the shared things, and ends them."""

    def __init__(self, directory: Path, wanted: Collection[str]) -> None:
        """Make what all tests need, and the wanted parts of `OPTIONAL`."""
        deployments = [name for name in wanted if name in DEPLOYMENTS]
        self._shared = Shared(directory)
        self._stack = ExitStack()
        self._entered: list[Deployment] = []
        self._pool = ThreadPoolExecutor(max_workers=4 + len(deployments))
        self._start("emulator", self._emulator)
        self._start("module", self._module)
        self._start("provider", self._provider)
        if "uncorrected" in wanted:
            self._start("uncorrected", self._uncorrected)
        for name in deployments:
            self._start(name, lambda name=name: self._deploy(name))  # type: ignore[misc]

    def close(self) -> None:
        """Stop everything; the deployments end with their emulator, undestroyed."""
        for deployment in self._entered:
            deployment.interrupt()
        self._pool.shutdown(cancel_futures=True)
        self._shared.close()
        self._stack.close()

    def _start(self, name: str, make: Callable[[], object]) -> None:
        self._pool.submit(self._shared.publish, name, make)

    def _emulator(self) -> object:
        return self._stack.enter_context(Emulator()).whereabouts

    def _uncorrected(self) -> object:
        return self._stack.enter_context(Emulator(corrected=False)).whereabouts

    def _module(self) -> object:
        return self._stack.enter_context(ModuleCopy({})).whereabouts

    def _provider(self) -> object:
        binary = provider_binary(self._shared.module.data_directory)
        provider = KeptProvider(binary, self._shared.emulator.environment)
        return self._stack.enter_context(provider).environment

    def _deploy(self, name: str) -> object:
        emulator = self._shared.emulator
        bucket = DEPLOYMENTS[name]["bucket"]
        if not bucket.get("create"):
            emulator.client("s3").create_bucket(Bucket=bucket["name"])
        deployment = self._shared.deployment(name, DEPLOYMENTS[name])
        self._entered.append(self._stack.enter_context(deployment))
        deployment.apply()
        second_plan = deployment.plan()
        Stack(emulator, deployment).configure_bucket_as_its_owner()
        return {"deployment": deployment.whereabouts, "second_plan": second_plan}


class Shared:
    """Finds what a `Frame` has made; each property waits until it exists."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def emulator(self) -> Emulator:
        """The local AWS of all tests."""
        return Emulator.found_at(**self._find("emulator"))

    @cached_property
    def uncorrected(self) -> Emulator:
        """The local AWS without its corrections."""
        return Emulator.found_at(**self._find("uncorrected"))

    @cached_property
    def module(self) -> ModuleCopy:
        """An initialised copy of the module, from which others take Terraform's data."""
        return ModuleCopy.found_at(**self._find("module"))

    @cached_property
    def provider(self) -> dict[str, str]:
        """The environment variables with which Terraform uses the running provider."""
        found: dict[str, str] = self._find("provider")
        return found

    def deployment(self, name: str, variables: Mapping[str, Any]) -> Deployment:
        """A deployment that is not applied yet, and that the caller must enter."""
        return Deployment(
            self.emulator,
            {"name": name, **variables},
            provider=self.provider,
            initialised=self.module,
        )

    def stack(self, name: str) -> Stack:
        """One of DEPLOYMENTS, applied."""
        found = self._find(name)
        deployment = Deployment.found_at(self.emulator, **found["deployment"])
        return Stack(self.emulator, deployment, found["second_plan"])

    def close(self) -> None:
        """Close this process's connections."""
        for name in {"emulator", "uncorrected"} & vars(self).keys():
            getattr(self, name).close_clients()

    def publish(self, name: str, make: Callable[[], object]) -> None:
        """Write down what was made, or why it could not be."""
        try:
            found = json.dumps({"value": make()})
        except BaseException as error:  # noqa: BLE001 # raised again where it is asked for
            found = json.dumps({"error": f"{type(error).__name__}: {error}"})
        unfinished = self._directory / f"{name}.{os.getpid()}"
        unfinished.write_text(found)
        unfinished.rename(self._file(name))

    def _find(self, name: str) -> Any:
        file = self._file(name)
        wait_for(file.exists, lambda: f"no {name}", seconds=_HANGS_AFTER_SECONDS)
        found = json.loads(file.read_text())
        if "error" in found:
            raise RuntimeError(f"{name} could not be made: {found['error']}")
        return found["value"]

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"
