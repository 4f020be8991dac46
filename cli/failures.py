"""Counts the failures of a run, and names the first.

If access to all of the first objects is denied, the run ends.
"""

from collections.abc import Sequence

from .errors import CommandError
from .function.reconciliation.failures import Failure
from .terminal import counted, write_stderr

MOST_DENIED = 100
"""A run ends after so many denied objects if none has succeeded."""
_MOST_NAMED = 5


class Failures:
    """Counts failures, keeps the first, and ends a run that is denied every object."""

    def __init__(self, *, is_resumed: bool) -> None:
        """`is_resumed`: the run resumes an earlier one, so denials no longer end it."""
        self._is_resumed = is_resumed
        self._first: list[Failure] = []
        self._denied = 0
        self._is_any_done = False
        self.count = 0

    def add(self, failures: Sequence[Failure], *, is_any_done: bool) -> None:
        """Count failures; `is_any_done` says whether another object succeeded.

        Raises CommandError if there were only denials so far, and too many of them.
        """
        self._is_any_done |= is_any_done
        self.count += len(failures)
        self._first += failures[: max(0, _MOST_NAMED - len(self._first))]
        self._denied += sum(failure.is_denied for failure in failures)
        if self._is_denied_so_far() and self._denied >= MOST_DENIED:
            raise CommandError(
                f"access to each of the first {self._denied:,} objects was denied. If others are"
                f" allowed, continue with --resume. {self._first[0].cause}"
            )

    def denial(self, objects: int) -> str | None:
        """Return why access to all objects was denied; None if it was not. `objects` counts all."""
        all_denied = self._is_denied_so_far() and self._denied == objects
        return self._first[0].cause if all_denied else None

    def _is_denied_so_far(self) -> bool:
        only = 0 < self._denied == self.count and not self._is_any_done
        return only and not self._is_resumed

    def say(self, bucket: str, *, is_kept: bool) -> None:
        """Tell the user the first failures, and how to retry them if they are kept."""
        if not self.count:
            return
        them = "it" if self.count == 1 else "them"
        how = f"; --resume retries {them}" if is_kept else ""
        write_stderr("{} failed{}:", counted(self.count, "key"), how)
        for failure in self._first:
            write_stderr("  {}: {}", f"s3://{bucket}/{failure.key}", failure.cause)
        if self.count > len(self._first):
            write_stderr(
                "  … and {:,} more: --report FILE names all.", self.count - len(self._first)
            )
