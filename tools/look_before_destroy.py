"""Refuse a destroy that would fail halfway or lose events; run by `make destroy`.

python -m tools.look_before_destroy ENVIRONMENT COMMAND…

It runs the command in the environment's workspace, unless nothing is deployed there or there is a
reason to refuse. Terraform alone would first remove whatever it can, including the bucket's
hardening and the dead letters, and then fail on a protected table or a full bucket.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_GONE = ("NoSuchBucket", "ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue")


def reasons_to_refuse(state: dict[str, Any], environment: str) -> list[str]:
    """Return the reasons not to destroy the resources of a state, each with what to do.

    `state` is the output of `terraform show -json`; the current settings come from AWS.
    """
    reasons: list[str] = []
    for resource in managed_resources(state):
        look = _LOOKS.get(resource["type"])
        if look is None:
            continue
        try:
            reasons += look(resource, environment)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                reasons.append(f"{resource['address']} could not be checked: {error}")
        except BotoCoreError as error:
            reasons.append(f"{resource['address']} could not be checked: {error}")
    return reasons


def managed_resources(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the managed resources in the output of `terraform show -json`."""
    resources = state.get("values", {}).get("root_module", {}).get("resources", [])
    return [resource for resource in resources if resource["mode"] == "managed"]


def _look_at_table(table: dict[str, Any], _: str) -> Iterator[str]:
    name = table["values"]["name"]
    dynamodb = boto3.client("dynamodb", region_name=_region(table))
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        yield (
            f"The table {name} is protected from deletion."
            " Set `deletion_protection = false` in the tfvars' `table`, and run `make apply`."
        )


def _look_at_bucket(bucket: dict[str, Any], _: str) -> Iterator[str]:
    name = bucket["values"]["bucket"]
    if bucket["values"]["force_destroy"]:
        return
    s3 = boto3.client("s3", region_name=bucket["values"]["region"])
    found = s3.list_object_versions(Bucket=name, MaxKeys=1)
    if found.get("Versions") or found.get("DeleteMarkers"):
        yield (
            f"The bucket {name} holds objects, old versions or delete markers. Empty it, or set"
            " `force_destroy = true` in the tfvars' `bucket` and run `make apply`."
        )


def _look_at_queue(queue: dict[str, Any], environment: str) -> Iterator[str]:
    if not queue["name"].startswith("dead_letter"):
        return
    url = queue["values"]["url"]
    sqs = boto3.client("sqs", region_name=_region(queue))
    counts = sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    held = sum(int(count) for count in counts.values())
    if held:
        yield (
            f"The dead-letter queue {queue['values']['name']} holds {held} message(s): events that"
            f" are not in the index. Run `file-index redrive --env {environment}` or, if they may"
            f" be lost, `aws sqs purge-queue --queue-url {url}`."
        )


_LOOKS: dict[str, Callable[[dict[str, Any], str], Iterator[str]]] = {
    "aws_dynamodb_table": _look_at_table,
    "aws_s3_bucket": _look_at_bucket,
    "aws_sqs_queue": _look_at_queue,
}


def _region(resource: dict[str, Any]) -> str:
    region: str = resource["values"]["arn"].split(":")[3]
    return region


def main(environment: str, *command: str) -> int:
    """Check the environment's state, and run the command unless something would be lost.

    Return the command's exit code; 0 if nothing is deployed, 1 if there is a reason to refuse.
    """
    # A missing workspace is not created: S3 and local states would keep an empty one.
    if environment not in _terraform("workspace", "list").replace("*", " ").split():
        print(f"Nothing is deployed in {environment}.")
        return 0
    _terraform("workspace", "select", environment)
    state = json.loads(_terraform("show", "-json"))
    if not managed_resources(state):
        print(f"Nothing is deployed in {environment}.")
        return 0
    reasons = reasons_to_refuse(state, environment)
    if reasons:
        print("Nothing was destroyed:", *reasons, sep="\n  - ", file=sys.stderr)
        return 1
    return subprocess.run(command, check=False).returncode


def _terraform(*arguments: str) -> str:
    """Return Terraform's output; exit if it fails, because Terraform has said why."""
    done = subprocess.run(["terraform", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(1)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
