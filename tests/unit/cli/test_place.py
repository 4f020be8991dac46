"""Where a backfill goes on."""

from pathlib import Path

import pytest

from cli.errors import CommandError
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


def test_where_it_cannot_be_written_is_said_once(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "file-index").write_text("no directory")
    place = Place("table")

    place.write("a", now=True)
    place.write("b", now=True)

    assert not place.is_kept
    assert capsys.readouterr().err.count("--resume will not know where this was") == 1


def test_nobody_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**30)

    with pytest.raises(CommandError, match="no home directory"):
        Place("table")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_file_that_somebody_spoilt_is_no_place(text: str) -> None:
    place = Place("table")
    place.write("a", now=True)
    place.path.write_text(text)

    assert place.read() is None
