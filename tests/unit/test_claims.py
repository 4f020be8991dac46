"""The claims of a manifest, and the cases in which it says less rather than something wrong."""

import encodings.aliases
import io
import json
import tarfile
import zipfile
from typing import Any

import pytest
from PIL import Image

from function.derived_files import manifest
from function.derived_files import text_content as text
from function.derived_files.text_encoding import LONGEST_DECLARATION, stated
from function.record import Source

LETTERS = "<a>Grüße, 東京, Привет</a>"
UNKNOWN = {"media_type": "unknown"}
BINARY_PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
FIRST_LINE = "x" * LONGEST_DECLARATION
"""The rest is decoded piece by piece as it comes."""
TEXT_PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"


class Trickle(io.BytesIO):
    """Content that comes in pieces."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        del size
        return super().read(self._most)


def claims(content: bytes, most: int = 2**20) -> dict[str, Any]:
    """Return the manifest without its attributes of the object and its bytes."""
    source = Source(bucket="b", key="k", etag="e")
    found: dict[str, Any] = json.loads(manifest.make(source, Trickle(content, most)))
    return {
        name: value
        for name, value in found.items()
        if name not in {"bucket", "key", "etag", "length", "sha256"}
    }


def media_type(content: bytes) -> object:
    return claims(content)["media_type"]


def xml(encoding: str, body: str, written: str | None = None) -> bytes:
    return f"<?xml version='1.0' encoding='{encoding}'?>\n{body}".encode(written or encoding)


# XML


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("UTF-8", LETTERS),
        ("ISO-8859-1", "<a>Grüße</a>"),
        ("ISO-8859-15", "<a>5 €</a>"),
        ("windows-1252", "<a>“Grüße”</a>"),
        ("windows-1251", "<a>Привет</a>"),
        ("KOI8-R", "<a>Привет</a>"),
        ("Shift_JIS", "<a>東京</a>"),
        ("EUC-JP", "<a>東京</a>"),
        ("ISO-2022-JP", "<a>東京</a>"),
        ("GB2312", "<a>东京</a>"),
        ("GB18030", LETTERS),
        ("Big5", "<a>東京</a>"),
        ("EUC-KR", "<a>서울</a>"),
        ("US-ASCII", "<a/>"),
        ("cp037", "<a>Grüße</a>"),
        ("IBM500", "<a>Grüße</a>"),
        ("UTF-16LE", LETTERS),
        ("UTF-16BE", LETTERS),
        ("UTF-32LE", LETTERS),
        ("UTF-32BE", LETTERS),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_declares(encoding: str, body: str) -> None:
    assert claims(xml(encoding, body)) == {
        "media_type": "application/xml",
        "text": {
            "encoding": encoding.lower(),
            "lines": 2,
            "first_lines": [f"<?xml version='1.0' encoding='{encoding}'?>", body],
        },
    }


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r", "\r\n"])
@pytest.mark.parametrize(
    "rest",
    [
        "version='1.0'{0}encoding='iso-8859-1'?>",
        'version{0}={0}"1.0"{0}encoding{0}={0}"iso-8859-1"{0}standalone{0}={0}"yes"{0}?>',
        "encoding='iso-8859-1'?>",
    ],
)
def test_an_xml_declaration_has_spaces_of_any_kind(space: str, rest: str) -> None:
    content = f"<?xml{space}{rest.format(space)}<a>Grüße</a>".encode("latin-1")

    found = claims(content)

    assert (found["media_type"], found["text"]["encoding"]) == ("application/xml", "iso-8859-1")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (xml("UTF-16", LETTERS), "utf-16"),
        (xml("UTF-16", LETTERS, "utf-16-be"), "utf-16-be"),
        (b"\xfe\xff" + xml("UTF-16", LETTERS, "utf-16-be"), "utf-16"),
        (b"\xff\xfe\0\0" + xml("UTF-32", LETTERS, "utf-32-le"), "utf-32"),
        (b"\0\0\xfe\xff" + xml("UTF-32", LETTERS, "utf-32-be"), "utf-32"),
        (f"<?xml version='1.0'?>{LETTERS}".encode("utf-16-le"), "utf-16-le"),
        # The mark wins if both state something: https://www.rfc-editor.org/rfc/rfc7303
        (b"\xef\xbb\xbf" + xml("ISO-8859-1", LETTERS, "utf-8"), "utf-8-sig"),
        # The bytes win if they cannot be in the declared encoding.
        (xml("UTF-16", LETTERS, "utf-8"), "utf-8"),
        (xml("cp037", LETTERS, "utf-8"), "utf-8"),
        *(
            (xml(encoding, "<a/>", "utf-8"), None)
            for encoding in (
                *("idna", "punycode", "raw_unicode_escape", "unicode_escape", "UTF-7"),
                *("undefined", "zlib", "rot13", "mbcs"),
            )
        ),
        (xml("x-of-our-own", "<a>\xe9</a>", "latin-1"), None),
    ],
)
def test_xml_is_xml_even_if_its_encoding_is_unknown(content: bytes, encoding: str | None) -> None:
    found = claims(content)

    assert found["media_type"] == "application/xml"
    assert found["text"] == "unknown" if encoding is None else found["text"]["encoding"] == encoding


@pytest.mark.parametrize(
    "content",
    [
        xml("UTF-8", "<a>\xe9</a>", "latin-1"),
        xml("US-ASCII", "<a>\xe9</a>", "latin-1"),
        xml("UTF-16", "<a>\xe9</a>", "latin-1"),
        xml("Shift_JIS", "<a>\xff</a>", "latin-1"),
        xml("ISO-8859-1", "\0", "latin-1"),
        b"\xef\xbb\xbf" + xml("ISO-8859-1", "<a>\xe9</a>"),
        "<?xml version='1.0'?><a/>".encode("cp037"),
    ],
)
def test_text_that_does_not_decode_as_declared_is_unknown(content: bytes) -> None:
    assert claims(content) == UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml is how an XML file begins ?>",
        b"<?xml-stylesheet href='a.css'?><a/>",
        b"<?xml version='1.0'",
        b"<?xml ?><a/>",
        b"<?xmlversion='1.0'?><a/>",
        b"<?xml version='1.0' encoding=\"utf-8'?><a/>",
        b"\n<?xml version='1.0'?><a/>",
        b"<a/>",
    ],
)
def test_without_a_declaration_it_is_not_xml(content: bytes) -> None:
    assert media_type(content) == "text/plain"


def test_a_declaration_is_read_up_to_a_length() -> None:
    start, end = b"<?xml version='1.0'", b" encoding='iso-8859-1'?>"
    room = LONGEST_DECLARATION - len(start) - len(end)

    assert media_type(start + b" " * room + end + b"<a>\xe9</a>") == "application/xml"
    assert media_type(start + b" " * (room + 1) + end + b"<a>\xe9</a>") == "unknown"
    assert media_type(start + b" " * (room + 1) + end + b"<a/>") == "text/plain"


@pytest.mark.parametrize("run", [b"+" + b"A" * 70_000, b"&" * 70_000, b"a" * 70_000])
def test_no_decoder_buffers_the_whole_document(run: bytes) -> None:
    for encoding in sorted(set(encodings.aliases.aliases.values())):
        decoder = stated(xml(encoding, "", "ascii")).decoder
        if decoder:
            decoder.decode(run)

            assert len(decoder.getstate()[0]) < 16, encoding


# Text


@pytest.mark.parametrize("character", ["\x7f", "\ufffe", "\uffff"])
def test_characters_that_only_json_allows_make_other_text_unknown(character: str) -> None:
    valid = json.dumps(["a,b", character], ensure_ascii=False)

    assert claims(valid.encode())["json"] == {"parses": True}
    assert media_type(valid.encode()) == "application/json"
    assert media_type(xml("UTF-8", character)) == "application/xml"
    assert claims(valid[:-1].encode()) == UNKNOWN
    assert claims(f"a,b\n{character},2\n".encode()) == UNKNOWN
    assert claims(character.encode()) == UNKNOWN


def test_large_json_with_such_a_character_is_unknown() -> None:
    assert claims(b'["\x7f' + b"a" * text.LARGEST_JSON + b'"]') == UNKNOWN
    assert claims(b'["' + b"a" * text.LARGEST_JSON + b'\x7f"]') == UNKNOWN


@pytest.mark.parametrize("control", [b"\0", b"\x01", b"\x08", b"\x0e", b"\x1a", b"\x1f"])
def test_text_with_control_characters_is_unknown(control: bytes) -> None:
    assert claims(b'["%b"]' % control) == UNKNOWN


@pytest.mark.parametrize("most", [1, 2, 3, 2**20])
@pytest.mark.parametrize(("encoding", "word"), [("iso-2022-jp", "東京"), ("iso-2022-kr", "서울")])
def test_text_in_another_character_set_is_not_mistaken_for_utf_8(
    encoding: str, word: str, most: int
) -> None:
    assert claims(f"{word}\n".encode(encoding), most) == UNKNOWN
    assert claims(FIRST_LINE.encode() + f"\n{word}\n".encode(encoding), most) == UNKNOWN
    assert media_type(b"\x1b[31mred\x1b[0m\n") == "text/plain"


@pytest.mark.parametrize("most", [1, 2, 3, 2**20])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("a\nb", ["a", "b"]),
        ("a\nb\n", ["a", "b"]),
        ("a\rb", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\r\rb\n\rc\r\n\nd", ["a", "", "b", "", "c", "", "d"]),
        ("a\n\r\n", ["a", ""]),
        ("\r", [""]),
        ("a\u2028b\x0cc\x85d", ["a\u2028b\x0cc\x85d"]),
        ("1\r2\r\n3\n4\r5\r6\r\n", ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_a_line_ends_with_a_line_feed_or_a_carriage_return_or_both(
    content: str, lines: list[str], most: int
) -> None:
    assert claims(content.encode(), most)["text"] == {
        "encoding": "utf-8",
        "lines": len(lines),
        "first_lines": lines[:5],
    }
    assert claims(f"{FIRST_LINE}\n{content}".encode(), most)["text"] == {
        "encoding": "utf-8",
        "lines": 1 + len(lines),
        "first_lines": [FIRST_LINE[: text.LONGEST_LINE], *lines[:4]],
    }


# Tables


@pytest.mark.parametrize(
    ("content", "delimiter", "header"),
    [
        ("a,b\n1,2\n", ",", ["a", "b"]),
        ("a;b\r1;2\r", ";", ["a", "b"]),
        ("a\tb\r\n1\t2\r\n", "\t", ["a", "b"]),
        ("Total amount,b\n1,\n,2\n", None, None),
        ("a,b,c\n1,2,\n,2,3\n1,,3\n", ",", ["a", "b", "c"]),
        ("a;b\n1,5;2,5\n3,5;4\n", ";", ["a", "b"]),
        ('a,b\n"1,5",2\n', ",", ["a", "b"]),
        ("\na,b\n\n1,2\n\n", ",", ["a", "b"]),
    ],
)
def test_a_table_has_two_columns_of_content_in_every_row(
    content: str, delimiter: str | None, header: list[str] | None
) -> None:
    found = claims(content.encode()).get("csv")

    assert found == (delimiter and {"delimiter": delimiter, "header": header})


@pytest.mark.parametrize(
    "content",
    [
        "use strict;\nuse warnings;\n",
        "import a;\nimport b;\n",
        "first,\nsecond,\n",
        ",a\n,b\n",
        "a; \nb;\t\n",
        "a,b,c\n1,,\n2,,\n",
        "a,b\n1,2\n3,\n",
        "a;b\n1; \n",
        "name\n1\n",
        "a,b\n",
        "a,b\n1,2,3\n",
        # Ambiguous separators.
        "a,b;c\n1,2;3\n",
        "a|b,c\n1|2,3\n",
        "name;address,city;zip\nx;y,z;1\n",
        # Columns may be separated by these, but not by commas.
        "mov eax,ebx\nmov ecx,edx\n",
        "SELECT a,b\nFROM c,d\n",
        "Depends:a,b\nBreaks:c,d\n",
        # The first row names no columns.
        "1,2\n3,4\n",
        "a,b=c\n1,2\n",
        "a\\,b,c\n1\\,2,3\n",
        "Well, then\nSo, what\n",
        # A quote is in the wrong place, or never closed.
        'a,b\n"1"2,3\n',
        'a,b\n1,2\n"3,4\n',
    ],
)
def test_text_that_may_not_be_a_table_is_plain_text(content: str) -> None:
    found = claims(content.encode())

    assert (found["media_type"], "csv" in found) == ("text/plain", False)


def test_twenty_rows_of_a_long_table_are_sampled() -> None:
    rows = "a,b\n" + "1,2\n" * 19

    assert media_type(f"{rows}1,\n".encode()) == "text/plain"
    assert media_type(f"{rows}1,2\n1,\n".encode()) == "text/csv"


def test_a_malformed_row_is_not_mistaken_for_a_truncated_one() -> None:
    long_row = "x" * 70_000

    assert media_type(f'a,b\n1,2\n"1"2,3\n{long_row},1\n'.encode()) == "text/plain"
    assert media_type(f'a,b\n1,2\n"{long_row}",1\n'.encode()) == "text/csv"
    assert media_type(f"a,b\n1,2\n{long_row},1\n".encode()) == "text/csv"


# PDF, and what may look like text


@pytest.mark.parametrize(
    "content",
    [
        BINARY_PDF,
        TEXT_PDF,
        b"%PDF-1.7",
        b"%PDF-2.0\r",
        b"\r\n \n" + TEXT_PDF,
        b"\xef\xbb\xbf" + TEXT_PDF,
        b"\n" * 1000 + b"%PDF-1.4\n1 0 obj\n",
        b"\0" * 1016 + b"%PDF-1.4\n",
        b"junk" * 254 + BINARY_PDF,
        b"HTTP/1.1 200 OK\r\n\r\n" + BINARY_PDF,
        b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n" + BINARY_PDF + b"%%EOF\x1b%-12345X",
        b"a line of junk\n" + TEXT_PDF,
        b"a line of junk\r" + TEXT_PDF + b"\n\n",
    ],
)
def test_a_pdf_has_its_header_within_the_first_1024_bytes(content: bytes) -> None:
    assert claims(content) == {"media_type": "application/pdf"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0" * 1017 + b"%PDF-1.4\n", "unknown"),
        (b"\n" * 1017 + TEXT_PDF, "text/plain"),
        (b"junk\n" * 300 + BINARY_PDF, "unknown"),
        (b"\0%PDF-1.4 is a header", "unknown"),
        (b"\0%PDF-", "unknown"),
        (b"A file that begins with %PDF-1.4\nis a PDF.\n", "text/plain"),
        (b"For example:\n%PDF-1.4\n1 0 obj\n", "text/plain"),
        (b'PDF = b"""\n' + TEXT_PDF + b'"""\n', "text/plain"),
        (b"not at the start of a line: " + TEXT_PDF, "text/plain"),
    ],
)
def test_text_that_quotes_a_pdf_is_not_one(content: bytes, expected: str) -> None:
    assert media_type(content) == expected


@pytest.mark.parametrize("pdf", [BINARY_PDF, TEXT_PDF])
def test_an_archive_that_begins_with_a_pdf_is_not_one(pdf: bytes) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = len(pdf)
        archive.addfile(member, io.BytesIO(pdf))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a", pdf)
    fields = "".join(f"{field:<{width}}" for field, width in (("a/", 16), ("0", 32), (99, 10)))

    assert media_type(tar.getvalue()) == "unknown"
    assert media_type(stored.getvalue()) == "application/zip"
    assert media_type(f"!<arch>\n{fields}`\n".encode() + pdf) == "unknown"
    assert media_type(b"070701" + b"0" * 104 + b"a\0\n" + pdf) == "unknown"
    assert media_type(b"070707" + b"0" * 70 + b"\n\0" + pdf) == "unknown"
    assert media_type(b"WARC/1.0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + pdf) == "unknown"


@pytest.mark.parametrize("mode", ["L", "RGB", "F", "RGBA"])
def test_pixels_that_are_letters_are_not_text(mode: str) -> None:
    file = io.BytesIO()
    Image.new("L", (99, 9), ord("A")).convert(mode).save(file, "PPM")

    assert claims(file.getvalue()) == UNKNOWN
    assert claims(b"P6\n# a comment\n1 1 255\nAAA") == UNKNOWN
    assert claims(b"P4 8 1 A") == UNKNOWN
    assert claims(b"Pf\n1 1\n-1.0\nAAAA") == UNKNOWN
    assert claims(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\nA") == UNKNOWN
    assert media_type(b"P3\n1 1\n255\n65 65 65\n") == "text/plain"
    assert media_type(b"P6 is a processor.\n") == "text/plain"


def test_text_that_begins_like_a_binary_file_is_text() -> None:
    assert media_type(b"GIF89a;<?php echo 1;\n") == "text/plain"
    assert media_type(b"GIF89a is a format.\n") == "text/plain"
    assert media_type(b"070701 is a number\n") == "text/plain"


def test_an_archive_of_nothing_or_of_texts_is_not_text() -> None:
    assert claims(b"!<arch>\n") == UNKNOWN
    assert claims(b"!<thin>\n") == UNKNOWN


def test_jpeg_ls_is_not_jpeg() -> None:
    assert claims(b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x05\x00\x07\x01\x01\x11\x00") == UNKNOWN
