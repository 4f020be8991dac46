"""The local AWS and the deployments that all tests share, as fixtures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.emulator import Emulator
from tests.e2e.bare import Bare
from tests.e2e.deployments import DEPLOYMENTS
from tests.e2e.stack import Stack
from tests.frame import Shared


@pytest.fixture(scope="session")
def emulator(shared: Shared) -> Emulator:
    return shared.emulator


@pytest.fixture(scope="session")
def uncorrected(shared: Shared) -> Emulator:
    return shared.uncorrected


@pytest.fixture
def bare(emulator: Emulator, tmp_path: Path) -> Bare:
    return Bare(emulator, tmp_path)


@pytest.fixture(scope="session")
def deployed(shared: Shared) -> Callable[[str], Stack]:
    """A deployment by its name, which a test that uses it must be parametrized with."""
    return shared.stack


@pytest.fixture
def stack(request: pytest.FixtureRequest, deployed: Callable[[str], Stack]) -> Stack:
    """The deployment whose name the test is parametrized with."""
    return deployed(request.param)


def _fixture(name: str) -> object:
    @pytest.fixture(scope="session", name=name)
    def deployment(deployed: Callable[[str], Stack]) -> Stack:
        return deployed(name)

    return deployment


# A fixture for each deployment, by its name.
globals().update({name: _fixture(name) for name in DEPLOYMENTS})
