"""Reads an object's content, and stores the file derived from it.

A derived file's name depends only on the object's identity, so it does not matter how often or in
which order it is made. It is stored before the record that points to it is written.
"""

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, IncompleteReadError

from ..denials import explained_denial, explained_read_denial
from ..errors import DerivedBucketMissingError
from ..events import MAX_KEY_BYTES
from ..objects import is_gone
from ..record import DerivedFile, Source
from ..report import no_derived_file
from ..settings import Settings
from . import manifest
from .manifest import Content

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_REASONS = {
    "InvalidObjectState": "the object is archived and has to be restored first",
    "PreconditionFailed": "the object was changed meanwhile",
}
# S3's errors for a name it does not accept; for too many `../` it returns a bare 400.
_REFUSED_NAMES = {"400", "BadRequest", "InvalidURI", "KeyTooLongError"}
_SSE_C = "Server Side Encryption"
_SECONDS = 20
"""The time to read one object; an invocation has more."""
_LONGEST_REASON = 300


class DerivedFiles:
    """Makes derived files. Safe to share between threads."""

    def __init__(
        self,
        connect: "Callable[[], S3Client]",
        bucket: str,
        prefix: str,
        max_bytes: int,
        derive: Callable[[Source, Content], bytes] = manifest.make,
    ) -> None:
        """Derive from objects up to `max_bytes`; store under `prefix` in `bucket`."""
        self._connect = connect
        self._bucket = bucket
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._derive = derive

    @classmethod
    def of(cls, settings: Settings, connect: "Callable[[], S3Client]") -> "DerivedFiles":
        """Return a maker for the settings, which must name a bucket."""
        return cls(
            connect,
            settings.derived_bucket or "",
            settings.derived_prefix,
            settings.derived_max_bytes,
        )

    def make(self, source: Source, size: int | None) -> DerivedFile:
        """Make and store the object's derived file, or say why there is none.

        Raises PermissionDeniedError and DerivedBucketMissingError.
        """
        made = self._made(source, size)
        if isinstance(made, bytes):
            name = self.name(source)
            if self._store(name, made):
                return DerivedFile(key=name)
            made = f"S3 does not accept the derived file's name {name}"[:_LONGEST_REASON]
        no_derived_file(source, made)
        return DerivedFile(reason=made)

    def name(self, source: Source) -> str:
        """Return the key of the object's derived file.

        A name that is too long for S3 is cut, and ends with the SHA-256 of the whole name.
        """
        name = f"{self._prefix}{source.key}.{source.etag}{manifest.SUFFIX}".encode()
        if len(name) > MAX_KEY_BYTES:
            digest = hashlib.sha256(name).hexdigest().encode()
            start = name[: MAX_KEY_BYTES - len(digest)].decode(errors="ignore")
            name = start.encode() + digest
        return name.decode()

    def _made(self, source: Source, size: int | None) -> bytes | str:
        """Return the derived file's bytes, or why there is none."""
        too_large = f"the object has more than {self._max_bytes} bytes"
        if size is not None and size > self._max_bytes:
            return too_large
        try:
            with explained_read_denial(source.bucket, source.key):
                response = self._connect().get_object(
                    Bucket=source.bucket, Key=source.key, IfMatch=f'"{source.etag}"'
                )
        except ClientError as error:
            return _reason(error)
        content = _Reader(response["Body"], response["ContentLength"])
        with response["Body"]:
            # The content is the one in the event, but the event may give another size.
            if response["ContentLength"] > self._max_bytes:
                return too_large
            try:
                return bytes(self._derive(source, content))
            except Exception as error:  # noqa: BLE001 # the record is written whatever the content
                if content.error:
                    raise content.error from None
                reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
                return reason.encode(errors="backslashreplace").decode()

    def _store(self, name: str, data: bytes) -> bool:
        """Store the derived file; return False if S3 does not accept its name."""
        s3 = self._connect()
        with explained_denial("s3:PutObject", f"object {self._bucket}/{name}"):
            try:
                s3.put_object(
                    Bucket=self._bucket, Key=name, Body=data, ContentType=manifest.MEDIA_TYPE
                )
            except s3.exceptions.NoSuchBucket as error:
                raise DerivedBucketMissingError(
                    f"bucket {self._bucket} does not exist: derived_files.bucket_name names it; "
                    "create it, or correct the name and apply"
                ) from error
            except ClientError as error:
                if error.response["Error"]["Code"] in _REFUSED_NAMES:
                    return False
                raise
        return True


class _Reader:
    """Reads the content; remembers a read error, to tell it from bad content."""

    def __init__(self, body: Any, length: int) -> None:
        self._receive = _receiving(body)
        self._length = self._left = length
        self._until = time.monotonic() + _SECONDS
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        pieces = []
        while wanted:
            if time.monotonic() > self._until:
                raise TimeoutError(
                    f"not read within {_SECONDS} s: raise function.memory_mb, or lower"
                    " queue.batch_size or derived_files.max_mb"
                )
            piece = self._received(wanted)
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def _received(self, most: int) -> bytes:
        try:
            piece = self._receive(most)
            if not piece:
                raise IncompleteReadError(
                    actual_bytes=self._length - self._left, expected_bytes=self._length
                )
        except Exception as error:
            self.error = error
            raise
        self._left -= len(piece)
        return piece


def _receiving(body: Any) -> Callable[[int], bytes]:
    """Return a function that reads what has arrived of a body, without waiting for the rest.

    botocore waits for all the bytes requested, so a slow body could take forever. The stream
    below, urllib3's response or http.client's, returns after one `recv`.
    """
    response: Any = getattr(body, "_raw_stream", body)
    below: Any = getattr(response, "_fp", None)
    receive: Callable[[int], bytes] = next(
        (stream.read1 for stream in (response, below) if hasattr(stream, "read1")), body.read
    )
    return receive


def _reason(error: ClientError) -> str:
    found = error.response["Error"]
    if is_gone(error):
        return "the object was deleted meanwhile"
    if found["Code"] == "InvalidRequest" and _SSE_C in found.get("Message", ""):
        return "the object is encrypted with a key that only its owner has (SSE-C)"
    if found["Code"].startswith("KMS."):
        return f"the object's key cannot be used ({found['Code']})"
    if found["Code"] not in _REASONS:
        raise error
    return _REASONS[found["Code"]]
