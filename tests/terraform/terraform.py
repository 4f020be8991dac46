"""What Terraform says of the module, as values."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.module_copy import ModuleCopy
from tools.terraform_init import init


def run_tests(
    module: ModuleCopy, directory: str, arguments: Sequence[str] = (), *, workspace: str = "default"
) -> list[dict[str, Any]]:
    """The messages of `terraform test` over the files of a directory, plans included."""
    answer = subprocess.run(
        [
            *("terraform", "test", "-json", "-verbose"),
            f"-test-directory=tests/terraform/{directory}",
            *arguments,
        ],
        cwd=module.directory,
        env={**module.environment, "TF_WORKSPACE": workspace},
        capture_output=True,
        text=True,
        check=False,
    )
    # Terraform may print a warning about its own settings before the messages.
    lines = [line for line in answer.stdout.splitlines() if line.startswith('{"')]
    assert lines, answer.stdout + answer.stderr
    return [json.loads(line) for line in lines]


def planned_changes(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Run: for each resource that its plan changes, the `change` of Terraform's JSON plan."""
    refusals = [m["diagnostic"] for m in messages if m["type"] == "diagnostic"]
    assert not [refusal for refusal in refusals if refusal["severity"] == "error"], refusals
    return {
        message["@testrun"]: {
            resource["address"]: resource["change"]
            for resource in message["test_plan"]["resource_changes"]
            if resource["change"]["actions"] not in (["no-op"], ["read"])
        }
        for message in messages
        if message["type"] == "test_plan"
    }


def refusals(messages: list[dict[str, Any]]) -> list[str]:
    """What Terraform says to a person whose input it refuses."""
    return [m["diagnostic"]["detail"] for m in messages if m["type"] == "diagnostic"]


def graph(module: ModuleCopy, directory: str, data_directory: Path) -> str:
    """Terraform's graph of a stack in the copy, in Graphviz's language."""
    stack = module.directory / directory
    environment = {**module.environment, "TF_DATA_DIR": os.fspath(data_directory)}
    init(stack, environment)
    return subprocess.run(
        ["terraform", "graph"],
        cwd=stack,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
