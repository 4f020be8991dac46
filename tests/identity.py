"""Who calls AWS is known to a process once; tests of commands leave that as it was."""

from collections.abc import Iterator

import pytest

from cli.function import denials


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    connect = denials._identity.connect
    yield
    denials.ask_who_with(connect)
