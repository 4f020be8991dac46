"""A bucket of somebody else's, and an index's whole life: plan, use, switch, destroy."""

from typing import Any

from tests.e2e.stack import Stack


def notification(outputs: dict[str, Any]) -> dict[str, Any]:
    """What the bucket's owner makes of the output `notification`."""
    given = outputs["notification"]
    return {
        "LambdaFunctionConfigurations": [
            {
                "LambdaFunctionArn": given["function_arn"],
                "Events": given["events"],
                "Filter": {
                    "Key": {
                        "FilterRules": [
                            {"Name": name, "Value": value}
                            for name, value in rule.items()
                            if value is not None
                        ]
                    }
                },
            }
            for rule in given["filters"]
        ]
    }


def made(stack: Stack) -> dict[str, list[str]]:
    """What is left of a deployment on the account."""
    client = stack.emulator.client
    name = "external"
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


def test_an_index_of_somebody_elses_bucket_from_plan_to_destroy(external: Stack) -> None:
    s3 = external.s3
    assert external.deployment.plan() == []

    # The owner adds the notification to their own configuration.
    s3.put_bucket_notification_configuration(
        Bucket=external.bucket, NotificationConfiguration=notification(external.outputs)
    )
    external.put("in box/a b.txt", b"1", ContentType="text/csv")
    external.put("elsewhere.txt")
    record = external.wait_until_indexed("in box/a b.txt")
    assert (record.metadata, external.record("elsewhere.txt")) == (None, None)

    # Object metadata is switched on, on a deployed index …
    external.deployment.apply({"object_metadata": {"enabled": True}})
    external.put("in box/a b.txt", b"22", ContentType="text/csv")
    record = external.wait_until_indexed("in box/a b.txt")
    assert record.metadata
    assert record.metadata.content_type == "text/csv"

    # … and off again.
    external.deployment.apply({"object_metadata": {"enabled": False}})
    external.put("in box/a b.txt", b"333", ContentType="text/csv")
    assert external.wait_until_indexed("in box/a b.txt").metadata is None
    assert external.deployment.plan() == []

    assert all(made(external).values())
    external.deployment.destroy()
    assert not any(made(external).values())
    assert s3.head_object(Bucket=external.bucket, Key="elsewhere.txt")
