"""Changes of a deployed index: each destroys only what the operations page names.

Each change is one entry of CHANGES: its deployment, the inputs that change, what it may destroy,
and the fate of the files that arrive meanwhile.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from local.deployment import Deployment, DeploymentError
from local.emulator import Emulator
from local.waiting import wait_for
from tests.e2e.calls import recorded_calls
from tests.e2e.changes import EVERYTHING, Change, Changes, During, Result
from tests.e2e.deployments import BUCKET, QUICK, UNVERSIONED, VERSIONED
from tests.e2e.parent import Parent, parent_stack
from tests.e2e.stack import Stack
from tests.frame import Shared

# One process waits for all of them.
pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("changes")]

_BASE = {
    "bucket": UNVERSIONED,
    "function": QUICK,
    "monitoring": {"enabled": False},
}
_PROTECTED = {"table": {"deletion_protection": True}, "bucket": {**BUCKET, "force_destroy": False}}

BASES: dict[str, Mapping[str, Any]] = {
    "change-contents": _BASE,
    "change-keys": {**_BASE, "queue": {}},
    "change-protected": {**_BASE, **_PROTECTED},
    "change-queue": {**_BASE, "queue": {}},
    "change-rule": {**_BASE, "trigger": "eventbridge", "queue": {}},
    "change-settings": _BASE,
    "change-trigger": _BASE,
}


@contextmanager
def with_messages_in_the_queue(stack: Stack) -> Iterator[None]:
    """Events that wait in the queue are processed after the change."""
    key = "in/waiting in the queue"
    awslambda = stack.emulator.client("lambda")
    (mapping,) = awslambda.list_event_source_mappings(FunctionName=stack.name)[
        "EventSourceMappings"
    ]
    # The apply enables it again.
    awslambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    stack.put(key)
    wait_for(stack.waiting_messages, lambda: None)
    yield
    stack.wait_until_indexed(key)


@contextmanager
def with_the_rule_disabled(stack: Stack) -> Iterator[None]:
    stack.emulator.client("events").disable_rule(Name=stack.name)
    yield


@contextmanager
def with_a_second_deployment_of_the_name(stack: Stack) -> Iterator[None]:
    """Somebody else applies the same name with another state, and destroys what they created."""
    events = stack.emulator.client("events")
    rule = events.describe_rule(Name=stack.name)
    module = stack.deployment._module
    second = Deployment(
        stack.emulator,
        {**_BASE, "name": stack.name, "bucket": {**BUCKET, "name": "second-of-the-name"}}
        | {"trigger": "eventbridge", "queue": {}, "monitoring": {}},
        provider={"TF_REATTACH_PROVIDERS": module.environment["TF_REATTACH_PROVIDERS"]}
        if "TF_REATTACH_PROVIDERS" in module.environment
        else {},
        initialised=module,
    )
    with second:
        with pytest.raises(DeploymentError, match="EntityAlreadyExists"):
            second.apply()
        second.destroy()
    assert events.describe_rule(Name=stack.name)["EventPattern"] == rule["EventPattern"]
    yield


def other_key(stack: Stack) -> dict[str, Any]:
    """Return a new key in the account."""
    key = stack.emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    return {"kms_key": {"arn": key}}


@contextmanager
def with_the_key_allowed(stack: Stack) -> Iterator[None]:
    """While the table changes its key, the function may use the old one and the new one."""
    used = _key_of_the_table(stack)
    policies = stack.policies()
    with recorded_calls(
        stack.emulator, ["DeleteRolePolicy", "PutRolePolicy", "UpdateTable"]
    ) as calls:
        yield
    stack = Stack(stack.emulator, stack.deployment)
    using = _key_of_the_table(stack)
    updates = 0
    for name, asked in calls:
        if name == "UpdateTable" and asked.get("TableName") == stack.name:
            assert {used, using} - {None} <= _keys_allowed(policies), "the table changed too early"
            updates += 1
        elif asked.get("RoleName") == stack.role:
            if name == "PutRolePolicy":
                policies[asked["PolicyName"]] = json.loads(asked["PolicyDocument"])
            elif name == "DeleteRolePolicy":
                del policies[asked["PolicyName"]]
    assert updates
    assert _keys_allowed(policies) == {using} - {None}
    group = stack.outputs["log_group"]["name"]
    (described,) = stack.emulator.client("logs").describe_log_groups(logGroupNamePrefix=group)[
        "logGroups"
    ]
    assert described.get("kmsKeyId") == using


def _key_of_the_table(stack: Stack) -> str | None:
    """Return the customer's key that encrypts the table; null if it is AWS's own."""
    described = stack.emulator.client("dynamodb").describe_table(TableName=stack.name)["Table"]
    encryption = described.get("SSEDescription", {})
    if encryption.get("Status") != "ENABLED":
        return None
    key: str = encryption["KMSMasterKeyArn"]
    return key


def _keys_allowed(policies: Mapping[str, Any]) -> set[str]:
    return {
        statement["Resource"]
        for document in policies.values()
        for statement in document["Statement"]
        if "kms:Decrypt" in statement["Action"]
    }


def allow_all_as_boundary(stack: Stack) -> dict[str, Any]:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    policy = stack.emulator.client("iam").create_policy(
        PolicyName="change-keys-boundary", PolicyDocument=json.dumps(document)
    )["Policy"]["Arn"]
    role = stack.deployment._variables.get("role", {})  # its path may have changed before
    return {"role": {**role, "permissions_boundary": policy}}


def manifests(stack: Stack) -> dict[str, Any]:
    bucket = "change-contents-manifests"
    stack.s3.create_bucket(Bucket=bucket)
    return {"derived_files": {"bucket_name": bucket}}


def the_same_bucket_as_an_existing_one(stack: Stack) -> dict[str, Any]:
    return {
        "bucket": {"name": stack.bucket, "versioned": False},
        "replace_bucket_notifications": True,
    }


@contextmanager
def with_the_bucket_out_of_the_state(stack: Stack) -> Iterator[None]:
    """Take the bucket out of the state as the operations page says."""
    environment = {**stack.deployment.environment, "PATH": os.environ["PATH"]}
    listed = _terraform(stack, environment, "state", "list").split()
    moved = [
        address
        for address in listed
        if address == "terraform_data.bucket_created"
        or address.endswith('["bucket"]')
        or (address.startswith("aws_s3_bucket") and ".watched[0]" in address)
    ]
    _terraform(stack, environment, "state", "rm", *moved)
    yield
    assert stack.s3.get_bucket_policy(Bucket=stack.bucket)["Policy"]


def _terraform(stack: Stack, environment: Mapping[str, str], *command: str) -> str:
    return subprocess.run(
        ["terraform", *command],
        cwd=stack.deployment.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


_LONG = pytest.mark.long

CHANGES = [
    # --- The function's settings ---
    Change("log level", "change-settings", {"function": {**QUICK, "log_level": "WARN"}}),
    Change("memory", "change-settings", {"function": {**QUICK, "memory_mb": 512}}),
    Change("architecture", "change-settings", {"function": {**QUICK, "architecture": "x86_64"}}),
    Change("tombstone days", "change-settings", {"table": {"tombstone_days": 40}}),
    Change("stream", "change-settings", {"table": {"stream": "NEW_IMAGE"}}),
    Change("stream of another kind", "change-settings", {"table": {"stream": "OLD_IMAGE"}}),
    Change("no stream", "change-settings", {"table": {}}),
    Change("tags", "change-settings", {"tags": {"team": "reports"}}),
    Change("reconciliation switched on", "change-settings", {"reconciliation": {"repair": True}}),
    Change("reconciliation without repair", "change-settings", {"reconciliation": {}}),
    Change("schedule", "change-settings", {"reconciliation": {"schedule": "rate(12 hours)"}}),
    Change("no schedule", "change-settings", {"reconciliation": {"schedule": "none"}}),
    Change("schedule again", "change-settings", {"reconciliation": {}}),
    Change("reconciliation switched off", "change-settings", {"reconciliation": None}),
    Change("monitoring switched on", "change-settings", {"monitoring": {"enabled": True}}),
    Change("monitoring switched off", "change-settings", {"monitoring": {"enabled": False}}),
    Change(
        "bucket handed over",
        "change-settings",
        the_same_bucket_as_an_existing_one,
        around=with_the_bucket_out_of_the_state,
    ),
    # --- What is in the index ---
    Change("object metadata", "change-contents", {"object_metadata": {"enabled": True}}),
    Change("object tags", "change-contents", {"object_metadata": {"enabled": True, "tags": True}}),
    Change("filters", "change-contents", {"filters": [{"prefix": "in/"}]}),
    Change("derived files", "change-contents", manifests),
    Change("no derived files", "change-contents", {"derived_files": None}),
    Change("versions", "change-contents", {"bucket": VERSIONED}),
    Change(
        "partitions",
        "change-contents",
        {"table": {"partitions": 4, "deletion_protection": False}},
        destroys=frozenset({"table"}),
        during=During.UNKNOWN,
    ),
    # --- Each trigger to each other ---
    Change(
        "notification to external",
        "change-trigger",
        {"trigger": "external"},
        destroys=frozenset({"notification"}),
        during=During.UNKNOWN,
    ),
    Change("external to notification", "change-trigger", {"trigger": "notification"}),
    Change("notification to eventbridge", "change-trigger", {"trigger": "eventbridge"}),
    Change(
        "eventbridge to external",
        "change-trigger",
        {"trigger": "external"},
        destroys=frozenset({"notification", "rule"}),
        during=During.UNKNOWN,
    ),
    Change("external to eventbridge", "change-trigger", {"trigger": "eventbridge"}),
    # --- Keys, role, queue ---
    Change("key added", "change-keys", other_key, around=with_the_key_allowed),
    Change(
        "role path",
        "change-keys",
        {"role": {"path": "/service/"}},
        destroys=frozenset({"role"}),
        around=with_messages_in_the_queue,
        during=During.INDEXED_OR_KEPT,
    ),
    Change("key changed", "change-keys", other_key, around=with_the_key_allowed),
    Change("permissions boundary", "change-keys", allow_all_as_boundary),
    Change("key removed", "change-keys", {"kms_key": None}, around=with_the_key_allowed),
    Change(
        "queue removed",
        "change-queue",
        {"queue": None},
        destroys=frozenset({"queue"}),
        during=During.UNKNOWN,
    ),
    Change("queue added", "change-queue", {"queue": {}}),
    # --- What AWS adopts, and what somebody changed by hand ---
    Change(
        "rule disabled by hand",
        "change-rule",
        around=with_the_rule_disabled,
        during=During.UNKNOWN,
    ),
    Change(
        "second deployment of the name",
        "change-rule",
        around=with_a_second_deployment_of_the_name,
    ),
    Change(
        "eventbridge to notification",
        "change-rule",
        {"trigger": "notification"},
        destroys=frozenset({"rule"}),
        during=During.UNKNOWN,
    ),
    # --- Name and protection ---
    Change(
        "name of a protected index",
        "change-protected",
        {"name": "change-protected-2"},
        refused="the table is protected",
    ),
    Change(
        "name and protection at once",
        "change-protected",
        {
            "name": "change-protected-2",
            "table": {"deletion_protection": False},
            "bucket": BUCKET,
        },
        refused="the table is protected",
    ),
    Change(
        "bucket handed over in silence",
        "change-protected",
        the_same_bucket_as_an_existing_one,
        refused="bucket.create = false would destroy it",
    ),
    Change(
        "table's protection",
        "change-protected",
        {"table": {"deletion_protection": False}},
    ),
    Change(
        "name of an index whose bucket holds objects",
        "change-protected",
        {"name": "change-protected-2"},
        refused="S3 does not delete a bucket that holds objects",
    ),
    Change("bucket's protection", "change-protected", {"bucket": BUCKET}),
    Change(
        "name",
        "change-protected",
        {"name": "change-protected-2"},
        destroys=EVERYTHING,
        during=During.UNKNOWN,
    ),
]

# Changes that once destroyed something silently run in every `make test`, all in `make test-all`.
OFTEN = {
    "bucket handed over in silence",
    "key added",
    "key removed",
    "name and protection at once",
    "name of a protected index",
    "role path",
    "rule disabled by hand",
    "second deployment of the name",
}


@pytest.fixture(scope="module")
def changes(request: pytest.FixtureRequest, shared: Shared) -> Iterator[Changes]:
    """All requested changes; they begin at once."""
    asked = [
        item.callspec.params["change"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
    ]
    with Changes(shared, BASES, [change for change in CHANGES if change in asked]) as changes:
        yield changes


class Depending:
    """A stack whose module block depends on another resource."""

    def __init__(self, parent: Parent, inputs: Mapping[str, Any]) -> None:
        self.parent = parent
        self._inputs = inputs

    def write(self, dependency: str, **inputs: Any) -> None:
        """Write the stack with a dependency, and with these inputs instead of its own."""
        stack = {
            "resource": {"terraform_data": {"dependency": {"input": dependency}}},
            "module": {
                "index": {
                    "source": self.parent.source,
                    **self._inputs,
                    **inputs,
                    "depends_on": ["terraform_data.dependency"],
                }
            },
        }
        (self.parent.directory / "main.tf.json").write_text(json.dumps(stack))


_KEPT = {**UNVERSIONED, "force_destroy": False}
_KEY = {"arn": "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
_POLICIES = {f'aws_iam_role_policy.function["{name}"]' for name in ("logs", "queue", "table")}
# All but the bucket and its settings.
_NAMED = {
    "aws_cloudwatch_event_rule.bucket[0]",
    "aws_cloudwatch_event_target.bucket[0]",
    "aws_cloudwatch_log_group.function",
    "aws_dynamodb_table.table",
    "aws_iam_role.function",
    "aws_lambda_event_source_mapping.queue[0]",
    "aws_lambda_function.function",
    "aws_sqs_queue.dead_letter",
    "aws_sqs_queue.queue[0]",
    'terraform_data.kept["table"]',
}

# Together with a changed dependency: the inputs that change, and what they destroy on their own.
WITH_DEPENDENCY: dict[str, tuple[dict[str, Any], set[str]]] = {
    "filters": ({"filters": [{"prefix": "in/"}]}, set()),
    "key": ({"kms_key": _KEY}, set()),
    "log level": ({"function": {"log_level": "WARN"}}, set()),
    "metadata": ({"object_metadata": {"enabled": True}}, set()),
    "name": (
        {"name": "change-parent-2", "bucket": {**_KEPT, "name": "change-parent-000000000000"}},
        _NAMED | _POLICIES,
    ),
    "role path": ({"role": {"path": "/service/"}}, {"aws_iam_role.function", *_POLICIES}),
    "tags": ({"tags": {"team": "reports"}}, set()),
    "trigger": (
        {"trigger": "notification"},
        {"aws_cloudwatch_event_rule.bucket[0]", "aws_cloudwatch_event_target.bucket[0]"},
    ),
}


@pytest.fixture(scope="module")
def depending(
    shared: Shared,
    changes: Changes,  # noqa: ARG001 # which are applied meanwhile
) -> Iterator[Depending]:
    inputs = {
        **_BASE,
        "name": "change-parent",
        "bucket": _KEPT,
        "queue": {},
        "table": {"deletion_protection": False},
        "trigger": "eventbridge",
    }
    with parent_stack(shared) as parent:
        depending = Depending(parent, inputs)
        depending.write("as applied")
        parent.init()
        refusal = parent.apply()
        assert refusal is None, refusal
        yield depending


@pytest.mark.long
@pytest.mark.parametrize("change", list(WITH_DEPENDENCY))
def test_a_changed_dependency_of_the_module_adds_nothing_to_what_a_change_destroys(
    depending: Depending, change: str
) -> None:
    inputs, destroyed = WITH_DEPENDENCY[change]
    depending.write("changed", **inputs)

    planned = depending.parent.planned()

    assert "terraform_data.dependency" in planned
    assert {
        resource.removeprefix("module.index.")
        for resource, action in planned.items()
        if action in ("delete", "replace")
    } == destroyed


@pytest.mark.long
def test_a_changed_dependency_of_the_module_changes_nothing_in_it(
    depending: Depending, emulator: Emulator
) -> None:
    s3, file = emulator.client("s3"), {"Bucket": "change-parent-000000000000", "Key": "in/before"}
    s3.put_object(**file)
    depending.write("changed")

    assert depending.parent.planned() == {"terraform_data.dependency": "update"}
    assert depending.parent.apply() is None
    assert depending.parent.planned() == {}
    assert s3.head_object(**file)


@pytest.mark.long
def test_a_changed_dependency_of_the_module_does_not_let_a_new_name_through(
    depending: Depending,
) -> None:
    depending.write("changed", name="change-parent-2")

    refusal = depending.parent.apply()

    assert refusal
    assert "S3 does not delete a bucket that holds objects" in refusal


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=change.name, marks=[] if change.name in OFTEN else [_LONG])
        for change in CHANGES
    ],
)
def test_a_change_destroys_only_what_the_page_names(changes: Changes, change: Change) -> None:
    result: Result = changes.result(change)

    assert result.destroyed == change.destroys
    if change.refused:
        assert result.refusal
        assert change.refused in " ".join(result.refusal.split())
    if change.during is not During.UNKNOWN:
        assert result.lost_files == frozenset()
    if change.during is During.INDEXED:
        assert result.kept_files == frozenset()
    assert result.second_plan == ()
