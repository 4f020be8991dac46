"""Processes that work on ranges. Each has a pipe to this process, which owns every count."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from .connection import Connection
from .errors import CommandError, as_command_errors
from .function import denials
from .function.ranges import Range

_WAIT_SECONDS = 0.5
_TOLD_EVERY_SECONDS = 0.5
_ASKED_EVERY_SECONDS = 0.1
_STOP_SECONDS = 30.0
"""How long requests under way may take after an interruption."""


class Part(Protocol):
    """What was done in a part of a range."""

    rest: Range | None
    """What is left of the range."""

    def add(self, later: Self) -> None:
        """Add the part that follows."""


P = TypeVar("P", bound=Part)
Work = Callable[[Range, Callable[[int], bool]], Iterator[P]]
"""Works on a range until it ends or its budget, asked with the number of suspects, is spent."""


@dataclass(frozen=True, slots=True)
class Job(Generic[P]):
    """Work that a process can begin by itself."""

    connection: Connection
    work: Callable[[], Work[P]]
    """Returns the work; can be pickled, together with the connection that it uses."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a process may use for one range."""

    seconds: float
    suspects: int


@dataclass(frozen=True, slots=True)
class _Told(Generic[P]):
    """A message of a process."""

    part: P | None
    is_done: bool
    error: CommandError | None = None
    """Why the run must end."""


@dataclass(slots=True)
class _Member:
    process: SpawnProcess
    pipe: Pipe
    rest: Range | None = None
    """What is left of its range."""
    is_busy: bool = False


class Crew(Generic[P]):
    """Processes that work on ranges while the context is open."""

    def __init__(self, job: Job[P], budget: Budget, size: int) -> None:
        self.size = size
        self._job = job
        self._budget = budget
        self._members: list[_Member] = []
        self._taken_back: list[Range] = []

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        for _ in range(self.size):
            pipe, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(theirs, self._job, self._budget), daemon=True
            )
            with _signals_blocked():
                process.start()
            theirs.close()
            self._members.append(_Member(process, pipe))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self._members:
            with suppress(OSError):
                member.pipe.close()  # an idle one ends
        if kind:
            for member in self._members:
                member.process.kill()
        for member in self._members:
            member.process.join(_STOP_SECONDS)

    @property
    def left(self) -> list[Range]:
        """What the processes have left, as of the last part that was returned."""
        rests = [member.rest for member in self._members if member.rest]
        return [*rests, *self._taken_back]

    @property
    def is_any_busy(self) -> bool:
        """Whether a process works on a range."""
        return any(member.is_busy for member in self._members)

    @property
    def is_any_idle(self) -> bool:
        """Whether a process has nothing to do."""
        return any(not member.is_busy for member in self._members)

    def give(self, of: Range) -> None:
        """Give a range to an idle process."""
        member = next(member for member in self._members if not member.is_busy)
        member.rest, member.is_busy = of, True
        try:
            member.pipe.send((of, self._job.connection.credentials()))
        except OSError:
            raise self._died(member) from None

    def taken_back(self) -> Sequence[Range]:
        """Return what was left of ranges whose budget is spent, once."""
        taken, self._taken_back = self._taken_back, []
        return taken

    def parts(self) -> Iterator[P]:
        """Wait for parts for a moment and yield them. Raises CommandError if a process died."""
        busy = [member for member in self._members if member.is_busy]
        ready = wait([member.pipe for member in busy], _WAIT_SECONDS)
        for member in busy:
            if member.pipe not in ready:
                continue
            try:
                told: _Told[P] = member.pipe.recv()
            except (EOFError, OSError):
                raise self._died(member) from None
            yield from self._noted(member, told)

    def stop(self) -> Iterator[P]:
        """Tell the processes to stop, and yield what they have finished."""
        for member in self._members:
            with suppress(OSError):
                member.pipe.send(None)
        until = time.monotonic() + _STOP_SECONDS
        while self.is_any_busy and time.monotonic() < until:
            yield from self.parts()

    def _noted(self, member: _Member, told: _Told[P]) -> Iterator[P]:
        if told.part:
            member.rest = told.part.rest
            yield told.part
        if told.error:
            raise told.error
        if told.is_done:
            if member.rest:
                self._taken_back.append(member.rest)
            member.rest, member.is_busy = None, False

    @staticmethod
    def _died(member: _Member) -> CommandError:
        member.process.join(_WAIT_SECONDS)
        of = member.rest or Range()
        end = "" if of.up_to is None else f" up to {of.up_to}"
        return CommandError(
            f"process {member.process.pid} ended with {member.process.exitcode} while it worked on"
            f" the keys after {of.after!r}{end}: continue with --resume"
        )


def _serve(pipe: Pipe, job: Job[P], budget: Budget) -> None:
    """Work on ranges until the pipe is closed: this process is one of a crew."""
    denials.ask_who_with(partial(job.connection.client, "sts"))
    work = job.work()
    while task := _received(pipe):
        of, credentials = task
        job.connection.renew(credentials)
        for told in _telling(work, of, budget, pipe):
            try:
                pipe.send(told)
            except OSError:  # the other process has ended
                return


def _received(pipe: Pipe) -> tuple[Range, Any] | None:
    """Return the next task; None if there will be none."""
    try:
        task: tuple[Range, Any] | None = pipe.recv()
    except (EOFError, OSError):
        return None
    return task


def _telling(work: Work[P], of: Range, budget: Budget, pipe: Pipe) -> Iterator[_Told[P]]:
    """Yield the sum of the parts that were finished since the last message."""
    began = asked = told = time.monotonic()
    is_stopped = False

    def is_spent(suspects: int) -> bool:
        nonlocal asked, is_stopped
        now = time.monotonic()
        if now - asked >= _ASKED_EVERY_SECONDS:
            asked = now
            is_stopped = pipe.poll()  # told to stop, or the other process has ended
        return is_stopped or now - began > budget.seconds or suspects >= budget.suspects

    whole: Any = None
    try:
        with as_command_errors():
            for part in work(of, is_spent):
                if whole is None:
                    whole = part
                else:
                    whole.add(part)
                if time.monotonic() - told > _TOLD_EVERY_SECONDS:
                    yield _Told(whole, is_done=False)
                    whole, told = None, time.monotonic()
    except CommandError as error:
        yield _Told(whole, is_done=True, error=error)
    else:
        yield _Told(whole, is_done=True)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let a process that is started inside never get the signals of a terminal.

    This process gets those that arrive meanwhile when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # or the first start would run it, and unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
