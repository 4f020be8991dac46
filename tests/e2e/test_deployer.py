"""docs/deployer-policy.json: what plan, apply, change and destroy take, and nothing besides.

One deployment with every feature lives as an IAM user who has this policy alone. The local AWS
notes each action that the user's calls need: whatever the policy allows was needed, so none of its
actions can be taken away.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from local.decisions import Decision
from local.deployment import Deployment, DeploymentError
from local.emulator import REGION, Emulator

NAME: Final = "by-deployer"
ACCOUNT: Final = "000000000000"
BUCKET: Final = f"{NAME}-{ACCOUNT}"
DOCS: Final = Path(__file__).parents[2] / "docs"

PLACEHOLDERS: Final = ("ACCOUNT", "BUCKET", "KEY_ARN", "NAME", "REGION", "ROLE_PATH")
ALLOW_ALL: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def document(**values: str) -> dict[str, Any]:
    """The policy of a deployment."""
    template = Template((DOCS / "deployer-policy.json").read_text())
    filled: dict[str, Any] = json.loads(template.substitute(values))
    return filled


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in listed(statement["Action"])}


def never_asked_for() -> set[str]:
    """The actions that docs/permissions.md says the local AWS never asks for."""
    _, _, section = (
        (DOCS / "permissions.md").read_text().partition("\n## Actions without a proof\n")
    )
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    return {
        action for row in rows for action in re.findall(r"`([a-z0-9]+:\w+)`", row.split("|")[1])
    }


class Deployer:
    """An IAM user with the policy alone."""

    def __init__(self, emulator: Emulator, policy: dict[str, Any]) -> None:
        self.policy = policy
        self._emulator = emulator
        self._iam = emulator.client("iam")
        self._iam.create_user(UserName=NAME)
        self._key = self._iam.create_access_key(UserName=NAME)["AccessKey"]
        self._allow(policy)

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self._key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._key["SecretAccessKey"],
        }

    @property
    def decisions(self) -> list[Decision]:
        return self._emulator.decisions(self._key["AccessKeyId"])

    def client(self, service: str) -> Any:
        return self._emulator.client_as(
            service, self._key["AccessKeyId"], self._key["SecretAccessKey"]
        )

    @contextmanager
    def without(self, action: str) -> Iterator[None]:
        """Take one action out of the policy."""
        statements = [
            {**statement, "Action": kept}
            for statement in self.policy["Statement"]
            if (kept := [one for one in listed(statement["Action"]) if one != action])
        ]
        self._allow({**self.policy, "Statement": statements})
        try:
            yield
        finally:
            self._allow(self.policy)

    def _allow(self, policy: dict[str, Any]) -> None:
        self._iam.put_user_policy(
            UserName=NAME, PolicyName="deployer", PolicyDocument=json.dumps(policy)
        )


@dataclass
class Life:
    """What came of a deployment from its first apply to its end."""

    deployer: Deployer
    planned: list[Decision] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    """What Terraform said without an action, by the action."""


@pytest.fixture(scope="module")
def life(emulator: Emulator) -> Life:
    """A deployment that was applied, changed and destroyed by a user with the policy alone."""
    iam, s3 = emulator.client("iam"), emulator.client("s3")
    key = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    boundary = iam.create_policy(PolicyName=NAME, PolicyDocument=json.dumps(ALLOW_ALL))
    boundary_arn = boundary["Policy"]["Arn"]
    s3.create_bucket(Bucket=f"{NAME}-manifests")
    policy = document(
        ACCOUNT=ACCOUNT, BUCKET=BUCKET, KEY_ARN=key, NAME=NAME, REGION=REGION, ROLE_PATH="/apps/"
    )
    deployer = Deployer(emulator, policy)
    life = Life(deployer)
    created = {"create": True, "force_destroy": True, "versioned": True}
    first = {
        "name": NAME,
        "backfill_role": True,
        "bucket": {**created, "abort_uploads": True},
        "derived_files": {"bucket_name": f"{NAME}-manifests"},
        "function": {"reserved_concurrency": 5},
        "kms_key": {"arn": key},
        "queue": {},
        "role": {"path": "/apps/", "permissions_boundary": boundary_arn},
        "table": {"deletion_protection": False, "stream": "NEW_IMAGE"},
        "tags": {"team": "files"},
        "trigger": "eventbridge",
    }
    second = {
        "bucket": {**created, "abort_uploads": False},
        "function": {"architecture": "x86_64", "log_retention_days": 7, "memory_mb": 512},
        "queue": {"batch_size": 10},
        "role": {"path": "/apps/"},
        "table": {"deletion_protection": False, "point_in_time_recovery": False},
        "tags": {"owner": "files"},
    }
    third = {
        "queue": None,
        "role": {"path": "/apps/", "permissions_boundary": boundary_arn},
        "trigger": "notification",
    }
    with Deployment(emulator, first, credentials=deployer.credentials) as deployment:

        def refused(action: str, do: Callable[[], object]) -> None:
            with deployer.without(action), pytest.raises(DeploymentError) as said:
                do()
            life.refusals[action] = str(said.value)

        refused("iam:PassRole", deployment.apply)
        deployment.apply()

        before = len(deployer.decisions)
        refused("dynamodb:DescribeContinuousBackups", deployment.plan)
        assert deployment.plan() == []
        life.planned = deployer.decisions[before:]

        for bucket in (BUCKET, f"{NAME}-backfill-{ACCOUNT}"):
            s3.put_object(Bucket=bucket, Key="a")
        s3.delete_object(Bucket=BUCKET, Key="a")

        deployment.apply(second)
        deployment.apply(third)
        refused("s3:DeleteObjectVersion", deployment.destroy_with_objects)
        deployment.destroy_with_objects()
    return life


def test_a_deployment_lives_by_the_policy_alone(life: Life) -> None:
    refused = {decision.action for decision in life.deployer.decisions if not decision.allowed}

    assert refused == set(life.refusals)


def test_every_action_of_the_policy_is_needed(life: Life) -> None:
    asked_for = {decision.action for decision in life.deployer.decisions}

    assert actions(life.deployer.policy) - asked_for == never_asked_for()


def test_every_resource_of_the_policy_is_needed(life: Life) -> None:
    idle = [
        (statement["Sid"], resource)
        for statement in life.deployer.policy["Statement"]
        for resource in listed(statement["Resource"])
        if not any(
            decision.action in listed(statement["Action"])
            and fnmatchcase(decision.resource, resource)
            for decision in life.deployer.decisions
        )
    ]

    # AWS writes the ARN of a log group in two ways, the local AWS in one.
    assert idle == [
        ("LogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{NAME}:*"),
    ]


def test_without_an_action_terraform_says_which(life: Life) -> None:
    for action, said in life.refusals.items():
        assert action in said or ("s3:" in action and "AccessDenied" in said)


def test_a_plan_only_reads(life: Life) -> None:
    names = {decision.action.partition(":")[2] for decision in life.planned}

    assert [name for name in names if not name.startswith(("Describe", "Get", "List"))] == []


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "delete_table", {"TableName": f"{NAME}-2"}),
        ("iam", "delete_role", {"RoleName": f"{NAME}-2"}),
        ("lambda", "delete_function", {"FunctionName": f"{NAME}-2"}),
        ("s3", "delete_bucket", {"Bucket": f"{NAME}-manifests"}),
        ("sqs", "create_queue", {"QueueName": f"{NAME}-2"}),
    ],
)
def test_another_deployment_is_out_of_reach(
    life: Life, service: str, operation: str, arguments: dict[str, str]
) -> None:
    client = life.deployer.client(service)

    with pytest.raises(ClientError, match=r"AccessDenied"):
        getattr(client, operation)(**arguments)


def test_only_actions_without_resource_level_permissions_have_none() -> None:
    everything = {
        action: "Condition" in statement
        for statement in document(**dict.fromkeys(PLACEHOLDERS, "x"))["Statement"]
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }

    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    assert everything == {
        "lambda:CreateEventSourceMapping": True,
        "logs:DeleteQueryDefinition": False,
        "logs:DescribeLogGroups": False,
        "logs:DescribeQueryDefinitions": False,
        "logs:PutQueryDefinition": False,
    }
