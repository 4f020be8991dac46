"""The inputs that the module rejects, and its messages."""

import json
from typing import Any

from tests.terraform.terraform import Configuration


def test_wrong_input_is_rejected(inputs: Configuration) -> None:
    inputs.succeed("test", "-test-directory=tests")


def test_a_rejection_says_what_to_do(inputs: Configuration) -> None:
    code, said = inputs.terraform(
        "plan",
        "-var-file=environments/prod.tfvars",
        '-var=bucket={"name":"existing"}',
        '-var=filters=[{"prefix":"logs/"},{"prefix":"images/"},{"suffix":".gz","prefix":"logs/2026/"}]',
        workspace="dev",
    )
    assert code != 0
    words = " ".join(said.replace("│", " ").split())
    assert words.count("Error:") == 3
    assert '{"prefix":"logs/","suffix":""} and {"prefix":"logs/2026/","suffix":".gz"}' in words
    assert "images/" not in words
    assert 'trigger = "external"' in words
    assert "replace_bucket_notifications = true" in words
    assert "terraform workspace select -or-create prod" in words


def test_a_rejected_schedule_says_what_to_do(inputs: Configuration) -> None:
    said = {}
    for schedule in ("cron(0 4 * * ? *)", "rate(4 days)"):
        value = json.dumps({"schedule": schedule})
        code, output = inputs.terraform(
            "plan",
            "-var-file=environments/dev.tfvars",
            f"-var=reconciliation={value}",
            workspace="dev",
        )
        assert code != 0
        said[schedule] = " ".join(output.replace("│", " ").split())
        assert said[schedule].count("Error:") == 1
        assert f'reconciliation.schedule = "{schedule}"' in said[schedule]

    assert "set reconciliation.proof_every_hours to twice the longest" in said["cron(0 4 * * ? *)"]
    assert "use a shorter interval, or set" in said["rate(4 days)"]


def test_the_provider_rejects_at_plan_the_values_that_the_module_does_not_check(
    module: Configuration,
) -> None:
    directory = module.directory / "tests/terraform/provider"
    directory.mkdir()
    wrong: dict[str, dict[str, Any]] = {
        # In two files: after an error, Terraform does not check the function, which depends on it.
        "function": {
            "function": {"architecture": "riscv", "memory_mb": 127, "system_log_level": "OFF"}
        },
        "before": {"function": {"log_retention_days": 31}, "table": {"stream": "NEW"}},
    }
    for name, inputs in wrong.items():
        test = {
            "mock_provider": {"aws": {"source": "./tests/terraform/mocks"}},
            "variables": {"name": "files", "bucket": {"create": True}, **inputs},
            "run": {"all_wrong": {"command": "plan"}},
        }
        (directory / f"{name}.tftest.json").write_text(json.dumps(test, indent=2))

    code, said = module.terraform("test", "-test-directory=tests/terraform/provider")

    assert code != 0
    words = " ".join(said.replace("│", " ").split())
    assert words.count("Error:") == 5
    assert 'expected architectures to be one of ["x86_64" "arm64"], got riscv' in words
    assert 'system_log_level to be one of ["DEBUG" "INFO" "WARN"], got OFF' in words
    assert "expected memory_size to be in the range (128 - " in words
    assert "expected retention_in_days to be one of [0 1 3 5 7 14 30" in words
    assert 'expected stream_view_type to be one of ["NEW_IMAGE"' in words
