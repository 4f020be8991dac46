"""The bucket, on moto: the current state of an object."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from function import denials
from function.errors import PermissionDeniedError
from function.objects import Objects
from function.record import ObjectMetadata
from tests.integration.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(autouse=True)
def nobody_known() -> None:
    denials._caller.cache_clear()


def refuse(
    client: "S3Client",
    operation: str,
    code: str,
    text: str = "",
    *,
    status: int = 403,
    headers: dict[str, str] | None = None,
) -> None:
    """Respond to an operation with an error, as S3 would."""

    def fail(**_: Any) -> None:
        raise ClientError(
            {
                "Error": {"Code": code, "Message": text},
                "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},  # type: ignore[typeddict-item] # the rest does not matter
            },
            operation,
        )

    client.meta.events.register_first(f"before-call.s3.{operation}", fail)


def test_an_object_is_seen_with_its_content(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a b+ü", Body=b"12345")

    state = Objects(lambda: s3).head(BUCKET, "a b+ü")

    assert state
    assert (state.size, state.etag) == (5, "827ccb0eea8a706c4c34a16891f84e7b")
    assert isinstance(state.last_modified, datetime)
    assert (state.version_id, state.metadata) == (None, None)


@pytest.mark.parametrize("bucket", [BUCKET, "gone-bucket"])
def test_a_missing_object_and_a_missing_bucket_are_gone(s3: "S3Client", bucket: str) -> None:
    assert Objects(lambda: s3).head(bucket, "a") is None


def test_the_current_version_is_seen_and_a_delete_marker_is_gone(s3: "S3Client") -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    version = s3.put_object(Bucket=BUCKET, Key="a", Body=b"22")["VersionId"]
    objects = Objects(lambda: s3)

    state = objects.head(BUCKET, "a")
    assert state
    assert (state.size, state.version_id) == (2, version)

    s3.delete_object(Bucket=BUCKET, Key="a")
    assert objects.head(BUCKET, "a") is None


def test_metadata_and_tags_are_seen_on_request(s3: "S3Client") -> None:
    s3.put_object(
        Bucket=BUCKET,
        Key="a",
        Body=b"1",
        ContentType="text/csv",
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentDisposition="inline",
        CacheControl="no-store",
        StorageClass="STANDARD_IA",
        ServerSideEncryption="AES256",
        Metadata={"owner": "ann"},
        Tagging="class=secret&team=a%20b",
        ChecksumAlgorithm="SHA256",
    )

    state = Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a")

    assert state
    assert state.metadata == ObjectMetadata(
        storage_class="STANDARD_IA",
        content_type="text/csv",
        content_encoding="gzip",
        content_language="de",
        content_disposition="inline",
        cache_control="no-store",
        encryption="AES256",
        user_metadata={"owner": "ann"},
        tags={"class": "secret", "team": "a b"},
        checksum="a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=",
        checksum_algorithm="SHA256",
    )


def test_what_an_object_does_not_have_is_absent(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")

    state = Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a")

    assert state
    assert state.metadata
    assert state.metadata.storage_class == "STANDARD"
    assert (state.metadata.user_metadata, state.metadata.tags, state.metadata.parts) == (
        None,
        None,
        None,
    )


def test_the_number_of_parts_comes_from_the_etag(s3: "S3Client") -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a")["UploadId"]
    parts = []
    for number, body in ((1, b"x" * 5 * 1024 * 1024), (2, b"y")):
        answer = s3.upload_part(
            Bucket=BUCKET, Key="a", UploadId=upload, PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(
        Bucket=BUCKET,
        Key="a",
        UploadId=upload,
        MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item] # what upload_part answered
    )

    state = Objects(lambda: s3, metadata=True).head(BUCKET, "a")

    assert state
    assert state.metadata
    assert state.metadata.parts == 2


@pytest.mark.parametrize("others", [[], ["a", "a/b"]])
def test_an_object_that_head_cannot_describe_is_listed(s3: "S3Client", others: list[str]) -> None:
    for key in [*others, "a b c"]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"other")
    etag = s3.put_object(Bucket=BUCKET, Key="a b", Body=b"123")["ETag"]
    refuse(s3, "HeadObject", "400", status=400)

    state = Objects(lambda: s3, metadata=True).head(BUCKET, "a b")

    assert state
    assert (state.size, f'"{state.etag}"') == (3, etag)
    assert state.last_modified


MARKER = {"x-amz-delete-marker": "true"}


@pytest.mark.parametrize("operation", ["HeadObject", "GetObjectTagging"])
@pytest.mark.parametrize(
    ("code", "status", "headers"),
    [
        ("404", 404, {}),
        ("404", 404, MARKER),
        ("NoSuchKey", 404, {}),
        ("NoSuchVersion", 404, {}),
        ("NoSuchBucket", 404, {}),
        ("MethodNotAllowed", 405, MARKER),
        ("405", 405, MARKER),
    ],
)
def test_an_object_that_s3_reports_as_gone_is_gone(
    s3: "S3Client", operation: str, code: str, status: int, headers: dict[str, str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    refuse(s3, operation, code, status=status, headers=headers)

    assert Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a") is None


@pytest.mark.parametrize("code", ["NoSuchBucket", "NoSuchKey"])
def test_an_object_that_is_gone_when_it_is_listed_is_gone(s3: "S3Client", code: str) -> None:
    refuse(s3, "HeadObject", "400", status=400)
    refuse(s3, "ListObjectsV2", code, status=404)

    assert Objects(lambda: s3).head(BUCKET, "a") is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [(405, {}), (405, {"x-amz-delete-marker": "false"}), (500, MARKER)],
)
def test_any_other_method_error_is_raised(
    s3: "S3Client", status: int, headers: dict[str, str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    refuse(s3, "GetObjectTagging", "MethodNotAllowed", status=status, headers=headers)

    with pytest.raises(ClientError, match="MethodNotAllowed"):
        Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a")


# S3 returns non-ASCII characters in this form:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("ann", "ann"),
        ("=?UTF-8?B?w4PChE1ORUxJ?=", "Ã\x84MNELI"),
        ("=?UTF-8?B?asO2cmc=?=", "jörg"),
        ("=?UTF-8?Q?j=C3=B6rg?=", "jörg"),
        ("=?UTF-8?Q?j=C3=B6rg?= =?UTF-8?Q?_m=C3=BCller?=", "jörg müller"),
        ("=?utf-8?b?5pel5pys?= and more", "日本 and more"),
        # Text that does not decode stays as it is.
        ("=?UTF-8?B?w?=", "=?UTF-8?B?w?="),
        ("=?UTF-8?Q?=FF?=", "=?UTF-8?Q?=FF?="),
        ("=?KLINGON?Q?a?=", "=?KLINGON?Q?a?="),
        ("=?UTF-7?Q?+2AA-?=", "=?UTF-7?Q?+2AA-?="),
        ("a =? b", "a =? b"),
        ("a  b ?=  c", "a  b ?=  c"),
    ],
)
def test_user_metadata_is_kept_as_it_was_meant(s3: "S3Client", stored: str, kept: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"", Metadata={"owner": stored})

    state = Objects(lambda: s3, metadata=True).head(BUCKET, "a")

    assert state
    assert state.metadata
    assert state.metadata.user_metadata == {"owner": kept}


def test_a_listing_of_nothing_means_gone(s3: "S3Client") -> None:
    refuse(s3, "HeadObject", "400", status=400)

    assert Objects(lambda: s3).head(BUCKET, "a") is None


def test_one_object_is_listed_with_its_tags(s3: "S3Client") -> None:
    for key in ("a", "ab"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1", Tagging=f"key={key}")
    refuse(s3, "HeadObject", "400", status=400)
    asked: list[dict[str, Any]] = []
    s3.meta.events.register(
        "before-parameter-build.s3.ListObjectsV2", lambda params, **_: asked.append(dict(params))
    )

    state = Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a")

    assert state
    assert state.metadata
    assert state.metadata.tags == {"key": "a"}
    assert [(request["Prefix"], request["MaxKeys"]) for request in asked] == [("a", 1)]


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (
            "HeadObject",
            "s3:GetObject or s3:ListBucket on resource: object reports/a, or bucket reports.",
        ),
        ("ListObjectsV2", "s3:ListBucket on resource: bucket reports."),
        ("GetObjectTagging", "s3:GetObjectTagging on resource: object reports/a."),
    ],
)
def test_a_denial_without_details_names_the_requested_action(
    s3: "S3Client", operation: str, refusal: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    if operation == "ListObjectsV2":
        refuse(s3, "HeadObject", "400", status=400)
    refuse(s3, operation, "AccessDenied", "no")

    with pytest.raises(PermissionDeniedError) as denied:
        Objects(lambda: s3, metadata=True, tags=True).head(BUCKET, "a")

    assert f" is not authorized to perform: {refusal}" in str(denied.value)


def test_a_denied_head_names_the_role_of_the_function(s3: "S3Client") -> None:
    refuse(s3, "HeadObject", "403")

    with pytest.raises(
        PermissionDeniedError, match=r"^arn:aws:sts::123456789012:user/moto is not authorized"
    ):
        Objects(lambda: s3).head(BUCKET, "a")
