"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path

import click

from .errors import CommandError
from .function.settings import MIN_TOMBSTONE_DAYS, PARTITIONS, TOMBSTONE_DAYS
from .help import option

Command = Callable[..., int]
"""A command's function. It returns the exit code."""
Decorator = Callable[[Command], Command]


def _stacked(*decorators: Decorator) -> Decorator:
    """Return one decorator in place of these; help lists their options in this order."""

    def apply(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


LOCAL_ENGINE = "Options with --engine local"
_TERRAFORM = "Index from Terraform's outputs"
_TABLE = "Index without Terraform"
_AWS = "AWS"

prefix_argument: Decorator = click.argument("prefix", metavar="s3://BUCKET[/PREFIX]")
STEP_FUNCTIONS = "step-functions"
engine_option: Decorator = option(
    "--engine",
    type=click.Choice(["local", STEP_FUNCTIONS]),
    default="local",
    show_default=True,
    help="Run on this machine, or on the deployment's workers (input `reconciliation`).",
)
resume_option: Decorator = option(
    "--resume",
    is_flag=True,
    help="Retry what failed in the last run, then continue where it stopped. With --engine"
    " step-functions, show the last run.",
)
json_option: Decorator = option(
    "--json", "as_json", is_flag=True, help="Write one JSON object per line to standard output."
)
human_readable_option: Decorator = option(
    "--human-readable", is_flag=True, help="Show sizes in KiB, MiB, and so on."
)


def report_option(content: str) -> Decorator:
    """Return the option that names a file for what a run finds. Help says what it contains."""
    return option(
        "--report",
        type=click.Path(path_type=Path),
        metavar="FILE",
        heading=LOCAL_ENGINE,
        help=f"Write {content} to this file, as JSON lines.",
    )


def _refuse_table(context: click.Context, _: click.Parameter, table: str | None) -> None:
    if table is not None:
        raise CommandError(f"{context.info_name} works on a deployment: leave --table out")


no_table_option: Decorator = option(
    "--table", hidden=True, expose_value=False, callback=_refuse_table
)

# Each of these options is named like the field of chosen.Chosen that it fills.
deployment_options = _stacked(
    option(
        "--env",
        metavar="WORKSPACE",
        heading=_TERRAFORM,
        help="Workspace of the Terraform configuration in this directory.",
        show_default="the selected one",
    ),
    option(
        "--index",
        metavar="NAME",
        heading=_TERRAFORM,
        help="Which index, if the outputs contain several.",
    ),
)
table_options = _stacked(
    option("--table", metavar="NAME", heading=_TABLE, help="The table of the index."),
    option(
        "--partitions",
        type=click.IntRange(min=1),
        metavar="NUMBER",
        default=PARTITIONS,
        show_default=True,
        heading=_TABLE,
        help="The deployment's table.partitions.",
    ),
)


def filter_option(without_table: str) -> Decorator:
    """Return the option for filters. Help says what they do to a deployment from Terraform."""
    return option(
        "--filter",
        "filters",
        multiple=True,
        metavar="PREFIX[*SUFFIX]",
        heading=_TABLE,
        help=f"A filter of the deployment; may be repeated. {without_table}",
    )


writing_options = _stacked(
    option(
        "--tombstone-days",
        type=click.IntRange(min=MIN_TOMBSTONE_DAYS),
        metavar="DAYS",
        default=TOMBSTONE_DAYS,
        show_default=True,
        heading=_TABLE,
        help=f"The deployment's table.tombstone_days, at least {MIN_TOMBSTONE_DAYS}.",
    ),
    option(
        "--object-metadata",
        is_flag=True,
        heading=_TABLE,
        help="The deployment has object_metadata.enabled.",
    ),
    option(
        "--object-tags",
        is_flag=True,
        heading=_TABLE,
        help="The deployment has object_metadata.tags.",
    ),
)
versioned_option: Decorator = option(
    "--versioned", is_flag=True, heading=_TABLE, help="The deployment has bucket.versioned."
)
connection_options = _stacked(
    option("--profile", metavar="NAME", heading=_AWS, help="Profile of the AWS CLI."),
    option(
        "--region",
        metavar="REGION",
        heading=_AWS,
        help="AWS Region.",
        show_default="the deployment's, or else the AWS CLI's",
    ),
    option(
        "--endpoint-url",
        metavar="URL",
        heading=_AWS,
        help="Endpoint of another AWS, such as a local emulator.",
    ),
)
reading_options = _stacked(
    deployment_options,
    table_options,
    filter_option("Without --table, these replace the filters in the outputs."),
    connection_options,
)
