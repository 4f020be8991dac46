"""One copy of the module and one running provider for all tests here."""

import shutil
from collections.abc import Iterator

import pytest

from local.provider import KeptProvider, provider_binary
from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT, ModuleCopy, isolated_environment

# Terraform spends a third of its time on collecting the provider's schemas as garbage.
_LESS_GARBAGE_COLLECTION = {"GOGC": "400"}


@pytest.fixture(scope="package")
def module() -> Iterator[Configuration]:
    """The module, initialised, with a provider that is only asked for its schemas."""
    with (
        ModuleCopy(_LESS_GARBAGE_COLLECTION) as copy,
        KeptProvider(provider_binary(copy.data_directory), _LESS_GARBAGE_COLLECTION) as provider,
    ):
        yield Configuration(copy.directory, copy.environment | provider.environment)


@pytest.fixture(scope="package")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """The module's inputs alone, whose validations need neither provider nor `terraform init`."""
    directory = tmp_path_factory.mktemp("inputs")
    shutil.copy(ROOT / "variables.tf", directory)
    shutil.copytree(ROOT / "environments", directory / "environments")
    shutil.copytree(ROOT / "tests/terraform/inputs", directory / "tests")
    return Configuration(directory, isolated_environment(directory))
