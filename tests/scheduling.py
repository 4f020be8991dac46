"""The order of the tests, and which of them run together in one worker."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.e2e.deployments import DEPLOYMENTS

_TURNS = ("waits", "long deployment", "terraform", "integration", "e2e", "deployment", "unit")
"""Long waits first, then tests that compute meanwhile; the many short tests fill the end."""
_WITH_LONG_TESTS = 3
"""The number of deployments whose tests wait long; they come first."""


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives all tests of a group to one worker; pytest-xdist's own groups need an older pytest."""

    def __init__(self, config: pytest.Config, log: Any, groups: Path) -> None:
        """`groups` is the file in which a worker writes the group of each test that has one."""
        super().__init__(config, log)
        self._file = groups

    @cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads(self._file.read_text())["value"]
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)


def turn(item: pytest.Item) -> tuple[int, int]:
    """The turn of the test's kind, and of its deployment among those."""
    if item.get_closest_marker("waits"):
        return _TURNS.index("waits"), 0
    deployment = _deployment(item)
    if deployment is None:
        return _TURNS.index(part(item.nodeid)), 0
    number = list(DEPLOYMENTS).index(deployment)
    kind = "long deployment" if number < _WITH_LONG_TESTS else "deployment"
    return _TURNS.index(kind), number


def group(item: pytest.Item) -> str | None:
    """Return the group of tests that one worker should run, one after another."""
    if part(item.nodeid) == "terraform":
        return item.path.stem  # Terraform runs once for all tests of a file
    marked = item.get_closest_marker("xdist_group")
    return str(marked.args[0]) if marked else _deployment(item)  # which its tests change


def part(nodeid: str) -> str:
    """The part of the tests that a test belongs to."""
    return nodeid.split("/")[1]


def wants(item: pytest.Item) -> set[str]:
    """Return the names of fixtures and deployments that a test uses."""
    names = set(getattr(item, "fixturenames", ()))
    if "shared" not in names:
        return set()  # other tests mean something else by these names
    if "deployed" in names and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        names |= {value for value in item.callspec.params.values() if isinstance(value, str)}
    return names


def _deployment(item: pytest.Item) -> str | None:
    names = wants(item)
    return next((name for name in DEPLOYMENTS if name in names), None)
