"""The suspects of a verification, until they are judged."""

import heapq
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from .function.ranges import Range
from .function.reconciliation.failures import Failure
from .function.reconciliation.findings import Drift
from .function.reconciliation.verification import Suspect, Verification
from .function.reconciliation.workers import WORKERS

MOST = 50_000
"""Suspects in memory; if there are more, the comparison waits for the oldest."""
_AT_ONCE = 2 * WORKERS

Finding = Drift | Failure | None
"""What a key turned out to be; None if it is equal."""


@dataclass(slots=True)
class Retry:
    """A key that failed in an earlier run."""

    earlier: Failure
    offset: int
    """How many bytes of the earlier run's failed keys have been retried after it."""
    is_open: bool = True
    """Whether the key is not judged yet."""
    found: Finding = None


_Entry = tuple[float, int, Suspect, Retry | None]


class Waiting:
    """Suspects, by the time at which they are due."""

    def __init__(self, verification: Verification) -> None:
        self._verification = verification
        self._suspects: list[_Entry] = []
        self._under_way: deque[_Entry] = deque()
        self._number = itertools.count()

    def __len__(self) -> int:
        return len(self._suspects)

    @property
    def ranges(self) -> list[Range]:
        """The keys that are not judged yet, without those that an earlier run left."""
        entries = itertools.chain(self._suspects, self._under_way)
        return [suspect.of for *_, suspect, retry in entries if retry is None]

    @property
    def seconds(self) -> float:
        """How long until the first is due."""
        return self._suspects[0][0] - time.monotonic()

    @property
    def must_be_judged(self) -> bool:
        """Whether the first is due, or there are too many to let them wait."""
        return bool(self._suspects) and (len(self._suspects) > MOST or self.seconds <= 0)

    def add(self, suspect: Suspect, retry: Retry | None = None) -> None:
        """Let a suspect wait."""
        heapq.heappush(self._suspects, (suspect.due, next(self._number), suspect, retry))

    def judged(self) -> Iterator[tuple[Finding, Retry | None]]:
        """Judge those that are due, and yield each that is finished."""
        now = time.monotonic()
        while self._suspects and self._suspects[0][0] <= now and len(self._under_way) < _AT_ONCE:
            self._under_way.append(heapq.heappop(self._suspects))
        due = [suspect for *_, suspect, _ in self._under_way]
        for _, judgement in self._verification.judging(due):
            *_, retry = self._under_way.popleft()
            if isinstance(judgement, Suspect):
                self.add(judgement, retry)
            else:
                yield judgement, retry
