"""Ctrl-C and SIGTERM: the first asks a run to stop at a safe point, the second stops it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the user has asked the run to stop."""

    def __init__(self) -> None:
        self.is_asked = False
        self.is_forced = False
        """Whether it was asked twice, so that what is under way may be half counted."""

    def check(self) -> None:
        """Raise KeyboardInterrupt if the run shall stop. For safe points."""
        if self.is_asked:
            raise KeyboardInterrupt

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.is_asked:
            self.is_forced = True
            signal.default_int_handler(number, frame)
        self.is_asked = True


@contextmanager
def deferred() -> Iterator[Interruption]:
    """Let signals only ask while the block runs: no change of counts is cut in two."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread gets signals
        return
    handlers = {
        number: signal.signal(number, interruption.ask)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interruption
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
