"""Manifests of a deployed index; and that the role has no action too many."""

import hashlib
import json
import time
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


def test_each_object_has_a_manifest_and_no_manifest_has_one(derived: Stack) -> None:
    key = f"{PREFIX}manifest + of.csv"
    content = b"name,size\na,1\n"

    derived.put(key, content)
    record = derived.wait_until_indexed(key)

    assert record.derived_key == f"{MANIFESTS}{key}.{record.etag}.json"
    assert manifests(derived)[record.derived_key] == {
        "bucket": derived.bucket,
        "key": key,
        "etag": record.etag,
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "text/csv",
        "csv": {"delimiter": ",", "header": ["name", "size"]},
        "text": {"encoding": "utf-8", "lines": 2, "first_lines": ["name,size", "a,1"]},
    }
    time.sleep(2)  # for an event of the manifest, if there were one
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
    assert (record.size, record.derived_key, record.derived_reason) == (len(body), None, reason)
    assert line["key"] == key


def test_the_largest_object_has_one(derived: Stack) -> None:
    key = f"{PREFIX}largest"

    derived.put(key, b"x" * 2**20)

    assert derived.wait_until_indexed(key).derived_key


def test_an_object_deleted_in_between_is_indexed_with_the_reason(derived: Stack) -> None:
    assert derived.invoke(derived.upload_event("in box/deleted"))[1]["indexed"] == 1

    record = derived.record("in box/deleted")
    assert record
    assert record.derived_reason == "the object was deleted meanwhile"


NEEDED = {  # action: on what
    "dynamodb:PutItem": "table derived",
    "s3:GetObject": "object somebody-elses-with-manifests/{key}, or on bucket ",
    "s3:PutObject": "object somebody-elses-with-manifests/manifests/{key}.",
}


@pytest.mark.parametrize("action", NEEDED)
def test_every_granted_action_is_needed_and_its_absence_explained(
    derived: Stack, action: str
) -> None:
    key = f"{PREFIX}without {action}"
    with derived.without(action):
        derived.put(key)
        line = derived.wait_for_line(key=key, outcome="failed")
        letter = derived.wait_for_dead_letter(key)

    assert line["errorType"] == "PermissionDeniedError"
    on = NEEDED[action].format(key=key)
    assert f"role {derived.role} may not {action} on {on}" in line["errorMessage"].replace(
        "s3:GetObject or s3:ListBucket", action
    )
    # Nothing is stored without the other: the manifest first, then the record.
    assert derived.record(key) is None

    assert derived.invoke(letter)[0] is None
    assert derived.wait_until_indexed(key).derived_key


def test_a_right_to_list_tells_what_is_gone_from_what_is_forbidden(derived: Stack) -> None:
    with derived.without("s3:ListBucket"):
        failed, answer = derived.invoke(derived.upload_event("in box/absent"))

    assert failed
    assert "may not s3:GetObject or s3:ListBucket on object" in answer["errorMessage"]


def test_no_other_action_on_table_or_bucket_is_granted(derived: Stack) -> None:
    assert derived.granted() == {*NEEDED, "s3:ListBucket"}
    assert [s["Resource"] for s in derived.policies()["derived-files"]["Statement"]] == [
        f"arn:aws:s3:::{derived.bucket}/{MANIFESTS}*"
    ]


@pytest.mark.parametrize("command", ["backfill", "verify --grace 1 --repair"])
def test_file_index_makes_them_too(derived: Stack, command: str) -> None:
    name, *options = command.split()
    prefix = f"{PREFIX}nobody was told, {name}/"
    with without_events(derived.s3, derived.bucket):
        derived.put(f"{prefix}a", name.encode())

    _, said = derived.file_index(name, f"s3://{derived.bucket}/{prefix}", *options)

    record = derived.record(f"{prefix}a")
    assert record, said
    assert record.derived_key in manifests(derived)
