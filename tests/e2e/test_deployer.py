"""docs/deployer-policy.json: exactly the actions that plan, apply, change and destroy need.

One deployment with every feature lives as an IAM user who has this policy alone. The local AWS
notes each action that the user's calls need, so what the policy allows and no call needs is seen.
Another one grows the policy from nothing, by what Terraform says it lacks. Both are long tests.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from local.decisions import Decision
from local.deployment import Deployment, DeploymentError
from local.emulator import REGION, Emulator
from local.provider import KeptProvider, provider_binary
from tests.frame import Shared

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("deployer")]

NAME: Final = "by-deployer"
ACCOUNT: Final = "000000000000"
DOCS: Final = Path(__file__).parents[2] / "docs"

PLACEHOLDERS: Final = ("ACCOUNT", "BUCKET", "KEY_ARN", "NAME", "REGION", "ROLE_PATH")
# The provider makes these calls, and continues if they are denied.
KEY_OF_DYNAMODB: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/dynamodb"

CREATED: Final = {"create": True, "force_destroy": True, "versioned": True}
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


def is_read(action: str) -> bool:
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def never_asked_for() -> set[str]:
    """The actions that the local AWS never checks, according to docs/permissions.md."""
    _, _, section = (DOCS / "permissions.md").read_text().partition("\n### Untested actions\n")
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    return {
        action for row in rows for action in re.findall(r"`([a-z0-9]+:\w+)`", row.split("|")[1])
    }


class Deployer:
    """An IAM user who deploys with actions of the policy alone, and the deployment's inputs."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        iam, s3, kms = map(emulator.client, ("iam", "s3", "kms"))
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        boundary = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(ALLOW_ALL))
        s3.create_bucket(Bucket=f"{name}-manifests")
        self.name = name
        self.bucket = f"{name}-{ACCOUNT}"
        self.kms_key = kms.create_key()["KeyMetadata"]["Arn"]
        self.boundary = boundary["Policy"]["Arn"]
        self.policy = document(
            ACCOUNT=ACCOUNT,
            BUCKET=self.bucket,
            KEY_ARN=self.kms_key,
            NAME=name,
            REGION=REGION,
            ROLE_PATH="/apps/",
        )
        self.credentials = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        self._emulator = emulator
        self._iam = iam
        self._s3 = s3

    @property
    def decisions(self) -> list[Decision]:
        """Return the decisions about the user's calls so far."""
        return self._emulator.decisions(self.credentials["AWS_ACCESS_KEY_ID"])

    def client(self, service: str) -> Any:
        return self._emulator.client_as(service, *self.credentials.values())

    def allow(self, allowed: set[str]) -> None:
        """Allow these actions of the policy, on their resources, and nothing else."""
        statements = [
            {**statement, "Action": kept}
            for statement in self.policy["Statement"]
            if (kept := [action for action in listed(statement["Action"]) if action in allowed])
        ]
        policy = json.dumps({**self.policy, "Statement": statements})
        self._iam.put_user_policy(UserName=self.name, PolicyName="deployer", PolicyDocument=policy)

    @contextmanager
    def deployment(self, shared: Shared) -> Iterator[Deployment]:
        """A deployment with every feature, not applied yet, by the user."""
        binary = provider_binary(shared.module.data_directory)
        own = {**self._emulator.environment, **self.credentials}
        variables = {"name": self.name, **self.first}
        with (
            KeptProvider(binary, own) as provider,
            Deployment(
                self._emulator,
                variables,
                provider={**self.credentials, **provider.environment},
                initialised=shared.module,
            ) as deployment,
        ):
            yield deployment

    @property
    def first(self) -> dict[str, Any]:
        """Inputs with every feature."""
        return {
            "bucket": {**CREATED, "abort_uploads": True},
            "derived_files": {"bucket_name": f"{self.name}-manifests"},
            "function": {"reserved_concurrency": 5},
            "kms_key": {"arn": self.kms_key},
            "queue": {},
            "reconciliation": {"repair": True},
            "role": {"path": "/apps/", "permissions_boundary": self.boundary},
            "table": {"deletion_protection": False, "stream": "NEW_IMAGE"},
            "tags": {"team": "files"},
            "trigger": "eventbridge",
        }

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Return inputs that change or remove as much as possible."""
        return [
            {
                "bucket": {**CREATED, "abort_uploads": False},
                "function": {"architecture": "x86_64", "log_retention_days": 7, "memory_mb": 512},
                "kms_key": None,
                "queue": {"batch_size": 10},
                "reconciliation": {"concurrency": 2, "schedule": "rate(12 hours)"},
                "role": {"path": "/apps/"},
                "table": {"deletion_protection": False, "point_in_time_recovery": False},
                "tags": {"owner": "files"},
            },
            {
                "kms_key": {"arn": self.kms_key},
                "queue": None,
                "reconciliation": {"schedule": "none"},
                "role": {"path": "/apps/", "permissions_boundary": self.boundary},
                "trigger": "notification",
            },
        ]

    def fill_bucket(self) -> None:
        """Put objects into the bucket that a destroy has to empty."""
        self._s3.put_object(Bucket=self.bucket, Key="a")
        self._s3.delete_object(Bucket=self.bucket, Key="a")


@dataclass
class Life:
    """The results of a deployment from its first apply to its destroy."""

    deployer: Deployer
    planned: list[Decision]


@pytest.fixture(scope="module")
def life(shared: Shared) -> Life:
    """A deployment that was applied, changed and destroyed by a user with the policy alone."""
    deployer = Deployer(shared.emulator, NAME)
    deployer.allow(actions(deployer.policy))
    with deployer.deployment(shared) as deployment:
        deployment.apply()

        before = len(deployer.decisions)
        assert deployment.plan() == []
        planned = deployer.decisions[before:]

        deployer.fill_bucket()
        for change in deployer.changes:
            deployment.apply(change)
        deployment.destroy_with_objects()
    return Life(deployer, planned)


@pytest.mark.long
def test_the_policy_alone_is_enough_for_a_deployment(life: Life) -> None:
    refused = {
        decision.action
        for decision in life.deployer.decisions
        if not decision.allowed and decision.resource != KEY_OF_DYNAMODB
    }

    assert refused == set()


@pytest.mark.long
def test_every_action_of_the_policy_is_needed(life: Life) -> None:
    asked_for = {decision.action for decision in life.deployer.decisions}

    assert actions(life.deployer.policy) - asked_for == never_asked_for()


@pytest.mark.long
def test_every_resource_of_the_policy_is_needed(life: Life) -> None:
    decisions = life.deployer.decisions
    idle = [
        (statement["Sid"], resource)
        for statement in life.deployer.policy["Statement"]
        for resource in listed(statement["Resource"])
        if not any(
            decision.action in listed(statement["Action"])
            and fnmatchcase(decision.resource, resource)
            for decision in decisions
        )
    ]

    # AWS writes the ARN of a log group in two ways, the local AWS in one.
    assert idle == [
        ("LogGroups", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{name}:*")
        for name in (NAME, f"{NAME}-worker")
    ]


@pytest.mark.long
def test_a_plan_only_reads(life: Life) -> None:
    assert [decision for decision in life.planned if not is_read(decision.action)] == []


@pytest.mark.long
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

    # https://docs.aws.amazon.com/service-authorization/latest/reference/
    assert everything == {
        "lambda:CreateEventSourceMapping": True,
        "logs:DeleteQueryDefinition": False,
        "logs:DescribeLogGroups": False,
        "logs:DescribeQueryDefinitions": False,
        "logs:PutQueryDefinition": False,
        "states:ValidateStateMachineDefinition": False,
    }


def test_the_policy_fits_into_a_role() -> None:
    longest = {
        "BUCKET": "b" * 63,
        "KEY_ARN": f"arn:aws:kms:ap-southeast-1:{ACCOUNT}:key/mrk-{'k' * 32}",
        "NAME": "n" * 64,
        "REGION": "ap-southeast-1",
    }
    policy = document(**{"ACCOUNT": ACCOUNT, "ROLE_PATH": "/apps/", **longest})

    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert len("".join(json.dumps(policy).split())) <= 10_240


@pytest.mark.long
def test_terraform_fails_without_each_action(shared: Shared) -> None:
    deployer = Deployer(shared.emulator, f"{NAME}-grown")
    # The response to a HeadBucket has no body that could name the action.
    allowed = {"s3:ListBucket"}
    # DescribeKey is needed to create a table, not to read one.
    reads = set(filter(is_read, actions(deployer.policy))) - allowed - {"kms:DescribeKey"}
    allowed |= reads

    def repeat(do: Callable[[], object]) -> object:
        """Allow what Terraform says is missing, and nothing else, until it succeeds."""
        while True:
            deployer.allow(allowed)
            try:
                return do()
            except DeploymentError as error:
                missing = set(re.findall(r"not authorized to perform: ([\w:-]+)", str(error)))
                if not missing - allowed:
                    raise
                allowed.update(missing)

    with deployer.deployment(shared) as deployment:
        # A resource that cannot be read after its creation is created again, so reads come last.
        repeat(deployment.apply)
        allowed -= reads
        assert repeat(deployment.plan) == []
        deployer.fill_bucket()
        for change in deployer.changes:
            repeat(lambda change=change: deployment.apply(change))  # type: ignore[misc]
        repeat(deployment.destroy_with_objects)

    assert actions(deployer.policy) - allowed == never_asked_for()
