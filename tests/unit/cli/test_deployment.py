"""The deployment that Terraform's outputs describe."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cli.deployment import Deployment, Monitoring, find
from cli.errors import CommandError
from cli.function.filters import Filter, Filters
from tests.unit.cli.deployments import OUTPUT

# Printed by `terraform output -json` in a stack with one index, the module `one`, and two more, the
# module `each` with a `for_each`. The outputs `module` and `each` are these modules; `deployment`
# and `deployments` are their outputs `deployment`, `list` is a list of these, `vpc` something else.
PRINTED: dict[str, Any] = json.loads(Path(__file__).with_name("terraform_output.json").read_text())
MODULE = PRINTED["module"]["value"]

Says = Callable[[dict[str, Any]], None]


@pytest.fixture
def terraform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A terraform on the path that prints the given output and notes the workspace of the call."""
    program = tmp_path / "terraform"
    program.write_text(
        f'#!/bin/sh\necho "$TF_WORKSPACE $*" >{tmp_path}/asked\ncat {tmp_path}/said\n'
        f"cat {tmp_path}/failed >&2 2>/dev/null && exit 1 || exit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


@pytest.fixture
def says(terraform: Path) -> Says:
    def say(document: dict[str, Any]) -> None:
        (terraform / "said").write_text(json.dumps(document))

    return say


def printed(*names: str) -> dict[str, Any]:
    return {name: PRINTED[name] for name in names}


@pytest.mark.parametrize(
    "document",
    [
        # In the directory of the module itself, where it is the root.
        {
            name: {"sensitive": False, "type": "dynamic", "value": value}
            for name, value in MODULE.items()
        },
        printed("module", "vpc"),
        printed("deployment"),
        printed("vpc", "module", "deployment"),
    ],
)
def test_the_output_is_found_wherever_it_is(says: Says, document: dict[str, Any]) -> None:
    says(document)

    assert find(None, None) == Deployment(
        name="reports-index",
        region="us-east-1",
        settings=find(None, "reports-index").settings,
        filters=Filters((Filter("in/", ".csv"),)),
        bucket="reports-index-000000000000",
        versioned=True,
        function_name="reports-index",
        dead_letter_url=(
            "https://sqs.us-east-1.amazonaws.com/000000000000/reports-index-dead-letter"
        ),
        queue_url="https://sqs.us-east-1.amazonaws.com/000000000000/reports-index",
        monitoring=Monitoring(
            alarms=[
                "reports-index-dead-letters",
                "reports-index-errors",
                "reports-index-failed-events",
                "reports-index-lag",
                "reports-index-old-events",
                "reports-index-permission-denied",
                "reports-index-table-throttled",
                "reports-index-throttles",
            ],
            event_age_seconds=600,
        ),
        reconciliation=None,
    )


def test_the_settings_are_the_functions(says: Says) -> None:
    says(printed("module"))

    settings = find(None, None).settings

    assert (settings.table_name, settings.table_partitions) == ("reports-index", 3)
    assert settings.tombstone_life.days == 60
    assert (settings.object_metadata, settings.object_tags) == (True, False)
    assert (settings.derived_bucket, settings.derived_prefix, settings.derived_max_bytes) == (
        "manifests",
        "of/",
        2 * 1024 * 1024,
    )


def test_the_workspace_is_terraforms(says: Says, terraform: Path) -> None:
    says(printed("module"))

    find("dev", None)
    assert (terraform / "asked").read_text() == "dev output -json -no-color\n"
    find(None, None)
    assert (terraform / "asked").read_text() == " output -json -no-color\n"


@pytest.mark.parametrize(
    "document",
    [
        printed("each"),
        printed("deployments"),
        printed("list"),
        printed("list", "vpc", "each", "deployments"),
    ],
)
def test_one_of_several_is_chosen_by_its_name(says: Says, document: dict[str, Any]) -> None:
    says(document)

    found = find(None, "us-index")
    assert (found.bucket, found.versioned, found.queue_url) == ("in-us", False, None)
    assert found.settings.derived_bucket is None
    assert find(None, "eu-index").bucket == "in-eu"
    with pytest.raises(
        CommandError,
        match=r"outputs hold 2 indexes: choose one with --index \(eu-index, us-index\)$",
    ):
        find(None, None)
    with pytest.raises(
        CommandError,
        match=r"--index other is not one of the indexes .*: choose from eu-index, us-index$",
    ):
        find(None, "other")


def test_an_index_can_be_in_several_outputs(says: Says) -> None:
    says(printed("module", "deployment", "each", "list"))

    assert find(None, "reports-index").bucket == "reports-index-000000000000"
    with pytest.raises(CommandError, match=r"\(eu-index, reports-index, us-index\)"):
        find(None, None)


def test_indexes_of_one_name_are_chosen_by_their_output(says: Says) -> None:
    other = deepcopy(PRINTED["each"])
    other["value"]["us"]["deployment"]["table"]["name"] = "eu-index"
    says({"file_index": other, "deployment": PRINTED["deployment"]})

    assert find(None, 'file_index["us"]').bucket == "in-us"
    assert find(None, 'file_index["eu"]').bucket == "in-eu"
    assert find(None, "deployment").name == "reports-index"
    choice = 'file_index["eu"], file_index["us"], reports-index'
    with pytest.raises(CommandError) as refused:
        find(None, "eu-index")
    assert str(refused.value) == (
        f"--index eu-index names several indexes in Terraform's outputs: choose from {choice}"
    )
    with pytest.raises(CommandError) as refused:
        find(None, None)
    assert str(refused.value).endswith(f"choose one with --index ({choice})")


def test_an_index_in_a_list_is_chosen_by_its_position(says: Says) -> None:
    says(printed("list"))

    assert find(None, "list[1]").bucket == "in-us"


@pytest.mark.parametrize("document", [printed("vpc"), {"file_index": {"value": {}}}])
def test_a_stack_without_an_index_is_told_what_to_add(says: Says, document: dict[str, Any]) -> None:
    says(document)

    with pytest.raises(CommandError) as refused:
        find("dev", None)
    assert str(refused.value) == (
        "Terraform's outputs in workspace dev contain no file index. If the module is part of a"
        ' stack, add output "file_index" { value = module.file_index.deployment } and apply'
    )


def test_a_directory_without_an_apply_has_no_outputs(says: Says) -> None:
    says({})

    with pytest.raises(
        CommandError, match="has no outputs in the selected workspace: run file-index in"
    ):
        find(None, None)


# The output of a release without the function's environment.
OLDER = {
    "bucket": {"arn": "arn:aws:s3:::reports", "name": "reports"},
    "dead_letter_queue": {"arn": "a", "name": "n", "url": "u"},
    "filters": [],
    "function": {"arn": "a", "name": "n"},
    "table": OUTPUT["table"],
}


def test_another_release_of_the_module_is_reported(says: Says) -> None:
    says({"file_index": {"value": OLDER}})
    with pytest.raises(
        CommandError,
        match=r"the output file_index is not of the same release as file-index .KeyError",
    ):
        find(None, None)


def test_an_index_of_another_release_does_not_block_the_others(says: Says) -> None:
    old = OLDER | {"table": OUTPUT["table"] | {"name": "old", "arn": "old"}}
    says({"old": {"value": old}, "new": {"value": OUTPUT}})

    assert find(None, "files").name == "files"
    with pytest.raises(CommandError, match="the output old is not of the same release"):
        find(None, "old")


@pytest.mark.parametrize("name", list(OUTPUT))
def test_all_of_the_output_is_needed(name: str) -> None:
    with pytest.raises(
        CommandError, match=f"the output x is not of the same release .*KeyError.*{name}"
    ):
        Deployment.of({key: value for key, value in OUTPUT.items() if key != name}, "x")
    # Only attributes that tests/terraform/outputs.tftest.hcl asserts may be read.
    Deployment.of(OUTPUT, "x")


def test_terraforms_error_is_passed_on(says: Says, terraform: Path) -> None:
    says({})
    (terraform / "failed").write_text("Error: Backend\n\n  initialization required\n")

    with pytest.raises(CommandError, match="Error: Backend initialization required"):
        find("dev", None)


def test_no_terraform_is_needed_with_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(
        CommandError, match="terraform is not installed: install it, or name the table"
    ):
        find("dev", None)
