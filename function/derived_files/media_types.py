"""Recognizes binary content by its first bytes."""

import re
import struct
from typing import Any

BEGINNING = 1024 * 1024
"""Bytes to keep from the beginning: a photograph's size follows its preview and colour profile."""

ENDING = 1024
"""Bytes to keep from the end: the last line of a PDF is short."""

UNKNOWN = {"media_type": "unknown"}

_SIGNATURES = [
    (re.compile(pattern, re.DOTALL), media_type)
    for pattern, media_type in (
        # https://www.w3.org/TR/png-3/
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        # https://www.w3.org/Graphics/GIF/spec-gif89a.txt: text has no such bytes after it
        (rb"GIF8[79]a(?=.{0,6}[\x00-\x08\x80-\xff])", "image/gif"),
        # https://www.w3.org/Graphics/JPEG/itu-t81.pdf: \xf7 begins a JPEG-LS, another media type
        (rb"\xff\xd8\xff[\xc0-\xf6\xf8-\xff]", "image/jpeg"),
        # https://www.rfc-editor.org/rfc/rfc9649
        (rb"RIFF....WEBPVP8[ LX]", "image/webp"),
        # https://www.rfc-editor.org/rfc/rfc8118
        (rb"(\xef\xbb\xbf)?\s*%PDF-\d\.\d", "application/pdf"),
        # https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
        (rb"PK(\x03\x04|\x05\x06)", "application/zip"),
        # https://www.rfc-editor.org/rfc/rfc1952
        (rb"\x1f\x8b\x08", "application/gzip"),
        # https://en.wikipedia.org/wiki/Bzip2#File_format: a block's signature, or the end's
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "application/x-bzip2"),
        # https://tukaani.org/xz/xz-file-format.txt
        (rb"\xfd7zXZ\x00", "application/x-xz"),
        # These may look like text, or begin with a file that they hold: ar, cpio, tar and WARC;
        # and pixels after a header of text: https://netpbm.sourceforge.net/doc/
        (rb"!<(arch|thin)>\n", "unknown"),
        (rb"0707(07[0-7]{70}|0[12][0-9A-Fa-f]{104})", "unknown"),
        (rb".{257}ustar", "unknown"),
        (rb"WARC/\d\.\d\r\n", "unknown"),
        (rb"P[4-6Ff]\s(\s|#[^\n]*\n)*\d+\s+\d+\s|P7\nWIDTH ", "unknown"),
    )
]
_SIGNATURE_BYTES = 1024
"""PDF readers search this many bytes for the header."""
_PDF = {"media_type": "application/pdf"}
_PDF_HEADER = re.compile(rb"%PDF-\d\.\d[ \t]*(?![^\r\n])")
_PDF_HEADER_LINE = re.compile(rb"(?<=[\r\n])" + _PDF_HEADER.pattern)


def described(beginning: bytes, ending: bytes) -> dict[str, Any] | None:
    """Return the media type, and an image's size; None if the content is unknown or text."""
    for pattern, media_type in _SIGNATURES:
        if pattern.match(beginning, 0, _SIGNATURE_BYTES):
            found: dict[str, Any] = {"media_type": media_type}
            if media_type in _SIZES:
                size = _SIZES[media_type](beginning)
                found["image"] = {"width": size[0], "height": size[1]} if size else "unknown"
            return found
    # Text that quotes a PDF does not end like a PDF.
    if not ending.rstrip().endswith(b"%%EOF"):
        return None
    return _PDF if _PDF_HEADER_LINE.search(beginning, 0, _SIGNATURE_BYTES) else None


def described_behind_other_bytes(beginning: bytes) -> dict[str, Any] | None:
    """Return the media type of content that is not text, and whose header follows other bytes."""
    return _PDF if _PDF_HEADER.search(beginning, 0, _SIGNATURE_BYTES) else None


def _png(beginning: bytes) -> tuple[int, int] | None:
    return _numbers(">II", beginning, 16) if beginning[12:16] == b"IHDR" else None


def _gif(beginning: bytes) -> tuple[int, int] | None:
    return _numbers("<HH", beginning, 6)


def _jpeg(beginning: bytes) -> tuple[int, int] | None:
    """Return the size in the frame header, which follows other segments."""
    offset = 2
    while segment := _numbers(">HH", beginning, offset):
        marker, length = segment
        if marker in _FRAMES:
            found = _numbers(">HH", beginning, offset + 5)
            return (found[1], found[0]) if found else None
        if marker < 0xFF00:  # noqa: PLR2004 # not a marker
            return None
        # Fill bytes may precede a marker.
        offset += 1 if marker == 0xFFFF else 2 + max(length, 2)  # noqa: PLR2004
    return None


_FRAMES = set(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}


def _webp(beginning: bytes) -> tuple[int, int] | None:
    match beginning[12:16]:
        case b"VP8 ":
            lossy = _numbers("<HH", beginning, 26)
            return (lossy[0] & 0x3FFF, lossy[1] & 0x3FFF) if lossy else None
        case b"VP8L":
            lossless = _numbers("<BI", beginning, 20)
            return (
                ((lossless[1] & 0x3FFF) + 1, (lossless[1] >> 14 & 0x3FFF) + 1) if lossless else None
            )
        case _:
            canvas = beginning[24:30]
            if len(canvas) < 6:  # noqa: PLR2004 # three for each
                return None
            width, height = (
                int.from_bytes(side, "little") + 1 for side in (canvas[:3], canvas[3:])
            )
            return width, height


_SIZES = {"image/png": _png, "image/gif": _gif, "image/jpeg": _jpeg, "image/webp": _webp}


def _numbers(form: str, data: bytes, offset: int) -> tuple[int, int] | None:
    if len(data) < offset + struct.calcsize(form):
        return None
    first, second = struct.unpack_from(form, data, offset)
    return first, second
