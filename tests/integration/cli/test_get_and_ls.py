"""`file-index get` and `file-index ls`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.connection import Connection
from cli.function.reader import IndexReader
from cli.function.record import FileRecord, ObjectMetadata, ObjectState
from cli.function.repository import FileIndex, partition_of
from tests.integration.cli.conftest import FileIndexCommand, Store
from tests.integration.conftest import BUCKET, TABLE
from tests.unit.cli.test_terminal import hard_texts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

NOW = datetime(2026, 11, 23, 8, 15, 30, 123000, tzinfo=UTC)
KEYS = (
    "a/1",
    "a/2 ",
    "a/b/c",
    "in box/ü+.csv",
    "line\nbreak",
    "Same",
    "same",
    "x" * 1024,
    "\x1b[31mred",
)


def record(key: str, **more: Any) -> FileRecord:
    return FileRecord(
        bucket=BUCKET,
        key=key,
        indexed_at=NOW + timedelta(hours=1),
        revision="r",
        state=ObjectState(etag="e", size=1536, **more),
        event_time=NOW,
    )


@pytest.mark.parametrize("key", KEYS)
def test_get_shows_the_record_of_a_key(
    file_index: FileIndexCommand, store: Store, key: str
) -> None:
    for other in KEYS:
        store(record(other))

    (line,) = file_index("get", f"s3://{BUCKET}/{key}", "--json").lines

    assert line == {
        "bucket": BUCKET,
        "key": key,
        "indexed_at": "2026-11-23T09:15:30.123Z",
        "revision": "r",
        "etag": "e",
        "size": 1536,
        "event_time": "2026-11-23T08:15:30.123Z",
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(hard_texts, min_size=1, max_size=3).filter(lambda parts: parts != [""]))
def test_a_key_copied_from_a_listing_gets_exactly_that_record(
    file_index: FileIndexCommand, index: FileIndex, reader: IndexReader, parts: list[str]
) -> None:
    key = "/".join(parts)
    directory = key[: key.rfind("/") + 1]
    for other in reader.list_prefix(BUCKET):
        index.replace(replace(other, state=None, expires_at=1), other)
    index.replace(record(key), index.read(BUCKET, key))

    listings = {
        "": file_index("ls", f"s3://{BUCKET}", "--recursive"),
        directory: file_index("ls", f"s3://{BUCKET}/{directory}"),
    }
    found = {
        above: file_index("get", f"s3://{BUCKET}/{above}{name}", "--json").lines[0]["key"]
        for above, listed in listings.items()
        for name in [listed.answer.removesuffix("\n")[31:]]
    }

    assert found == dict.fromkeys(listings, key)


def test_a_directory_can_be_listed_as_it_is_printed(
    file_index: FileIndexCommand, store: Store
) -> None:
    store(record("C:\\new/\x1b/file"))

    shown = file_index("ls", f"s3://{BUCKET}/").answer.split("PRE ")[1].strip()
    assert shown == "C:\\\\new/"
    deeper = file_index("ls", f"s3://{BUCKET}/{shown}").answer.split("PRE ")[1].strip()
    assert deeper == "\\x1b/"
    assert file_index("ls", f"s3://{BUCKET}/{shown}{deeper}").answer.endswith(" file\n")


def test_an_address_that_can_mean_two_objects_means_the_literal_one(
    file_index: FileIndexCommand, store: Store
) -> None:
    store(record("a\\x1b"))
    store(record("a\x1b"))

    said = file_index("get", f"s3://{BUCKET}/a\\x1b", "--json")
    assert said.lines[0]["key"] == "a\\x1b"
    assert f"can also mean another object, s3://{BUCKET}/a\\x1b." in said.messages

    for address in ("a\x1b", "a\\\\x1b"):
        said = file_index("get", f"s3://{BUCKET}/{address}", "--json")
        assert (said.lines[0]["key"], said.messages) == (address.replace("\\\\", "\\"), "")


def test_a_record_shows_the_characters_of_its_tags(
    file_index: FileIndexCommand, store: Store
) -> None:
    store(record("a", metadata=ObjectMetadata(storage_class="STANDARD", tags={"城市": "北京"})))

    assert '{"城市": "北京"}' in file_index("get", f"s3://{BUCKET}/a").answer


@pytest.mark.parametrize("human_readable", [(), ("--human-readable",)])
def test_a_size_that_no_event_had_is_unknown(
    file_index: FileIndexCommand, store: Store, human_readable: tuple[str, ...]
) -> None:
    store(replace(record("a"), state=ObjectState(etag="e")))

    said = file_index("ls", f"s3://{BUCKET}", *human_readable)

    assert said.answer == "2026-11-23 08:15:30          - a\n"


@pytest.mark.parametrize("address", [f"s3://{BUCKET}", f"s3://{BUCKET}/"])
def test_a_bucket_is_not_an_object(file_index: FileIndexCommand, address: str) -> None:
    said = file_index("get", address)

    assert (said.code, said.answer) == (2, "")
    assert said.messages == (
        f"file-index: {address} has no key: add the object's key, or list the bucket with"
        " file-index ls\n"
    )


@pytest.mark.parametrize("command", ["get", "ls", "backfill", "verify"])
def test_an_access_point_is_refused_and_the_error_says_how_to_name_its_bucket(
    file_index: FileIndexCommand, command: str
) -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint"

    said = file_index(command, f"s3://{arn}/reports-ap/a")

    assert (said.code, said.answer) == (2, "")
    assert said.messages == (
        f"file-index: {arn} is an access point, but the index knows objects by their bucket:"
        " use s3://BUCKET/KEY\n"
    )


def test_a_record_is_shown_as_a_table(file_index: FileIndexCommand, store: Store) -> None:
    metadata = ObjectMetadata(storage_class="STANDARD", user_metadata={"owner": "J\x1b[31m"})
    store(record("a\n[red]", metadata=metadata))

    said = file_index("get", f"s3://{BUCKET}/a\n[red]")

    assert said.code == 0
    assert "key            a\\n[red]" in said.answer
    assert 'user_metadata  {"owner": "J\\u001b[31m"}' in said.answer
    assert "\x1b" not in said.answer


@pytest.mark.parametrize(
    ("stored", "arguments", "why"),
    [
        (None, (), "the index has no record of it"),
        (replace(record("a\nb"), state=None, expires_at=1_900_000_000), (), "it was deleted"),
        (record("a\nb"), ("--filter", "in/*.csv"), "is not watched: the filters are in/*.csv"),
    ],
)
def test_a_missing_record_is_reported_in_one_line(
    file_index: FileIndexCommand,
    index: FileIndex,
    stored: FileRecord | None,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    if stored:
        index.replace(stored, None)

    said = file_index("get", f"s3://{BUCKET}/a\nb", *arguments)

    assert (said.code, said.answer, said.messages.count("\n")) == (1, "", 1)
    assert why in said.messages
    assert f"s3://{BUCKET}/a\\nb" in said.messages


def test_a_level_is_listed_as_the_aws_cli_lists(file_index: FileIndexCommand, store: Store) -> None:
    for key in KEYS:
        store(record(key))

    assert file_index("ls", f"s3://{BUCKET}/a/").answer.splitlines() == [
        "2026-11-23 08:15:30       1536 1",
        "2026-11-23 08:15:30       1536 2 ",
        "                           PRE b/",
    ]
    assert file_index("ls", f"s3://{BUCKET}", "--summarize").answer.splitlines() == [
        "2026-11-23 08:15:30       1536 \\x1b[31mred",
        "2026-11-23 08:15:30       1536 Same",
        "                           PRE a/",
        "                           PRE in box/",
        "2026-11-23 08:15:30       1536 line\\nbreak",
        "2026-11-23 08:15:30       1536 same",
        f"2026-11-23 08:15:30       1536 {'x' * 1024}",
        "",
        "Total Objects: 5",
        "   Total Size: 7680",
    ]


def test_all_keys_below_a_prefix_are_listed(file_index: FileIndexCommand, store: Store) -> None:
    for key in KEYS:
        store(record(key, last_modified=NOW - timedelta(minutes=1)))

    said = file_index("ls", f"s3://{BUCKET}/a", "--recursive", "--summarize", "--human-readable")

    assert said.answer.splitlines() == [
        "2026-11-23 08:14:30    1.5 KiB a/1",
        "2026-11-23 08:14:30    1.5 KiB a/2 ",
        "2026-11-23 08:14:30    1.5 KiB a/b/c",
        "",
        "Total Objects: 3",
        "   Total Size: 4.5 KiB",
    ]


def test_only_watched_keys_are_listed(file_index: FileIndexCommand, store: Store) -> None:
    for key in ("in/1.csv", "in/1.txt", "in/deep/2.csv", "out/3.csv", "out.csv"):
        store(record(key))
    filters = ("--filter", "in/*.csv")

    lines = file_index("ls", f"s3://{BUCKET}", "--recursive", "--json", *filters).lines
    assert [line["key"] for line in lines] == ["in/1.csv", "in/deep/2.csv"]

    (line,) = file_index("ls", f"s3://{BUCKET}", "--json", *filters).lines
    assert line == {"prefix": "in/"}

    said = file_index("ls", f"s3://{BUCKET}/out/", *filters)
    assert (said.code, said.answer) == (2, "")
    assert "nothing below s3://reports/out/ is watched: the filters are in/*.csv" in said.messages


def test_a_prefix_without_a_match_is_reported(file_index: FileIndexCommand, store: Store) -> None:
    store(record("a"))

    said = file_index("ls", f"s3://{BUCKET}/b", "--recursive")

    assert (said.code, said.answer) == (1, "")
    assert said.messages == f"Nothing in the index begins with s3://{BUCKET}/b.\n"


@pytest.mark.parametrize("partitions", [1, 4])
def test_partitions_are_merged_in_the_order_of_s3(
    file_index: FileIndexCommand, dynamodb: "DynamoDBClient", partitions: int
) -> None:
    index = FileIndex(dynamodb, TABLE, partitions)
    for key in KEYS:
        index.replace(record(key), None)

    said = file_index(
        "ls", f"s3://{BUCKET}", "--recursive", "--json", "--partitions", str(partitions)
    )

    assert [line["key"] for line in said.lines] == sorted(KEYS, key=str.encode)


def test_reading_never_scans(
    file_index: FileIndexCommand, dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FileIndex(dynamodb, TABLE)
    for number in range(40):
        index.replace(record(f"a/{number:02}"), None)
    index.replace(record("b"), None)
    calls: list[str] = []

    def listening(connection: Connection, service: Any, config: Config) -> Any:
        client = connection.session.client(service, config=config)

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            calls.append(model.name)
            if model.name == "Query" and b'"Limit"' not in params["body"]:
                params["body"] = params["body"][:-1] + b', "Limit": 10}'

        client.meta.events.register("before-call.*.*", note)
        return client

    monkeypatch.setattr(Connection, "client", listening)

    file_index("get", f"s3://{BUCKET}/a/00")
    assert calls == ["GetItem"]

    calls.clear()
    assert len(file_index("ls", f"s3://{BUCKET}", "--recursive").answer.splitlines()) == 41
    check = ["Query"] * 3  # of the partitions of a table named by --table
    assert calls == check + ["Query"] * 5  # one for each page of ten

    calls.clear()
    assert len(file_index("ls", f"s3://{BUCKET}").answer.splitlines()) == 2
    assert calls == check + ["Query"] * 2  # the rest of a/ is skipped


@pytest.mark.parametrize(
    "table", ["absent", "arn:aws:dynamodb:us-east-1:123456789012:table/absent"]
)
@pytest.mark.parametrize("command", ["get", "ls"])
def test_a_missing_table_is_named(file_index: FileIndexCommand, command: str, table: str) -> None:
    said = file_index(command, f"s3://{BUCKET}/a", table=table)

    assert (said.code, said.answer) == (2, "")
    assert said.messages == (
        f"file-index: table {table} does not exist in us-east-1: check Region and account\n"
    )


def test_an_item_that_is_not_a_record_is_named(
    file_index: FileIndexCommand,
    index: FileIndex,
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
) -> None:
    del index, s3  # they exist
    place = {"partition": {"S": BUCKET}, "key": {"S": "a"}}
    dynamodb.put_item(TableName=TABLE, Item=place)

    for command in ("get", "ls", "verify"):
        said = file_index(command, f"s3://{BUCKET}/a")

        assert said.code == 2
        assert "the table holds an item that is not a record, under {'S': 'a'}" in said.messages


def test_a_bug_exits_with_2(file_index: FileIndexCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: Any, **__: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("cli.ls.ls", mistaken)

    said = file_index("ls", f"s3://{BUCKET}")

    assert (said.code, "ZeroDivisionError" in said.messages) == (2, True)


def test_a_listing_of_some_of_the_partitions_is_refused(
    file_index: FileIndexCommand, dynamodb: "DynamoDBClient"
) -> None:
    index = FileIndex(dynamodb, TABLE, 4)
    for number in range(20):
        index.replace(record(f"{number}"), None)

    said = file_index("ls", f"s3://{BUCKET}", "--partitions", "2")

    assert (said.code, said.answer) == (2, "")
    assert "does not have --partitions 2" in said.messages


def test_a_record_that_fits_a_wrong_number_of_partitions_does_not_hide_others(
    file_index: FileIndexCommand, dynamodb: "DynamoDBClient", s3: "S3Client"
) -> None:
    def partitions(key: str) -> tuple[str, ...]:
        return tuple(partition_of(BUCKET, key, number) for number in (4, 8))

    keys = list(map(str, range(200)))
    fits = next(key for key in keys if partitions(key) == (f"{BUCKET}#0", f"{BUCKET}#0"))
    lost = next(key for key in keys if partitions(key) == (f"{BUCKET}#1", f"{BUCKET}#5"))
    for key in (fits, lost):
        FileIndex(dynamodb, TABLE, 4).replace(record(key), None)
        s3.put_object(Bucket=BUCKET, Key=key)

    for command, address in (("du", ""), ("get", lost), ("backfill", "")):
        said = file_index(command, f"s3://{BUCKET}/{address}", "--partitions", "8")

        assert (said.code, said.answer) == (2, "")
        assert "does not have --partitions 8" in said.messages


def test_a_wrong_number_of_partitions_is_not_an_answer(
    file_index: FileIndexCommand, store: Store
) -> None:
    store(record("a"))

    for command in ("get", "ls"):
        said = file_index(command, f"s3://{BUCKET}/a", "--partitions", "3")

        assert said.code == 2
        assert "does not have --partitions 3" in said.messages
