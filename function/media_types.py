"""What binary content is, told from how it begins."""

import re
import struct
from typing import Any

BEGINNING = 1024 * 1024
"""Bytes that suffice: a photograph's size stands behind its preview and its colours' profile."""

_SIGNATURES = [
    (re.compile(pattern, re.DOTALL), media_type)
    for pattern, media_type in (
        # https://www.w3.org/TR/png-3/
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        # https://www.w3.org/Graphics/GIF/spec-gif89a.txt
        (rb"GIF8[79]a", "image/gif"),
        # https://www.w3.org/Graphics/JPEG/itu-t81.pdf
        (rb"\xff\xd8\xff", "image/jpeg"),
        # https://www.rfc-editor.org/rfc/rfc9649
        (rb"RIFF....WEBPVP8[ LX]", "image/webp"),
        # https://www.rfc-editor.org/rfc/rfc8118
        (rb"%PDF-\d\.\d", "application/pdf"),
        # https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
        (rb"PK(\x03\x04|\x05\x06)", "application/zip"),
        # https://www.rfc-editor.org/rfc/rfc1952
        (rb"\x1f\x8b\x08", "application/gzip"),
        # https://en.wikipedia.org/wiki/Bzip2#File_format: a block's signature, or the end's
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "application/x-bzip2"),
        # https://tukaani.org/xz/xz-file-format.txt
        (rb"\xfd7zXZ\x00", "application/x-xz"),
    )
]


def described(beginning: bytes) -> dict[str, Any] | None:
    """Media type, and an image's width and height in pixels; None where it is none of these."""
    for pattern, media_type in _SIGNATURES:
        if pattern.match(beginning):
            found: dict[str, Any] = {"media_type": media_type}
            if media_type in _SIZES:
                size = _SIZES[media_type](beginning)
                found["image"] = {"width": size[0], "height": size[1]} if size else "unknown"
            return found
    return None


def _png(beginning: bytes) -> tuple[int, int] | None:
    return _numbers(">II", beginning, 16) if beginning[12:16] == b"IHDR" else None


def _gif(beginning: bytes) -> tuple[int, int] | None:
    return _numbers("<HH", beginning, 6)


def _jpeg(beginning: bytes) -> tuple[int, int] | None:
    """From the frame header, behind as many other segments as there are."""
    place = 2
    while segment := _numbers(">HH", beginning, place):
        marker, length = segment
        if marker in _FRAMES:
            found = _numbers(">HH", beginning, place + 5)
            return (found[1], found[0]) if found else None
        if marker < 0xFF00:  # noqa: PLR2004 # none
            return None
        # Before a marker there may be bytes that only fill.
        place += 1 if marker == 0xFFFF else 2 + max(length, 2)  # noqa: PLR2004
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


def _numbers(form: str, data: bytes, place: int) -> tuple[int, int] | None:
    if len(data) < place + struct.calcsize(form):
        return None
    first, second = struct.unpack_from(form, data, place)
    return first, second
