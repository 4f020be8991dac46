"""The stacks in examples/, applied as they are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from local.emulator import SECRET_KEY
from local.waiting import wait_for
from tests.frame import Shared
from tools.module_copy import ROOT, ModuleCopy
from tools.repository_address import stated
from tools.terraform_init import init

pytestmark = pytest.mark.waits

EXAMPLES = sorted(
    path.parent.name
    for path in (ROOT / "examples").glob("*/main.tf")
    if path.parent.name != "other-account"  # test_other_account.py applies it
)
SOURCE = f"git+{stated()}.git"
PIP = f"{sys.executable} -m pip install --no-build-isolation --disable-pip-version-check --quiet"
"""Without the network, and without a build backend of its own."""


class Example:
    """A stack in a copy of the module."""

    def __init__(self, module: ModuleCopy, name: str) -> None:
        self._directory = module.directory / "examples" / name
        if name == "reader":
            self._build_reader()
        data = os.fspath(module.directory.parent / "example")
        self._environment = {**module.environment, "TF_DATA_DIR": data}
        init(self._directory, self._environment)

    def _build_reader(self) -> None:
        """Run what the README says."""
        commands = (self._directory / "README.md").read_text().split("```sh\n")[1].split("```")[0]
        assert commands.count("pip install") == commands.count(SOURCE) == 1
        offline = commands.replace("pip install", PIP).replace(SOURCE, os.fspath(ROOT))
        subprocess.run(["sh", "-ec", offline], cwd=self._directory, check=True)

    def terraform(self, *command: str) -> str:
        ran = subprocess.run(
            ["terraform", *command],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def outputs(self) -> dict[str, Any]:
        found = json.loads(self.terraform("output", "-json"))
        return {name: output["value"] for name, output in found.items()}


@contextmanager
def applied(shared: Shared, name: str, environment: Mapping[str, str]) -> Iterator[Example]:
    """Apply an example, which ends with its emulator, undestroyed."""
    with ModuleCopy(environment, shared.module) as module:
        example = Example(module, name)
        example.terraform("apply", "-auto-approve")
        yield example


def item_of(dynamodb: Any, deployment: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """Return the index's item for a key."""
    found: dict[str, Any] | None = dynamodb.get_item(
        TableName=deployment["table"]["name"],
        Key={"partition": {"S": deployment["bucket"]["name"]}, "key": {"S": key}},
        ConsistentRead=True,
    ).get("Item")
    return found


def test_an_index_with_derived_files(shared: Shared) -> None:
    s3, dynamodb = map(shared.emulator.client, ("s3", "dynamodb"))
    with applied(shared, "derived-files", shared.emulator.environment | shared.provider) as example:
        deployment = example.outputs()["file_index"]
        manifests = deployment["environment"]["DERIVED_BUCKET"]
        s3.put_object(Bucket=deployment["bucket"]["name"], Key="reports/q1.json", Body=b"{}")
        item = wait_for(lambda: item_of(dynamodb, deployment, "reports/q1.json"), lambda: None)
        found = s3.get_object(Bucket=manifests, Key=item["derived_key"]["S"])

        assert json.load(found["Body"])["json"] == {"parses": True}


@pytest.mark.long
def test_a_job_for_each_real_change(shared: Shared) -> None:
    s3, sqs, dynamodb = map(shared.emulator.client, ("s3", "sqs", "dynamodb"))
    with applied(shared, "on-change", shared.emulator.environment | shared.provider) as example:
        outputs = example.outputs()
        deployment = outputs["file_index"]
        bucket = deployment["bucket"]["name"]

        def written(before: str | None) -> str:
            """Wait for another write of the record, and return its revision."""

            def another() -> str | None:
                item = item_of(dynamodb, deployment, "order + 1.json")
                revision = str(item["revision"]["S"]) if item else before
                return revision if revision != before else None

            return wait_for(another, lambda: before)

        revision = None
        for body in (b"new", b"new", b"other"):
            s3.put_object(Bucket=bucket, Key="order + 1.json", Body=body)
            revision = written(revision)
        s3.delete_object(Bucket=bucket, Key="order + 1.json")
        deleted = written(revision)

        jobs: list[dict[str, Any]] = []

        def all_jobs() -> bool:
            for message in sqs.receive_message(QueueUrl=outputs["jobs"]).get("Messages", []):
                jobs.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=outputs["jobs"], ReceiptHandle=message["ReceiptHandle"])
            return any(job["revision"] == deleted for job in jobs)

        wait_for(all_jobs, lambda: jobs)
        # The write that changed nothing would have come before.
        assert [(job["change"], job["content"] and job["content"]["size"]) for job in jobs] == [
            ("created", 3),
            ("replaced", 5),
            ("deleted", None),
        ]


@pytest.mark.long
def test_another_function_reads_the_index(shared: Shared) -> None:
    s3, awslambda = map(shared.emulator.client, ("s3", "lambda"))
    # By Terraform's own provider, because the running one does not find the package.
    with applied(shared, "reader", shared.emulator.environment) as example:
        outputs = example.outputs()
        bucket = outputs["file_index"]["bucket"]["name"]
        for key in ("2026/b.pdf", "2026/a + ü.pdf", "2027/c.pdf"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"%PDF")

        def files() -> list[dict[str, Any]] | None:
            answer = awslambda.invoke(
                FunctionName=outputs["reader"], Payload=json.dumps({"prefix": "2026/"})
            )
            said = json.load(answer["Payload"])
            assert "FunctionError" not in answer, said
            return said if len(said) == 2 else None

        found = wait_for(files, lambda: None)

        etag = s3.head_object(Bucket=bucket, Key="2026/b.pdf")["ETag"].strip('"')
        assert found == [
            {"key": "2026/a + ü.pdf", "size": 4, "etag": etag},
            {"key": "2026/b.pdf", "size": 4, "etag": etag},
        ]


@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_indexes_files_and_a_second_plan_is_empty(shared: Shared, name: str) -> None:
    # In an account of its own, because some examples have the same names.
    account = f"{EXAMPLES.index(name) + 1:012}"
    credentials = {"AWS_ACCESS_KEY_ID": account}
    s3, dynamodb = (
        shared.emulator.client_as(service, account, SECRET_KEY) for service in ("s3", "dynamodb")
    )
    with applied(shared, name, shared.emulator.environment | credentials) as example:
        example.terraform("plan", "-detailed-exitcode")
        found = example.outputs()["file_index"]
        deployments = [found] if "bucket" in found else list(found.values())
        for deployment in deployments:
            filters = deployment["filters"] or [{"prefix": "", "suffix": ""}]
            key = f"{filters[0]['prefix']}file{filters[0]['suffix']}"
            s3.put_object(Bucket=deployment["bucket"]["name"], Key=key, Body=b"x")
            wait_for(lambda d=deployment, k=key: item_of(dynamodb, d, k), lambda d=deployment: d)  # type: ignore[misc]
