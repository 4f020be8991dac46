"""Inputs that are known only after apply, as in the first plan of a larger stack."""

from tests.terraform.terraform import Configuration
from tools.terraform_init import init


def test_a_plan_needs_only_the_inputs_that_decide_which_resources_exist(
    module: Configuration,
) -> None:
    stack = module.at("tests/terraform/unknown")
    init(stack.directory, stack.environment)

    stack.succeed("test", "-test-directory=.")


def test_an_own_account_that_no_plan_knows_is_refused_at_apply(module: Configuration) -> None:
    stack = module.at("tests/terraform/unknown/own_account")
    init(stack.directory, stack.environment)

    code, said = stack.terraform("test", "-test-directory=.")

    assert code == 1, said
    assert said.count("Error: ") == 1, said
    assert "bucket.account is the deployment's own account, 111122223333: remove it." in " ".join(
        said.replace("│", " ").split()
    )
