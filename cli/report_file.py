"""`--report FILE`: the findings of a run, as JSON lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import CommandError


class ReportFile:
    """Writes lines to a file, or nowhere without a file. Raises CommandError."""

    def __init__(self, file: BinaryIO | None, path: Path | None) -> None:
        self._file = file
        self._path = path

    def write(self, line: str) -> None:
        """Write a line."""
        if self._file:
            with _explained(self._path):
                self._file.write(f"{line}\n".encode())

    def flush(self) -> None:
        """Flush lines to the file, before a checkpoint counts them."""
        if self._file:
            with _explained(self._path):
                self._file.flush()


@contextmanager
def opened(path: Path | None, *, resumed: bool) -> Iterator[ReportFile]:
    """Open the file. A resumed run appends to it, any other run replaces it.

    Call it after the bucket has responded, so that a mistyped bucket does not destroy a report.
    Raises CommandError.
    """
    if path is None:
        yield ReportFile(None, None)
        return
    with _explained(path):
        file = path.open("r+b" if resumed and path.exists() else "wb")
        if resumed:
            _cut_half_a_line(file)
    with _closed(file, path):
        yield ReportFile(file, path)


@contextmanager
def _closed(file: BinaryIO, path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with _explained(path):
            file.close()


@contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"--report {path}: {error.strerror}") from error


def _cut_half_a_line(file: BinaryIO) -> None:
    """Go to the end, and cut off a line that a killed run left incomplete."""
    size = file.seek(0, 2)
    start = size
    while start:
        start = max(0, start - 4096)
        file.seek(start)
        newline = file.read(min(4096, size - start)).rfind(b"\n")
        if newline >= 0:
            start += newline + 1
            break
    file.seek(start)
    file.truncate()
