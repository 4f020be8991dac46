"""The time limit of the main thread."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from function.time_limit import can_limit_time, within

HANG_SECONDS = 600


class LateError(Exception):
    pass


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Neither a timer nor a handler of signals."""
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    yield
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == before


def test_a_quick_call_returns_its_result() -> None:
    assert within(HANG_SECONDS, lambda: 7, LateError()) == 7


def test_an_error_of_the_call_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        within(HANG_SECONDS, lambda: 1 / 0, LateError())


@pytest.mark.parametrize("seconds", [0.01, 0])
def test_a_call_that_waits_is_interrupted_even_if_it_handles_every_exception(
    seconds: float,
) -> None:
    def wait() -> None:
        for _ in range(2):
            with suppress(Exception):  # as botocore does before it retries
                threading.Event().wait(HANG_SECONDS)

    with pytest.raises(LateError):
        within(seconds, wait, LateError())


def test_only_the_main_thread_has_a_limit() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(can_limit_time).result() is False
    assert can_limit_time()
