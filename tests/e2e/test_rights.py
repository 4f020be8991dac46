"""The permissions of functions and workers: all are needed, and a missing one is explained."""

from typing import Any
from uuid import uuid4

import pytest

from local.deployment import without_events
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack
from tests.e2e.worker import Worker
from tests.payloads import sqs

APPLIES = {"dynamodb:PutItem"}
LOOKS = APPLIES | {"dynamodb:GetItem", "s3:GetObject", "s3:ListBucket"}

GRANTED = {  # by deployment: on table and buckets
    "derived": APPLIES | {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "eventbridge": LOOKS,
    "eventbridge_queued": APPLIES | {"dynamodb:PartiQLInsert"},
    "external": APPLIES,
    "external_queued": APPLIES | {"dynamodb:PartiQLInsert"},
    "metadata": LOOKS | {"s3:GetObjectTagging"},
    "queued": LOOKS,
    "unversioned": APPLIES,
    "versioned": LOOKS,
}

OBJECT = "object {bucket}/{key}, or bucket {bucket}"
READS = "if bucket.versioned, object_metadata.enabled or derived_files is set"
EXPLAINED = {  # the resource, and how the module grants the action
    "dynamodb:GetItem": (
        "table {table}",
        "if bucket.versioned or object_metadata.enabled is set",
    ),
    "dynamodb:PutItem": ("table {table}", "always"),
    "s3:GetObject": (OBJECT, READS),
    "s3:GetObjectTagging": ("object {bucket}/{key}", "if object_metadata.tags is set"),
    "s3:ListBucket": (OBJECT, READS),
    "s3:PutObject": ("object {bucket}/manifests/{key}.{etag}.json", "if derived_files is set"),
}


@pytest.mark.parametrize("stack", GRANTED, indirect=True)
def test_no_other_action_on_table_or_bucket_is_granted(stack: Stack) -> None:
    assert stack.granted() == GRANTED[stack.name]


@pytest.mark.parametrize(
    ("stack", "action"),
    [(name, action) for name in ("metadata", "derived") for action in sorted(GRANTED[name])],
    indirect=["stack"],
)
def test_every_granted_action_is_needed_and_its_absence_is_explained(
    stack: Stack, action: str
) -> None:
    key = f"{PREFIX}without {action}"
    etag = "of an object that is gone"
    # ListBucket tells a missing object from a forbidden one.
    if action != "s3:ListBucket":
        with without_events(stack.s3, stack.bucket):
            etag = stack.put(key)["ETag"].strip('"')
    event = stack.upload_event(key, eTag=etag, size=1)
    if action == "dynamodb:GetItem":  # an upload does not need it: its key is expected to be new
        event["Records"][0]["eventName"] = "ObjectTagging:Put"

    with stack.without(action):
        failed, _ = stack.invoke(event)

    assert failed
    line = stack.wait_for_line(key=key, outcome="failed")
    assert line["errorType"] == "PermissionDeniedError"
    on, granted = EXPLAINED[action]
    on = on.format(bucket=stack.bucket, key=key, etag=etag, table=stack.name)
    said = line["errorMessage"].replace("s3:GetObject or s3:ListBucket", action)
    expected = (
        f"role {stack.role} is not authorized to perform: {action}"
        f" on resource: {on}. The module grants it {granted}. "
    )
    assert said.startswith(expected)
    # The manifest is written first, so a record never names one that is missing.
    assert stack.record(key) is None

    assert stack.invoke(event)[0] is None
    assert stack.record(key)


def test_the_permission_to_insert_is_needed_and_its_absence_is_explained(
    external_queued: Stack,
) -> None:
    stack = external_queued
    keys = [f"{PREFIX}without the permission to insert {number}.csv" for number in range(2)]
    batch = sqs(*(stack.upload_event(key) for key in keys))

    with stack.without("dynamodb:PartiQLInsert"):
        _, answer = stack.invoke(batch)

    assert len(answer["batchItemFailures"]) == len(keys)
    line = stack.wait_for_line(key=keys[0], outcome="failed")
    assert line["errorMessage"].startswith(
        f"role {stack.role} is not authorized to perform: dynamodb:PartiQLInsert on resource:"
        f" table {stack.name}. The module grants it if queue is set without bucket.versioned,"
        " object_metadata.enabled or derived_files."
    )
    assert [stack.record(key) for key in keys] == [None, None]

    assert stack.invoke(batch)[1] == {"batchItemFailures": []}
    assert all(stack.record(key) for key in keys)


def test_manifests_are_the_only_objects_that_are_written(derived: Stack) -> None:
    assert [s["Resource"] for s in derived.policies()["derived-files"]["Statement"]] == [
        f"arn:aws:s3:::{derived.bucket}/manifests/*"
    ]


COMPARES = {"dynamodb:GetItem", "dynamodb:Query", "s3:ListBucket"}
REPAIRS = COMPARES | {"dynamodb:PutItem", "s3:GetObject"}
INSERTS = {"dynamodb:PartiQLInsert", "s3:ListBucket"}
REFRESHES = {"dynamodb:GetItem", "dynamodb:PutItem", "s3:GetObject", "s3:ListBucket"}

NEEDED = {  # by deployment and mode: on table and buckets, in a run of one round
    ("external", "verify"): COMPARES,
    ("unversioned", "verify"): REPAIRS,
    ("unversioned", "backfill"): INSERTS,
    ("versioned", "verify"): REPAIRS,
    ("versioned", "backfill"): INSERTS,
    ("metadata", "verify"): REPAIRS | {"s3:GetObjectTagging"},
    ("metadata", "backfill"): REFRESHES | {"s3:GetObjectTagging"},
    ("derived", "verify"): REPAIRS | {"s3:PutObject"},
    ("derived", "backfill"): REFRESHES | {"s3:PutObject"},
}
QUICKLY = {  # one of each resource; test_denials.py has the words
    ("external", "verify"): {"dynamodb:Query", "s3:ListBucket"},
    ("unversioned", "verify"): {"dynamodb:PutItem"},
    ("unversioned", "backfill"): {"dynamodb:PartiQLInsert"},
}


@pytest.mark.parametrize("stack", sorted({name for name, _ in NEEDED}), indirect=True)
def test_no_other_action_on_table_or_bucket_is_granted_to_a_worker(stack: Stack) -> None:
    needed = [actions for (name, _), actions in NEEDED.items() if name == stack.name]

    assert Worker.of(stack).granted() == set().union(*needed)


@pytest.mark.parametrize(
    ("stack", "mode", "action"),
    [
        pytest.param(
            name,
            mode,
            action,
            marks=[] if action in QUICKLY.get((name, mode), ()) else pytest.mark.long,
        )
        for (name, mode), actions in NEEDED.items()
        for action in sorted(actions)
    ],
    indirect=["stack"],
)
def test_every_action_granted_to_a_worker_is_needed_and_its_absence_is_explained(
    stack: Stack, mode: str, action: str
) -> None:
    worker = Worker.of(stack)
    prefix = f"{PREFIX}{uuid4().hex[:8]}/"
    key = f"{prefix}put.csv"
    with without_events(worker.s3, worker.bucket):
        worker.put(key)

    may_write = stack.name != "external"
    with worker.without(action):
        result = worker.run(mode=mode, prefix=prefix, repair=may_write)

    assert result["outcome"] == "incomplete"
    causes = " ".join([*result["causes"], *(one.get("cause", "") for one in result["keys"])])
    said = causes.replace("s3:GetObject or s3:ListBucket", action)
    assert f"role {worker.role} is not authorized to perform: {action} on resource: " in said
    assert worker.record(key) is None
    # A manifest is written first, so a record never names one that is missing.
    manifests = action == "dynamodb:PutItem" and stack.name == "derived"
    assert len(_objects(worker, prefix)) == 1 + manifests

    repaired = worker.run(mode=mode, prefix=prefix, repair=may_write)

    assert repaired["outcome"] == "complete"
    assert bool(worker.record(key)) is may_write


def _objects(worker: Worker, prefix: str) -> list[str]:
    """The keys of objects that contain the prefix; a derived file's does too."""
    pages = worker.s3.get_paginator("list_objects_v2").paginate(Bucket=worker.bucket)
    found: list[dict[str, Any]] = [one for page in pages for one in page.get("Contents", [])]
    return [one["Key"] for one in found if prefix in one["Key"]]
