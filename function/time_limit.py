"""A time limit for what the main thread does.

It interrupts every wait but the lookup of a name, which ends by itself.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TypeVar

_Result = TypeVar("_Result")

_SOONEST = 0.001
"""A timer of no seconds would never go off."""


class _TimeIsUpError(BaseException):
    """Not an Exception: botocore would retry the call that it interrupts."""


def can_limit_time() -> bool:
    """Return whether this is the main thread, the only one that a signal interrupts."""
    return threading.current_thread() is threading.main_thread()


def within(seconds: float, call: Callable[[], _Result], late: Exception) -> _Result:
    """Return the result of the call. Raises `late` if it takes longer."""
    handler = signal.signal(signal.SIGALRM, _interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, _SOONEST))
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeIsUpError:
        raise late from None
    finally:
        signal.signal(signal.SIGALRM, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TimeIsUpError
