"""The order of resources and which are replaced together, which HCL cannot assert."""

import re

import pytest

from tests.terraform.terraform import Configuration, by_heading, planned_changes
from tools.terraform_init import init


@pytest.fixture(scope="module")
def earlier(module: Configuration) -> dict[str, set[str]]:
    """For each resource of tests/terraform/wiring/parent, those that are created before it."""
    stack = module.at("tests/terraform/wiring/parent")
    init(stack.directory, stack.environment)
    drawn = stack.succeed("graph")
    direct: dict[str, set[str]] = {}
    for resource, before in re.findall(r'"(\S+)" -> "(\S+)"', drawn):
        direct.setdefault(resource, set()).add(before)

    def all_before(resource: str) -> set[str]:
        before = direct.get(resource, set())
        return before.union(*map(all_before, before))

    return {resource: all_before(resource) for resource in direct}


@pytest.fixture(scope="module")
def changes(module: Configuration) -> dict[str, dict[str, str]]:
    """For each run of the files in wiring/, what its plan does to each resource that it changes."""
    # Not as JSON, which repeats the provider's schemas, 14 MB, in each run.
    said = module.succeed("test", "-verbose", "-test-directory=tests/terraform/wiring")
    plans = by_heading(said, re.compile(r'^  run "(.+)"\.\.\. pass$', re.MULTILINE))
    return {run: planned_changes(plan) for run, plan in plans.items()}


def test_no_event_comes_before_permission_and_failure_destination(
    earlier: dict[str, set[str]],
) -> None:
    assert {
        "module.notified.aws_lambda_permission.bucket",
        "module.notified.aws_lambda_function_event_invoke_config.function",
    } <= earlier["module.notified.aws_s3_bucket_notification.bucket"]


def test_no_event_of_an_external_owner_comes_before_permission_and_failure_destination(
    earlier: dict[str, set[str]],
) -> None:
    assert {
        "module.external.aws_lambda_permission.bucket",
        "module.external.aws_lambda_function_event_invoke_config.function",
    } <= earlier["aws_s3_bucket_notification.own"]


def test_lambda_may_use_queue_and_failure_destination_when_it_checks_them(
    earlier: dict[str, set[str]],
) -> None:
    for name, connected in {
        "notified": "aws_lambda_function_event_invoke_config.function",
        "queued": "aws_lambda_event_source_mapping.queue",
    }.items():
        policies = f"module.{name}.aws_iam_role_policy.function"
        assert policies in earlier[f"module.{name}.{connected}"], connected


def test_no_event_comes_before_the_mapping_of_the_queue(earlier: dict[str, set[str]]) -> None:
    assert {
        "module.queued.aws_iam_role_policy.function",
        "module.queued.aws_lambda_event_source_mapping.queue",
        "module.queued.aws_sqs_queue.dead_letter",
    } <= earlier["module.queued.aws_s3_bucket_notification.bucket"]


def test_no_event_comes_through_a_rule_before_permission_and_failure_destination(
    earlier: dict[str, set[str]],
) -> None:
    safety = {
        "module.eventbridge.aws_lambda_permission.rule",
        "module.eventbridge.aws_lambda_function_event_invoke_config.function",
    }
    assert safety <= earlier["module.eventbridge.aws_cloudwatch_event_target.bucket"]
    assert (
        "module.eventbridge.aws_cloudwatch_event_target.bucket"
        in earlier["module.eventbridge.aws_s3_bucket_notification.bucket"]
    )


def test_no_event_of_an_external_owner_comes_before_the_rules_target_and_the_mapping(
    earlier: dict[str, set[str]],
) -> None:
    assert {
        "module.external_eventbridge.aws_cloudwatch_event_target.bucket",
        "module.external_eventbridge.aws_lambda_event_source_mapping.queue",
    } <= earlier["aws_s3_bucket_notification.eventbridge"]


@pytest.mark.parametrize(
    "added", ["aws_cloudwatch_event_target.theirs", "aws_s3_bucket_notification.theirs"]
)
def test_no_event_of_another_account_comes_before_permission_mapping_and_failure_destination(
    earlier: dict[str, set[str]], added: str
) -> None:
    assert {
        "module.theirs.aws_lambda_event_source_mapping.queue",
        "module.theirs.aws_lambda_function_event_invoke_config.function",
        "module.theirs.aws_lambda_permission.bucket",
        "module.theirs.aws_lambda_permission.owners_role",
    } <= earlier[added]


def test_the_function_comes_after_its_log_group_and_its_permissions(
    earlier: dict[str, set[str]],
) -> None:
    assert {
        "module.notified.aws_cloudwatch_log_group.function",
        "module.notified.aws_iam_role_policy.function",
        "module.notified.aws_iam_role_policy.key",
    } <= earlier["module.notified.aws_lambda_function.function"]


@pytest.mark.parametrize("name", ["queued", "eventbridge"])
def test_resources_that_aws_overwrites_come_after_those_that_it_refuses(
    earlier: dict[str, set[str]], name: str
) -> None:
    # Each of these overwrites or duplicates a resource of its name; IAM and Lambda refuse that.
    refused = {
        "aws_cloudwatch_event_rule.bucket": "aws_iam_role.function",
        "aws_sqs_queue.dead_letter": "aws_iam_role.function",
        "aws_sqs_queue.queue": "aws_iam_role.function",
        "aws_cloudwatch_dashboard.dashboard": "aws_lambda_function.function",
        "aws_cloudwatch_metric_alarm.alarm": "aws_lambda_function.function",
        "aws_cloudwatch_query_definition.query": "aws_lambda_function.function",
        "aws_s3_bucket_notification.bucket": "aws_lambda_function.function",
        "aws_sfn_state_machine.reconciliation": "aws_iam_role.reconciliation",
    }
    for adopted, first in refused.items():
        assert f"module.{name}.{first}" in earlier[f"module.{name}.{adopted}"], adopted


def test_a_new_key_may_be_used_before_the_table_uses_it_and_a_former_one_after_it(
    earlier: dict[str, set[str]],
) -> None:
    table = "module.notified.aws_dynamodb_table.table"
    for role, key in (("function", "key"), ("worker", "worker_key")):
        assert f"module.notified.aws_iam_role_policy.{key}" in earlier[table]
        assert table in earlier[f"module.notified.aws_iam_role_policy.{role}"]


def test_no_run_comes_before_its_permissions(earlier: dict[str, set[str]]) -> None:
    assert {
        "module.notified.aws_cloudwatch_log_group.worker",
        "module.notified.aws_iam_role_policy.worker",
    } <= earlier["module.notified.aws_lambda_function.worker"]
    assert {
        "module.notified.aws_iam_role_policy.reconciliation",
        "module.notified.aws_lambda_function.worker",
    } <= earlier["module.notified.aws_sfn_state_machine.reconciliation"]


@pytest.mark.parametrize(
    ("name", "delivery"),
    [
        ("notified", "aws_s3_bucket_notification.bucket"),
        ("external", "aws_lambda_permission.bucket"),
        ("queued", "aws_lambda_event_source_mapping.queue"),
        ("eventbridge", "aws_cloudwatch_event_target.bucket"),
        ("external_eventbridge", "aws_lambda_event_source_mapping.queue"),
    ],
)
def test_a_scheduled_run_starts_after_everything_that_it_and_the_events_need(
    earlier: dict[str, set[str]], name: str, delivery: str
) -> None:
    # Scheduler starts the first run of a rate at once.
    assert {
        f"module.{name}.{before}"
        for before in (
            "aws_dynamodb_table.table",
            "aws_iam_role_policy.schedule",
            "aws_lambda_function.function",
            "aws_lambda_function.worker",
            "aws_sfn_state_machine.reconciliation",
            "aws_sqs_queue.dead_letter",
            delivery,
        )
    } <= earlier[f"module.{name}.aws_scheduler_schedule.reconciliation"]


def test_another_number_of_partitions_replaces_the_table(
    changes: dict[str, dict[str, str]],
) -> None:
    planned = changes["another_number_of_partitions"]
    assert planned["aws_dynamodb_table.table"].startswith("replaced")
    # Updated in place it would remember a number that a protected table never got.
    assert planned["terraform_data.table_partitions"].startswith("replaced")
    assert planned["aws_lambda_function.function"] == "updated in-place"


@pytest.mark.parametrize(
    ("run", "dropped"),
    [
        ("function_replaced", "aws_lambda_permission.bucket[0]"),
        ("function_replaced", "aws_lambda_function_event_invoke_config.function[0]"),
        ("function_of_a_rule_replaced", "aws_lambda_permission.rule[0]"),
        ("function_of_an_owners_rule_replaced", "aws_lambda_permission.owners_role[0]"),
    ],
)
def test_resources_that_aws_deletes_with_the_function_are_replaced_with_it(
    changes: dict[str, dict[str, str]], run: str, dropped: str
) -> None:
    planned = changes[run]
    assert planned["aws_lambda_function.function"].startswith("replaced")
    assert planned.get(dropped, "left alone").startswith("replaced")


@pytest.mark.parametrize(
    ("run", "failures"), [("role_replaced", "dead-letter"), ("role_of_a_queue_replaced", "queue")]
)
def test_a_replaced_role_gets_all_its_policies_again_and_nothing_else_changes(
    changes: dict[str, dict[str, str]], run: str, failures: str
) -> None:
    # IAM deletes policies with their role, so a policy that Terraform does not replace is gone.
    policies = ("bucket", "derived-files", "logs", "table", failures)
    assert changes[run].keys() == {
        "aws_iam_role.function",
        "aws_lambda_function.function",
        "aws_iam_role_policy.key[0]",
        *(f'aws_iam_role_policy.function["{policy}"]' for policy in policies),
    }


def test_a_replaced_role_of_the_reconciliation_gets_all_its_policies_again(
    changes: dict[str, dict[str, str]],
) -> None:
    worker = ("bucket", "derived-files", "logs", "table")
    assert changes["role_of_the_workers_replaced"].keys() == {
        "aws_iam_role.worker[0]",
        "aws_iam_role_policy.worker_key[0]",
        "aws_lambda_function.worker[0]",
        *(f'aws_iam_role_policy.worker["{policy}"]' for policy in worker),
    }
    assert changes["role_of_the_state_machine_replaced"].keys() == {
        "aws_iam_role.reconciliation[0]",
        "aws_sfn_state_machine.reconciliation[0]",
        *(f'aws_iam_role_policy.reconciliation["{policy}"]' for policy in ("runs", "worker")),
    }
    assert changes["role_of_the_schedule_replaced"].keys() == {
        "aws_iam_role.schedule[0]",
        "aws_iam_role_policy.schedule[0]",
        "aws_scheduler_schedule.reconciliation[0]",
    }


def test_adding_a_queue_keeps_s3s_permission(
    changes: dict[str, dict[str, str]],
) -> None:
    planned = changes["queue_added"]
    assert planned["aws_sqs_queue.queue[0]"] == "created"
    # S3 takes minutes to follow, and until then invokes the function.
    assert "aws_lambda_permission.bucket[0]" not in planned
