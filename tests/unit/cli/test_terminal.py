"""The display of text from outside in a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.terminal import escaped, escaped_json, human_size, unescaped

hard_texts = st.text(
    st.one_of(
        st.sampled_from("\\\\\\nrtxuU0123abf\n\x1b\x7f\x85\u2028\u202e\u2066\u200e"),
        st.characters(codec="utf-8"),
    ),
    max_size=12,
)
"""Text with escaped characters, and with text that looks like escapes."""


def is_harmless(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"} and (
        unicodedata.bidirectional(char)
        not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        and char not in "\u061c\u200e\u200f"
    )


@given(st.one_of(hard_texts, st.text(st.characters())))
def test_shown_text_is_one_harmless_line_that_can_be_read_back(text: str) -> None:
    line = escaped(text)

    assert all(map(is_harmless, line))
    assert unescaped(line) == text


@given(st.characters())
def test_only_harmful_characters_are_escaped(char: str) -> None:
    assert (escaped(char) == char) == is_harmless(char)


@given(hard_texts)
def test_a_line_without_an_escape_is_as_it_was(text: str) -> None:
    assert unescaped(text.replace("\\", "")) == text.replace("\\", "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a b/ü+ ", "a b/ü+ "),
        ("C:\\dir\\", "C:\\dir\\"),
        ("C:\\new", "C:\\\\new"),
        ("a\nb\\c", "a\\nb\\c"),
        ("\\\n", "\\\\\\n"),
        ("\\\\x1b", "\\\\\\\\x1b"),
        ("\\x1\\u12", "\\x1\\u12"),
        ("\x1b[31m\u202etxt.exe", "\\x1b[31m\\u202etxt.exe"),
        ("\x7f\x85\u2028\ud800", "\\x7f\\x85\\u2028\\ud800"),
        # What people have in file names: screenshots of macOS, East Asian texts, emoji.
        ("10.14\u202fAM", "10.14\u202fAM"),
        ("日本\u3000語\u00a0x", "日本\u3000語\u00a0x"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
    ],
)
def test_harmful_characters_are_escaped_and_others_are_not(text: str, line: str) -> None:
    assert escaped(text) == line


def test_escapes_of_another_encoding_are_read_too() -> None:
    # Python writes them like this if standard output's encoding lacks the character.
    assert unescaped("\\xe9\\u4e2d\\U0001f469") == "é中\U0001f469"
    assert unescaped("\\U00110000") == "\\U00110000"


@given(st.dictionaries(hard_texts, hard_texts, max_size=3))
def test_json_that_is_shown_is_the_same_json(value: dict[str, str]) -> None:
    line = escaped_json(value)

    assert all(map(is_harmless, line))
    assert json.loads(line) == value


def test_json_shows_the_characters_themselves() -> None:
    assert escaped_json({"a": "中\x1b\u202e"}) == '{"a": "中\\u001b\\u202e"}'


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 Bytes"),
        (1, "1 Byte"),
        (1023, "1023 Bytes"),
        (1024, "1.0 KiB"),
        (1024**2 - 513, "1023.5 KiB"),
        (1024**2 - 512, "1.0 MiB"),  # not 1024.0 KiB
        (1024**2 - 1, "1.0 MiB"),
        (1024**2 * 3 // 2, "1.5 MiB"),
        (1024**3 - 1, "1.0 GiB"),
        (5 * 1024**3, "5.0 GiB"),
        (1024**4 - 1, "1.0 TiB"),
        (1024**5 - 1, "1.0 PiB"),
        (3 * 1024**5, "3.0 PiB"),
        (1024**6 - 1, "1.0 EiB"),
        (3 * 1024**6, "3.0 EiB"),
    ],
)
def test_sizes_are_as_the_aws_cli_writes_them(count: int, text: str) -> None:
    assert human_size(count) == text
