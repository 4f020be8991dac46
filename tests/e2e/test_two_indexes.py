"""Two indexes of one bucket in a user's stack, as in the README."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cli.function.reader import IndexReader
from function.record import format_time
from local.deployment import without_events
from local.emulator import Emulator
from local.waiting import wait_for
from tests.e2e.parent import Parent, parent_stack
from tests.e2e.stack import messages_in
from tests.frame import Shared
from tests.payloads import created, s3_document
from tools.module_copy import ROOT

# The stack is applied once.
pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("two_indexes")]

BUCKET = "two-indexes"
_STACK = """
resource "aws_s3_bucket" "reports" {
  bucket = "two-indexes"
}

module "incoming" {
  source     = "SOURCE"
  name       = "two-indexes-incoming"
  bucket     = { name = aws_s3_bucket.reports.bucket, versioned = false }
  filters    = [{ prefix = "incoming/" }]
  monitoring = { enabled = false }
  trigger    = "external"
}

module "archive" {
  source     = "SOURCE"
  name       = "two-indexes-archive"
  bucket     = { name = aws_s3_bucket.reports.bucket, versioned = false }
  filters    = [{ prefix = "ARCHIVE" }]
  monitoring = { enabled = false }
  trigger    = "external"
}

output "file_index" {
  value = { archive = module.archive.deployment, incoming = module.incoming.deployment }
}
"""


def write(parent: Parent, *, archive: str) -> None:
    """Write the README's notification, with the prefix of the second index."""
    section = (ROOT / "README.md").read_text().split("### Two indexes of one bucket")[1]
    snippet = re.search(r"```hcl\n(.*?)```", section, re.DOTALL)
    assert snippet
    stack = _STACK.replace("ARCHIVE", archive).replace("SOURCE", parent.source)
    (parent.directory / "main.tf").write_text(stack + snippet[1])


@pytest.fixture(scope="module")
def stack(shared: Shared) -> Iterator[Parent]:
    with parent_stack(shared) as parent:
        write(parent, archive="archive/")
        parent.init()
        assert parent.apply() is None
        yield parent


@pytest.fixture(scope="module")
def indexes(emulator: Emulator) -> dict[str, IndexReader]:
    dynamodb = emulator.client("dynamodb")
    return {name: IndexReader(dynamodb, f"{BUCKET}-{name}") for name in ("archive", "incoming")}


@pytest.mark.usefixtures("stack")
def test_two_indexes_share_the_buckets_notifications(
    indexes: dict[str, IndexReader], emulator: Emulator
) -> None:
    for prefix in indexes:
        emulator.client("s3").put_object(Bucket=BUCKET, Key=f"{prefix}/a", Body=b"x")
    for prefix, index in indexes.items():
        wait_for(lambda i=index, p=prefix: i.get(BUCKET, f"{p}/a"), lambda: None)  # type: ignore[misc]
    assert indexes["incoming"].get(BUCKET, "archive/a") is None


@pytest.mark.parametrize("command", [("ls", f"s3://{BUCKET}"), ("redrive",)])
def test_a_command_asks_which_index(stack: Parent, command: tuple[str, ...]) -> None:
    done = stack.file_index(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "file-index: Terraform's outputs hold 2 indexes: choose one with --index"
        " (two-indexes-archive, two-indexes-incoming)\n"
    )


def test_a_command_uses_the_named_index(
    stack: Parent, indexes: dict[str, IndexReader], emulator: Emulator
) -> None:
    s3 = emulator.client("s3")
    with without_events(s3, BUCKET):
        for name in indexes:
            s3.put_object(Bucket=BUCKET, Key=f"{name}/before.csv", Body=b"a;b")

    done = stack.file_index("backfill", f"s3://{BUCKET}", "--index", "two-indexes-archive")

    assert done.returncode == 0, done.stdout + done.stderr
    found = {
        name: index.get(BUCKET, f"{name}/before.csv") is not None for name, index in indexes.items()
    }
    assert found == {"archive": True, "incoming": False}


def test_the_dead_letters_of_the_named_index_are_replayed(
    stack: Parent, emulator: Emulator
) -> None:
    sqs = emulator.client("sqs")
    event = created() | {"eventTime": format_time(datetime.now(UTC))}
    event["s3"]["bucket"]["name"] = BUCKET
    queues = {
        name: sqs.get_queue_url(QueueName=f"two-indexes-{name}-dead-letter")["QueueUrl"]
        for name in ("archive", "incoming")
    }
    for url in queues.values():
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(s3_document(event)))

    done = stack.file_index("redrive", "--index", "two-indexes-incoming")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 replayed, 0 failed again" in done.stdout
    left = {name: messages_in(sqs, url) for name, url in queues.items()}
    assert left == {"archive": 1, "incoming": 0}


def test_filters_that_overlap_are_refused(stack: Parent) -> None:
    write(stack, archive="incoming/old/")

    refusal = stack.apply()

    assert refusal
    assert "Configurations overlap" in refusal
