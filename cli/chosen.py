"""The index that the options of a command name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from .connection import Connection
from .deployment import find
from .errors import CommandError
from .function.filters import Filter, Filters
from .function.settings import PARTITIONS, TOMBSTONE_DAYS, InvalidSettingError, Settings
from .target import Target


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
