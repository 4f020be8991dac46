"""An object's state from S3's responses; tests/integration/test_objects.py has moto's."""

from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from function import denials
from function.errors import PermissionDeniedError
from function.objects import Objects
from function.record import ObjectMetadata, ObjectState

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
HEAD = {"ETag": '"e"', "ContentLength": 3, "LastModified": NOW}
LISTED = {"Key": "a b", "ETag": '"e"', "Size": 3, "LastModified": NOW}
STATE = ObjectState(etag="e", size=3, last_modified=NOW)


def error(code: str, text: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": text}}, "Any")


class S3:
    """S3 with the given responses. A response that is an error is raised."""

    def __init__(self, head: Any = HEAD, listed: Any = None, tags: Any = None) -> None:
        self._answers = {"head": head, "list": listed, "tags": tags}
        self.asked: list[dict[str, Any]] = []

    def head_object(self, **request: Any) -> Any:
        return self._answer("head", request)

    def list_objects_v2(self, **request: Any) -> Any:
        return self._answer("list", request)

    def get_object_tagging(self, **request: Any) -> Any:
        return self._answer("tags", request)

    def _answer(self, operation: str, request: dict[str, Any]) -> Any:
        self.asked.append(request)
        answer = self._answers[operation]
        if isinstance(answer, ClientError):
            raise answer
        return answer


def look(s3: S3, **options: bool) -> ObjectState | None:
    client: Any = s3
    return Objects(lambda: client, **options).head("reports", "a b")


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "_caller", lambda: None)


def test_without_metadata_one_call_is_enough() -> None:
    s3 = S3(HEAD | {"VersionId": "null", "ContentType": "text/plain"})

    assert look(s3) == ObjectState(etag="e", size=3, last_modified=NOW, version_id="null")
    assert s3.asked == [{"Bucket": "reports", "Key": "a b"}]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "SHA256", "XXHASH128", "TOMORROWS"])
def test_a_checksum_is_recorded_with_its_algorithm_and_type(algorithm: str) -> None:
    s3 = S3(HEAD | {f"Checksum{algorithm}": "c2hh-2", "ChecksumType": "COMPOSITE"})

    state = look(s3, metadata=True)

    assert state
    assert state.metadata == ObjectMetadata(
        storage_class="STANDARD",
        checksum="c2hh-2",
        checksum_algorithm=algorithm,
        checksum_type="COMPOSITE",
    )
    assert s3.asked == [{"Bucket": "reports", "Key": "a b", "ChecksumMode": "ENABLED"}]


class Undecryptable(S3):
    """S3 with an object whose KMS key the caller may not use, or which is disabled."""

    code = "403"

    def head_object(self, **request: Any) -> Any:
        answer = super().head_object(**request)
        if "ChecksumMode" in request:
            raise error(self.code)
        return answer


@pytest.mark.parametrize("code", ["403", "400"])  # S3 answers 400 if the key is disabled
def test_an_object_whose_key_cannot_be_used_has_no_checksum_but_everything_else(
    caplog: pytest.LogCaptureFixture, code: str
) -> None:
    caplog.set_level("INFO")
    s3 = Undecryptable(HEAD | {"ContentType": "text/csv", "SSEKMSKeyId": "arn:aws:kms:key/1"})
    s3.code = code

    state = look(s3, metadata=True)

    assert state
    assert state.metadata == ObjectMetadata(
        storage_class="STANDARD", content_type="text/csv", kms_key_id="arn:aws:kms:key/1"
    )
    (line,) = caplog.records
    assert (line.message, vars(line)["key"]) == ("no checksum", "a b")
    assert vars(line)["reason"] == (
        "it needs kms:Decrypt on the KMS key arn:aws:kms:key/1, and the key must be enabled"
    )


def test_an_object_that_may_not_be_read_at_all_is_denied_even_without_its_checksum(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with pytest.raises(PermissionDeniedError, match=r"s3:GetObject or s3:ListBucket"):
        look(S3(error("403")), metadata=True)
    assert caplog.records == []


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NoSuchBucket"])
def test_a_missing_object_is_gone(code: str) -> None:
    assert look(S3(error(code))) is None


def test_a_field_that_s3_leaves_out_is_absent() -> None:
    state = look(
        S3(HEAD | {"Metadata": {}, "ContentType": ""}, tags={"TagSet": []}),
        metadata=True,
        tags=True,
    )

    assert state
    assert state.metadata == ObjectMetadata(storage_class="STANDARD")


def test_every_field_of_the_metadata_is_read() -> None:
    head = HEAD | {
        "ETag": '"e-3"',
        "StorageClass": "GLACIER",
        "ContentType": "text/csv",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentDisposition": "inline",
        "CacheControl": "no-store",
        "ArchiveStatus": "DEEP_ARCHIVE_ACCESS",
        "Restore": 'ongoing-request="true"',
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:aws:kms:eu-central-1:123456789012:key/k",
        "ChecksumCRC64NVME": "Y3Jj",
        "ChecksumType": "FULL_OBJECT",
        "Metadata": {"owner": "ann"},
    }

    state = look(S3(head, tags={"TagSet": [{"Key": "t", "Value": "v"}]}), metadata=True, tags=True)

    assert state
    assert state.metadata == ObjectMetadata(
        storage_class="GLACIER",
        content_type="text/csv",
        content_encoding="gzip",
        content_language="de",
        content_disposition="inline",
        cache_control="no-store",
        archive_status="DEEP_ARCHIVE_ACCESS",
        restore='ongoing-request="true"',
        encryption="aws:kms",
        kms_key_id="arn:aws:kms:eu-central-1:123456789012:key/k",
        parts=3,
        checksum="Y3Jj",
        checksum_algorithm="CRC64NVME",
        checksum_type="FULL_OBJECT",
        user_metadata={"owner": "ann"},
        tags={"t": "v"},
    )
    assert None not in astuple(state.metadata)


@pytest.mark.parametrize(
    ("etag", "parts"), [("e", None), ("e-1", 1), ("e-10000", 10_000), ("e-", None)]
)
def test_the_number_of_parts_comes_from_the_etag(etag: str, parts: int | None) -> None:
    state = look(S3(HEAD | {"ETag": f'"{etag}"'}), metadata=True)

    assert state
    assert state.metadata
    assert (state.etag, state.metadata.parts) == (etag, parts)


def test_an_object_that_head_cannot_describe_is_listed() -> None:
    s3 = S3(error("400"), listed={"Contents": [LISTED]})

    assert look(s3) == STATE
    assert s3.asked[-1] == {"Bucket": "reports", "Prefix": "a b", "MaxKeys": 1}


@pytest.mark.parametrize("listed", [{}, {"Contents": [LISTED | {"Key": "a b c"}]}])
def test_a_listing_without_the_exact_key_means_gone(listed: dict[str, Any]) -> None:
    assert look(S3(error("400"), listed=listed)) is None


def test_an_object_deleted_before_its_tags_are_read_is_gone() -> None:
    assert look(S3(tags=error("NoSuchKey")), metadata=True, tags=True) is None


@pytest.mark.parametrize(
    ("s3", "refusal", "granted"),
    [
        (
            S3(error("403")),
            "s3:GetObject or s3:ListBucket on resource: object reports/a b, or bucket reports.",
            "bucket.versioned, object_metadata.enabled or derived_files is set",
        ),
        (
            S3(error("400"), listed=error("AccessDenied")),
            "s3:ListBucket on resource: bucket reports.",
            "bucket.versioned, object_metadata.enabled or derived_files is set",
        ),
        (
            S3(tags=error("AccessDenied")),
            "s3:GetObjectTagging on resource: object reports/a b.",
            "object_metadata.tags is set",
        ),
    ],
    ids=["head", "listing", "tags"],
)
def test_a_denial_names_the_requested_action_and_object(s3: S3, refusal: str, granted: str) -> None:
    with pytest.raises(PermissionDeniedError) as denied:
        look(s3, metadata=True, tags=True)

    assert denied.value.refusal.endswith(f" is not authorized to perform: {refusal}")
    assert f"The module grants it if {granted}" in str(denied.value)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: S3(error("503")),
        lambda: S3(error("400"), listed=error("503")),
        lambda: S3(tags=error("503")),
    ],
)
def test_other_errors_are_raised_as_they_are(broken: Callable[[], S3]) -> None:
    with pytest.raises(ClientError, match="503"):
        look(broken(), metadata=True, tags=True)


def test_the_client_is_made_once_and_only_when_needed() -> None:
    made: list[S3] = []

    def connect() -> Any:
        made.append(S3())
        return made[-1]

    objects = Objects(connect)
    assert not made
    objects.head("reports", "a")
    objects.head("reports", "b")
    assert len(made) == 1
