"""Whether content is text, and its description."""

from typing import Any

import pytest

from function.derived_files.text_content import LARGEST_JSON, Text


def described(data: bytes, most: int = 2**20) -> Any:
    """Describe content that comes at most that many bytes at a time."""
    text = Text()
    for begin in range(0, len(data), most):
        text.add(data[begin : begin + most])
    return text.described()


def text_of(encoding: str, *lines: str) -> dict[str, Any]:
    return {"text": {"encoding": encoding, "lines": len(lines), "first_lines": list(lines)}}


TEXTS: list[tuple[str, bytes, dict[str, Any] | None]] = [
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
    ("nothing", b"", None),
    ("bytes", bytes(range(256)), None),
    ("text in an encoding that nothing tells", b"caf\xe9", None),
    ("a character cut off", b"caf\xc3", None),
]


@pytest.mark.parametrize(
    ("data", "expected"), [one[1:] for one in TEXTS], ids=[one[0] for one in TEXTS]
)
@pytest.mark.parametrize("most", [1, 7, 2**20])
def test_text_is_told_from_other_content(
    data: bytes, expected: dict[str, Any] | None, most: int
) -> None:
    assert described(data, most) == expected


@pytest.mark.parametrize(("size", "parses"), [(0, True), (1, "unknown")])
def test_json_up_to_a_size_is_parsed(size: int, parses: object) -> None:
    data = b'["' + b"a" * (LARGEST_JSON - 4 + size) + b'"]'

    assert described(data)["json"] == {"parses": parses}


def test_a_long_table_is_recognized_by_its_beginning() -> None:
    rows = b"name,size\n" + b"x" * 997 + b",1\n" + b"a,1\n" * 100_000
    quoted = b"name,size\n" + b'a,"' + b"x" * 100_000 + b'"\n'
    quoted_later = b"name,size\na,1\n" + quoted

    assert described(rows)["csv"] == {"delimiter": ",", "header": ["name", "size"]}
    assert described(rows)["text"]["lines"] == 100_002
    assert described(quoted)["media_type"] == "text/plain"  # one row only is known
    assert described(quoted_later)["media_type"] == "text/csv"


def test_only_the_beginning_of_the_first_lines_is_shown() -> None:
    found = described(b"\n".join(b"%d" % number * 500 for number in range(9)))

    assert found["text"]["first_lines"] == [f"{number}" * 200 for number in range(5)]
