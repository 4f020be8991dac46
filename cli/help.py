"""How commands show their help: options under headings, then examples."""

from functools import partial
from typing import Any

import click
from click.types import OptionHelpExtra


class Option(click.Option):
    """An option that the help lists under a heading, with its default as it is written."""

    def __init__(self, *declarations: Any, heading: str = "Options", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return what stands in brackets: the default alone, because `x>=1` is for programs."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default  # Click would add parentheses
        return extra


class Command(click.Command):
    """A command. Its epilog is its examples, a command a line."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, in the order of their first options."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            shown = isinstance(option, click.Option) and option.get_help_record(ctx)
            if shown:
                heading = option.heading if isinstance(option, Option) else "Options"
                headings.setdefault(heading, []).append(shown)
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, unwrapped so that they can be pasted."""
        del ctx
        with formatter.section("Examples"):
            for line in (self.epilog or "").strip().splitlines():
                formatter.write(f"  {line.strip()}\n")


class Program(click.Group, Command):
    """A program of several commands."""

    command_class = Command


option = partial(click.option, cls=Option)
