"""Manifests of a deployed index."""

import hashlib
import json
from typing import Any

import pytest

from local.deployment import without_events
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

MANIFESTS = "manifests/"


def manifests(stack: Stack) -> dict[str, dict[str, Any]]:
    listed = stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix=MANIFESTS).get("Contents", [])
    return {
        found["Key"]: json.load(stack.s3.get_object(Bucket=stack.bucket, Key=found["Key"])["Body"])
        for found in listed
    }


def test_each_object_has_a_manifest_and_manifests_have_none(derived: Stack) -> None:
    key = f"{PREFIX}manifest + of.csv"
    content = b"name,size\na,1\n"

    derived.put(key, content)
    record = derived.wait_until_indexed(key)

    assert record.known.derived.key == f"{MANIFESTS}{key}.{record.known.etag}.json"
    assert manifests(derived)[record.known.derived.key] == {
        "bucket": derived.bucket,
        "key": key,
        "etag": record.known.etag,
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "text/csv",
        "csv": {"delimiter": ",", "header": ["name", "size"]},
        "text": {"encoding": "utf-8", "lines": 2, "first_lines": ["name,size", "a,1"]},
    }
    # An event of the manifest would have arrived before this one's.
    derived.put(f"{key} of later")
    derived.wait_until_indexed(f"{key} of later")
    assert not list(derived.index.list_prefix(derived.bucket, MANIFESTS))
    assert not any(line.get("key", "").startswith(MANIFESTS) for line in derived.log_lines())


@pytest.mark.parametrize(
    ("name", "body", "arguments", "reason"),
    [
        ("large", b"x" * (2**20 + 1), {}, "the object has more than 1048576 bytes"),
        (
            "archived",
            b"x",
            {"StorageClass": "GLACIER"},
            "the object is archived and has to be restored first",
        ),
        (
            "of its owner",
            b"x",
            {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
            "the object is encrypted with a key that only its owner has (SSE-C)",
        ),
    ],
)
def test_an_object_that_is_not_read_is_indexed_with_the_reason(
    derived: Stack, name: str, body: bytes, arguments: dict[str, Any], reason: str
) -> None:
    key = f"{PREFIX}{name}.csv"

    derived.put(key, body, **arguments)
    line = derived.wait_for_line(key=key, outcome="indexed")

    record = derived.record(key)
    assert record
    assert (record.known.size, record.known.derived.key, record.known.derived.reason) == (
        len(body),
        None,
        reason,
    )
    assert line["key"] == key


def test_the_largest_allowed_object_has_a_manifest(derived: Stack) -> None:
    key = f"{PREFIX}largest"

    derived.put(key, b"x" * 2**20)

    assert derived.wait_until_indexed(key).known.derived.key


def test_an_object_deleted_in_between_is_indexed_with_the_reason(derived: Stack) -> None:
    assert derived.invoke(derived.upload_event("in box/deleted"))[1]["indexed"] == 1

    record = derived.record("in box/deleted")
    assert record
    assert record.known.derived.reason == "the object was deleted meanwhile"


@pytest.mark.parametrize("command", ["backfill", "verify --grace 1 --repair"])
def test_file_index_makes_manifests_too(derived: Stack, command: str) -> None:
    name, *options = command.split()
    prefix = f"{PREFIX}nobody was told, {name}/"
    with without_events(derived.s3, derived.bucket):
        derived.put(f"{prefix}a", name.encode())

    _, said = derived.file_index(name, f"s3://{derived.bucket}/{prefix}", *options)

    record = derived.record(f"{prefix}a")
    assert record, said
    assert record.known.derived.key in manifests(derived)
