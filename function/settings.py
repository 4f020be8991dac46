"""The function's environment variables, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from function.errors import SettingsError

MIN_TOMBSTONE_DAYS = 15
"""SQS keeps a message 14 days: a tombstone must outlive what may be waiting there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the deployment decides. The log level is the runtime's and not among it."""

    table_name: str
    table_partitions: int
    tombstone_life: timedelta
    object_metadata: bool
    object_tags: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings; raises SettingsError with the variable's name and what is expected."""
        table_name = environment.get("TABLE_NAME", "")
        if not table_name:
            raise SettingsError("TABLE_NAME is not set: expected the name of the DynamoDB table")
        object_metadata = _boolean(environment, "OBJECT_METADATA")
        object_tags = _boolean(environment, "OBJECT_TAGS")
        if object_tags and not object_metadata:
            raise SettingsError('OBJECT_TAGS is "true": expected OBJECT_METADATA "true" beside it')
        return cls(
            table_name=table_name,
            table_partitions=_integer(environment, "TABLE_PARTITIONS", default=1, least=1),
            tombstone_life=timedelta(
                days=_integer(environment, "TOMBSTONE_DAYS", default=30, least=MIN_TOMBSTONE_DAYS)
            ),
            object_metadata=object_metadata,
            object_tags=object_tags,
        )


def _integer(environment: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) >= least):  # noqa: PLR2004 # no sensible value has six digits
        raise SettingsError(f"{name} is {text!r}: expected a whole number from {least} to 99999")
    return int(text)


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "false")
    if text not in ("true", "false"):
        raise SettingsError(f'{name} is {text!r}: expected "true" or "false"')
    return text == "true"
