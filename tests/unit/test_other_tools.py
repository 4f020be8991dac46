"""Manifests of files that other tools write claim nothing wrong; `pytest -rP` prints numbers."""

import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import plistlib
import random
import sqlite3
import tarfile
import wave
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from xml.dom import minidom
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from function.derived_files import manifest
from function.record import Source

PIXELS = (7, 5)
TEXT = "text/plain"
UNKNOWN = "unknown"
WORDS = """Zürich
Łódź
東京
north-west
north west
O'Neill
3,5
-2
07:30
2026-01-31
a;b
x|y
a "b"
""".splitlines()
ENCODINGS = """
utf-8 utf-16 us-ascii iso-8859-1 iso-8859-5 windows-1251 windows-1252 koi8-r macroman
shift_jis euc-jp iso-2022-jp gb2312 gb18030 big5 euc-kr cp437
"""


class File(NamedTuple):
    kind: str
    content: bytes
    claims: dict[str, Any]
    less: tuple[str, ...] = (UNKNOWN,)


def claims(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        manifest.make(Source(bucket="b", key="k", etag="e"), io.BytesIO(content))
    )
    return found


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def images() -> Iterator[File]:
    """Yield images in every format that Pillow writes, of noise and of one letter only."""
    Image.init()
    types = {"PNG": "png", "GIF": "gif", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp"}
    size = {"width": PIXELS[0], "height": PIXELS[1]}
    sources = [Image.effect_noise(PIXELS, 80), Image.new("L", PIXELS, ord("A"))]
    for form, mode, source in product(sorted(Image.SAVE), ("1", "L", "RGB", "RGBA", "F"), sources):
        file = io.BytesIO()
        try:
            source.convert(mode).save(file, form)
        except (OSError, ValueError, KeyError):
            continue  # it does not write this mode, or needs a library
        if form in types:
            expected = {"media_type": f"image/{types[form]}", "image": size}
        else:
            expected = {"media_type": {"PDF": "application/pdf"}.get(form, UNKNOWN)}
            if form in {"EPS", "XBM"}:  # programs in PostScript and in C
                expected = {"media_type": TEXT}
        yield File(f"Pillow: {form}", file.getvalue(), expected)


def tables() -> Iterator[File]:
    """Yield tables in the csv module's dialects, with line ends and encodings of three systems."""
    chance = random.Random(0)  # noqa: S311
    names = ["name", "Total amount", "Preis (€)", "größe", "x_y", "A/B"]
    for delimiter, dialect, end, encoding, rows_below in product(
        ",;\t|: ",
        ("excel", "unix"),
        ("\n", "\r\n", "\r"),
        ("utf-8", "utf-8-sig", "utf-16"),
        (1, 4, 30),
    ):
        header = chance.sample(names, chance.randint(2, len(names)))
        rows = [[chance.choice(WORDS) for _ in header] for _ in range(rows_below)]
        file = io.StringIO(newline="")
        csv.writer(file, dialect, delimiter=delimiter, lineterminator=end).writerows(
            [header, *rows]
        )
        found = {"delimiter": delimiter, "header": header}
        expected = {
            ",": {"media_type": "text/csv", "csv": found},
            ";": {"media_type": "text/csv", "csv": found},
            "\t": {"media_type": "text/tab-separated-values", "csv": found},
        }.get(delimiter, {"media_type": TEXT})
        yield File(
            f"csv: {delimiter!r}", file.getvalue().encode(encoding), expected, (UNKNOWN, TEXT)
        )


def archives() -> Iterator[File]:
    pdf = written(lambda file: Image.new("L", PIXELS).save(file, "PDF"))
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    for content, number, method in product((b"a,b\n1,2\n", pdf), (0, 1, 2), methods):

        def write(file: io.BytesIO, content: bytes = content, number: int = number) -> None:
            with zipfile.ZipFile(file, "w", method) as archive:  # noqa: B023 # called at once
                for one in range(number):
                    archive.writestr(f"{one}", content)

        yield File("zipfile", written(write), {"media_type": "application/zip"})
    for content, form in product(
        (b"", b"a,b\n1,2\n", pdf, b"<?xml version='1.0'?><a/>"),
        (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT),
    ):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            member = tarfile.TarInfo("a.pdf")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        yield File("tarfile", file.getvalue(), {"media_type": UNKNOWN})
    for content in (b"", b"a,b\n1,2\n", pdf, random.Random(0).randbytes(9_999)):  # noqa: S311
        yield File("gzip", gzip.compress(content), {"media_type": "application/gzip"})
        yield File("bz2", bz2.compress(content), {"media_type": "application/x-bzip2"})
        yield File("lzma: xz", lzma.compress(content), {"media_type": "application/x-xz"})
        alone = lzma.compress(content, lzma.FORMAT_ALONE)
        yield File("lzma: alone", alone, {"media_type": UNKNOWN})


def documents() -> Iterator[File]:
    value = {"name": ["Zürich", "\x7f", "\uffff", 1.5, None, True], "東京": {}}
    found = {"media_type": "application/json", "json": {"parses": True}}
    for indent, is_ascii, encoding in product(
        (None, 2), (False, True), ("utf-8", "utf-8-sig", "utf-16", "utf-32")
    ):
        document = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
        yield File("json", document.encode(encoding), found)
    lines = "".join(f"{json.dumps({'a': one})}\n" for one in range(9))
    yield File("json lines", lines.encode(), {"media_type": TEXT, "json": {"parses": False}})

    # These hold the letters é, я, あ and 中 between them, so each text is in some of them only.
    for letter, encoding in product(
        "aéяあ",
        ENCODINGS.split(),
    ):
        element = ElementTree.Element("a", title=letter)
        element.text = letter * 99
        tree = ElementTree.ElementTree(element)
        content = written(lambda file: tree.write(file, encoding, xml_declaration=True))  # noqa: B023
        yield File("xml.etree", content, {"media_type": "application/xml"})
        try:
            letter.encode(encoding)
        except UnicodeEncodeError:
            continue
        parsed = minidom.parseString(f"<a>{letter}</a>")  # noqa: S318 # it is our own
        content = parsed.toprettyxml(encoding=encoding)
        yield File("minidom", content, {"media_type": "application/xml"})
    yield File("plistlib", plistlib.dumps({"a": [1]}), {"media_type": "application/xml"})
    binary = plistlib.dumps({"a": [1]}, fmt=plistlib.FMT_BINARY)
    yield File("plistlib: binary", binary, {"media_type": UNKNOWN})


def others() -> Iterator[File]:
    """Yield files without a claimed media type: sources and mails are text, the rest is unknown."""
    sources = sorted(Path(json.__file__).parents[1].glob("*.py"))[:60]
    yield from (
        File("Python", source.read_bytes(), {"media_type": TEXT})
        for source in sources
        if source.stat().st_size
    )
    mail = EmailMessage()
    mail["Subject"] = "Zürich, Genf"
    mail.set_content("a,b\n1,2\n")
    mail.add_attachment(gzip.compress(b"a"), maintype="application", subtype="gzip")
    yield File("email", mail.as_bytes(), {"media_type": TEXT})
    for protocol in range(1, pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"a": [1, b"%PDF-1.4 a"]}, protocol)
        yield File("pickle", content, {"media_type": UNKNOWN})
    database = sqlite3.connect(":memory:")
    database.execute("create table a (b text)")
    yield File("sqlite3", database.serialize(), {"media_type": UNKNOWN})
    database.close()

    def write(file: io.BytesIO) -> None:
        with wave.open(file, "wb") as sound:
            sound.setparams((1, 1, 8000, 0, "NONE", ""))
            sound.writeframes(b"A" * 99)

    yield File("wave", written(write), {"media_type": UNKNOWN})


@pytest.mark.filterwarnings("ignore::DeprecationWarning:PIL")
def test_no_claim_is_wrong() -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = []
    for make in (images, tables, archives, documents, others):
        for file in make():
            found = claims(file.content)
            if file.claims.items() <= found.items():
                verdict = "right"
            else:
                verdict = "less" if found["media_type"] in file.less else "wrong"
            counts[file.kind][verdict] += 1
            if verdict == "wrong":
                wrong.append((file.kind, file.content[:60], found["media_type"]))
    lines = [f"{'kind':24}{'right':>6}{'less':>6}{'wrong':>6}"]
    for kind, count in counts.items():
        lines.append(f"{kind:24}{count['right']:6}{count['less']:6}{count['wrong']:6}")
    print("\n".join(lines))  # noqa: T201 # for `pytest -rP`

    assert wrong == []
    assert {kind for kind, count in counts.items() if count["less"]} <= {
        *(f"csv: {delimiter!r}" for delimiter in ",;\t"),
        "Pillow: EPS",
    }
    assert all(count["right"] > count["less"] for kind, count in counts.items())


CELLS = st.text(st.sampled_from("ab0 ,;\t|:\"'\\\n=-."), max_size=5)
"""Short texts of the few characters that could mislead."""


@settings(max_examples=300, deadline=None)
@example(table=[["a", "b,c"], ["d", "e,f"]], delimiter=";", quotechar='"', escapechar=None)
@example(table=[["a,b", "c"], ["a,b", "c"]], delimiter=",", quotechar="'", escapechar=None)
@example(table=[["a,b", "c"], ["a,b", "c"]], delimiter=",", quotechar=None, escapechar="\\")
@given(
    table=st.integers(2, 3).flatmap(
        lambda columns: st.lists(
            st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=4
        )
    ),
    delimiter=st.sampled_from(",;\t|: "),
    quotechar=st.sampled_from(['"', "'", None]),
    escapechar=st.sampled_from(["\\", None]),
)
def test_a_table_is_never_claimed_with_another_header_than_was_written(
    table: list[list[str]], delimiter: str, quotechar: str | None, escapechar: str | None
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=delimiter,
        quotechar=quotechar,
        escapechar=escapechar,
        quoting=csv.QUOTE_MINIMAL if quotechar else csv.QUOTE_NONE,
    )
    try:
        writer.writerows(table)
    except csv.Error:
        return  # it cannot be written in this dialect

    found = claims(file.getvalue().encode())

    assert found.get("csv") in (None, {"delimiter": delimiter, "header": table[0]})
