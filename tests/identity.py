"""A process remembers who calls AWS; tests of commands restore that."""

from collections.abc import Iterator

import pytest

from cli.function import denials


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    connect = denials._identity.connect
    yield
    denials.ask_who_with(connect)
