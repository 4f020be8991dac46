"""Progress of long work: a bar in a terminal, otherwise a line every 15 seconds."""

import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .terminal import stderr_console, write_stderr

_SAID_EVERY_SECONDS = 15
_SHOWN_EVERY_SECONDS = 0.1


class Work:
    """Shows progress on standard error while its context is open."""

    def __init__(self, what: str, total: int | None = None) -> None:
        """`what` names the work; `total` is None if the number of things is unknown."""
        self._what = what
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._said = self._shown = self._began
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr_console,
            disable=not stderr_console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=total, rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._show()
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Things per second."""
        return self._done / max(time.monotonic() - self._began, 1e-3)

    def set_total(self, total: int) -> None:
        """Set how many things there are, as far as is known."""
        self._total = total
        self._bar.update(self._task, total=total)

    def note(self, text: str) -> None:
        """Show a note."""
        self._bar.update(self._task, description=f"{self._what}: {text}" if text else self._what)
        if text and self._is_time_to_say():
            write_stderr("{}: {}", self._what, text)

    def advance(self, count: int = 1) -> None:
        """Count things as done."""
        self._done += count
        now = time.monotonic()
        if now - self._shown < _SHOWN_EVERY_SECONDS:
            return
        self._shown = now
        self._show()
        if self._is_time_to_say():
            of = f" of {self._total:,}" if self._total else ""
            write_stderr("{}: {:,}{}, {:,.0f}/s", self._what, self._done, of, self.rate)

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._done, rate=f"{self.rate:,.0f}/s")

    def _is_time_to_say(self) -> bool:
        is_time = self._bar.disable and time.monotonic() - self._said > _SAID_EVERY_SECONDS
        if is_time:
            self._said = time.monotonic()
        return is_time
