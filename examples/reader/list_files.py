"""Lists files of the index: a Lambda function that never touches S3."""

import os
from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any

from file_index import Index

MOST = 1000
"""Lambda returns at most 6 MB."""


def handler(event: Mapping[str, str], _context: object) -> list[dict[str, Any]]:
    """Return the first files whose keys begin with the `prefix` of the event, in S3's order."""
    files = index().list(os.environ["BUCKET"], event.get("prefix", ""))
    return [
        {"key": file.key, "size": file.known.size, "etag": file.known.etag}
        for file in islice(files, MOST)
    ]


@cache
def index() -> Index:
    """Return the index, whose connections all invocations share."""
    return Index(os.environ["TABLE_NAME"], int(os.environ["TABLE_PARTITIONS"]))
