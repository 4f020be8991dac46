"""Options that several commands have, and the index that they name."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import click

from .connection import Connection
from .deployment import find
from .errors import CommandError
from .function.filters import Filter, Filters
from .function.settings import (
    MIN_TOMBSTONE_DAYS,
    PARTITIONS,
    TOMBSTONE_DAYS,
    InvalidSettingError,
    Settings,
)
from .target import Target

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

# Each of these options is named like the field of Chosen that it fills.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the options say about the index and how to reach it."""

    env: str | None
    index: str | None
    table: str | None = None
    filters: Sequence[str] = ()
    partitions: int = PARTITIONS
    tombstone_days: int = TOMBSTONE_DAYS
    object_metadata: bool = False
    object_tags: bool = False
    versioned: bool = False
    profile: str | None
    region: str | None
    endpoint_url: str | None

    def target(self) -> Target:
        """Return the index. Raises CommandError if the options contradict each other."""
        filters = filters_of(self.filters) if self.filters else None
        if self.table == "":
            raise CommandError("--table is empty: name a table, or leave it out")
        if self.table:
            for option, value in (("--env", self.env), ("--index", self.index)):
                if value:
                    raise CommandError(
                        f"--table and {option} name two indexes: leave one of them out"
                    )
            return Target(
                settings=self._settings(self.table),
                connection=self._connection(),
                filters=filters or Filters(),
                versioned=self.versioned,
            )
        for option, is_given in (
            ("--partitions", self.partitions != PARTITIONS),
            ("--tombstone-days", self.tombstone_days != TOMBSTONE_DAYS),
            ("--object-metadata", self.object_metadata),
            ("--object-tags", self.object_tags),
            ("--versioned", self.versioned),
        ):
            if is_given:
                raise CommandError(
                    f"{option} only goes with --table: for a deployment it comes from Terraform"
                )
        deployment = find(self.env, self.index)
        return Target.of(deployment, self._connection(deployment.region), filters)

    def _settings(self, table: str) -> Settings:
        try:
            return Settings(
                table_name=table,
                table_partitions=self.partitions,
                tombstone_life=timedelta(days=self.tombstone_days),
                object_metadata=self.object_metadata,
                object_tags=self.object_tags,
            )
        except InvalidSettingError as error:
            raise CommandError(error.named(_option)) from None

    def _connection(self, region: str | None = None) -> Connection:
        """`region` is the deployment's."""
        return Connection.open(
            profile=self.profile,
            region=self.region or region or os.environ.get("AWS_REGION"),
            endpoint_url=self.endpoint_url,
        )


def filters_of(texts: Sequence[str]) -> Filters:
    """Return the filters of options, each PREFIX or PREFIX*SUFFIX. Raises CommandError."""
    filters = []
    for text in texts:
        prefix, _, suffix = text.partition("*")
        if "*" in suffix:
            raise CommandError(f"--filter {text} has more than one *: use PREFIX*SUFFIX")
        filters.append(Filter(prefix, suffix))
    return Filters(tuple(filters)) if filters else Filters()


def _option(setting: str) -> str:
    return f"--{setting.removeprefix('table_').replace('_', '-')}"
