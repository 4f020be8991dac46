"""Two indexes of one bucket, as the README has them."""

import re

import pytest

from function.repository import FileIndex
from local.waiting import wait_for
from tests.e2e.parent import Parent, parent_stack
from tests.frame import Shared
from tools.module_copy import ROOT

pytestmark = pytest.mark.waits

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
"""


def write(parent: Parent, *, archive: str) -> None:
    """The README's notification, with the prefix of the second index."""
    section = (ROOT / "README.md").read_text().split("### Two indexes of one bucket")[1]
    snippet = re.search(r"```hcl\n(.*?)```", section, re.DOTALL)
    assert snippet
    stack = _STACK.replace("ARCHIVE", archive).replace("SOURCE", parent.source)
    (parent.directory / "main.tf").write_text(stack + snippet[1])


def test_two_indexes_of_a_bucket_share_its_notifications_if_their_filters_are_disjoint(
    shared: Shared,
) -> None:
    s3, dynamodb = shared.emulator.client("s3"), shared.emulator.client("dynamodb")
    indexes = {name: FileIndex(dynamodb, f"two-indexes-{name}") for name in ("incoming", "archive")}
    with parent_stack(shared) as parent:
        write(parent, archive="archive/")
        parent.init()
        assert parent.apply() is None

        for prefix in indexes:
            s3.put_object(Bucket="two-indexes", Key=f"{prefix}/a", Body=b"x")
        for prefix, index in indexes.items():
            wait_for(lambda i=index, p=prefix: i.get("two-indexes", f"{p}/a"), lambda: None)  # type: ignore[misc]
        assert indexes["incoming"].get("two-indexes", "archive/a") is None

        write(parent, archive="incoming/old/")
        refusal = parent.apply()
        assert refusal
        assert "Configurations overlap" in refusal
