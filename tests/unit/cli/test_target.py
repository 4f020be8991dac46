"""Which index a command works on."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from typer.testing import CliRunner

from cli.address import Filter, Filters
from cli.errors import CommandError
from cli.main import app
from cli.target import Connection, Target, of_deployment, settings_of

OUTPUTS: dict[str, Any] = {
    "bucket": {"name": "reports", "arn": "arn:aws:s3:::reports"},
    "dead_letter_queue": {"url": "https://sqs/dead"},
    "derived_files": {"bucket_name": "manifests", "prefix": "of/", "max_mb": 2},
    "filters": [{"prefix": "in/", "suffix": ".csv"}],
    "object_metadata": {"enabled": True, "tags": False},
    "table": {
        "name": "files",
        "arn": "arn:aws:dynamodb:eu-west-1:123456789012:table/files",
        "partitions": 3,
        "tombstone_days": 60,
    },
}


@pytest.fixture
def terraform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A terraform on the path that says what it is told, and in which workspace it was asked."""
    program = tmp_path / "terraform"
    program.write_text(
        f'#!/bin/sh\necho "$TF_WORKSPACE $*" >{tmp_path}/asked\ncat {tmp_path}/said\n'
        f"cat {tmp_path}/failed >&2 2>/dev/null && exit 1 || exit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def outputs(terraform: Path, values: dict[str, Any]) -> None:
    said = {name: {"value": value, "sensitive": False} for name, value in values.items()}
    (terraform / "said").write_text(json.dumps(said))


@pytest.mark.parametrize("where", [OUTPUTS, {"file_index": OUTPUTS, "other": 1, "vpc": {"id": 2}}])
def test_a_deployment_is_what_terraform_says(terraform: Path, where: dict[str, Any]) -> None:
    outputs(terraform, where)

    target = of_deployment("dev", None)

    assert (terraform / "asked").read_text() == "dev output -json -no-color\n"
    assert (target.bucket, target.filters) == ("reports", Filters((Filter("in/", ".csv"),)))
    settings = target.settings
    assert (settings.table_name, settings.table_partitions) == ("files", 3)
    assert (settings.tombstone_life.days, settings.object_metadata) == (60, True)
    assert (settings.derived_bucket, settings.derived_prefix, settings.derived_max_bytes) == (
        "manifests",
        "of/",
        2 * 1024 * 1024,
    )


def test_without_derived_files_none_are_made(terraform: Path) -> None:
    outputs(terraform, {**OUTPUTS, "derived_files": None})

    assert of_deployment("dev", None).settings.derived_bucket is None


@pytest.mark.parametrize(("said", "versioned"), [({}, False), ({"versioned": True}, True)])
def test_a_deployment_says_whether_the_bucket_has_versions(
    terraform: Path, said: dict[str, Any], versioned: bool
) -> None:
    outputs(terraform, {**OUTPUTS, "bucket": {**OUTPUTS["bucket"], **said}})

    assert of_deployment("dev", None).versioned is versioned


def test_options_say_what_is_watched_instead(terraform: Path) -> None:
    outputs(terraform, OUTPUTS)

    assert of_deployment(None, Filters.parse(["a"])).filters == Filters((Filter("a"),))


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("ls", "s3://reports", "--partitions", "2"), "--partitions is for --table"),
        (("verify", "s3://reports", "--object-metadata"), "--object-metadata is for --table"),
        (
            ("backfill", "s3://reports", "--filter", "a"),
            "would insert what the deployment does not",
        ),
        (("verify", "s3://reports", "--filter", "a", "--repair"), "leave --filter out, and"),
        (("ls", "s3://reports", "--table", ""), "--table is empty"),
        (("backfill", "s3://reports", "--versioned"), "--versioned is for --table"),
    ],
)
def test_options_that_a_deployment_answers_itself_are_refused(
    terraform: Path, arguments: tuple[str, ...], refusal: str
) -> None:
    outputs(terraform, OUTPUTS)

    with patch.dict(os.environ):
        done = CliRunner().invoke(app, arguments)

    assert (done.exit_code, refusal in done.stderr) == (2, True), done.stderr


def test_a_profile_that_is_asked_for_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "".join(
            f"[profile {name}]\naws_access_key_id = {name}\naws_secret_access_key = s\n"
            for name in ("wanted", "other")
        )
    )
    others = {
        "AWS_CONFIG_FILE": f"{tmp_path}/config",
        "AWS_DEFAULT_PROFILE": "other",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/other",
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{tmp_path}/config",
    }
    with patch.dict(os.environ, others):
        Connection(profile="wanted").use()
        credentials = boto3.Session().get_credentials()

    assert credentials
    assert credentials.access_key == "wanted"


def test_another_bucket_than_the_deployments_is_refused(terraform: Path) -> None:
    outputs(terraform, OUTPUTS)
    target = of_deployment(None, None)

    with pytest.raises(CommandError, match="watches bucket reports, not other"):
        target.address("s3://other/a")
    with pytest.raises(CommandError, match=r"nothing below s3://reports/out is watched: .*in/\*"):
        target.watched("s3://reports/out")
    assert target.watched("s3://reports/i").key == "i"
    assert target.watched("s3://reports/in/2026").key == "in/2026"


def test_without_outputs_there_is_no_deployment(terraform: Path) -> None:
    outputs(terraform, {"vpc": {"id": 1}})

    with pytest.raises(CommandError, match="nothing is deployed in workspace dev"):
        of_deployment("dev", None)
    outputs(terraform, {"one": OUTPUTS, "two": OUTPUTS})
    with pytest.raises(CommandError, match="2 indexes: choose one with --table"):
        of_deployment(None, None)


def test_what_terraform_says_of_a_failure_is_passed_on(terraform: Path) -> None:
    outputs(terraform, {})
    (terraform / "failed").write_text("Error: Backend\n\n  initialization required\n")

    with pytest.raises(CommandError, match="Error: Backend initialization required"):
        of_deployment("dev", None)


def test_no_terraform_is_needed_with_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(CommandError, match="terraform is not installed: name the table"):
        of_deployment("dev", None)
    assert Target(settings=settings_of("files"), filters=Filters()).bucket is None
    with pytest.raises(CommandError, match="OBJECT_TAGS"):
        settings_of("files", object_tags=True)
