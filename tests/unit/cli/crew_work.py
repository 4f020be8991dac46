"""Work for real processes: it lists the numbers of a range, and notes them in a directory."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli.function.ranges import Range
from local.waiting import HANG_SECONDS

KEYS = [f"{number:03}" for number in range(200)]


@dataclass
class Numbers:
    """A part."""

    rest: Range | None
    keys: list[str] = field(default_factory=list)

    def add(self, later: "Numbers") -> None:
        self.rest = later.rest
        self.keys += later.keys


@dataclass(frozen=True)
class Noting:
    """Makes the work. It waits at `hold` for the file of that name to go."""

    directory: Path
    hold: str = ""
    error: str = ""
    """The key that cannot be worked on."""

    def __call__(self) -> Callable[[Range, Callable[[int], bool]], Iterator[Numbers]]:
        return self._numbers

    def _numbers(self, of: Range, is_spent: Callable[[int], bool]) -> Iterator[Numbers]:
        for key in KEYS:
            if key not in of:
                continue
            if key == self.error:
                raise ZeroDivisionError
            if key == self.hold:
                (self.directory / "pid").write_text(str(os.getpid()))
                self._wait(is_spent)
            with (self.directory / "done").open("a") as done:
                done.write(f"{key}\n")
            is_over = is_spent(0)
            yield Numbers(Range(key, of.up_to), [key])
            if is_over:
                return
        yield Numbers(None)

    def _wait(self, is_spent: Callable[[int], bool]) -> None:
        until = time.monotonic() + HANG_SECONDS
        while not is_spent(0) and time.monotonic() < until:
            time.sleep(0.01)
