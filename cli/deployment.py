"""A deployment of the module, as its output `deployment` describes it."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from .errors import CommandError
from .function.errors import SettingsError
from .function.filters import Filters
from .function.settings import Settings

_MARKS = {"bucket", "dead_letter_queue", "filters", "function", "table"}
"""Attributes that tell a deployment from other outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What runs of the deployment's state machine need."""

    state_machine_arn: str
    log_group: str
    """The name of the workers' log group."""
    repair: bool
    """Whether the workers may write."""
    schedule: str | None
    """When runs start; None: only on request."""
    proof_every_hours: int | None
    """How old the last proof may be; None without a schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """How the deployment is watched."""

    alarms: Sequence[str]
    """The names of its alarms; none if monitoring is switched off."""
    event_age_seconds: float
    """How long an event may wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployed index: bucket, function, table and queues."""

    name: str
    """The module's input `name`, also the name of the table."""
    region: str
    settings: Settings
    """The function's."""
    filters: Filters
    bucket: str
    versioned: bool
    """Whether the bucket has versions, or ever had."""
    function_name: str
    dead_letter_url: str
    queue_url: str | None
    """None without a queue between trigger and function."""
    monitoring: Monitoring
    reconciliation: Reconciliation | None

    @classmethod
    def of(cls, output: Mapping[str, Any], reference: str) -> Self:
        """Return the deployment that a value of the output `deployment` describes.

        `reference` names the value in errors. Raises CommandError if another release wrote it.
        """
        try:
            table, queue, runs = output["table"], output["queue"], output["reconciliation"]
            return cls(
                name=table["name"],
                region=table["arn"].split(":")[3],
                settings=Settings.from_environment(output["environment"]),
                filters=Filters.of(output["filters"]),
                bucket=output["bucket"]["name"],
                versioned=output["bucket"]["versioned"],
                function_name=output["function"]["name"],
                dead_letter_url=output["dead_letter_queue"]["url"],
                queue_url=queue and queue["url"],
                monitoring=Monitoring(**output["monitoring"]),
                reconciliation=runs and Reconciliation(**runs),
            )
        except SettingsError as error:
            raise CommandError(f"the output {reference} is wrong: {error}") from None
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise CommandError(
                f"the output {reference} is not of the same release as file-index ({error!r}):"
                " apply the release of the module that file-index comes with"
            ) from error


def find(env: str | None, index: str | None) -> Deployment:
    """Return the deployment that Terraform's outputs in this directory describe.

    `env` is the workspace, or None for the selected one; `index` chooses among several indexes by
    its name or its output. Raises CommandError.
    """
    outputs = _outputs(env)
    # An index may be in several outputs, as in that of the module and in one of its own.
    found = {one.table_arn: one for name, value in outputs.items() for one in _in(value, name)}
    if not found:
        raise CommandError(_nothing(env, outputs))
    chosen = [one for one in found.values() if index is None or index in (one.name, one.reference)]
    if len(chosen) == 1:
        return Deployment.of(chosen[0].value, chosen[0].reference)
    choice = ", ".join(_choice(list(found.values())))
    if index is None:
        raise CommandError(
            f"Terraform's outputs hold {len(found)} indexes: choose one with --index ({choice})"
        )
    problem = "names several" if chosen else "is not one of the"
    raise CommandError(
        f"--index {index} {problem} indexes in Terraform's outputs: choose from {choice}"
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A value that looks like a deployment."""

    reference: str
    """As Terraform writes it: `file_indexes["eu"]`."""
    value: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.value["table"].get("name", self.reference))

    @property
    def table_arn(self) -> str:
        return str(self.value["table"].get("arn", self.reference))


def _outputs(env: str | None) -> dict[str, Any]:
    environment = {**os.environ, **({"TF_WORKSPACE": env} if env else {})}
    try:
        done = subprocess.run(
            ["terraform", "output", "-json", "-no-color"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise CommandError(
            "terraform is not installed: install it, or name the table with --table, if the"
            " command takes one"
        ) from None
    if done.returncode != 0:
        raise CommandError(
            f"terraform output failed: {' '.join(done.stderr.split())} "
            "Run file-index where Terraform was applied, or name the table with --table, if the"
            " command takes one"
        )
    return {name: output["value"] for name, output in json.loads(done.stdout).items()}


def _in(value: Any, reference: str) -> Iterator[_Found]:
    """Yield each deployment within an output."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _in(one, f"{reference}[{number}]")
    elif isinstance(value, dict):
        if value.keys() >= _MARKS and isinstance(value["table"], dict):
            yield _Found(reference, value)
            return
        for name, one in value.items():
            # The output of a module is named by the module alone.
            quoted = json.dumps(name, ensure_ascii=False)
            yield from _in(one, reference if name == "deployment" else f"{reference}[{quoted}]")


def _choice(found: Sequence[_Found]) -> list[str]:
    """Return the --index for each: its name, or its output if others have the same name."""
    names = [one.name for one in found]
    return sorted(one.name if names.count(one.name) == 1 else one.reference for one in found)


def _nothing(env: str | None, outputs: Mapping[str, Any]) -> str:
    where = f"workspace {env}" if env else "the selected workspace"
    if not outputs:
        return (
            f"Terraform has no outputs in {where}: run file-index in the directory where the index"
            " was applied, choose its workspace with --env, or name the table with --table, if the"
            " command takes one"
        )
    return (
        f"Terraform's outputs in {where} contain no file index. If the module is part of a stack,"
        ' add output "file_index" { value = module.file_index.deployment } and apply'
    )
