"""Manifests of content of every media type, of any size, of any bytes."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from function.derived_files import manifest, media_types
from function.record import Source
from tests.unit.rule.test_convergence import SOAK
from tests.unit.test_text_content import TEXTS

SOURCE = Source(bucket="b", key="k\n\U0001f600", etag="e")
MANY = 300 * SOAK


class Trickle(io.BytesIO):
    """Content that comes a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        del size
        return super().read(self._most)


def made(data: bytes, most: int = 2**20) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest.make(SOURCE, Trickle(data, most)))
    return found


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def image(form: str, size: tuple[int, int] = (300, 17), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(file, form, **options)
    return file.getvalue()


def image_type(name: str, width: int = 300, height: int = 17) -> dict[str, Any]:
    return {"media_type": f"image/{name}", "image": {"width": width, "height": height}}


CONTENTS: list[tuple[str, bytes, dict[str, Any]]] = [
    ("png", image("PNG"), image_type("png")),
    ("gif", image("GIF"), image_type("gif")),
    ("jpeg", image("JPEG"), image_type("jpeg")),
    ("jpeg, progressive", image("JPEG", progressive=True), image_type("jpeg")),
    ("jpeg with a profile", image("JPEG", icc_profile=b"p" * 40_000), image_type("jpeg")),
    ("jpeg with a large one", image("JPEG", icc_profile=b"p" * 300_000), image_type("jpeg")),
    ("webp, lossy", image("WEBP"), image_type("webp")),
    ("webp, lossless", image("WEBP", lossless=True), image_type("webp")),
    ("webp, extended", image("WEBP", icc_profile=b"p" * 99), image_type("webp")),
    ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", {"media_type": "application/pdf"}),
    ("zip", zipped(), {"media_type": "application/zip"}),
    ("empty zip", b"PK\x05\x06" + bytes(18), {"media_type": "application/zip"}),
    ("gzip", gzip.compress(b"a"), {"media_type": "application/gzip"}),
    ("bzip2", bz2.compress(b"a"), {"media_type": "application/x-bzip2"}),
    ("empty bzip2", bz2.compress(b""), {"media_type": "application/x-bzip2"}),
    ("xz", lzma.compress(b"a"), {"media_type": "application/x-xz"}),
    (
        "text",
        b"a,b\n1,2\n",
        {
            "media_type": "text/csv",
            "csv": {"delimiter": ",", "header": ["a", "b"]},
            "text": {"encoding": "utf-8", "lines": 2, "first_lines": ["a,b", "1,2"]},
        },
    ),
    ("nothing", b"", {"media_type": "unknown"}),
    ("bytes", bytes(range(256)), {"media_type": "unknown"}),
    ("the signature alone", b"\x89PNG\r\n\x1a\n", {"media_type": "image/png", "image": "unknown"}),
    ("half a gif", b"GIF89a\x01", {"media_type": "image/gif", "image": "unknown"}),
    ("half a jpeg", b"\xff\xd8\xff\xe0", {"media_type": "image/jpeg", "image": "unknown"}),
    (
        "a jpeg cut off in its frame",
        b"\xff\xd8\xff\xff\xc0\x00\x11\x08",
        {"media_type": "image/jpeg", "image": "unknown"},
    ),
    (
        "a jpeg without a frame",
        b"\xff\xd8\xff\xe0\x00\x04ab" + bytes(9),
        {"media_type": "image/jpeg", "image": "unknown"},
    ),
    *(
        (f"half a webp {kind!r}", b"RIFF0000WEBPVP8" + kind, {"media_type": "image/webp"} | unknown)
        for kind in (b" ", b"L", b"X")
        for unknown in ({"image": "unknown"},)
    ),
]


@pytest.mark.parametrize(
    ("data", "expected"), [one[1:] for one in CONTENTS], ids=[one[0] for one in CONTENTS]
)
@pytest.mark.parametrize("most", [7, 2**20])
def test_a_manifest_says_what_the_content_is(
    data: bytes, expected: dict[str, Any], most: int
) -> None:
    assert made(data, most) == {
        "bucket": "b",
        "key": "k\n\U0001f600",
        "etag": "e",
        "length": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **expected,
    }


def test_every_claimed_signature_has_an_example() -> None:
    claimed = {media_type for _, media_type in media_types._SIGNATURES}

    assert claimed <= {expected["media_type"] for _, _, expected in CONTENTS}


class Huge:
    """Content too large to hold in memory."""

    def __init__(self, size: int, chunk: Callable[[int], bytes]) -> None:
        self._chunk = chunk
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return self._chunk(size)


@pytest.mark.parametrize("size", [2**26, pytest.param(2**30, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "chunk", [lambda size: b"[1,2]\n" * (size // 6) + b" " * (size % 6), bytes, lambda n: b"{" * n]
)
def test_content_of_any_size_takes_a_few_megabytes(
    chunk: Callable[[int], bytes], size: int
) -> None:
    tracemalloc.start()
    try:
        found = json.loads(manifest.make(SOURCE, Huge(size, chunk)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found["length"] == size
    assert peak < 12 * 2**20


BEGINNINGS = st.sampled_from([data[:40] for _, data, _ in (*CONTENTS, *TEXTS)])


@settings(max_examples=MANY)
@example(b"RIFF....WEBPVP8L", b"\x2f", 3)
@given(
    BEGINNINGS,
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
    st.integers(1, 400),
)
def test_no_content_is_too_strange(beginning: bytes, rest: bytes, most: int) -> None:
    data = beginning + rest

    found = made(data, most)

    assert found == made(data)
    assert (found["length"], found["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
