"""docs/file-index.md contains the help of `file-index` as it is printed."""

import pytest

from cli.main import app, execute
from tools.command_help import PAGE, written


def test_the_page_has_the_help_of_every_command() -> None:
    page = PAGE.read_text()

    assert page == written(page), "run make usage"


@pytest.mark.parametrize("command", [[], *([name] for name in app.commands)])
def test_the_help_is_what_a_terminal_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert execute([*command, "--help"]) == 0

    call = " ".join(["$ file-index", *command, "--help"])
    assert f"```\n{call}\n{capsys.readouterr().out}```\n" in PAGE.read_text()


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers <!-- help -->"):
        written("# file-index")
