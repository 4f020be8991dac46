"""The function as S3 Batch Operations calls it, on moto."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError

from cli.reader import IndexReader
from function.errors import MalformedEventError
from function.handler import Function, create_function
from function.objects import Objects
from function.repository import FileIndex
from tests.integration.conftest import BUCKET
from tests.integration.test_handler import Invocation, function, lines, settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["function", "lines"]  # the fixtures

KEY = "a b+ü/1.csv"


def job(*keys: str, schema: str = "2.0", **task: Any) -> dict[str, Any]:
    """The payload of S3 Batch Operations, in both of its schemas.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
    """
    bucket = {"s3Bucket": BUCKET} if schema == "2.0" else {"s3BucketArn": f"arn:aws:s3:::{BUCKET}"}
    return {
        "invocationSchemaVersion": schema,
        "invocationId": "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo",
        "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"},
        "tasks": [
            {"taskId": f"t{number}", "s3Key": quote_plus(key, safe="/"), "s3VersionId": None}
            | bucket
            | task
            for number, key in enumerate(keys)
        ],
    }


@pytest.mark.parametrize("schema", ["1.0", "2.0"])
def test_the_object_of_a_task_is_indexed(
    function: Function, reader: IndexReader, s3: "S3Client", schema: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"12345")
    asked = job(KEY, schema=schema)

    answer = function.handle(asked, Invocation())

    assert answer == {
        "invocationSchemaVersion": schema,
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": asked["invocationId"],
        "results": [{"taskId": "t0", "resultCode": "Succeeded", "resultString": "indexed"}],
    }
    record = reader.get(BUCKET, KEY)
    assert record
    assert (record.known.size, record.event_name, record.sequencer) == (5, "Backfill", None)
    assert record.known.last_modified


def test_an_object_that_is_gone_leaves_a_tombstone(function: Function, index: FileIndex) -> None:
    answer = function.handle(job(KEY), Invocation())

    assert answer["results"][0]["resultString"] == "removed"
    tombstone = index.read(BUCKET, KEY)
    assert tombstone
    assert tombstone.deleted


def test_an_object_of_another_bucket_fails_permanently(
    index: FileIndex,
    s3: "S3Client",  # noqa: ARG001 # the bucket exists
) -> None:
    fenced = create_function(settings(bucket_name="watched"))

    (result,) = fenced.handle(job(KEY), Invocation())["results"]

    assert result["resultCode"] == "PermanentFailure"
    assert result["resultString"].startswith("OtherBucketError: the event is about bucket reports")
    assert index.read(BUCKET, KEY) is None


class Refusing:
    """S3 that denies HEAD of one object."""

    def __init__(self, s3: "S3Client", code: str) -> None:
        self._s3 = s3
        self._code = code

    def head_object(self, **asked: str) -> Any:
        if asked["Key"] == "bad":
            raise ClientError({"Error": {"Code": self._code, "Message": "no" * 1000}}, "HeadObject")
        return self._s3.head_object(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "result"), [("403", "PermanentFailure"), ("SlowDown", "TemporaryFailure")]
)
def test_each_task_fails_on_its_own(
    function: Function,
    reader: IndexReader,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    result: str,
) -> None:
    s3.put_object(Bucket=BUCKET, Key="good")
    monkeypatch.setattr(Objects, "client", lambda _: Refusing(s3, code))

    bad, good = function.handle(job("bad", "good"), Invocation())["results"]

    assert (bad["taskId"], bad["resultCode"]) == ("t0", result)
    assert len(bad["resultString"]) <= 1000
    assert (good["taskId"], good["resultCode"]) == ("t1", "Succeeded")
    assert reader.get(BUCKET, "good")


@pytest.mark.parametrize(("remaining_ms", "is_started"), [(5000, True), (4999, False)])
def test_a_task_that_is_not_started_in_time_is_retried(
    function: Function, index: FileIndex, remaining_ms: int, is_started: bool
) -> None:
    (result,) = function.handle(job(KEY), Invocation(remaining_ms))["results"]

    assert (index.read(BUCKET, KEY) is not None) is is_started
    if not is_started:
        assert result["resultCode"] == "TemporaryFailure"
        assert result["resultString"] == (
            "OutOfTimeError: not started: the invocation is about to time out. The event is "
            "redelivered; if this recurs, raise function.timeout_seconds"
        )


def test_tasks_have_log_lines_and_a_summary_like_events(
    function: Function,
    s3: "S3Client",
    lines: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3.put_object(Bucket=BUCKET, Key="good")
    monkeypatch.setattr(Objects, "client", lambda _: Refusing(s3, "403"))

    function.handle(job("bad", "good"), Invocation())

    bad, good, summary = lines()
    assert (bad["outcome"], bad["bucket"], bad["key"], bad["event"], bad["errorType"]) == (
        "failed",
        BUCKET,
        "bad",
        "Backfill",
        "PermissionDeniedError",
    )
    assert (good["outcome"], good["bucket"], good["key"], good["event"]) == (
        "indexed",
        BUCKET,
        "good",
        "Backfill",
    )
    assert (summary["messages"], summary["Indexed"], summary["Failed"]) == (2, 1, 1)
    assert summary["PermissionDenied"] == 1
    assert 0 <= summary["duration_ms"] < 60_000


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (job(KEY, schema="3.0"), "invocationSchemaVersion is '3.0'"),
        (job(KEY, s3Key=None), "without taskId, s3Key or bucket"),
        (job(KEY) | {"tasks": [{}]}, "without taskId"),
        (job(KEY) | {"tasks": None}, "without taskId"),
    ],
)
def test_unreadable_tasks_are_malformed(
    function: Function, payload: dict[str, Any], said: str
) -> None:
    with pytest.raises(MalformedEventError, match=said):
        function.handle(payload, Invocation())
