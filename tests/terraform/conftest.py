"""One initialised copy of the module for all tests here."""

from collections.abc import Iterator

import pytest

from tools.module_copy import ModuleCopy


@pytest.fixture(scope="package")
def module() -> Iterator[ModuleCopy]:
    with ModuleCopy({}) as copy:
        yield copy
