"""Runs one AWS provider for many Terraform commands, each of which would start its own.

A Terraform command spends most of its time starting the provider. Started with `-debug`, it serves
every command that finds its address in the environment:
https://developer.hashicorp.com/terraform/plugin/debugging#running-terraform-with-a-provider-in-debug-mode
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from local.waiting import wait_for
from tools.module_copy import ROOT

_ADDRESS = re.compile(r"TF_REATTACH_PROVIDERS='(.*)'")
_BINARY = "providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*"
_PACKAGE = ROOT / "function.zip"
_START_SECONDS = 300  # it usually takes one
_STOP_SECONDS = 5

# The shell becomes the provider. Its child kills the provider when standard input ends. The owner
# holds the other end, so the provider ends even if the owner was killed.
_WATCHED = 'exec 3<&0; (read -r _ <&3; kill $$) & exec "$0" -debug </dev/null 3<&-'


class ProviderError(Exception):
    """The AWS provider could not be started; the message says why."""


def provider_binary(data_directory: Path) -> Path:
    """Return the AWS provider that `terraform init` installed into a data directory."""
    found = next(data_directory.glob(_BINARY), None)
    if found is None:
        raise ProviderError(f"{data_directory} holds no AWS provider: run terraform init first")
    return found


class KeptProvider:
    """A running AWS provider; a context manager that ends it.

    Terraform uses it if it runs with `environment`, even in several processes at once. The provider
    uses the account and endpoint in `variables`, whatever Terraform's own environment says.
    """

    def __init__(self, binary: Path, variables: Mapping[str, str]) -> None:
        self._binary = binary
        self._variables = dict(variables)
        self._stack = ExitStack()
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        # Go reads SSL_CERT_FILE everywhere but on macOS. There, Terraform starts its own providers.
        if sys.platform == "darwin" and "AWS_CA_BUNDLE" in self._variables:
            return self
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="provider-")))
            output = directory / "output"
            process = self._launch(directory, output)
            stack.callback(_stop, process)
            self.environment = {"TF_REATTACH_PROVIDERS": self._address(process, output)}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _launch(self, directory: Path, output: Path) -> subprocess.Popen[bytes]:
        variables = {**self._variables, "HOME": str(directory), "TMPDIR": str(directory)}
        # A provider that is configured a second time rejects AWS_CA_BUNDLE.
        if certificate := variables.pop("AWS_CA_BUNDLE", None):
            variables["SSL_CERT_FILE"] = certificate
        with output.open("wb") as written:
            return subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, self._binary],
                cwd=_where_the_packages_are_found(directory),
                env=variables,
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=subprocess.STDOUT,
                # A process group of its own: Terraform still needs it after Ctrl-C in the terminal.
                start_new_session=True,
            )

    def _address(self, process: subprocess.Popen[bytes], output: Path) -> str:
        def said() -> str:
            return output.read_text(errors="replace")

        def announced() -> re.Match[str] | None:
            if process.poll() is not None:
                raise ProviderError(f"{self._binary} ended at its start:\n{said()}")
            return _ADDRESS.search(said())

        try:
            return wait_for(announced, said, _START_SECONDS)[1]
        except TimeoutError as error:
            raise ProviderError(f"{self._binary} did not start: {error}") from None


def _where_the_packages_are_found(directory: Path) -> Path:
    """Create a directory from which the paths of all packages lead to them.

    The provider reads `function.zip` for the module's root, `../../function.zip` for the stacks in
    examples/, and for some of those a package of their own.
    """
    example = directory / "examples" / "stack"
    example.mkdir(parents=True)
    for folder in (directory, example):
        (folder / _PACKAGE.name).symlink_to(_PACKAGE)
    for package in ROOT.glob("examples/*/*.zip"):
        (example / package.name).symlink_to(package)
    return example


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        # The rest of the group. On macOS, an empty group is a PermissionError.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()
