"""docs/reading.md: its examples run."""

import json
import re
import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import cli
from cli import index as index_module
from cli.function.record import FileRecord, ObjectState
from cli.function.repository import FileIndex
from tests.integration.conftest import BUCKET
from tools.module_copy import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

PAGE = (ROOT / "docs" / "reading.md").read_text()
TABLE = "reports-index"
NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def table(s3: "S3Client") -> "DynamoDBClient":
    client = boto3.client("dynamodb")
    names = ("partition", "key")
    client.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}  # type: ignore[typeddict-item]
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        BillingMode="PAY_PER_REQUEST",
    )
    index = FileIndex(client, TABLE)
    etag = s3.put_object(Bucket=BUCKET, Key="2026/q1.json", Body=b"new")["ETag"].strip('"')
    states = {
        "2026/q1.json": ObjectState(etag=etag, size=3),
        "2026/q2.json": None,
        "2027/q1.json": ObjectState(etag="e"),
    }
    for key, state in states.items():
        one = FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, revision="r", state=state)
        index.replace(one, None)
    return client


def test_the_python_examples_run(
    table: "DynamoDBClient",  # noqa: ARG001
    s3: "S3Client",
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "file_index", cli)  # its name when it is installed
    names: dict[str, Any] = {
        "s3": s3,
        "body": b"new",
        "table": boto3.resource("dynamodb").Table(TABLE),
        "bucket": BUCKET,
        "key": "2026/q1.json",
    }
    for block in blocks("python"):
        exec(block, names)  # noqa: S102 # our own page

    etag = s3.head_object(Bucket=BUCKET, Key="2026/q1.json")["ETag"].strip('"')
    assert capsys.readouterr().out.splitlines() == [f"3 {etag}", "2026/q1.json"]
    assert names["record"].key == "2026/q1.json"  # of the case that matched
    assert names["exists"] is True
    assert [item["key"] for item in names["items"]] == ["2026/q1.json"]


def test_the_examples_for_other_languages_find_the_same(table: "DynamoDBClient") -> None:
    called = {}
    for block in blocks("sh"):
        words = shlex.split(block.replace("\\\n", " "))
        if words[:2] != ["aws", "dynamodb"]:
            continue
        parameters: dict[str, Any] = {}
        for word in words[3:]:
            if word.startswith("--"):
                name = "".join(part.capitalize() for part in word[2:].split("-"))
                parameters[name] = True
            else:
                parameters[name] = json.loads(word) if word[0] == "{" else word
        called[words[2]] = getattr(table, words[2].replace("-", "_"))(**parameters)

    assert called["get-item"]["Item"]["key"] == {"S": "2026/q1.json"}
    assert [item["key"]["S"] for item in called["query"]["Items"]] == ["2026/q1.json"]
    assert {item["key"]["S"] for item in called["batch-get-item"]["Responses"][TABLE]} == {
        "2026/q1.json",
        "2026/q2.json",
    }


def test_the_page_names_every_error_of_the_reader() -> None:
    errors = {
        name
        for name, value in vars(index_module).items()
        if isinstance(value, type) and issubclass(value, cli.FileIndexError)
    }
    assert {error for error in errors if f"`{error}`" not in PAGE} == set()
