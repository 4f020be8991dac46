"""Uploads 10,000 files to the local AWS in every combination of trigger and queue.

It counts the files that never reach the index and the invocations. The local AWS delivers events
and polls queues in its own way, so the time that this takes says nothing about AWS.

UPLOADS in the environment changes the number of files.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from local.waiting import HANG_SECONDS, wait_for
from tests.e2e.deployments import PREFIX, WAYS
from tests.e2e.stack import Stack
from tests.e2e.workload import differences
from tests.frame import Frame, Shared

from .progress import note
from .results import Figure, Section

UPLOADS = int(os.environ.get("UPLOADS", "10000"))
MOST_SECONDS = HANG_SECONDS + UPLOADS / 10
_UPLOADERS = 8


def measure() -> Section:
    """Deploy all of them, then load one after the other."""
    with TemporaryDirectory() as directory, closing(Frame(Path(directory), WAYS)):
        shared = Shared(Path(directory))
        with closing(shared):
            figures = [
                figure for name, way in WAYS.items() for figure in _load(shared.stack(name), way)
            ]
    return Section(title=f"{UPLOADS:,} uploads, end to end", figures=figures)


def _load(stack: Stack, way: str) -> Iterator[Figure]:
    began = time.time()
    prefix = f"{PREFIX}bench {began}/"
    with ThreadPoolExecutor(_UPLOADERS) as pool:
        for _ in pool.map(lambda number: stack.put(f"{prefix}{number:06}.csv"), range(UPLOADS)):
            pass
    lost = _lost(stack, prefix)
    invocations = sum(line.startswith("START") for line in stack.log(began))
    note(f"{way}: {lost} lost, {invocations:,} invocations")
    yield Figure(name=f"{way}: lost", value=lost, unit="files", target=0)
    yield Figure(name=f"{way}: invocations", value=invocations, unit="invocations")


def _lost(stack: Stack, prefix: str) -> int:
    """Wait until every file is in the index, or nothing is left that could add one."""

    def is_complete() -> bool:
        return not stack.waiting_messages() and not differences(stack, prefix)

    try:
        wait_for(is_complete, lambda: f"{stack.dead_letters()} dead letters", MOST_SECONDS)
    except TimeoutError as error:
        note(str(error))
    return len(differences(stack, prefix))
