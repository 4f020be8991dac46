"""AWS in process: moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from cli.function.reader import IndexReader
from function.repository import FileIndex

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

TABLE = "files"
BUCKET = "reports"


@pytest.fixture(scope="package", autouse=True)
def session() -> Iterator[None]:
    """One boto3 session for all tests: reading its models takes longer than most tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setattr(boto3, "DEFAULT_SESSION", boto3.Session())
        yield


@pytest.fixture(autouse=True)
def aws(session: None) -> Iterator[None]:  # noqa: ARG001 # the clients are made from it
    """AWS, empty for every test."""
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield


@pytest.fixture
def dynamodb() -> "DynamoDBClient":
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "partition", "KeyType": "HASH"},
            {"AttributeName": "key", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "partition", "AttributeType": "S"},
            {"AttributeName": "key", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


@pytest.fixture
def index(dynamodb: "DynamoDBClient") -> FileIndex:
    return FileIndex(dynamodb, TABLE)


@pytest.fixture
def reader(dynamodb: "DynamoDBClient") -> IndexReader:
    return IndexReader(dynamodb, TABLE)


@pytest.fixture
def s3() -> "S3Client":
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client
