"""Completion in the shell: where it is installed, and what it offers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import execute

ROOT = Path(__file__).parents[3]

PROFILE = "export EDITOR=vi"  # without a line break at its end


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "ZDOTDIR", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def files(directory: Path) -> set[str]:
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    ("shell", "script", "profile", "line"),
    [
        ("bash", ".bash_completions/file-index.sh", ".bashrc", "source {}/.bash_completions/"),
        ("zsh", ".zfunc/_file-index", ".zshrc", "fpath+=({}/.zfunc); autoload -Uz compinit; "),
    ],
)
@pytest.mark.parametrize("has_profile", [True, False])
def test_bash_and_zsh_are_told_about_the_script_once(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    shell: str,
    script: str,
    profile: str,
    line: str,
    has_profile: bool,
) -> None:
    if has_profile:
        (home / profile).write_text(PROFILE)

    first = execute(["--install-completion", shell]), capsys.readouterr()
    written = (home / profile).read_text()
    second = execute(["--install-completion", shell]), capsys.readouterr()

    assert files(home) == {script, profile}
    assert (home / profile).read_text() == written
    *before, added = written.splitlines()
    assert before == ([PROFILE] if has_profile else [""])
    assert added.startswith(line.format(home))
    wrote, works = f"Wrote {home / script}.", f"Completion works in every new {shell}."
    assert (first[0], first[1].out, first[1].err.splitlines()) == (
        0,
        "",
        [wrote, f"Added to {home / profile}: {added}", works],
    )
    assert (second[0], second[1].err.splitlines()) == (0, [wrote, works])


def test_fish_finds_the_script_by_itself(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--install-completion", "fish"]) == 0

    assert files(home) == {".config/fish/completions/file-index.fish"}
    assert "Completion works in every new fish." in capsys.readouterr().err


def test_directories_of_the_shells_own_are_respected(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZDOTDIR", str(home / "zsh"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "settings"))

    assert [execute(["--install-completion", shell]) for shell in ("zsh", "fish")] == [0, 0]

    assert files(home) == {
        "zsh/.zfunc/_file-index",
        "zsh/.zshrc",
        "settings/fish/completions/file-index.fish",
    }


def test_without_a_name_it_is_the_users_shell(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")

    assert execute(["--install-completion"]) == 0

    assert files(home) == {".config/fish/completions/file-index.fish"}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("shell", "arguments", "problem"),
    [
        ("/bin/tcsh", [], "there is no completion for tcsh"),
        ("", [], "SHELL is not set"),
        ("/bin/bash", ["powershell"], "there is no completion for powershell"),
    ],
)
def test_another_shell_is_refused(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shell: str,
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.setenv("SHELL", shell)

    assert execute(["--install-completion", *arguments]) == 2

    assert files(home) == set()
    assert capsys.readouterr().err == (
        f"file-index: {problem}: choose bash, zsh, fish, as in --install-completion bash\n"
    )


def test_a_script_that_cannot_be_written_is_an_error(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".bash_completions").write_text("a file")

    assert execute(["--install-completion", "bash"]) == 2

    assert files(home) == {".bash_completions"}
    assert "File exists" in capsys.readouterr().err


@pytest.fixture
def offered(home: Path) -> list[str]:
    """bash with completion installed, which offers what `complete` is given."""
    program = home / "bin" / "file-index"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    program.chmod(0o700)
    assert execute(["--install-completion", "bash"]) == 0
    (home / "ask").write_text(
        """. "$HOME/.bashrc"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_file_index_completion file-index
printf '%s\\n' "${COMPREPLY[@]}"
"""
    )
    return ["bash", "--norc", str(home / "ask"), "file-index"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["st"], {"status"}),
        (["backfill", "--d"], {"--dry-run"}),
        (
            ["verify", "s3", ":", "//reports/", "--re"],
            {"--repair", "--resume", "--report", "--region"},
        ),
        (["verify", "--engine", ""], {"local", "step-functions"}),
        (["redrive", "--t"], {""}),
        (["--install-completion", "zsh", "--v"], {"--version"}),
    ],
)
def test_bash_offers_commands_options_and_values(
    home: Path, offered: list[str], typed: list[str], expected: set[str]
) -> None:
    before = files(home)
    said = subprocess.run(
        [*offered, *typed],
        env={**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (set(said.stdout.splitlines()), said.stderr) == (expected, "")
    assert files(home) == before
