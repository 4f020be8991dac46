"""Wait for what others do, with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None], seen: Callable[[], object], seconds: float = 30
) -> T:
    """The condition's first true value; raises TimeoutError with what was seen instead."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {seconds} s; seen: {seen()}")
        time.sleep(0.1)
    return value
