"""What a manifest says of content: of every media type, of any size, of any bytes."""

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

from function import manifest, text
from function.record import Source
from tests.unit.rule.test_convergence import SOAK

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


def text_of(encoding: str, *lines: str) -> dict[str, Any]:
    return {"text": {"encoding": encoding, "lines": len(lines), "first_lines": list(lines)}}


CONTENTS: list[tuple[str, bytes, dict[str, Any]]] = [
    ("png", image("PNG"), image_type("png")),
    ("gif", image("GIF"), image_type("gif")),
    ("jpeg", image("JPEG"), image_type("jpeg")),
    ("jpeg, progressive", image("JPEG", progressive=True), image_type("jpeg")),
    ("jpeg with a profile", image("JPEG", icc_profile=b"p" * 40_000), image_type("jpeg")),
    ("jpeg with a large one", image("JPEG", icc_profile=b"p" * 600_000), image_type("jpeg")),
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
        "json",
        b'{"a": [1, 2.5e3, "\xc3\xbc"]}\n',
        {
            "media_type": "application/json",
            "json": {"parses": True},
            **text_of("utf-8", '{"a": [1, 2.5e3, "ü"]}'),
        },
    ),
    (
        "json with a number of 10,000 digits",
        b"[" + b"1" * 10_000 + b"]",
        {
            "media_type": "application/json",
            "json": {"parses": True},
            **text_of("utf-8", "[" + "1" * 199),
        },
    ),
    (
        "json that ends too early",
        b'{"a": 1',
        {
            "media_type": "text/plain",
            "json": {"parses": False},
            **text_of("utf-8", '{"a": 1'),
        },
    ),
    (
        "what Python takes for json",
        b"[NaN]",
        {"media_type": "text/plain", "json": {"parses": False}, **text_of("utf-8", "[NaN]")},
    ),
    (
        "json nested as nobody does",
        b"[" * 100_000 + b"]" * 100_000,
        {
            "media_type": "text/plain",
            "json": {"parses": "unknown"},
            **text_of("utf-8", "[" * 200),
        },
    ),
    (
        "csv",
        b'id;"na;me"\r\n1;a\r\n2;"b\r\nc"\r\n',
        {
            "media_type": "text/csv",
            "csv": {"delimiter": ";", "header": ["id", "na;me"]},
            "text": {
                "encoding": "utf-8",
                "lines": 4,
                "first_lines": ['id;"na;me"', "1;a", '2;"b', 'c"'],
            },
        },
    ),
    (
        "tab-separated values in UTF-16",
        "a\tb\n1\tü\n".encode("utf-16"),
        {
            "media_type": "text/tab-separated-values",
            "csv": {"delimiter": "\t", "header": ["a", "b"]},
            **text_of("utf-16", "a\tb", "1\tü"),
        },
    ),
    (
        "prose",
        b"Well, then\nSo, what\n",
        {"media_type": "text/plain", **text_of("utf-8", "Well, then", "So, what")},
    ),
    (
        "csv with columns that have no name",
        b",a,a\n0,1,2\n",
        {
            "media_type": "text/csv",
            "csv": {"delimiter": ",", "header": ["", "a", "a"]},
            **text_of("utf-8", ",a,a", "0,1,2"),
        },
    ),
    *(
        (f"no csv: {first}", f"{first}\n{second}\n".encode(), no_csv)
        for first, second, no_csv in (
            (first, second, {"media_type": "text/plain", **text_of("utf-8", first, second)})
            for first, second in (
                ("a = foo(1,2)", "b = foo(3,4)"),
                ("cat a|grep b", "cat c|grep d"),
                ("10:00:00,123 INFO a", "10:00:01,456 INFO b"),
                ("Total was 1,000 euros", "then it was 2,000 euros"),
            )
        )
    ),
    (
        "a quote that never ends",
        b'a,b\n"1,2\n',
        {"media_type": "text/plain", **text_of("utf-8", "a,b", '"1,2')},
    ),
    (
        "xml with a byte order mark",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<a/>",
        {"media_type": "application/xml", **text_of("utf-8-sig", "<?xml version='1.0'?>", "<a/>")},
    ),
    ("one byte", b"a", {"media_type": "text/plain", **text_of("utf-8", "a")}),
    ("nothing", b"", {"media_type": "unknown"}),
    ("bytes", bytes(range(256)), {"media_type": "unknown"}),
    ("text in an encoding that nothing tells", b"caf\xe9", {"media_type": "unknown"}),
    ("a character cut off", b"caf\xc3", {"media_type": "unknown"}),
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
@pytest.mark.parametrize("most", [5, 7, 2**20])
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


def test_every_claimed_media_type_is_among_these() -> None:
    from function.media_types import _SIGNATURES  # noqa: PLC0415 # what is claimed

    claimed = {media_type for _, media_type in _SIGNATURES} | {
        "application/json",
        "application/xml",
        "text/csv",
        "text/tab-separated-values",
        "text/plain",
        "unknown",
    }

    assert {expected["media_type"] for _, _, expected in CONTENTS} == claimed


@pytest.mark.parametrize(("size", "parses"), [(0, True), (1, "unknown")])
def test_json_up_to_a_size_is_parsed(size: int, parses: object) -> None:
    data = b'["' + b"a" * (text.LARGEST_JSON - 4 + size) + b'"]'

    assert made(data)["json"] == {"parses": parses}


def test_a_long_table_is_one_by_its_beginning() -> None:
    rows = b"name,size\n" + b"x" * 997 + b",1\n" + b"a,1\n" * 100_000
    quoted = b"name,size\n" + b'a,"' + b"x" * 100_000 + b'"\n'
    quoted_later = b"name,size\na,1\n" + quoted

    assert made(rows)["csv"] == {"delimiter": ",", "header": ["name", "size"]}
    assert made(rows)["text"]["lines"] == 100_002
    assert made(quoted)["media_type"] == "text/plain"  # one row only is known
    assert made(quoted_later)["media_type"] == "text/csv"


def test_only_the_beginning_of_the_first_lines_is_shown() -> None:
    found = made(b"\n".join(b"%d" % number * 500 for number in range(9)))

    assert found["text"]["first_lines"] == [f"{number}" * 200 for number in range(5)]


class Huge:
    """Content that nobody holds."""

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


BEGINNINGS = st.sampled_from([data[:40] for _, data, _ in CONTENTS])


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
