"""The local engine: works on ranges of keys, with all cores of this machine.

The first seconds are spent in this process, because most runs end within them. What is left then is
divided among processes, one for each core.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic

from .crew import Budget, Crew, Job, P, Work
from .function.ranges import Range
from .function.reconciliation.division import Sides, divide
from .interruption import Interruption

ALONE_SECONDS = 2.0
"""How long this process works alone."""
BUDGET = Budget(seconds=5.0, suspects=5_000)
"""What a process may use for one range."""
_PIECES = 4
"""Ranges for each process, so that all end at about the same time."""


def cores() -> int:
    """Return how many processes work at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # what this process may use
    return os.cpu_count() or 1


class Engine(Generic[P]):
    """Works on ranges until none is left."""

    def __init__(
        self,
        job: Job[P],
        work: Work[P],
        sides: Callable[[], Sides],
        ranges: Iterable[Range],
        interruption: Interruption,
    ) -> None:
        """`job` makes the work for another process; `sides` answers for one division."""
        self._job = job
        self._work = work
        self._sides = sides
        self._pending = deque(ranges)
        self._current: Range | None = None
        self._crew: Crew[P] | None = None
        self._interruption = interruption

    @property
    def left(self) -> list[Range]:
        """What is left, as of the last part that was yielded."""
        under_way = self._crew.left if self._crew else [self._current] if self._current else []
        return [*under_way, *self._pending]

    def run(self) -> Generator[P | None, None, None]:
        """Yield each part as it is finished; None if none was finished for a while."""
        if cores() == 1:
            yield from self._alone(lambda: False)
            return
        until = time.monotonic() + ALONE_SECONDS
        yield from self._alone(lambda: time.monotonic() >= until)
        if self._pending:
            yield from self._together(cores())

    def _alone(self, is_over: Callable[[], bool]) -> Iterator[P]:
        def is_spent(_: int) -> bool:
            return self._interruption.is_asked or is_over()

        while self._pending and not is_over():
            self._interruption.check()
            self._current = self._pending.popleft()
            for part in self._work(self._current, is_spent):
                self._current = part.rest
                yield part
            if self._current:
                self._pending.appendleft(self._current)
                self._current = None
        self._interruption.check()

    def _together(self, processes: int) -> Iterator[P | None]:
        self._divide(_PIECES * processes)
        with Crew(self._job, BUDGET, min(processes, len(self._pending))) as crew:
            self._crew = crew
            while self._pending or crew.is_any_busy:
                if self._interruption.is_asked:
                    yield from crew.stop()
                    self._interruption.check()
                while self._pending and crew.is_any_idle:
                    crew.give(self._pending.popleft())
                is_any = False
                for part in crew.parts():
                    is_any = True
                    yield part
                if not is_any:
                    yield None
                self._take_back(crew)

    def _take_back(self, crew: Crew[P]) -> None:
        """Take what a process has left when its budget is spent; divide it if others are idle."""
        self._pending.extendleft(crew.taken_back())
        if len(self._pending) == 1 and crew.is_any_idle:
            self._divide(crew.size)

    def _divide(self, pieces: int) -> None:
        """Divide the first pending range."""
        divided = divide(self._pending[0], self._sides(), pieces)
        self._pending.popleft()
        self._pending.extendleft(reversed(divided))
