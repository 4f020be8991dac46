"""A copy of the module for all tests here."""

import shutil
from collections.abc import Iterator

import pytest

from tests.frame import Shared
from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT, ModuleCopy, isolated_environment


@pytest.fixture(scope="package")
def module(shared: Shared) -> Iterator[Configuration]:
    """The initialised module, with the running provider."""
    with ModuleCopy(shared.provider, shared.module) as copy:
        yield Configuration(copy.directory, copy.environment)


@pytest.fixture(scope="package")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """Only the module's inputs: their validations need neither provider nor `terraform init`."""
    directory = tmp_path_factory.mktemp("inputs")
    shutil.copy(ROOT / "variables.tf", directory)
    shutil.copytree(ROOT / "environments", directory / "environments")
    shutil.copytree(ROOT / "tests/terraform/inputs", directory / "tests")
    return Configuration(directory, isolated_environment(directory))
