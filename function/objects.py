"""The bucket: the current state of an object."""

import re
import threading
from collections.abc import Callable, Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .denials import explained_denial, explained_read_denial, is_denied
from .record import ObjectMetadata, ObjectState
from .report import no_checksum

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARTS = re.compile(r"-(\d+)$")
_BAD_REQUEST = "400"  # an error of HEAD has no body, so no other code
_GONE = {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"}
_ENCODED_WORD = "=?"
_METADATA = {  # attribute of the record: field of HeadObject's response
    "content_type": "ContentType",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
    "content_disposition": "ContentDisposition",
    "cache_control": "CacheControl",
    "archive_status": "ArchiveStatus",
    "restore": "Restore",
    "encryption": "ServerSideEncryption",
    "kms_key_id": "SSEKMSKeyId",
    "checksum_type": "ChecksumType",
}
_CHECKSUM = re.compile(r"Checksum(?!Type$)(\w+)$")


def is_gone(error: ClientError) -> bool:
    """Return whether S3's error says that the requested object does not exist."""
    if error.response["Error"]["Code"] in _GONE:
        return True
    response = error.response.get("ResponseMetadata", {})
    # For the tags of a delete marker S3 returns 405, otherwise 404.
    return (
        response.get("HTTPStatusCode") == HTTPStatus.METHOD_NOT_ALLOWED
        and response.get("HTTPHeaders", {}).get("x-amz-delete-marker") == "true"
    )


class Objects:
    """Reads the state of objects. Safe to share between threads."""

    def __init__(
        self, connect: "Callable[[], S3Client]", *, metadata: bool = False, tags: bool = False
    ) -> None:
        """`connect` makes the client when an event first needs one, to keep cold starts fast."""
        self._connect = connect
        self._connecting = threading.Lock()
        self._client: S3Client | None = None
        self._metadata = metadata
        self._tags = tags

    def head(self, bucket: str, key: str) -> ObjectState | None:
        """Return the state of the current version; None if the object or the bucket is gone.

        Raises PermissionDeniedError.
        """
        with explained_read_denial(bucket, key):
            return self.look(bucket, key)

    def look(self, bucket: str, key: str) -> ObjectState | None:
        """Do as `head`, but raise ClientError if S3 denies the call."""
        try:
            return self._current(bucket, key)
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def _current(self, bucket: str, key: str) -> ObjectState | None:
        try:
            found = self._found(bucket, key)
        except ClientError as error:
            if error.response["Error"]["Code"] != _BAD_REQUEST:
                raise
            # SSE-C: HEAD needs the customer's key, but a listing does not
            return self._listed(bucket, key)
        return self._state(bucket, key, found, size=found["ContentLength"])

    def _found(self, bucket: str, key: str) -> Mapping[str, Any]:
        if not self._metadata:
            return self.client().head_object(Bucket=bucket, Key=key)
        try:
            return self.client().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if not is_denied(error) and error.response["Error"]["Code"] != _BAD_REQUEST:
                raise
        # The checksum of an object that is encrypted with a KMS key needs kms:Decrypt and an
        # enabled key (S3 answers 400 if it is disabled), all else does not:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        found = self.client().head_object(Bucket=bucket, Key=key)
        no_checksum(bucket, key, found.get("SSEKMSKeyId"))
        return found

    def _listed(self, bucket: str, key: str) -> ObjectState | None:
        with explained_denial("s3:ListBucket", f"bucket {bucket}"):
            response = self.client().list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        # A key sorts before every other key that begins with it.
        entry: Mapping[str, Any] = next(iter(response.get("Contents", [])), {})
        if entry.get("Key") != key:
            return None
        return self._state(bucket, key, entry, size=entry["Size"])

    def _state(self, bucket: str, key: str, found: Mapping[str, Any], *, size: int) -> ObjectState:
        etag = found["ETag"].strip('"')
        return ObjectState(
            etag=etag,
            size=size,
            last_modified=found["LastModified"],
            version_id=found.get("VersionId"),
            metadata=self._object_metadata(bucket, key, found, etag) if self._metadata else None,
        )

    def _object_metadata(
        self, bucket: str, key: str, found: Mapping[str, Any], etag: str
    ) -> ObjectMetadata:
        parts = _PARTS.search(etag)
        return ObjectMetadata(
            # S3 leaves the storage class out if it is the standard one.
            storage_class=found.get("StorageClass", "STANDARD"),
            parts=int(parts[1]) if parts else None,
            tags=self._object_tags(bucket, key) if self._tags else None,
            user_metadata=_decoded(found.get("Metadata") or {}) or None,
            **_checksum(found),
            # S3 leaves a header out, or sends it empty.
            **{
                name: value
                for name, field in _METADATA.items()
                if (value := found.get(field)) not in (None, "")
            },
        )

    def _object_tags(self, bucket: str, key: str) -> dict[str, str] | None:
        with explained_denial("s3:GetObjectTagging", f"object {bucket}/{key}"):
            response = self.client().get_object_tagging(Bucket=bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in response["TagSet"]} or None

    def client(self) -> "S3Client":
        """Return the client; the first call makes it."""
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client


def _checksum(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the object's checksum and its algorithm."""
    for field in sorted(found):
        if algorithm := _CHECKSUM.match(field):
            return {"checksum": found[field], "checksum_algorithm": algorithm[1]}
    return {}


def _decoded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: _decoded_text(text) for name, text in metadata.items()}


def _decoded_text(text: str) -> str:
    """Decode text that S3 encoded for a header (RFC 2047); keep it if it does not decode.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    """
    if _ENCODED_WORD not in text:
        return text
    try:
        decoded = str(make_header(decode_header(text)))
        decoded.encode()  # a lone surrogate cannot be stored
    except (HeaderParseError, LookupError, ValueError):
        return text
    return decoded
