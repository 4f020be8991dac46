"""What each of environments/*.tfvars protects, and the words in which wrong input is refused."""

import pytest

from tests.terraform.terraform import planned_changes, refusals, run_tests
from tools.module_copy import ModuleCopy


@pytest.mark.parametrize(
    ("environment", "protected"), [("dev", False), ("local", False), ("prod", True)]
)
def test_an_environment_protects_what_it_holds(
    module: ModuleCopy, environment: str, protected: bool
) -> None:
    planned = planned_changes(
        run_tests(
            module, "plan", [f"-var-file=environments/{environment}.tfvars"], workspace=environment
        )
    )["plan"]
    table = planned["aws_dynamodb_table.table"]["after"]
    bucket = planned["aws_s3_bucket.watched[0]"]["after"]
    assert table["deletion_protection_enabled"] is protected
    assert bucket["force_destroy"] is not protected


def test_a_refusal_says_what_to_do(module: ModuleCopy) -> None:
    said = refusals(
        run_tests(
            module,
            "plan",
            [
                "-var-file=environments/prod.tfvars",
                '-var=bucket={"name":"existing"}',
                '-var=filters=[{"prefix":"logs/"},{"prefix":"images/"},{"suffix":".gz","prefix":"logs/2026/"}]',
            ],
            workspace="dev",
        )
    )
    filters, notifications, workspace = sorted(" ".join(detail.split()) for detail in said)
    assert '{"prefix":"logs/","suffix":""} and {"prefix":"logs/2026/","suffix":".gz"}' in filters
    assert "images/" not in filters
    assert 'trigger = "external"' in notifications
    assert "replace_bucket_notifications = true" in notifications
    assert "terraform workspace select -or-create prod" in workspace
