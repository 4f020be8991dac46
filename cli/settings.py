"""The settings of a deployment's function, as the command line needs them."""

from collections.abc import Mapping
from typing import Any

from .errors import CommandError
from .function.errors import SettingsError
from .function.settings import Settings


def settings_of(
    table: str,
    *,
    partitions: int = 1,
    tombstone_days: int = 30,
    object_metadata: bool = False,
    object_tags: bool = False,
    derived_files: Mapping[str, Any] | None = None,
) -> Settings:
    """The function's settings, as its environment variables would say them.

    Raises CommandError.
    """
    derived = derived_files or {}
    try:
        return Settings.from_environment(
            {
                "TABLE_NAME": table,
                "TABLE_PARTITIONS": str(partitions),
                "TOMBSTONE_DAYS": str(tombstone_days),
                "OBJECT_METADATA": str(object_metadata).lower(),
                "OBJECT_TAGS": str(object_tags).lower(),
                "DERIVED_BUCKET": derived.get("bucket_name", ""),
                "DERIVED_PREFIX": derived.get("prefix", ""),
                "DERIVED_MAX_BYTES": str(derived.get("max_mb", 0) * 1024**2),
            }
        )
    except SettingsError as error:
        raise CommandError(str(error)) from error
