"""Inputs that are known only after apply, as in the first plan of a larger stack."""

from tests.terraform.terraform import Configuration
from tools.terraform_init import init


def test_a_plan_needs_only_the_inputs_that_decide_which_resources_exist(
    module: Configuration,
) -> None:
    stack = module.at("tests/terraform/unknown")
    init(stack.directory, stack.environment)

    stack.succeed("test", "-test-directory=.")
