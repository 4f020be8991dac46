"""Write the help of `file-index` into docs/file-index.md, as a terminal of 80 columns shows it.

python -m tools.command_help
"""

from collections.abc import Iterator

import click

from cli.completion import PROGRAM
from cli.main import app
from tools.markers import replaced
from tools.module_copy import ROOT

PAGE = ROOT / "docs" / "file-index.md"

_COLUMNS = 80


def written(page: str) -> str:
    """Return the page with the help between its markers. Raises ValueError without markers."""
    return replaced(page, "help", "\n\n".join(_help()))


def _help() -> Iterator[str]:
    """Yield the help of the program and of each command, in Markdown."""
    program = click.Context(app, info_name=PROGRAM, terminal_width=_COLUMNS - 2)  # as Click does
    for context in (program, *_commands(program)):
        yield f"```\n$ {context.command_path} --help\n{context.get_help()}\n```"


def _commands(program: click.Context) -> Iterator[click.Context]:
    for name, command in app.commands.items():
        yield click.Context(command, parent=program, info_name=name)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
