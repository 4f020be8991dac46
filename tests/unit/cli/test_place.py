"""Where a backfill goes on."""

from pathlib import Path

import pytest

from cli.place import Place


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_a_key_is_kept_until_there_is_nothing_left_to_do() -> None:
    place = Place("table", "bucket", "prefix")
    assert place.read() is None

    place.write("a\n\U0001f600", now=True)
    assert Place("table", "bucket", "prefix").read() == "a\n\U0001f600"

    place.forget()
    place.forget()
    assert place.read() is None


def test_every_backfill_has_its_own() -> None:
    Place("table", "bucket", "a").write("k", now=True)

    assert Place("table", "bucket", "").read() is None
    assert Place("table", "bucketa", "").read() is None


def test_it_is_written_once_a_second_at_most() -> None:
    place = Place("table")
    place.write("a")
    place.write("b")
    assert place.read() == "a"

    place.write("c", now=True)
    assert place.read() == "c"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_file_that_somebody_spoilt_is_no_place(text: str) -> None:
    place = Place("table")
    place.write("a", now=True)
    place.path.write_text(text)

    assert place.read() is None
