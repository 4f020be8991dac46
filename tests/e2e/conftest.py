"""One local AWS for the session, with the deployments that the collected tests ask for.

They are applied beside each other and beside the tests of other directories, which run first: an
apply waits more than it computes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.deployment import Deployment
from local.emulator import Emulator
from tests.e2e.bare import Bare
from tests.e2e.deployments import BUCKET, DEPLOYMENTS
from tests.e2e.stack import Stack


class Background:
    """The emulator and the deployments, made in threads."""

    def __init__(self, names: list[str]) -> None:
        self._stack = ExitStack()
        self._entered: list[Deployment] = []
        self._pool = ThreadPoolExecutor(max_workers=1 + len(names))
        self.emulator: Future[Emulator] = self._pool.submit(
            lambda: self._stack.enter_context(Emulator())
        )
        self.stacks = {name: self._pool.submit(self._deploy, name) for name in names}

    def _deploy(self, name: str) -> Stack:
        emulator = self.emulator.result()
        bucket = DEPLOYMENTS[name].get("bucket", BUCKET)
        if not bucket.get("create"):
            emulator.client("s3").create_bucket(Bucket=bucket["name"])
        deployment = self._stack.enter_context(
            Deployment(emulator, {"name": name, **DEPLOYMENTS[name]})
        )
        self._entered.append(deployment)
        deployment.apply()
        stack = Stack(emulator, deployment)
        stack.configure_bucket_as_its_owner()
        return stack

    def close(self) -> None:
        """Stop everything; the deployments end with their emulator, undestroyed."""
        for deployment in self._entered:
            deployment.interrupt()
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()


_BACKGROUND = pytest.StashKey[Background]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "emulator" in getattr(item, "fixturenames", ()))


def pytest_collection_finish(session: pytest.Session) -> None:
    wanted = {name for item in session.items for name in _wanted(item)}
    if "emulator" in wanted and not session.config.option.collectonly:
        names = [name for name in DEPLOYMENTS if name in wanted]
        session.config.stash[_BACKGROUND] = Background(names)


def _wanted(item: pytest.Item) -> Iterator[str]:
    yield from getattr(item, "fixturenames", ())
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        yield from map(str, item.callspec.params.values())


def pytest_unconfigure(config: pytest.Config) -> None:
    if _BACKGROUND in config.stash:
        config.stash[_BACKGROUND].close()


@pytest.fixture(scope="session")
def emulator(pytestconfig: pytest.Config) -> Emulator:
    return pytestconfig.stash[_BACKGROUND].emulator.result()


@pytest.fixture(scope="session")
def deployed(
    emulator: Emulator,  # noqa: ARG001 # what the stacks are deployed to
    pytestconfig: pytest.Config,
) -> Callable[[str], Stack]:
    """A deployment by its name, which a test that uses it must be parametrized with."""
    stacks = pytestconfig.stash[_BACKGROUND].stacks
    return lambda name: stacks[name].result()


@pytest.fixture
def stack(request: pytest.FixtureRequest, deployed: Callable[[str], Stack]) -> Stack:
    """The deployment whose name the test is parametrized with."""
    return deployed(request.param)


@pytest.fixture
def bare(emulator: Emulator, tmp_path: Path) -> Bare:
    return Bare(emulator, tmp_path)


def _stack(name: str) -> Any:
    @pytest.fixture(scope="session", name=name)
    def fixture(deployed: Callable[[str], Stack]) -> Stack:
        return deployed(name)

    return fixture


versioned = _stack("versioned")
unversioned = _stack("unversioned")
metadata = _stack("metadata")
queued = _stack("queued")
eventbridge = _stack("eventbridge")
eventbridge_queued = _stack("eventbridge_queued")
external = _stack("external")
external_queued = _stack("external_queued")
derived = _stack("derived")
short_lived = _stack("short_lived")
