"""What a deployment decides about its function: its environment variables, checked once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from .errors import SettingsError

PARTITIONS = 1
TOMBSTONE_DAYS = 30
MIN_TOMBSTONE_DAYS = 15
"""SQS keeps a message for up to 14 days, and a tombstone must outlive it."""

DERIVED_MAX_BYTES = 100 * 1024 * 1024

_PARTITIONS = range(1, 100_000)
_TOMBSTONE_DAYS = range(MIN_TOMBSTONE_DAYS, 100_000)
_DERIVED_MAX_BYTES = range(50 * 1024**4 + 1)  # up to the largest object of S3


class InvalidSettingError(SettingsError):
    """A setting has a value that it cannot have."""

    def __init__(self, message: str, *settings: str) -> None:
        """`settings` are the names that the message mentions."""
        super().__init__(message)
        self._settings = settings

    def named(self, name: Callable[[str], str]) -> str:
        """Return the message with the names under which the user knows the settings."""
        message = str(self)
        for setting in self._settings:
            message = message.replace(setting, name(setting))
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The deployment's settings. The log level is not among them: the runtime applies it.

    Raises InvalidSettingError.
    """

    table_name: str
    table_partitions: int = PARTITIONS
    tombstone_life: timedelta = timedelta(days=TOMBSTONE_DAYS)
    object_metadata: bool = False
    object_tags: bool = False
    bucket_name: str | None = None
    """The only bucket to index; None for any bucket."""
    derived_bucket: str | None = None
    """The bucket for derived files; None if the deployment has none."""
    derived_prefix: str = ""
    derived_max_bytes: int = DERIVED_MAX_BYTES
    """Larger objects get no derived file."""
    insert_first: bool = False
    """Whether records of new objects are inserted, many per request, before they are put."""

    def __post_init__(self) -> None:
        if not self.table_name:
            raise InvalidSettingError(
                "table_name is not set: expected the name of the DynamoDB table", "table_name"
            )
        _check("table_partitions", self.table_partitions, _PARTITIONS)
        _check("tombstone_days", self.tombstone_life.days, _TOMBSTONE_DAYS)
        _check("derived_max_bytes", self.derived_max_bytes, _DERIVED_MAX_BYTES)
        if self.object_tags and not self.object_metadata:
            raise InvalidSettingError(
                "object_tags is set without object_metadata: set both, or leave object_tags out",
                "object_tags",
                "object_metadata",
            )

    @property
    def refreshes(self) -> bool:
        """Whether records hold more than a listing, so that a backfill refreshes them."""
        return self.object_metadata or self.derived_bucket is not None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises SettingsError with the name of the variable and what is expected.
        """
        try:
            return cls(
                table_name=environment.get("TABLE_NAME", ""),
                table_partitions=whole_number(
                    environment, "TABLE_PARTITIONS", PARTITIONS, _PARTITIONS
                ),
                tombstone_life=timedelta(
                    days=whole_number(
                        environment, "TOMBSTONE_DAYS", TOMBSTONE_DAYS, _TOMBSTONE_DAYS
                    )
                ),
                object_metadata=boolean(environment, "OBJECT_METADATA"),
                object_tags=boolean(environment, "OBJECT_TAGS"),
                bucket_name=environment.get("BUCKET_NAME") or None,
                derived_bucket=environment.get("DERIVED_BUCKET") or None,
                derived_prefix=environment.get("DERIVED_PREFIX", ""),
                derived_max_bytes=whole_number(
                    environment, "DERIVED_MAX_BYTES", DERIVED_MAX_BYTES, _DERIVED_MAX_BYTES
                ),
                insert_first=boolean(environment, "INSERT_FIRST"),
            )
        except InvalidSettingError as error:
            raise SettingsError(error.named(str.upper)) from None


def _check(name: str, value: object, allowed: range) -> None:
    if not (isinstance(value, int) and value in allowed):
        raise InvalidSettingError(
            f"{name} is {value!r}: expected a whole number from {allowed[0]} to {allowed[-1]}", name
        )


def whole_number(environment: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    """Return a variable that is a whole number. Raises SettingsError."""
    text = environment.get(name, str(default))
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(allowed[-1]))
    _check(name, int(text) if is_number else text, allowed)
    return int(text)


def boolean(environment: Mapping[str, str], name: str) -> bool:
    """Return a variable that is true or false; false by default. Raises SettingsError."""
    text = environment.get(name, "false")
    if text not in ("true", "false"):
        raise SettingsError(f'{name} is {text!r}: expected "true" or "false"')
    return text == "true"
