"""Deployments, as the output `deployment` of the module describes them."""

from typing import Any

import boto3

from cli.connection import Connection
from cli.deployment import Deployment
from cli.function.filters import Filters
from cli.function.settings import Settings
from cli.target import Target

ACCOUNT = "123456789012"
OUTPUT: dict[str, Any] = {
    "bucket": {"name": "reports", "versioned": False},
    "dead_letter_queue": {
        "arn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:files-dead-letter",
        "url": "https://sqs/dead",
    },
    "environment": {"TABLE_NAME": "files"},
    "filters": [],
    "function": {"arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:files", "name": "files"},
    "monitoring": {"alarms": [], "event_age_seconds": 600},
    "queue": None,
    "reconciliation": None,
    "table": {
        "arn": f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/files",
        "name": "files",
    },
}
"""See tests/terraform/outputs.tftest.hcl."""

QUEUE = {"arn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:files", "url": "https://sqs/queue"}


CONNECTION = Connection(boto3.Session(region_name="eu-west-1"))


def deployed(*, connection: Connection = CONNECTION, **other: Any) -> Target:
    """Return a deployment, with these outputs changed."""
    return Target.of(Deployment.of(OUTPUT | other, "deployment"), connection)


def table(name: str, **options: Any) -> Target:
    """Return a table without a deployment."""
    return Target(
        connection=CONNECTION, settings=Settings(table_name=name, **options), filters=Filters()
    )
