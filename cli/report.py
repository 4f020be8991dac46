"""`--report FILE`: everything that a run finds, as JSON lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import CommandError


class Report:
    """Writes lines to a file, or nowhere if none is asked for. Raises CommandError."""

    def __init__(self, file: BinaryIO | None, path: Path | None) -> None:
        self._file = file
        self._path = path

    def write(self, line: str) -> None:
        """Add a line."""
        if self._file:
            with _explained(self._path):
                self._file.write(f"{line}\n".encode())

    def flush(self) -> None:
        """Bring what was added to the file, before a checkpoint counts it."""
        if self._file:
            with _explained(self._path):
                self._file.flush()


@contextmanager
def opened(path: Path | None, *, resumed: bool) -> Iterator[Report]:
    """Open the file: emptied, or appended to by a run that is resumed.

    Call it once the bucket was looked at, so that a mistyped bucket costs no report. Raises
    CommandError.
    """
    if path is None:
        yield Report(None, None)
        return
    with _explained(path):
        file = path.open("r+b" if resumed and path.exists() else "wb")
        if resumed:
            _cut_half_a_line(file)
    with _closed(file, path):
        yield Report(file, path)


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
    """Go to the end, less a line that was not completed before the earlier run was killed."""
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
