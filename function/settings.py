"""The function's environment variables, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from .errors import SettingsError

MIN_TOMBSTONE_DAYS = 15
"""SQS keeps a message for up to 14 days, and a tombstone must outlive it."""

DERIVED_MAX_BYTES = 100 * 1024 * 1024
_LARGEST_OBJECT = 50 * 1024**4


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The deployment's settings. The log level is not among them: the runtime applies it."""

    table_name: str
    table_partitions: int
    tombstone_life: timedelta
    object_metadata: bool
    object_tags: bool
    bucket_name: str | None = None
    """The only bucket to index; None: any."""
    derived_bucket: str | None = None
    """The bucket for derived files; None: none are made."""
    derived_prefix: str = ""
    derived_max_bytes: int = DERIVED_MAX_BYTES
    """Larger objects get no derived file."""

    @property
    def reads_objects(self) -> bool:
        """Whether records hold more than events tell, so that every object must be read."""
        return self.object_metadata or self.derived_bucket is not None

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
            bucket_name=environment.get("BUCKET_NAME") or None,
            derived_bucket=environment.get("DERIVED_BUCKET") or None,
            derived_prefix=environment.get("DERIVED_PREFIX", ""),
            derived_max_bytes=_integer(
                environment,
                "DERIVED_MAX_BYTES",
                default=DERIVED_MAX_BYTES,
                least=0,
                most=_LARGEST_OBJECT,
            ),
        )


def _integer(
    environment: Mapping[str, str], name: str, *, default: int, least: int, most: int = 99_999
) -> int:
    text = environment.get(name, str(default))
    if not (
        text.isascii()
        and text.isdigit()
        and len(text) <= len(str(most))
        and least <= int(text) <= most
    ):
        raise SettingsError(f"{name} is {text!r}: expected a whole number from {least} to {most}")
    return int(text)


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "false")
    if text not in ("true", "false"):
        raise SettingsError(f'{name} is {text!r}: expected "true" or "false"')
    return text == "true"
