"""Options that several commands have, and the index that they name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from .address import Filters
from .connection import Connection
from .deployment import find
from .errors import CommandError
from .function import denials
from .function.settings import InvalidSettingError, Settings
from .target import Target

PARTITIONS = 1
TOMBSTONE_DAYS = 30

Key = Annotated[str, typer.Argument(metavar="s3://BUCKET/KEY", show_default=False)]
Prefix = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", show_default=False)]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Retry what failed in the last run, then continue where it stopped."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")]

Env = Annotated[
    str | None,
    typer.Option(
        help="Workspace of the Terraform configuration in this directory; table, bucket and filters"
        " come from its outputs.",
        show_default="the selected one",
    ),
]
Index = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which index, if Terraform's outputs hold several.",
        show_default=False,
    ),
]
Table = Annotated[str | None, typer.Option(help="A table, without Terraform.")]
Partitions = Annotated[int, typer.Option(min=1, help="With --table: table.partitions.")]
FilterTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="PREFIX[*SUFFIX]",
        help="Override the deployment's filters. May be repeated.",
        show_default=False,
    ),
]
TombstoneDays = Annotated[int, typer.Option(min=15, help="With --table: table.tombstone_days.")]
ObjectMetadata = Annotated[
    bool, typer.Option("--object-metadata", help="With --table: object_metadata.enabled.")
]
ObjectTags = Annotated[
    bool, typer.Option("--object-tags", help="With --table: object_metadata.tags.")
]
Versioned = Annotated[bool, typer.Option("--versioned", help="With --table: bucket.versioned.")]

Profile = Annotated[str | None, typer.Option(help="AWS profile.")]
Region = Annotated[str | None, typer.Option(help="AWS Region.")]
EndpointUrl = Annotated[
    str | None, typer.Option(help="Endpoint of another AWS, such as a local emulator.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the options say about the index and how to reach it."""

    env: str | None
    index: str | None
    table: str | None = None
    filters: Sequence[str] | None = None
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
        filters = Filters.parse(self.filters) if self.filters else None
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
        connection = Connection.open(
            profile=self.profile,
            region=self.region or region or os.environ.get("AWS_REGION"),
            endpoint_url=self.endpoint_url,
        )
        denials.ask_who_with(partial(connection.client, "sts"))
        return connection


def _option(setting: str) -> str:
    return f"--{setting.removeprefix('table_').replace('_', '-')}"
