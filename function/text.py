"""Whether content is text, and what a reader would want to know of it; in bounded memory."""

import codecs
import csv
import io
import json
import re
import threading
from typing import Any

LARGEST_JSON = 1024 * 1024
"""In characters. Whether more than that parses is not looked at: it takes many times the memory."""
FIRST_LINES = 5
LONGEST_LINE = 200
"""In characters, of a first line and of a column's name."""

_BEGINNING = 64 * 1024
_CSV_ROWS = 20
_MOST_COLUMNS = 200
_BOM_BYTES = 3
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffe\uffff]")
_COLUMN = re.compile(r"[^\W\d][^={}<>]*|")
_one_at_a_time = threading.Lock()


class Text:
    """Content that is taken for text until it proves to be none."""

    def __init__(self) -> None:
        self._undecoded = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._encoding = ""
        self._is_text = True
        self._lines = 0
        self._last = "\n"
        self._length = 0
        self._beginning = ""
        self._parts: list[str] = []

    def add(self, chunk: bytes) -> None:
        """Read on."""
        if self._decoder is None:
            self._undecoded += chunk
            if len(self._undecoded) < _BOM_BYTES:
                return
            chunk, self._undecoded = self._undecoded, b""
            self._choose_encoding(chunk)
        self._decode(chunk, final=False)

    def described(self) -> dict[str, Any] | None:
        """What is known at the end; None where it was no text. Nothing at all is none either."""
        if self._decoder is None:
            self._choose_encoding(self._undecoded)
        self._decode(self._undecoded, final=True)
        if not self._is_text or not self._length:
            return None
        lines = self._beginning.removesuffix("\n").split("\n")
        return {
            **(_xml(self._beginning) or self._json() or self._csv() or _PLAIN),
            "text": {
                "encoding": self._encoding,
                "lines": self._lines + (self._last != "\n"),
                "first_lines": [line[:LONGEST_LINE].rstrip("\r") for line in lines[:FIRST_LINES]],
            },
        }

    def _choose_encoding(self, start: bytes) -> None:
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "utf-16"
        else:
            self._encoding = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
        self._decoder = codecs.getincrementaldecoder(self._encoding)()

    def _decode(self, chunk: bytes, *, final: bool) -> None:
        if not self._is_text or self._decoder is None:
            return
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            text = "\0"
        if _NO_TEXT.search(text):
            self._is_text = False
            self._parts.clear()
            return
        self._length += len(text)
        self._lines += text.count("\n")
        self._last = text[-1:] or self._last
        self._beginning += text[: _BEGINNING - len(self._beginning)]
        if self._length <= LARGEST_JSON:
            self._parts.append(text)
        else:
            self._parts.clear()

    def _json(self) -> dict[str, Any] | None:
        if not self._beginning.lstrip().startswith(("{", "[")):
            return None
        parses: bool | str = "unknown"
        if self._length <= LARGEST_JSON:
            with _one_at_a_time:
                parses = _parses("".join(self._parts))
        media_type = "application/json" if parses is True else "text/plain"
        return {"media_type": media_type, "json": {"parses": parses}}

    def _csv(self) -> dict[str, Any] | None:
        whole = len(self._beginning) == self._length
        found = [(delimiter, _header(self._beginning, delimiter, whole)) for delimiter in ",;\t"]
        delimiter, header = max(found, key=lambda one: len(one[1]))
        if not header:
            return None
        media_type = "text/tab-separated-values" if delimiter == "\t" else "text/csv"
        return {"media_type": media_type, "csv": {"delimiter": delimiter, "header": header}}


_PLAIN = {"media_type": "text/plain"}


def _xml(beginning: str) -> dict[str, Any] | None:
    """By its declaration: https://www.w3.org/TR/xml/#sec-prolog-dtd."""
    return {"media_type": "application/xml"} if beginning.startswith("<?xml ") else None


def _parses(text: str) -> bool | str:
    """Whether it is JSON: https://www.rfc-editor.org/rfc/rfc8259."""
    try:
        # Numbers are not made: some would take longer than the rest together.
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_refuse)
    except RecursionError:  # so deep that this reader does not know
        return "unknown"
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and its like are Python's, not JSON's


def _header(beginning: str, delimiter: str, whole: bool) -> list[str]:
    """The names in the first row, if that and the next ones are of a table's; else none.

    https://www.rfc-editor.org/rfc/rfc4180
    """
    rows = []
    try:
        for row in csv.reader(io.StringIO(beginning, newline=""), delimiter=delimiter, strict=True):
            rows.append(row)
            if len(rows) > _CSV_ROWS:
                break
    except csv.Error:
        if whole or len(rows) < 2:  # noqa: PLR2004 # else it is where the beginning was cut off
            return []
    else:
        if not whole and len(rows) <= _CSV_ROWS:
            rows.pop()
    rows = [row for row in rows if row]
    header = rows[0] if rows else []
    is_table = (
        len(rows) > 1
        and len({len(row) for row in rows}) == 1
        and len(header) > 1
        # A name, or none: prose has a space after its commas, a log begins with digits.
        and all(_COLUMN.fullmatch(name) for name in header)
        and any(header)
    )
    return [name[:LONGEST_LINE] for name in header[:_MOST_COLUMNS]] if is_table else []
