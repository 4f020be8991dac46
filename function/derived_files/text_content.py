"""Tells whether content is text, and describes it; in bounded memory."""

import json
import re
import threading
from typing import Any

from . import delimited_text, text_encoding

LARGEST_JSON = 1024 * 1024
"""In characters. Longer text is not parsed, because that takes many times its memory."""
FIRST_LINES = 5
LONGEST_LINE = 200
"""In characters."""

_BEGINNING = 64 * 1024
# A control character, or a switch to a character set other than Unicode, as in ISO-2022-JP.
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]|\x1b\\$")
# JSON allows these, and an XML declaration outweighs them. They are unusual in other text.
_DOUBTFUL = re.compile("[\x7f\ufffe\uffff]")
_LINE_END = re.compile("\r\n|\r|\n")
_PLAIN = {"media_type": "text/plain"}
_XML = {"media_type": "application/xml"}
_SAY_IT_THEMSELVES = {"application/json", "application/xml"}
_one_at_a_time = threading.Lock()


class Text:
    """Content that counts as text until a byte proves otherwise."""

    def __init__(self) -> None:
        self._undecoded = b""
        self._stated: text_encoding.Stated | None = None
        self._is_text = True
        self._is_doubtful = False
        self._lines = 0
        self._last = "\n"
        self._length = 0
        self._beginning = ""
        self._parts: list[str] = []

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        if self._stated is None:
            self._undecoded += chunk
            if len(self._undecoded) < text_encoding.LONGEST_DECLARATION:
                return
            chunk = self._start()
        self._decode(chunk, final=False)

    def described(self) -> dict[str, Any] | None:
        """Describe the text, at its end; return None if the content is empty or not text."""
        self._decode(self._start() if self._stated is None else b"", final=True)
        stated = self._stated
        if stated and stated.decoder is None:
            return {**_XML, "text": "unknown"}
        if not stated or not self._is_text or not self._length:
            return None
        found = self._xml() or self._json() or self._table()
        if self._is_doubtful and found["media_type"] not in _SAY_IT_THEMSELVES:
            return None
        return {
            **found,
            "text": {
                "encoding": stated.name,
                "lines": self._lines + (self._last not in "\r\n"),
                "first_lines": self._first_lines(),
            },
        }

    def _start(self) -> bytes:
        self._stated = text_encoding.stated(self._undecoded)
        start, self._undecoded = self._undecoded, b""
        return start

    def _decode(self, chunk: bytes, *, final: bool) -> None:
        if not self._is_text or not self._stated or not self._stated.decoder:
            return
        try:
            text = self._stated.decoder.decode(chunk, final)
        except UnicodeError:
            text = "\0"
        if _NO_TEXT.search(self._last + text):
            self._is_text = False
            self._parts.clear()
            return
        self._is_doubtful = self._is_doubtful or bool(_DOUBTFUL.search(text))
        self._length += len(text)
        self._lines += text.count("\n") + text.count("\r") - (self._last + text).count("\r\n")
        self._last = text[-1:] or self._last
        self._beginning += text[: _BEGINNING - len(self._beginning)]
        if self._length <= LARGEST_JSON:
            self._parts.append(text)
        else:
            self._parts.clear()

    def _first_lines(self) -> list[str]:
        lines = _LINE_END.split(self._beginning, FIRST_LINES)
        if not lines[-1]:
            lines.pop()
        return [line[:LONGEST_LINE] for line in lines[:FIRST_LINES]]

    def _xml(self) -> dict[str, Any] | None:
        start = self._beginning[: text_encoding.LONGEST_DECLARATION]
        return _XML if text_encoding.XML_DECLARATION.match(start) else None

    def _json(self) -> dict[str, Any] | None:
        if not self._beginning.lstrip().startswith(("{", "[")):
            return None
        parses: bool | str = "unknown"
        if self._length <= LARGEST_JSON:
            with _one_at_a_time:
                parses = _parses("".join(self._parts))
        media_type = "application/json" if parses is True else "text/plain"
        return {"media_type": media_type, "json": {"parses": parses}}

    def _table(self) -> dict[str, Any]:
        is_whole = len(self._beginning) == self._length
        return delimited_text.described(self._beginning, is_whole=is_whole) or _PLAIN


def _parses(text: str) -> bool | str:
    """Return whether it is JSON: https://www.rfc-editor.org/rfc/rfc8259."""
    try:
        # Numbers are not converted, because a long one takes longer than all the rest.
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_refuse)
    except RecursionError:  # nested too deep for this parser
        return "unknown"
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON
