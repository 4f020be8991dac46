"""The benchmarks' server answers as AWS does, and their programs measure the real handler."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from benchmarks.function.bench import OURS, Bench, Handler, HandlerError
from benchmarks.function.deployments import Deployment
from benchmarks.function.events import direct, event, key_of
from benchmarks.table import IDEMPOTENCY_TABLE, RequestError, Tables
from cli.function.ranges import Range
from cli.function.reader import IndexReader
from function.record import ObjectState, WriteRefusedError
from function.repository import FileIndex
from tests.integration.conftest import BUCKET, TABLE
from tests.integration.test_model_table import KEYS, _record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

OPERATIONS = 300
_NOT_COMPARED = {"ResponseMetadata", "ConsumedCapacity"}
IN_PROGRESS = (
    "attribute_not_exists(#id) OR #expiry < :now OR (#status = :inprogress AND "
    "attribute_exists(#in_progress_expiry) AND #in_progress_expiry < :now_in_millis)"
)
"""The condition of aws-lambda-powertools."""


class Both:
    """A client that asks moto and the benchmarks' table, and fails if their answers differ."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self.tables = Tables()
        self.exceptions = client.exceptions
        self.meta = client.meta
        self.refused = 0

    def put_item(self, **request: Any) -> Any:
        return self._ask("PutItem", self._client.put_item, request)

    def get_item(self, **request: Any) -> Any:
        return self._ask("GetItem", self._client.get_item, request)

    def update_item(self, **request: Any) -> Any:
        return self._ask("UpdateItem", self._client.update_item, request)

    def query(self, **request: Any) -> Any:
        return self._ask("Query", self._client.query, request)

    def _ask(self, operation: str, call: Any, request: Any) -> Any:
        refused: ClientError | None = None
        try:
            answer = call(**request)
            expected = {name: answer[name] for name in answer.keys() - _NOT_COMPARED}
        except ClientError as error:
            refused = error
            response: Any = error.response
            expected = {"code": response["Error"]["Code"], "Item": response.get("Item")}
        try:
            found = self.tables.answer(operation, request)
        except RequestError as error:
            found = {"code": error.code, "Item": error.fields.get("Item")}
        assert found == expected
        if refused:
            self.refused += 1
            raise refused
        return answer


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A bench whose handlers run in the environment of the tests."""
    with pytest.MonkeyPatch.context() as patch, Bench() as found:
        patch.setattr("benchmarks.function.bench.PYTHON", sys.executable)
        yield found


@pytest.fixture
def both(dynamodb: "DynamoDBClient") -> Both:
    return Both(dynamodb)


def test_the_table_decides_every_write_of_the_index_as_dynamodb_does(both: Both) -> None:
    random = Random(0)  # noqa: S311 # no secret
    index = FileIndex(both, TABLE)  # type: ignore[arg-type]
    standing: Any = None
    for number in range(OPERATIONS):
        record = _record(random.choice(KEYS), number, random)
        try:
            if record.sequencer and random.random() < 0.5:
                index.put_newer(record)
            else:
                standing = random.choice((standing, index.read(BUCKET, record.key)))
                index.replace(record, standing)
        except WriteRefusedError:
            pass

    assert both.refused > OPERATIONS / 10
    assert both.tables.write_units == both.tables.requests["PutItem"]


def test_the_table_lists_as_dynamodb_does(both: Both) -> None:
    index = FileIndex(both, TABLE)  # type: ignore[arg-type]
    reader = IndexReader(both, TABLE)  # type: ignore[arg-type]
    random = Random(0)  # noqa: S311 # no secret
    keys = ["a/1", "a/2", "a/b/3", "a/ü", "b", "c/1"]
    for number, key in enumerate(keys):
        state = None if key == "b" else ObjectState(etag="e", size=number)
        index.replace(replace(_record(key, number, random), state=state), None)

    assert [record.key for record in reader.list_range(BUCKET, Range())] == keys
    assert [record.key for record in reader.list_prefix(BUCKET)] == [*keys[:4], "c/1"]
    list(reader.list_range(BUCKET, Range("a/1", "b"), "a/"))
    list(reader.list_range(BUCKET, Range("a/1")))
    list(reader.list_range(BUCKET, Range(up_to="a/ü")))
    assert reader.last_key(BUCKET, Range()) == "c/1"
    assert reader.next_key(BUCKET, Range("a/2")) == "a/b/3"


def test_the_table_decides_the_writes_of_powertools_as_dynamodb_does(both: Both) -> None:
    boto3.client("dynamodb").create_table(
        TableName=IDEMPOTENCY_TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    names = {
        "#id": "id",
        "#expiry": "expiration",
        "#in_progress_expiry": "in_progress_expiration",
        "#status": "status",
    }
    values = {
        ":now": {"N": "1000"},
        ":now_in_millis": {"N": "1000000"},
        ":inprogress": {"S": "INPROGRESS"},
    }
    for expiry, status, in_progress_expiry in (
        ("2000", "INPROGRESS", "999999"),  # may be taken over
        ("2000", "INPROGRESS", "1000000"),
        ("999", "COMPLETED", "1000000"),
        ("1000", "COMPLETED", "999999"),
    ):
        for _ in range(2):
            try:
                both.put_item(
                    TableName=IDEMPOTENCY_TABLE,
                    Item={
                        "id": {"S": "a"},
                        "expiration": {"N": expiry},
                        "status": {"S": status},
                        "in_progress_expiration": {"N": in_progress_expiry},
                    },
                    ConditionExpression=IN_PROGRESS,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
            except ClientError:
                both.update_item(
                    TableName=IDEMPOTENCY_TABLE,
                    Key={"id": {"S": "a"}},
                    UpdateExpression="SET #expiry = :expiry, #status = :status",
                    ExpressionAttributeNames={"#expiry": "expiration", "#status": "status"},
                    ExpressionAttributeValues={
                        ":expiry": {"N": "1"},
                        ":status": {"S": "COMPLETED"},
                    },
                )
    assert both.refused


def test_an_insert_finds_what_is_there() -> None:
    tables = Tables()
    statement = {
        "Statement": """INSERT INTO "files" VALUE {'partition': ?, 'key': ?, 'size': ?}""",
        "Parameters": [{"S": "b"}, {"S": "k"}, {"N": "1"}],
    }

    first, second = (
        tables.answer("BatchExecuteStatement", {"Statements": [statement]})["Responses"][0]
        for _ in range(2)
    )

    assert "Error" not in first
    assert second["Error"]["Code"] == "DuplicateItem"
    assert tables.write_units == 2  # a refused write is billed
    assert tables.requests == {"BatchExecuteStatement": 2}


@pytest.mark.parametrize(
    "request_",
    [
        {"ConditionExpression": "size(etag) > :one"},
        {"ConditionExpression": "begins_with(etag, :one)"},
        {"ConditionExpression": "NOT etag = :one"},
        {"ConditionExpression": "etag = :one AND"},
    ],
)
def test_the_table_refuses_what_it_cannot_evaluate(request_: Any) -> None:
    item = {"partition": {"S": "b"}, "key": {"S": "k"}, "etag": {"S": "e"}}
    values = {":one": {"S": "e"}}

    with pytest.raises(RequestError, match="ValidationException"):
        Tables().answer(
            "PutItem",
            {"TableName": "t", "Item": item, "ExpressionAttributeValues": values, **request_},
        )


@pytest.mark.parametrize("prefix", ["", "a/", "a"])
@pytest.mark.parametrize("delimiter", [{}, {"Delimiter": "/"}])
@pytest.mark.parametrize("most", [1, 2, 1000])
def test_the_bucket_lists_as_s3_does(
    bench: Bench, s3: "S3Client", prefix: str, delimiter: dict[str, str], most: int
) -> None:
    keys = ["a/1", "a/2", "a/b/3", "a/b/4", "a&b+ü", "b", "c/1"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key)
    bench.server.fill_bucket(BUCKET, keys)
    ours = boto3.client("s3", endpoint_url=bench.server.url)

    found, expected = (_listed(client, prefix, delimiter, most) for client in (ours, s3))

    assert found == expected
    assert found


def _listed(
    client: "S3Client", prefix: str, delimiter: dict[str, str], most: int
) -> list[list[str]]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET,
        Prefix=prefix,
        PaginationConfig={"PageSize": most},
        **delimiter,  # type: ignore[arg-type]
    )
    return [
        [one["Key"] for one in page.get("Contents", [])]
        + [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        for page in pages
    ]


def test_a_run_measures_the_handler_and_counts_its_requests(bench: Bench) -> None:
    deployment = Deployment(versioned=True, batch=10)
    used = deployment.create(bench, OURS, 10)

    assert used.cpu_ms > 0
    counts = bench.server.counts()
    events = deployment.warm_up + 10
    assert counts.requests == {"HeadObject": events, "PutItem": events}
    assert (counts.write_units, counts.read_units) == (events, 0)


def test_latency_is_part_of_the_wall_time(bench: Bench) -> None:
    used = Deployment(versioned=False).create(bench, OURS, 10, latency_ms=5)

    assert used.wall_ms > 10 * 5


def test_a_handler_that_fails_is_not_measured(bench: Bench) -> None:
    payload = direct([event(key_of(0), "ObjectRemoved:DeleteMarkerCreated")])

    with pytest.raises(HandlerError, match="OtherBucketError"):
        bench.run(Handler("a", OURS.entry, {"BUCKET_NAME": "another"}), [], payload)


def test_a_cold_start_ends_with_the_first_answer(bench: Bench, tmp_path: Path) -> None:
    bench.server.reset()
    payload = direct([event(key_of(0))])[0]

    starts = [bench.cold_start(OURS, payload) for _ in range(2)]

    assert all(start.cpu_ms > 0 for start in starts)
    assert bench.server.counts().requests["PutItem"] == 2
    with bench.runtime(OURS, tmp_path / "log"):
        bench.server.invoke([payload])
    assert '"message": "superseded"' in (tmp_path / "log").read_text()
