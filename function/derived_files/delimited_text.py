"""Tells whether text is a table of comma, semicolon or tab separated values."""

import csv
import io
import re
from typing import Any

_ROWS = 20
"""The number of rows to sample, after the header."""
_MOST_COLUMNS = 200
_LONGEST_NAME = 200
"""In characters."""
_FEWEST_COLUMNS = 2
_FEWEST_ROWS = 2
_SEPARATORS = {
    ",": "text/csv",
    ";": "text/csv",
    "\t": "text/tab-separated-values",
}
_OTHER_SEPARATORS = "|: "
"""Separators of other tables, and of text that is not a table: options, keys, instructions."""
_NAME = re.compile(r"[^\W\d][^={}<>\\]*|")
"""A name, or nothing: prose has a space after a comma, and a log line begins with digits."""


def described(beginning: str, *, is_whole: bool) -> dict[str, Any] | None:
    """Return media type, delimiter and header; None unless the text is surely a table.

    https://www.rfc-editor.org/rfc/rfc4180
    """
    found = {
        separator: rows
        for separator in (*_SEPARATORS, *_OTHER_SEPARATORS)
        if _is_even(rows := _rows(beginning, separator, is_whole=is_whole))
    }
    if len(found) != 1:
        return None
    ((separator, rows),) = found.items()
    if separator not in _SEPARATORS or not _has_content(rows):
        return None
    if not all(_NAME.fullmatch(name) for name in rows[0]):
        return None
    header = [name[:_LONGEST_NAME] for name in rows[0][:_MOST_COLUMNS]]
    return {
        "media_type": _SEPARATORS[separator],
        "csv": {"delimiter": separator, "header": header},
    }


def _rows(beginning: str, separator: str, *, is_whole: bool) -> list[list[str]]:
    """Return the sampled rows that are not blank; an empty list if they cannot be read."""
    file = io.StringIO(beginning, newline="")
    rows = []
    try:
        for row in csv.reader(file, delimiter=separator, strict=True):
            rows.append(row)
            if len(rows) > _ROWS:
                break
        else:
            if not is_whole:
                rows.pop()  # the sample may end within it
    except csv.Error:
        # A quote that is still open at the end of the sample may be closed later.
        if is_whole or file.read(1):
            return []
    return [row for row in rows if row]


def _is_even(rows: list[list[str]]) -> bool:
    return (
        len(rows) >= _FEWEST_ROWS
        and len(rows[0]) >= _FEWEST_COLUMNS
        and all(len(row) == len(rows[0]) for row in rows)
    )


def _has_content(rows: list[list[str]]) -> bool:
    """Return whether each row fills two columns; lines of code that end in a semicolon do not."""
    return all(sum(1 for cell in row if cell.strip()) >= _FEWEST_COLUMNS for row in rows)
