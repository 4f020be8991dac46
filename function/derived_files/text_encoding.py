"""Finds the encoding that a text states, in a byte order mark or an XML declaration."""

import codecs
import re
from dataclasses import dataclass

LONGEST_DECLARATION = 1024
"""In bytes. Longer XML declarations are not read."""

XML_DECLARATION = re.compile(
    # https://www.w3.org/TR/xml/#NT-XMLDecl and https://www.w3.org/TR/xml/#NT-TextDecl
    r"""<\?xml(?=[ \t\r\n]+(?:version|encoding)[ \t\r\n]*=)
    (?:[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"[^"<>]*"|'[^'<>]*'))?
    (?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*
        (?P<quote>["'])(?P<encoding>[A-Za-z][\w.-]*)(?P=quote))?
    (?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"[^"<>]*"|'[^'<>]*'))?
    [ \t\r\n]*\?>""",
    re.VERBOSE | re.ASCII,
)

_MARKS = (
    # The mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_FAMILIES = {
    # https://www.w3.org/TR/xml/#sec-guessing: enough to read the declaration; the last is EBCDIC.
    "<?xml".encode(encoding): encoding
    for encoding in ("latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp037")
}
_UNUSED = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}
"""Python's codecs that documents do not use, or that may buffer a whole document."""


@dataclass(frozen=True, slots=True)
class Stated:
    """An encoding, and how to decode it; None if Python does not know it."""

    name: str
    decoder: codecs.IncrementalDecoder | None


def stated(beginning: bytes) -> Stated:
    """Return the encoding that the text states, otherwise UTF-8."""
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return Stated(encoding, _decoder(encoding))
    for declaration, family in _FAMILIES.items():
        if beginning.startswith(declaration):
            return _declared(beginning[:LONGEST_DECLARATION], family)
    return Stated("utf-8", _decoder("utf-8"))


def _declared(beginning: bytes, family: str) -> Stated:
    found = XML_DECLARATION.match(beginning.decode(family, "replace"))
    name = found["encoding"] if found else None
    decoder = _decoder(name) if name else None
    if name and (decoder is None or _decoded(beginning, name).startswith("<?xml")):
        return Stated(name.lower(), decoder)
    # Nothing is declared, or something wrong: many programs write UTF-8 and declare UTF-16.
    encoding = family if family.startswith("utf") else "utf-8"
    return Stated(encoding, _decoder(encoding))


def _decoded(beginning: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)("replace").decode(beginning)
    except UnicodeError:
        return ""


def _decoder(encoding: str) -> codecs.IncrementalDecoder | None:
    try:
        "".encode(encoding)  # raises for codecs that do not encode text, as "zlib"
        codec = codecs.lookup(encoding)
    except (LookupError, UnicodeError):
        return None
    if codec.name in _UNUSED or codec.incrementaldecoder is None:
        return None
    return codec.incrementaldecoder()
