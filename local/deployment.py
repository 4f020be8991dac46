"""The module applied to the local AWS, from a temporary copy with a state of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from local.emulator import Emulator
from tools.look_before_destroy import managed_resources
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import TerraformError

_WORKSPACE = "local"  # as environments/local.tfvars names it
_LOG_LINES = 60


class DeploymentError(Exception):
    """Terraform failed; the message is its output."""


class Deployment:
    """One deployment of the module; a context manager around its temporary directory.

    Entering initialises Terraform. Leaving interrupts a running command and deletes the directory.
    The caller calls `apply` and `destroy`. Several deployments can run side by side in one emulator
    under different names.

    `variables` go on top of environments/local.tfvars. `show` is called with a short line for each
    resource that is done. `provider` are environment variables for the provider: how to reach one
    that is running, which saves time, or the credentials of a user other than the account's root.
    `initialised` is a copy of the module to take Terraform's data from, which saves time too.
    """

    def __init__(
        self,
        emulator: Emulator,
        variables: Mapping[str, Any] | None = None,
        show: Callable[[str], None] = lambda _: None,
        *,
        provider: Mapping[str, str] = MappingProxyType({}),
        initialised: ModuleCopy | None = None,
    ) -> None:
        self._emulator = emulator
        self._variables = dict(variables or {})
        self._show = show
        self._running: subprocess.Popen[str] | None = None
        self._interrupted = False
        environment = {**emulator.environment, **provider, "TF_WORKSPACE": _WORKSPACE}
        self._module = ModuleCopy(environment, initialised)

    @classmethod
    def found_at(
        cls, emulator: Emulator, variables: Mapping[str, Any], module: Mapping[str, Any]
    ) -> Self:
        """Return the deployment that another process has entered, by its `whereabouts`."""
        deployment = cls(emulator, variables)
        deployment._module = ModuleCopy.found_at(**module)
        return deployment

    @property
    def whereabouts(self) -> dict[str, Any]:
        """What another process needs to use this deployment, for JSON."""
        return {"variables": self._variables, "module": self._module.whereabouts}

    def __enter__(self) -> Self:
        try:
            self._module.__enter__()
        except TerraformError as error:
            raise DeploymentError(str(error)) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.interrupt()
        finally:
            self._module.__exit__(kind, error, trace)

    @property
    def directory(self) -> Path:
        """The copy of the module that Terraform runs in."""
        return self._module.directory

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which terraform, run in `directory`, works on this deployment."""
        names = ("TF_DATA_DIR", "TF_WORKSPACE")
        return self._emulator.environment | {name: self._module.environment[name] for name in names}

    def apply(self, variables: Mapping[str, Any] | None = None) -> None:
        """Apply the module; `variables` given here replace those of the same name from now on."""
        self._variables |= variables or {}
        self._run("apply", "-auto-approve", *self._variable_files())

    def plan(self) -> list[str]:
        """Return the changes that an apply would make, one line each."""
        changes = []
        for message in self._run("plan", *self._variable_files()):
            if message["type"] == "planned_change":
                change = message["change"]
                changes.append(f"{change['action']} {change['resource']['addr']}")
            if message["type"] == "outputs":
                changes += [
                    f"{output['action']} output.{name}"
                    for name, output in message["outputs"].items()
                    if output.get("action", "noop") != "noop"
                ]
        return changes

    def outputs(self) -> dict[str, Any]:
        """The module's outputs by name."""
        described = json.loads(self._stdout("output", "-json"))
        return {name: output["value"] for name, output in described.items()}

    def file_index(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `file-index` in this deployment's directory, with its output as a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def destroy(self) -> None:
        """Empty the buckets that the module created, then destroy everything."""
        # force_destroy would do it on AWS; on the emulator it never ends if a key has a `+`.
        for bucket in self._buckets():
            empty_bucket(self._emulator.client("s3"), bucket)
        self.destroy_with_objects()

    def destroy_with_objects(self) -> None:
        """Destroy everything. Terraform empties the buckets, so no key may contain a `+`."""
        self._run("destroy", "-auto-approve", *self._variable_files())

    def interrupt(self) -> None:
        """Stop a running Terraform as Ctrl-C does, and wait for it. Callable from any thread."""
        if self._running is None:
            return
        self._send_interrupt(self._running)
        self._running.wait()

    def _send_interrupt(self, process: subprocess.Popen[str]) -> None:
        # Only once: after a second signal, Terraform would stop without waiting for its resources.
        if not self._interrupted:
            self._interrupted = True
            process.send_signal(signal.SIGINT)

    def _variable_files(self) -> list[str]:
        extra = self._module.directory / "extra.tfvars.json"
        extra.write_text(json.dumps(self._variables))
        return [f"-var-file=environments/{_WORKSPACE}.tfvars", f"-var-file={extra.name}"]

    def _buckets(self) -> list[str]:
        state = json.loads(self._stdout("show", "-json"))
        return [
            resource["values"]["bucket"]
            for resource in managed_resources(state)
            if resource["type"] == "aws_s3_bucket"
        ]

    def _stdout(self, *command: str) -> str:
        done = subprocess.run(
            ["terraform", *command],
            cwd=self._module.directory,
            env=self._module.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeploymentError(f"terraform {' '.join(command)} failed:\n{done.stderr}")
        return done.stdout

    def _run(self, *command: str) -> list[dict[str, Any]]:
        """Run a command that reports its progress, and return its messages."""
        # In a process group of its own: Ctrl-C in the terminal would reach Terraform a second time.
        with subprocess.Popen(
            ["terraform", command[0], "-json", "-input=false", *command[1:]],
            cwd=self._module.directory,
            env=self._module.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            self._running = process
            self._interrupted = False
            messages = []
            try:
                for message in _messages(process):
                    messages.append(message)
                    if message["type"] == "apply_complete" and message["hook"]["action"] != "read":
                        self._show(_progress(message["hook"]))
            except BaseException:
                self._wait_after_interrupt(process)
                raise
        if process.returncode != 0:
            raise DeploymentError(f"terraform {command[0]} failed:\n{_log(messages)}")
        return messages

    def _wait_after_interrupt(self, process: subprocess.Popen[str]) -> None:
        try:
            self._send_interrupt(process)
            # A full pipe would block Terraform; a closed one would end it before it saves its state
            for _ in _messages(process):
                pass
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def empty_bucket(s3: Any, bucket: str) -> None:
    """Delete every version and delete marker in a bucket."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])


@contextmanager
def without_events(s3: Any, bucket: str) -> Iterator[None]:
    """Remove the bucket's notifications while the block runs."""
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    notification = {name: found[name] for name in found if name != "ResponseMetadata"}

    def configure(configuration: dict[str, Any]) -> None:
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    configure({})
    try:
        yield
    finally:
        configure(notification)


@contextmanager
def without_policy(iam: Any, role: str, name: str) -> Iterator[None]:
    """Remove one of a role's policies while the block runs."""
    policy = {"RoleName": role, "PolicyName": name}
    document = iam.get_role_policy(**policy)["PolicyDocument"]
    iam.delete_role_policy(**policy)
    try:
        yield
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))


def _messages(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    for line in process.stdout or ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            # Messages from before Terraform has read its options are plain text.
            yield {"type": "text", "@message": line.rstrip()}


def _progress(hook: dict[str, Any]) -> str:
    done = {"create": "created", "update": "changed", "delete": "destroyed"}
    action = done.get(hook["action"], hook["action"])
    return f"{action} {hook['resource']['addr']} ({hook.get('elapsed_seconds', 0):.0f} s)"


def _log(messages: list[dict[str, Any]]) -> str:
    lines = []
    for message in messages:
        lines.append(message["@message"])
        detail = message.get("diagnostic", {}).get("detail")
        if detail:
            lines.append(f"  {detail}")
    return "\n".join(lines[-_LOG_LINES:])
