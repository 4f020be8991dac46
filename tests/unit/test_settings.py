"""The function's environment variables."""

import re
from datetime import timedelta
from typing import Any

import pytest

from function.errors import SettingsError
from function.settings import InvalidSettingError, Settings


def test_the_table_alone_is_enough() -> None:
    assert Settings.from_environment({"TABLE_NAME": "files"}) == Settings(
        table_name="files",
        table_partitions=1,
        tombstone_life=timedelta(days=30),
        object_metadata=False,
        object_tags=False,
    )


def test_every_setting_is_read() -> None:
    environment = {
        "TABLE_NAME": "files",
        "TABLE_PARTITIONS": "8",
        "TOMBSTONE_DAYS": "15",
        "OBJECT_METADATA": "true",
        "OBJECT_TAGS": "true",
        "BUCKET_NAME": "reports",
        "DERIVED_BUCKET": "manifests",
        "DERIVED_PREFIX": "of/",
        "DERIVED_MAX_BYTES": "1000000000000",
        "INSERT_FIRST": "true",
    }

    assert Settings.from_environment(environment) == Settings(
        table_name="files",
        table_partitions=8,
        tombstone_life=timedelta(days=15),
        object_metadata=True,
        object_tags=True,
        bucket_name="reports",
        derived_bucket="manifests",
        derived_prefix="of/",
        derived_max_bytes=10**12,
        insert_first=True,
    )


def test_an_empty_bucket_name_is_any_bucket() -> None:
    environment = {"TABLE_NAME": "files", "BUCKET_NAME": ""}

    assert Settings.from_environment(environment).bucket_name is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TABLE_NAME", "", "expected the name of the DynamoDB table"),
        ("TABLE_PARTITIONS", "0", "a whole number from 1"),
        ("TABLE_PARTITIONS", "two", "a whole number from 1"),
        ("TABLE_PARTITIONS", "²", "a whole number from 1"),
        ("TOMBSTONE_DAYS", "14", "a whole number from 15"),
        ("TOMBSTONE_DAYS", "", "a whole number from 15"),
        ("TOMBSTONE_DAYS", "999999", "a whole number from 15 to 99999"),
        ("DERIVED_MAX_BYTES", "-1", "a whole number from 0"),
        ("OBJECT_METADATA", "True", 'expected "true" or "false"'),
        ("OBJECT_TAGS", "yes", 'expected "true" or "false"'),
        ("INSERT_FIRST", "1", 'expected "true" or "false"'),
        (
            "OBJECT_TAGS",
            "true",
            "OBJECT_TAGS is set without OBJECT_METADATA: set both",
        ),
        ("TABLE_PARTITIONS", "{0}", "is '{0}': expected a whole number from 1 to 99999"),
        ("TOMBSTONE_DAYS", "9" * 5000, "a whole number from 15"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_expected(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"TABLE_NAME": "files", name: value})

    assert type(refused.value) is SettingsError  # saved queries of the log know its name
    assert str(refused.value).startswith(name)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"table_name": ""}, "table_name is not set: expected the name of the DynamoDB table"),
        (
            {"table_partitions": 0},
            "table_partitions is 0: expected a whole number from 1 to 99999",
        ),
        (
            {"tombstone_life": timedelta(days=14)},
            "tombstone_days is 14: expected a whole number from 15 to 99999",
        ),
        (
            {"derived_max_bytes": -1},
            "derived_max_bytes is -1: expected a whole number from 0 to 54975581388800",
        ),
        (
            {"object_tags": True},
            "object_tags is set without object_metadata: set both, or leave object_tags out",
        ),
    ],
)
def test_values_are_refused_as_their_variables_are(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettingError) as refused:
        Settings(**{"table_name": "files"} | values)

    assert str(refused.value) == message
    assert refused.value.named(str.upper) == "".join(
        word.upper() if "_" in word else word for word in re.split(r"(\b)", message)
    )


def test_a_missing_table_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^TABLE_NAME is not set"):
        Settings.from_environment({})
