"""The help of each command: options under headings, examples that run, and the version."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cli.help import Option
from cli.main import app, execute
from cli.options import LOCAL_ENGINE
from tests.unit.cli.deployments import deployed

TERRAFORM = {"Index from Terraform's outputs": ["--env", "--index"]}
AWS = {"AWS": ["--profile", "--region", "--endpoint-url"]}
TABLE = ["--table", "--partitions", "--filter"]
WRITING = ["--tombstone-days", "--object-metadata", "--object-tags"]
READING = {**TERRAFORM, "Index without Terraform": TABLE, **AWS}

HEADINGS = {
    "get": {"Options": ["--json", "--help"], **READING},
    "ls": {
        "Options": ["--recursive", "--summarize", "--human-readable", "--json", "--help"],
        **READING,
    },
    "du": {"Options": ["--depth", "--human-readable", "--json", "--help"], **READING},
    "backfill": {
        "Options": ["--engine", "--resume", "--json", "--help"],
        LOCAL_ENGINE: ["--dry-run", "--report"],
        **TERRAFORM,
        "Index without Terraform": [*TABLE, *WRITING, "--versioned"],
        **AWS,
    },
    "verify": {
        "Options": ["--engine", "--repair", "--resume", "--json", "--help"],
        LOCAL_ENGINE: ["--versions", "--grace", "--report"],
        **TERRAFORM,
        "Index without Terraform": [*TABLE, *WRITING],
        **AWS,
    },
    "redrive": {"Options": ["--dry-run", "--json", "--help"], **TERRAFORM, **AWS},
    "status": {"Options": ["--json", "--help"], **TERRAFORM, **AWS},
}


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = execute([*arguments, "--help"])

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    return said.out


def under(heading: str, text: str) -> list[str]:
    """The lines below a heading of the help."""
    (found,) = re.findall(rf"^{re.escape(heading)}:\n((?:  .*\n?)+)", text, re.MULTILINE)
    return [line.removeprefix("  ") for line in found.splitlines()]


EXAMPLES = [
    (name, shlex.split(line))
    for name, command in app.commands.items()
    for line in (command.epilog or "").strip().splitlines()
]
"""The examples of every subcommand, as a shell splits them."""


def test_every_command_is_tested() -> None:
    assert HEADINGS.keys() == app.commands.keys()


@pytest.mark.parametrize("command", HEADINGS)
def test_help_lists_each_option_under_its_heading(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = shown(capsys, command)

    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    listed = {
        heading: [line.split()[0] for line in under(heading, text) if line.startswith("--")]
        for heading in headings
        if heading != "Examples"
    }
    assert text.startswith(f"Usage: file-index {command} [OPTIONS]")
    assert list(listed.items()) == list(HEADINGS[command].items())


@pytest.mark.parametrize("command", HEADINGS)
def test_help_names_what_an_option_takes_in_words(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = shown(capsys, command)

    assert re.findall(r"TEXT|INTEGER|FLOAT|PATH|RANGE|x>=|\(.*\)\]", text) == []


def test_help_shows_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown(capsys, "verify").split())

    assert "--grace SECONDS Check a difference again after this time" in text
    for default in ("local", "120", "the selected one", "1", "30"):
        assert f"[default: {default}]" in text


@pytest.mark.parametrize("width", ["40", "80", "200"])
@pytest.mark.parametrize("command", HEADINGS)
def test_help_ends_with_examples_that_no_terminal_wraps(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    width: str,
) -> None:
    monkeypatch.setenv("COLUMNS", width)

    lines = under("Examples", shown(capsys, command))

    assert 2 <= len(lines) <= 3
    assert [shlex.split(line) for line in lines] == [
        words for name, words in EXAMPLES if name == command
    ]


@pytest.mark.parametrize(("name", "words"), EXAMPLES)
def test_an_example_is_a_call_of_its_command(name: str, words: list[str]) -> None:
    program, command, *arguments = words

    assert (program, command) == ("file-index", name)
    app.commands[name].make_context(name, arguments)  # raises UsageError
    assert len(shlex.join(words)) <= 76  # a terminal of 80 columns, and the page


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (name, option)
        for name, command in app.commands.items()
        for option in command.params
        if isinstance(option, Option) and option.heading == LOCAL_ENGINE
    ],
    ids=str,
)
def test_step_functions_refuses_the_options_of_the_local_engine(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    option: Option,
) -> None:
    monkeypatch.setattr("cli.main._target", lambda **_: deployed())
    number = isinstance(option.type, click.FloatRange)
    value = [] if option.is_flag else ["0" if number else str(tmp_path / "file")]

    code = execute([command, "s3://reports", "--engine", "step-functions", *option.opts, *value])

    assert (code, capsys.readouterr().err) == (
        2,
        f"file-index: {option.opts[0]} only goes with --engine local: leave it out\n",
    )


def test_summaries_of_commands_are_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    lines = under("Commands", shown(capsys))

    assert len(lines) == len(HEADINGS)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    code = execute(["--version"])

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert re.fullmatch(r"file-index \d+\.\d+\.\d+\n", said.out)
