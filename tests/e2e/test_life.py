"""An index of an existing bucket over its whole life: plan, use, change, destroy."""

import pytest

from tests.e2e.stack import Stack


def made(stack: Stack) -> dict[str, list[str]]:
    """Return what the account still has of a deployment."""
    client = stack.emulator.client
    name = "short_lived"
    found = {
        "tables": client("dynamodb").list_tables()["TableNames"],
        "functions": [f["FunctionName"] for f in client("lambda").list_functions()["Functions"]],
        "roles": [role["RoleName"] for role in client("iam").list_roles()["Roles"]],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "log groups": [
            g["logGroupName"] for g in client("logs").describe_log_groups()["logGroups"]
        ],
    }
    return {kind: [n for n in names if name in n] for kind, names in found.items()}


@pytest.mark.waits
def test_an_index_of_an_existing_bucket_from_plan_to_destroy(short_lived: Stack) -> None:
    s3 = short_lived.s3
    short_lived.put("in box/a b.txt", b"1", ContentType="text/csv")
    short_lived.put("elsewhere.txt")
    record = short_lived.wait_until_indexed("in box/a b.txt")
    assert record.known.metadata
    assert record.known.metadata.content_type == "text/csv"
    assert short_lived.record("elsewhere.txt") is None

    # Object metadata is switched off and a queue is added. Until the owner follows, S3 still
    # invokes the function.
    short_lived.deployment.apply({"object_metadata": {"enabled": False}, "queue": {}})
    short_lived.put("in box/a b.txt", b"333", ContentType="text/csv")
    assert short_lived.wait_until_indexed("in box/a b.txt").known.metadata is None
    del short_lived.outputs
    short_lived.configure_bucket_as_its_owner()
    short_lived.put("in box/a b.txt", b"55555")
    assert short_lived.wait_until_indexed("in box/a b.txt").known.size == 5
    assert short_lived.deployment.plan() == []

    assert all(made(short_lived).values())
    short_lived.deployment.destroy()
    assert not any(made(short_lived).values())
    assert s3.head_object(Bucket=short_lived.bucket, Key="elsewhere.txt")
