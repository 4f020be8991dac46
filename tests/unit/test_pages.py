"""Pages of records and objects are read as botocore reads them."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from function.pages import parse_pages

S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    "<ETag>&quot;0cc175b9c0f1b6a831c399e269772661&quot;</ETag><Size>9007199254740993</Size>"
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><StorageClass>GLACIER_IR</StorageClass>"
    "<Owner><ID>1</ID></Owner></Contents>"
)
VERSIONS = (
    "<Version><Key>a%2Fb</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;1-2&quot;</ETag>"
    "<Size>0</Size><StorageClass>STANDARD</StorageClass></Version>"
    "<DeleteMarker><Key>a%2Bb</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest>"
    "<LastModified>2026-01-02T03:04:05.000Z</LastModified></DeleteMarker>"
)
ENCODED = "<EncodingType>url</EncodingType>"
RECORD = {
    "key": {"S": "a/\u20ac\n\x00"},
    "size": {"N": "9007199254740993"},
    "observed": {"BOOL": True},
    "nothing": {"NULL": True},
    "user_metadata": {"M": {"a": {"S": ""}, "b": {"L": [{"N": "1"}, {"SS": ["x"]}]}}},
}


class _Raw:
    """The body of a response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body]


def answered(service: Any, status: int, body: str) -> Any:
    """A client that always gets this answer."""
    client = boto3.client(
        service,
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(**_: object) -> AWSResponse:
        return AWSResponse("https://x", status, {"date": "now"}, _Raw(body.encode()))  # type: ignore[arg-type]

    client.meta.events.register(f"before-send.{service}", answer)
    return client


def outcome(call: Callable[[], dict[str, Any]]) -> object:
    """The answer, or the error in its place."""
    try:
        return call()
    except (BotoCoreError, ClientError) as error:
        return type(error), str(error)


def page(content: str, namespace: str = S3, element: str = "ListBucketResult") -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<{element} {namespace}>{content}</{element}>"


def objects(body: str, status: int = 200, *, parsed: bool) -> object:
    client = answered("s3", status, body)
    if parsed:
        parse_pages(client)
    return outcome(lambda: client.list_objects_v2(Bucket="bucket"))


def kept(answer: Any) -> Any:
    """What both parsers read of a page: botocore reads more."""
    values = ("Key", "ETag", "Size", "LastModified", "StorageClass", "VersionId", "IsLatest")
    lists = ("Contents", "Versions", "DeleteMarkers")
    marks = ("EncodingType", "IsTruncated", "NextContinuationToken", "NextKeyMarker")
    read = {name: answer[name] for name in (*marks, "NextVersionIdMarker") if name in answer}
    for name in lists:
        if name in answer:
            read[name] = [{of: one[of] for of in values if of in one} for one in answer[name]]
    return read | {"headers": answer["ResponseMetadata"]["HTTPHeaders"]}


@pytest.mark.parametrize(
    "body",
    [
        page(OBJECT.format("a%2Fb+c%E2%82%AC%0A") + OBJECT.format("b") + ENCODED),
        page(OBJECT.format("a%2Fb &amp; &#x20ac; ") + "<IsTruncated>false</IsTruncated>"),
        page(
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>a=</NextContinuationToken>{S3}"
        ),
        page(OBJECT.format("of another server"), namespace=""),
        page("<Contents><Key>a</Key><Size>1</Size></Contents>"),
        page("<Prefix/><KeyCount>0</KeyCount>"),
    ],
)
def test_a_page_of_objects_is_read_as_botocore_reads_it(body: str) -> None:
    read, expected = objects(body, parsed=True), objects(body, parsed=False)

    assert kept(read) == kept(expected)
    assert isinstance(read, dict)
    assert "Name" not in read  # botocore did not read it


@pytest.mark.parametrize(
    "content",
    [
        f"{VERSIONS}{ENCODED}<IsTruncated>false</IsTruncated>",
        f"{VERSIONS}<IsTruncated>true</IsTruncated><NextKeyMarker>a+b</NextKeyMarker>"
        f"<NextVersionIdMarker>v</NextVersionIdMarker>{ENCODED}",
        "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker/>",
    ],
)
def test_a_page_of_versions_is_read_as_botocore_reads_it(content: str) -> None:
    body = page(content, element="ListVersionsResult")
    plain, client = answered("s3", 200, body), answered("s3", 200, body)
    parse_pages(client)

    read = client.list_object_versions(Bucket="bucket")
    assert kept(read) == kept(plain.list_object_versions(Bucket="bucket"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, page("<Code>NoSuchBucket</Code><Message>m</Message>", "", "Error")),
        (403, page("<Code>AccessDenied</Code><Message>m</Message>", "", "Error")),
        (200, "<ListBucketResult><Contents>"),
        (200, ""),
    ],
)
def test_errors_and_unreadable_pages_of_objects_are_left_to_botocore(
    status: int, body: str
) -> None:
    read, expected = objects(body, status, parsed=True), objects(body, status, parsed=False)
    assert read == expected


def test_an_error_with_the_status_of_a_success_is_an_error() -> None:
    body = page("<Code>InternalError</Code><Message>m</Message>", "", "Error")

    read = objects(body, parsed=True)

    assert read == objects(body, parsed=False)
    assert "InternalError" in str(read)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, json.dumps({"Items": [RECORD], "Count": 1, "LastEvaluatedKey": {"key": {"S": "a"}}})),
        (200, json.dumps({"Items": [], "Count": 0, "ScannedCount": 7})),
        (200, "not JSON"),
        (200, ""),
        (400, json.dumps({"__type": "x#ResourceNotFoundException", "message": "m"})),
        (400, json.dumps({"__type": "x#AccessDeniedException", "Message": "m"})),
    ],
)
def test_a_page_of_records_is_read_as_botocore_reads_it(status: int, body: str) -> None:
    def read(client: Any) -> object:
        return outcome(lambda: client.query(TableName="files", KeyConditionExpression="#a = :a"))

    plain, client = answered("dynamodb", status, body), answered("dynamodb", status, body)
    parse_pages(client)

    assert read(client) == read(plain)


def test_botocore_does_not_parse_a_page_of_records_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = answered("dynamodb", 200, json.dumps({"Items": [RECORD], "Count": 1}))
    parse_pages(client)
    monkeypatch.setattr("botocore.parsers.JSONParser._handle_map", None)  # as Items have

    page = client.query(TableName="files", KeyConditionExpression="#a = :a")

    assert page["Items"] == [RECORD]
