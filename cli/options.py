"""Options that several commands have."""

from collections.abc import Callable

import click

from .errors import CommandError
from .function.settings import MIN_TOMBSTONE_DAYS, PARTITIONS, TOMBSTONE_DAYS

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


prefix_argument: Decorator = click.argument("prefix", metavar="s3://BUCKET[/PREFIX]")
STEP_FUNCTIONS = "step-functions"
engine_option: Decorator = click.option(
    "--engine",
    type=click.Choice(["local", STEP_FUNCTIONS]),
    default="local",
    show_default=True,
    help="Run on this machine, or on the workers of the deployment (input `reconciliation`).",
)
resume_option: Decorator = click.option(
    "--resume",
    is_flag=True,
    help="Retry what failed in the last run, then continue where it stopped. With --engine"
    " step-functions: show the last run.",
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line on standard output."
)
human_readable_option: Decorator = click.option(
    "--human-readable", is_flag=True, help="Sizes in KiB, MiB, …"
)


def _refuse_table(context: click.Context, _: click.Parameter, table: str | None) -> None:
    if table is not None:
        raise CommandError(f"{context.info_name} works on a deployment: leave --table out")


no_table_option: Decorator = click.option(
    "--table", hidden=True, expose_value=False, callback=_refuse_table
)

# Each of these options is named like the field of chosen.Chosen that it fills.
deployment_options = _stacked(
    click.option(
        "--env",
        help="Workspace of the Terraform configuration in this directory; table, bucket and filters"
        " come from its outputs.",
        show_default="the selected one",
    ),
    click.option(
        "--index", metavar="NAME", help="Which index, if Terraform's outputs hold several."
    ),
)
table_options = _stacked(
    click.option("--table", help="A table, without Terraform."),
    click.option(
        "--partitions",
        type=click.IntRange(min=1),
        default=PARTITIONS,
        show_default=True,
        help="With --table: table.partitions.",
    ),
    click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="PREFIX[*SUFFIX]",
        help="Override the deployment's filters. May be repeated.",
    ),
)
connection_options = _stacked(
    click.option("--profile", help="AWS profile."),
    click.option("--region", help="AWS Region."),
    click.option("--endpoint-url", help="Endpoint of another AWS, such as a local emulator."),
)
index_options = _stacked(deployment_options, table_options, connection_options)
writing_options = _stacked(
    click.option(
        "--tombstone-days",
        type=click.IntRange(min=MIN_TOMBSTONE_DAYS),
        default=TOMBSTONE_DAYS,
        show_default=True,
        help="With --table: table.tombstone_days.",
    ),
    click.option("--object-metadata", is_flag=True, help="With --table: object_metadata.enabled."),
    click.option("--object-tags", is_flag=True, help="With --table: object_metadata.tags."),
)
