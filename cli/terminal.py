"""Output: lines for standard output and standard error, escaped for a terminal."""

import json
import re
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from rich.console import Console

_KIB = 1024


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command handle it; rich would end the process."""
        raise  # noqa: PLE0704 # rich calls this while it handles BrokenPipeError


def stdout_console() -> Console:
    """Return a console for tables on standard output."""
    return _Console(highlight=False)


stderr_console = _Console(stderr=True, highlight=False)
"""For messages; results go to standard output."""

_CONTROLS = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    r"\u2028\u2029"  # line and paragraph separator
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    r"\ud800-\udfff"  # surrogates, which no UTF-8 text has
)
_ESCAPED = (
    r"(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})"  # behind a backslash
)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_TO_ESCAPE = re.compile(rf"(\\*)([{_CONTROLS}])|(\\+)(?={_ESCAPED})")
_TO_UNESCAPE = re.compile(rf"(\\+)({_ESCAPED})")


def escaped(text: str) -> str:
    r"""Return the text as one line that is safe to print in a terminal.

    Control characters, line separators, bidirectional controls and lone surrogates are written as
    escapes (`\n`, `\x1b`, `\u202e`). Backslashes that would begin such an escape are doubled.
    `unescaped` reverses it.
    """
    return _TO_ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    before, control, backslashes = match.groups()
    if control is None:
        return str(backslashes) * 2
    return str(before) * 2 + control.encode("unicode_escape").decode()


def unescaped(line: str) -> str:
    """Return the text that `escaped` was given."""
    return _TO_UNESCAPE.sub(_unescape, line)


def _unescape(match: re.Match[str]) -> str:
    backslashes, escaped = match.groups()
    kept = backslashes[: len(backslashes) // 2]
    if len(backslashes) % 2 == 0:
        return f"{kept}{escaped}"
    return kept + f"\\{escaped}".encode().decode("unicode_escape")


def escaped_json(value: Any) -> str:
    """Return the value as one line of JSON that is safe to print in a terminal."""
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", text)


def write_stdout(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{line}\n")


def write_causes(causes: Counter[str], thing: str) -> None:
    """Write to standard output how many things each cause explains, most frequent first."""
    for cause, count in causes.most_common():
        write_stdout(f"  {counted(count, thing)}: {escaped(cause)}")


def write_stderr(text: str, *values: Any) -> None:
    """Write a message to standard error; `values` fill its {} and are escaped."""
    with suppress(BrokenPipeError):  # results come first
        sys.stdout.flush()
    stderr_console.print(
        text.format(*(escaped(value) if isinstance(value, str) else value for value in values)),
        markup=False,
        soft_wrap=True,
    )


def counted(count: int, thing: str) -> str:
    """Return the number with its noun: "1 key", "2,000 keys"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def human_size(count: int) -> str:
    """Return bytes as `aws s3 ls --human-readable` writes them."""
    if count < _KIB:
        return f"{count} Byte{'' if count == 1 else 's'}"
    number = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        number /= _KIB
        if round(number) < _KIB:  # as the AWS CLI does: 1024.0 KiB is 1.0 MiB
            return f"{number:.1f} {unit}"
    return f"{number / _KIB:.1f} EiB"
