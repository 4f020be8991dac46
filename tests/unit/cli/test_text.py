"""What a terminal is shown of text from outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.text import shown, size


@given(st.text())
def test_what_is_shown_is_one_line_that_can_be_read_back(text: str) -> None:
    line = shown(text)

    assert line.isprintable()
    assert line == text or line.encode("ascii", "backslashreplace").decode("unicode_escape") == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a b/ü+ ", "a b/ü+ "),
        ("C:\\dir", "C:\\dir"),
        ("a\nb\\c", "a\\nb\\\\c"),
        ("\x1b[31m\u202etxt.exe", "\\x1b[31m\\u202etxt.exe"),
    ],
)
def test_only_what_harms_is_escaped(text: str, line: str) -> None:
    assert shown(text) == line


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 Bytes"),
        (1, "1 Byte"),
        (1023, "1023 Bytes"),
        (1024, "1.0 KiB"),
        (1024**2 * 3 // 2, "1.5 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (1024**4, "1.0 TiB"),
        (3 * 1024**5, "3.0 PiB"),
    ],
)
def test_sizes_are_as_the_aws_cli_writes_them(count: int, text: str) -> None:
    assert size(count) == text
