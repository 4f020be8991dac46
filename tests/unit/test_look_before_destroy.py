import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tools.look_before_destroy import reasons_to_refuse

REGION: Final = "eu-central-1"
ROOT = Path(__file__).parents[2]
VERSION: Final = {"terraform_version": "1.9.0", "platform": "linux_amd64"}


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setattr(boto3, "DEFAULT_SESSION", boto3.Session())
        yield


@pytest.fixture(autouse=True)
def aws(session: None) -> Iterator[None]:  # noqa: ARG001 # the clients are made from it
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield


def table(*, protected: bool) -> dict[str, Any]:
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="index",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=protected,
    )
    arn = f"arn:aws:dynamodb:{REGION}:123456789012:table/index"
    return resource("aws_dynamodb_table.table", name="index", arn=arn)


def bucket(*, force_destroy: bool = False, versioned: bool = False) -> dict[str, Any]:
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        s3.put_bucket_versioning(Bucket="files", VersioningConfiguration={"Status": "Enabled"})
    return resource(
        "aws_s3_bucket.watched", bucket="files", region=REGION, force_destroy=force_destroy
    )


def queue(name: str = "dead_letter") -> dict[str, Any]:
    url = boto3.client("sqs", region_name=REGION).create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:123456789012:{name}"
    return resource(f"aws_sqs_queue.{name}", name=name, url=url, arn=arn)


def resource(address: str, **values: object) -> dict[str, Any]:
    kind, label = address.split(".")
    return {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": label,
        "values": values,
    }


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"values": {"root_module": {"resources": list(resources)}}}


def put_object() -> None:
    boto3.client("s3", region_name=REGION).put_object(Bucket="files", Key="a", Body=b"")


def send_message(queue: dict[str, Any]) -> None:
    sqs = boto3.client("sqs", region_name=REGION)
    sqs.send_message(QueueUrl=queue["values"]["url"], MessageBody="{}")


def test_an_unprotected_table_an_empty_bucket_and_an_empty_queue_may_be_destroyed() -> None:
    assert reasons_to_refuse(state(table(protected=False), bucket(), queue()), "dev") == []


def test_all_reasons_to_refuse_are_named_at_once() -> None:
    dead_letters = queue()
    here = state(table(protected=True), bucket(), dead_letters)
    put_object()
    send_message(dead_letters)

    protected, full, waiting = reasons_to_refuse(here, "dev")

    assert "table index" in protected
    assert "deletion_protection = false" in protected
    assert "bucket files" in full
    assert "force_destroy = true" in full
    assert "dead_letter holds 1 message" in waiting
    assert "file-index redrive --env dev`" in waiting
    assert "purge-queue" in waiting


def test_a_table_protected_outside_of_terraform_is_protected() -> None:
    here = state(table(protected=False))
    boto3.client("dynamodb", region_name=REGION).update_table(
        TableName="index", DeletionProtectionEnabled=True
    )

    assert len(reasons_to_refuse(here, "dev")) == 1


def test_a_bucket_with_nothing_but_a_delete_marker_is_not_empty() -> None:
    here = state(bucket(versioned=True))
    s3 = boto3.client("s3", region_name=REGION)
    version = s3.put_object(Bucket="files", Key="a", Body=b"")["VersionId"]
    s3.delete_object(Bucket="files", Key="a")
    s3.delete_object(Bucket="files", Key="a", VersionId=version)

    assert len(reasons_to_refuse(here, "dev")) == 1


def test_a_full_bucket_that_terraform_may_empty_may_be_destroyed() -> None:
    here = state(bucket(force_destroy=True))
    put_object()

    assert reasons_to_refuse(here, "dev") == []


def test_a_message_in_flight_counts() -> None:
    dead_letters = queue()
    send_message(dead_letters)
    boto3.client("sqs", region_name=REGION).receive_message(QueueUrl=dead_letters["values"]["url"])

    assert len(reasons_to_refuse(state(dead_letters), "dev")) == 1


def test_messages_that_will_still_be_processed_do_not_count() -> None:
    events = queue("events")
    send_message(events)

    assert reasons_to_refuse(state(events), "dev") == []


def test_a_missing_resource_is_not_a_reason_to_refuse() -> None:
    here = state(table(protected=True), bucket(), queue())
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    dynamodb.update_table(TableName="index", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName="index")
    boto3.client("s3", region_name=REGION).delete_bucket(Bucket="files")
    boto3.client("sqs", region_name=REGION).delete_queue(
        QueueUrl=here["values"]["root_module"]["resources"][2]["values"]["url"]
    )

    assert reasons_to_refuse(here, "dev") == []


def test_a_resource_that_cannot_be_checked_is_not_destroyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = state(bucket())
    denied: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
    call = Mock(side_effect=ClientError(denied, "ListObjectVersions"))
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)

    (reason,) = reasons_to_refuse(here, "dev")

    assert "aws_s3_bucket.watched could not be checked" in reason


class Terraform:
    """A stand-in for the command: it has a workspace `dev` with the given state."""

    def __init__(self, directory: Path, shown: object) -> None:
        self.directory = directory
        self._called = directory / "called"
        (directory / "shown.json").write_text(json.dumps(shown))
        command = directory / "terraform"
        command.write_text(
            f"""#!/bin/sh
            cd {directory}
            echo "$*" >> called
            case "$*" in
                "version -json") echo '{json.dumps(VERSION)}' ;;
                "workspace list") printf '* default\\n  dev\\n' ;;
                "workspace select dev"|init*|"destroy"*) ;;
                "show -json") cat shown.json ;;
                *) echo "unexpected: $*" >&2; exit 1 ;;
            esac
            """
        )
        command.chmod(0o755)

    @property
    def called(self) -> list[str]:
        """The arguments of each call."""
        return self._called.read_text().splitlines()

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command that finds this Terraform and no AWS."""
        return subprocess.run(
            command,
            cwd=cwd,
            env={"PATH": f"{self.directory}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    def look(self, environment: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "tools.look_before_destroy", environment)
        return self.run(*command, "terraform", "destroy", cwd=ROOT)


def test_the_environment_is_destroyed_if_nothing_is_lost(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, state(resource("aws_iam_role.function")))

    ran = terraform.look("dev")

    assert ran.returncode == 0
    assert terraform.called[-3:] == ["workspace select dev", "show -json", "destroy"]


def test_an_empty_state_is_not_destroyed(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, {"format_version": "1.0"})

    ran = terraform.look("dev")

    assert (ran.returncode, ran.stdout) == (0, "Nothing is deployed in dev.\n")
    assert "destroy" not in terraform.called


def test_an_environment_that_was_never_applied_gets_no_workspace(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, state(resource("aws_iam_role.function")))

    ran = terraform.look("prod")

    assert (ran.returncode, ran.stdout) == (0, "Nothing is deployed in prod.\n")
    assert terraform.called == ["workspace list"]


def test_a_refusal_is_an_exit_code(tmp_path: Path) -> None:
    unreachable = resource("aws_s3_bucket.watched", bucket="files", force_destroy=False)
    unreachable["values"]["region"] = "none"
    terraform = Terraform(tmp_path, state(unreachable))

    ran = terraform.look("dev")

    assert "Nothing was destroyed:\n  - " in ran.stderr
    assert ran.returncode == 1
    assert "destroy" not in terraform.called


def test_a_failing_terraform_is_not_followed_by_a_destroy(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, {})
    (tmp_path / "shown.json").unlink()

    ran = terraform.look("dev")

    assert ran.returncode == 1
    assert "destroy" not in terraform.called


@pytest.mark.parametrize(
    ("environment", "done"),
    [("prod", ["workspace list"]), ("dev", ["destroy -var-file=environments/dev.tfvars"])],
)
def test_make_destroy_looks_first(tmp_path: Path, environment: str, done: list[str]) -> None:
    checkout = tmp_path / "checkout"
    for directory in ("environments", "tools"):
        shutil.copytree(ROOT / directory, checkout / directory)
    for file in ("Makefile", "requirements-local.txt"):
        shutil.copy2(ROOT / file, checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv" / "installed-local").touch()
    terraform = Terraform(tmp_path, state(resource("aws_iam_role.function")))

    ran = terraform.run("make", "destroy", f"ENV={environment}", cwd=checkout)

    assert ran.returncode == 0, ran.stderr
    assert ("Nothing is deployed in prod." in ran.stdout) is (environment == "prod")
    assert terraform.called[-1:] == done
