"""What a terminal may be shown."""

import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command, where rich would end the process."""
        raise  # noqa: PLE0704 # rich calls this where it has caught BrokenPipeError


def answers() -> Console:
    """For tables on standard output."""
    return _Console(highlight=False)


messages = _Console(stderr=True, highlight=False)
"""For people; what a command answers goes to standard output."""


def shown(text: str) -> str:
    """The text on one line: line breaks, terminal escapes and invisible characters are escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in text
    )


def answer(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{line}\n")


def answer_causes(causes: Counter[str]) -> None:
    """Write how often each cause occurred, the most frequent first."""
    for cause, count in causes.most_common():
        answer(f"  {count:,} x {shown(cause)}")


def say(text: str, *values: Any) -> None:
    """Tell the user something, on standard error; `values` fill its {} and are escaped."""
    with suppress(BrokenPipeError):  # what was answered so far comes first
        sys.stdout.flush()
    messages.print(
        text.format(*(shown(value) if isinstance(value, str) else value for value in values)),
        markup=False,
        soft_wrap=True,
    )


def size(count: int) -> str:
    """Bytes as `aws s3 ls --human-readable` writes them."""
    if count < 1024:  # noqa: PLR2004 # the unit
        return f"{count} Byte{'s' if count != 1 else ''}"
    number = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        number /= 1024
        if number < 1024:  # noqa: PLR2004 # the unit
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} PiB"
