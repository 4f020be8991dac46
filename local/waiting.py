"""Waits for a condition, with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HANG_SECONDS = 300
"""A limit that only a hang exceeds, even on a slow and busy machine."""

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


def wait_for(
    condition: Callable[[], T | None], seen: Callable[[], object], seconds: float = HANG_SECONDS
) -> T:
    """Return the condition's first true value.

    Raises TimeoutError with what was seen instead. The limit is for hangs only: a shorter one makes
    nothing faster.
    """
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"not within {seconds} s; seen: {seen()}")
        # Long waits poll less often: polling takes CPU time from the work they wait for.
        time.sleep(min(max(waited / 20, _SHORTEST_PAUSE), _LONGEST_PAUSE))
    return value
