"""What every test needs: settings, the frame that all processes share, and the account of time."""

import json
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.e2e.deployments import DEPLOYMENTS
from tests.frame import OPTIONAL, Frame, Shared

# The function's module reads its settings when it is imported.
os.environ["TABLE_NAME"] = "files"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

# No test depends on how fast the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_COVERS = re.compile(r"tests/(unit|integration)/test_")
_TURNS = ("waits", "long deployment", "terraform", "integration", "e2e", "deployment", "unit")
"""Long waits first, then what computes meanwhile; the many short tests fill the end."""
_WITH_LONG_TESTS = 3
"""So many of the deployments have tests that wait for long; they come first."""
_WANTED = "wanted"
_GROUPS = "groups"
_directory = pytest.StashKey[Path]()
_frame = pytest.StashKey[Frame]()


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("frame")
    config.stash[_directory] = Path(given or tempfile.mkdtemp(prefix="file-index-tests-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where to find the frame."""
    node.workerinput["frame"] = str(node.config.stash[_directory])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    for item in items:
        # Tracing doubles the time. The coverage of function/ comes from the tests of function/.
        if not _COVERS.match(item.nodeid):
            item.add_marker(pytest.mark.no_cover)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives all tests of a group to one worker; pytest-xdist's own groups need an older pytest."""

    @cached_property
    def groups(self) -> dict[str, str]:
        found = self.config.stash[_directory] / f"{_GROUPS}.json"
        groups: dict[str, str] = json.loads(found.read_text())["value"]
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self.groups.get(nodeid, nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def _turn(item: pytest.Item) -> tuple[int, int]:
    """The turn of the test's kind, and of its deployment among those."""
    if item.get_closest_marker("waits"):
        return _TURNS.index("waits"), 0
    deployment = _deployment(item)
    if deployment is None:
        return _TURNS.index(_part(item.nodeid)), 0
    number = list(DEPLOYMENTS).index(deployment)
    kind = "long deployment" if number < _WITH_LONG_TESTS else "deployment"
    return _TURNS.index(kind), number


def _group(item: pytest.Item) -> str | None:
    """What tests have in common that one worker should run, one after another."""
    if _part(item.nodeid) == "terraform":
        return item.path.stem  # Terraform runs once for all tests of a file
    marked = item.get_closest_marker("xdist_group")
    return str(marked.args[0]) if marked else _deployment(item)  # which its tests change


def _part(nodeid: str) -> str:
    """The part of the tests that a test belongs to."""
    return nodeid.split("/")[1]


def _deployment(item: pytest.Item) -> str | None:
    return next((name for name in DEPLOYMENTS if name in _wants(item)), None)


def _wants(item: pytest.Item) -> set[str]:
    """The names of fixtures and deployments that a test asks for."""
    wants = set(getattr(item, "fixturenames", ()))
    if "shared" not in wants:
        return set()  # other tests mean something else by these names
    if "deployed" in wants and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        wants |= {value for value in item.callspec.params.values() if isinstance(value, str)}
    return wants


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist tells the process that schedules
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        groups = {item.nodeid: group for item in session.items if (group := _group(item))}
        Shared(config.stash[_directory]).publish(_GROUPS, lambda: groups)
    wants = set().union(*map(_wants, session.items))
    if config.option.collectonly or "shared" not in wants:
        return
    names = [name for name in OPTIONAL if name in wants]
    if hasattr(config, "workerinput"):
        Shared(config.stash[_directory]).publish(_WANTED, lambda: names)
    else:
        config.stash[_frame] = Frame(config.stash[_directory], names)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Make what the workers want, which all of them know by now."""
    stash = node.config.stash
    wanted = stash[_directory] / f"{_WANTED}.json"
    if _frame not in stash and wanted.exists():
        stash[_frame] = Frame(stash[_directory], json.loads(wanted.read_text())["value"])


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    if _frame in config.stash:
        config.stash[_frame].close()
    shutil.rmtree(config.stash[_directory])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    seconds: defaultdict[str, float] = defaultdict(float)
    failed = set()
    for report in _reports(terminalreporter):
        part = _part(report.nodeid)
        seconds[part] += report.duration
        if report.failed:
            failed.add(part)
    terminalreporter.section("seconds of the tests of each part, with their waits")
    for part, taken in sorted(seconds.items()):
        repeat = f"  failed; `make test PART={part}` repeats it alone" if part in failed else ""
        terminalreporter.line(f"{taken:7.1f}  {part}{repeat}")


def _reports(terminalreporter: Any) -> Iterator[pytest.TestReport]:
    for reports in terminalreporter.stats.values():
        yield from (report for report in reports if isinstance(report, pytest.TestReport))


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Iterator[Shared]:
    found = Shared(pytestconfig.stash[_directory])
    yield found
    found.close()
