"""`file-index` in a stack of somebody's own with more than one index."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from function.record import format_time
from local.emulator import Emulator
from tests.frame import Shared
from tests.payloads import created, s3_document
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import init

STACK = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

module "file_index" {
  source   = "../.."
  for_each = toset(["invoices", "reports"])

  name    = "several-${each.key}"
  bucket  = { name = "stack-of-${each.key}", versioned = false }
  trigger = "external"

  table = { deletion_protection = false }
}

output "file_index" {
  value = module.file_index
}
"""

# Its deployment is made once.
pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("several_indexes")]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def file_index(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    emulator = shared.emulator
    s3 = emulator.client("s3")
    for name in ("invoices", "reports"):
        s3.create_bucket(Bucket=f"stack-of-{name}")
    with ModuleCopy(emulator.environment, shared.module) as module:
        stack = module.directory / "examples" / "several"
        stack.mkdir(parents=True)
        (stack / "main.tf").write_text(STACK)
        data = os.fspath(tmp_path_factory.mktemp("data"))
        environment = {**module.environment, "TF_DATA_DIR": data}
        init(stack, environment)

        def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command,
                cwd=stack,
                env={**environment, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )

        applied = run("terraform", "apply", "-auto-approve", "-no-color")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        yield lambda *arguments: run(sys.executable, "-m", "cli", *arguments)


@pytest.mark.parametrize(
    "command",
    [
        ("get", "s3://stack-of-reports/a"),
        ("ls", "s3://stack-of-reports"),
        ("backfill", "s3://stack-of-reports"),
        ("verify", "s3://stack-of-reports"),
        ("redrive",),
    ],
)
def test_every_command_asks_which_index(file_index: Run, command: tuple[str, ...]) -> None:
    done = file_index(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "file-index: Terraform's outputs hold 2 indexes: choose one with --index (several-invoices,"
        " several-reports)\n"
    )


def test_the_index_that_is_named_is_worked_on(file_index: Run, emulator: Emulator) -> None:
    emulator.client("s3").put_object(Bucket="stack-of-reports", Key="q1.csv", Body=b"a;b")
    reports = ("--index", "several-reports")

    assert file_index("backfill", "s3://stack-of-reports", *reports).returncode == 0
    said = file_index("get", "s3://stack-of-reports/q1.csv", "--json", *reports)
    assert json.loads(said.stdout)["size"] == 3
    wrong = file_index("ls", "s3://stack-of-reports", "--index", "several-invoices")
    assert wrong.stderr == (
        "file-index: the deployment watches bucket stack-of-invoices, not stack-of-reports\n"
    )


def test_the_dead_letters_of_the_index_that_is_named_are_replayed(
    file_index: Run, emulator: Emulator
) -> None:
    sqs = emulator.client("sqs")
    event = created() | {"eventTime": format_time(datetime.now(UTC))}
    event["s3"]["bucket"]["name"] = "stack-of-invoices"
    for name in ("invoices", "reports"):
        url = sqs.get_queue_url(QueueName=f"several-{name}-dead-letter")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(s3_document(event)))

    done = file_index("redrive", "--index", "several-invoices")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 replayed, 0 failed again" in done.stdout
    left = file_index("redrive", "--dry-run", "--index", "several-reports")
    assert "1 in the dead-letter queue." in left.stdout
