"""`file-index status` on a deployment: what it finds there, and the permissions it needs."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.waiting import wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

ACTIONS = {  # by what they find out, as docs/file-index.md has them
    "proof": ("states:ListExecutions", "states:DescribeExecution"),
    "dead letters": ("sqs:GetQueueAttributes",),
    "oldest event": ("cloudwatch:GetMetricStatistics",),
    "alarms": ("cloudwatch:DescribeAlarms",),
}


DOCUMENTED = (Path(__file__).parents[2] / "docs/file-index.md").read_text()


def checks(said: str) -> dict[str, dict[str, Any]]:
    """The lines of JSON by check."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {line["check"]: line for line in lines}


def run_as_the_schedule_does(stack: Stack) -> dict[str, Any]:
    """Return the execution when it has ended."""
    sfn = stack.emulator.client("stepfunctions")
    started = sfn.start_execution(
        stateMachineArn=stack.outputs["reconciliation"]["state_machine"]["arn"],
        name=str(uuid4()),
        input="{}",
    )

    def described() -> dict[str, Any]:
        found: dict[str, Any] = sfn.describe_execution(executionArn=started["executionArn"])
        return found

    return wait_for(
        lambda: None if (found := described())["status"] == "RUNNING" else found, described
    )


def test_the_last_proof_is_that_of_the_state_machine(external: Stack) -> None:
    key = f"{PREFIX}proved-{uuid4().hex[:8]}.csv"
    external.put(key)
    external.wait_until_indexed(key)
    execution = run_as_the_schedule_does(external)
    counts = json.loads(execution["output"])["counts"]

    code, said = external.file_index("status", "--json")

    assert code in (0, 1), said
    proof = checks(said)["proof"]
    assert (proof["run"], proof["compared"]) == (execution["name"], counts["compared"])
    assert proof["compared"] >= 1
    assert sum(proof["drift"].values()) == sum(counts.get(kind, 0) for kind in proof["drift"])
    assert 0 <= proof["age_seconds"] < 600
    assert f"{proof['compared']:,} key" in external.file_index("status")[1]


@contextmanager
def dead_letter(stack: Stack) -> Iterator[None]:
    sqs, url = stack.emulator.client("sqs"), stack.outputs["dead_letter_queue"]["url"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="{}")["MessageId"]
    try:
        yield
    finally:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            received = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] == sent:
                sqs.delete_message(**received)
            else:  # other tests wait for theirs
                sqs.change_message_visibility(**received, VisibilityTimeout=0)


@contextmanager
def firing(stack: Stack, alarm: str) -> Iterator[None]:
    cloudwatch = stack.emulator.client("cloudwatch")
    (described,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    try:
        yield
    finally:
        cloudwatch.set_alarm_state(
            AlarmName=alarm, StateValue=described["StateValue"], StateReason="the test's end"
        )


def test_dead_letters_and_firing_alarms_are_not_all_right(external: Stack) -> None:
    letters = external.dead_letters()

    with dead_letter(external), firing(external, f"{external.name}-dead-letters"):
        code, said = external.file_index("status", "--json")
        _, screen = external.file_index("status")

    assert code == 1, said
    found = checks(said)
    assert (found["dead letters"]["state"], found["dead letters"]["messages"]) == (
        "wrong",
        letters + 1,
    )
    pages = {alarm["name"]: alarm["page"] for alarm in found["alarms"]["firing"]}
    assert found["alarms"]["state"] == "wrong"
    assert pages[f"{external.name}-dead-letters"] == "docs/operations.md#replaying"
    assert found["alarms"]["missing"] == []
    assert f"{external.name}-dead-letters since " in screen


@contextmanager
def user(stack: Stack, actions: set[str]) -> Iterator[dict[str, str]]:
    """The credentials of an IAM user with these of the actions, on the documented resources."""
    iam, name = stack.emulator.client("iam"), f"status-{uuid4().hex[:8]}"
    machine = stack.outputs["reconciliation"]["state_machine"]["arn"]
    resources = {
        "states:ListExecutions": machine,
        "states:DescribeExecution": f"{machine.replace(':stateMachine:', ':execution:')}:*",
        "sqs:GetQueueAttributes": stack.outputs["dead_letter_queue"]["arn"],
        "cloudwatch:GetMetricStatistics": "*",
        "cloudwatch:DescribeAlarms": f"{machine.split(':states:')[0]}:cloudwatch:"
        f"{':'.join(machine.split(':')[3:5])}:alarm:*",
    }
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": resources[action]}
            for action in sorted(actions)
        ],
    }
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="status", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=name, PolicyName="status")
        iam.delete_user(UserName=name)


ALL = {action for actions in ACTIONS.values() for action in actions}


def test_the_documentation_names_them() -> None:
    section = DOCUMENTED.partition("\n## Status\n")[2].partition("\n## ")[0]

    assert set(re.findall(r"`((?:cloudwatch|sqs|states):\w+)`", section)) == ALL


def test_the_documented_permissions_are_enough(external: Stack) -> None:
    run_as_the_schedule_does(external)

    with user(external, ALL) as environment:
        code, said = external.file_index("status", environment=environment)

    assert code in (0, 1), said
    assert "could not be found out" not in said


@pytest.mark.parametrize(
    ("check", "action"),
    [
        # tests/unit/cli/test_status.py takes each away.
        pytest.param(
            check, action, marks=[] if action == "states:ListExecutions" else pytest.mark.long
        )
        for check in ACTIONS
        for action in ACTIONS[check]
    ],
)
def test_each_of_them_is_needed_for_one_answer(external: Stack, check: str, action: str) -> None:
    run_as_the_schedule_does(external)

    with user(external, ALL - {action}) as environment:
        code, said = external.file_index("status", environment=environment)

    assert code == 2, said
    assert said.count("could not be found out") == 2, said  # on the screen, and as an error
    (error,) = [line for line in said.splitlines() if line.startswith(check)]
    assert f"is not authorized to perform: {action} on resource: " in error
