"""Settings for every test, the frame that all processes share, and the summary of times."""

import json
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.frame import OPTIONAL, Frame, Shared
from tests.scheduling import Scheduling, group, part, turn, wants

# The function's module reads its settings when it is imported.
os.environ["TABLE_NAME"] = "files"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

# No test depends on how fast the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_COVERS = re.compile(
    r"tests/(unit|integration)/(reconciliation/)?test_(?!exactly|rounds_needed|sizes)"
)
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
    items.sort(key=turn)
    for item in items:
        # Tracing doubles the time. The coverage of function/ comes from the tests of function/.
        if not _COVERS.match(item.nodeid):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log, groups=config.stash[_directory] / f"{_GROUPS}.json")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist tells the process that schedules
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        groups = {item.nodeid: found for item in session.items if (found := group(item))}
        Shared(config.stash[_directory]).publish(_GROUPS, lambda: groups)
    wanted = set().union(*map(wants, session.items))
    if config.option.collectonly or "shared" not in wanted:
        return
    names = [name for name in OPTIONAL if name in wanted]
    if hasattr(config, "workerinput"):
        Shared(config.stash[_directory]).publish(_WANTED, lambda: names)
    else:
        config.stash[_frame] = Frame(config.stash[_directory], names)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Make what the workers want; by now all of them know it."""
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


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seconds: defaultdict[str, float] = defaultdict(float)
    failed = set()
    for report in _reports(terminalreporter):
        name = part(report.nodeid)
        seconds[name] += report.duration
        if report.failed:
            failed.add(name)
    target = "test" if config.option.markexpr.strip() == "not long" else "test-all"
    terminalreporter.section("seconds of the tests of each part, with their waits")
    for name, taken in sorted(seconds.items()):
        repeat = f"  failed; `make {target} PART={name}` repeats it alone" if name in failed else ""
        terminalreporter.line(f"{taken:7.1f}  {name}{repeat}")


def _reports(terminalreporter: Any) -> Iterator[pytest.TestReport]:
    for reports in terminalreporter.stats.values():
        yield from (report for report in reports if isinstance(report, pytest.TestReport))


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Iterator[Shared]:
    found = Shared(pytestconfig.stash[_directory])
    yield found
    found.close()
