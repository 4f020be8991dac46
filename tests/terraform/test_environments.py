"""The protection in each of environments/*.tfvars."""

import pytest

from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT

ENVIRONMENTS = sorted(path.stem for path in (ROOT / "environments").glob("*.tfvars"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_protects_what_it_holds(module: Configuration, environment: str) -> None:
    module.succeed(
        "test",
        "-test-directory=tests/terraform/environments",
        f"-var-file=environments/{environment}.tfvars",
        workspace=environment,
    )
