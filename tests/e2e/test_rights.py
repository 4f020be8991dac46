"""The permissions of each function: all are needed, and a missing one is explained."""

import pytest

from local.deployment import without_events
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

APPLIES = {"dynamodb:PutItem"}
LOOKS = APPLIES | {"dynamodb:GetItem", "s3:GetObject", "s3:ListBucket"}

GRANTED = {  # by deployment: on table and buckets
    "derived": APPLIES | {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "eventbridge": LOOKS,
    "eventbridge_queued": APPLIES,
    "external": APPLIES,
    "external_queued": APPLIES,
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


def test_manifests_are_the_only_objects_that_are_written(derived: Stack) -> None:
    assert [s["Resource"] for s in derived.policies()["derived-files"]["Statement"]] == [
        f"arn:aws:s3:::{derived.bucket}/manifests/*"
    ]
