"""The bucket, on moto: what an object is right now."""

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
    client: "S3Client", operation: str, code: str, text: str = "", *, status: int = 403
) -> None:
    """Answer an operation with an error, as S3 would."""

    def fail(**_: Any) -> None:
        raise ClientError(
            {
                "Error": {"Code": code, "Message": text},
                "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item] # the rest does not matter
            },
            operation,
        )

    client.meta.events.register_first(f"before-call.s3.{operation}", fail)


def test_an_object_is_seen_with_its_content(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a b+ü", Body=b"12345")

    state = Objects(lambda: s3).look(BUCKET, "a b+ü")

    assert state
    assert (state.size, state.etag) == (5, "827ccb0eea8a706c4c34a16891f84e7b")
    assert isinstance(state.last_modified, datetime)
    assert (state.version_id, state.metadata) == (None, None)


@pytest.mark.parametrize("bucket", [BUCKET, "gone-bucket"])
def test_a_missing_object_and_a_missing_bucket_are_gone(s3: "S3Client", bucket: str) -> None:
    assert Objects(lambda: s3).look(bucket, "a") is None


def test_the_current_version_is_seen_and_a_delete_marker_is_gone(s3: "S3Client") -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    version = s3.put_object(Bucket=BUCKET, Key="a", Body=b"22")["VersionId"]
    objects = Objects(lambda: s3)

    state = objects.look(BUCKET, "a")
    assert state
    assert (state.size, state.version_id) == (2, version)

    s3.delete_object(Bucket=BUCKET, Key="a")
    assert objects.look(BUCKET, "a") is None


def test_metadata_and_tags_are_seen_where_asked_for(s3: "S3Client") -> None:
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
    )

    state = Objects(lambda: s3, metadata=True, tags=True).look(BUCKET, "a")

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
    )


def test_what_an_object_does_not_have_is_absent(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")

    state = Objects(lambda: s3, metadata=True, tags=True).look(BUCKET, "a")

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

    state = Objects(lambda: s3, metadata=True).look(BUCKET, "a")

    assert state
    assert state.metadata
    assert state.metadata.parts == 2


@pytest.mark.parametrize("others", [[], ["a", "a/b"]])
def test_an_object_that_head_cannot_describe_is_listed(s3: "S3Client", others: list[str]) -> None:
    for key in [*others, "a b c"]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"other")
    etag = s3.put_object(Bucket=BUCKET, Key="a b", Body=b"123")["ETag"]
    refuse(s3, "HeadObject", "400", status=400)

    state = Objects(lambda: s3, metadata=True).look(BUCKET, "a b")

    assert state
    assert (state.size, f'"{state.etag}"') == (3, etag)
    assert state.last_modified


def test_a_refusal_of_head_names_the_role_that_the_function_runs_as(s3: "S3Client") -> None:
    refuse(s3, "HeadObject", "403")

    with pytest.raises(
        PermissionDeniedError, match=r"^arn:aws:sts::123456789012:user/moto may not"
    ):
        Objects(lambda: s3).look(BUCKET, "a")
