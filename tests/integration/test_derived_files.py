"""Derived files: made before their records, or the reason why there is none."""

import hashlib
import io
import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import IncompleteReadError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto.core.config import default_user_config
from PIL import Image

from cli.function.reader import IndexReader
from function.derived_files import DerivedFiles
from function.derived_files import maker as maker_module
from function.derived_files.manifest import Content
from function.errors import ObjectEventsFailedError, PermissionDeniedError
from function.handler import create_function
from function.record import Source
from function.repository import FileIndex
from tests.integration.conftest import BUCKET
from tests.integration.test_handler import Invocation, recent, settings
from tests.payloads import created, native, removed, s3_document
from tools.module_copy import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DERIVED = "manifests"
LIMIT = 10


@pytest.fixture(autouse=True)
def derived_bucket(s3: "S3Client") -> None:
    s3.create_bucket(Bucket=DERIVED)


def put(s3: "S3Client", key: str, body: bytes) -> dict[str, Any]:
    """Upload an object; return the event's record."""
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
    return recent(created(key, size=len(body), eTag=etag))


def source(s3: "S3Client", key: str = "k", body: bytes = b"a") -> Source:
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
    return Source(bucket=BUCKET, key=key, etag=etag)


def stored(s3: "S3Client") -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=DERIVED).get("Contents", [])
    return {
        found["Key"]: s3.get_object(Bucket=DERIVED, Key=found["Key"])["Body"].read()
        for found in listed
    }


def maker(s3: "S3Client", **changes: Any) -> DerivedFiles:
    values: dict[str, Any] = {"bucket": DERIVED, "prefix": "m/", "max_bytes": LIMIT} | changes
    return DerivedFiles(lambda: s3, **values)


@pytest.mark.parametrize("object_metadata", [False, True])
def test_a_record_points_to_the_manifest_of_its_object(
    s3: "S3Client", index: FileIndex, reader: IndexReader, object_metadata: bool
) -> None:
    function = create_function(
        settings(derived_bucket=DERIVED, derived_prefix="m/é/", object_metadata=object_metadata)
    )
    event = put(s3, "a b+ü.csv", b"a;b\n1;2\n")

    function.handle(s3_document(event), Invocation())

    record = reader.get(BUCKET, "a b+ü.csv")
    assert record
    assert record.known.derived.key == f"m/é/a b+ü.csv.{record.known.etag}.json"
    assert record.known.derived.reason is None
    ((name, data),) = stored(s3).items()
    manifest = json.loads(data)
    assert name == record.known.derived.key
    assert (manifest["bucket"], manifest["key"], manifest["etag"]) == (
        BUCKET,
        "a b+ü.csv",
        record.known.etag,
    )
    assert manifest["sha256"] == hashlib.sha256(b"a;b\n1;2\n").hexdigest()
    assert manifest["csv"]["header"] == ["a", "b"]
    answer = s3.get_object(Bucket=DERIVED, Key=name)
    assert answer["ContentType"] == "application/json"

    # A duplicate and a late event change nothing.
    function.handle(s3_document(event), Invocation())
    assert stored(s3) == {name: data}

    s3.delete_object(Bucket=BUCKET, Key="a b+ü.csv")
    function.handle(
        s3_document(recent(removed("a b+ü.csv", sequencer="0055AED6DCD90281E9"))), Invocation()
    )
    tombstone = index.read(BUCKET, "a b+ü.csv")
    assert tombstone
    assert (tombstone.deleted, tombstone.known.derived.key) == (True, None)


def test_the_manifest_is_there_before_the_record(
    s3: "S3Client", reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = create_function(settings(derived_bucket=DERIVED))
    event = put(s3, "k", b"a")
    seen: list[dict[str, bytes]] = []

    def put_newer(*_: Any) -> None:
        seen.append(stored(s3))
        raise TimeoutError("the table does not answer")

    monkeypatch.setattr(FileIndex, "put_newer", put_newer)
    with pytest.raises(ObjectEventsFailedError, match="the table does not answer"):
        function.handle(s3_document(event), Invocation())

    assert [len(files) for files in seen] == [1]
    assert reader.get(BUCKET, "k") is None


def test_without_a_manifest_there_is_no_record_yet(s3: "S3Client", index: FileIndex) -> None:
    event = put(s3, "k", b"a")

    with pytest.raises(
        ObjectEventsFailedError,
        match=r"bucket absent does not exist: derived_files.bucket_name names it; create it, or "
        r"correct the name and apply$",
    ):
        create_function(settings(derived_bucket="absent")).handle(s3_document(event), Invocation())

    assert index.read(BUCKET, "k") is None


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_objects_up_to_the_limit_have_a_manifest(s3: "S3Client", size: int) -> None:
    made = maker(s3).make(source(s3, body=b"x" * size), size)

    assert made.reason is None
    assert json.loads(stored(s3)[made.key or ""])["length"] == size


@pytest.mark.parametrize("told", [LIMIT + 1, 0, None])
def test_a_larger_object_has_no_manifest_whatever_size_the_event_gives(
    s3: "S3Client", told: int | None
) -> None:
    made = maker(s3).make(source(s3, body=b"x" * (LIMIT + 1)), told)

    assert (made.key, made.reason) == (None, "the object has more than 10 bytes")
    assert stored(s3) == {}


def test_an_object_that_has_changed_gets_no_manifest_for_this_event(s3: "S3Client") -> None:
    before = source(s3, body=b"1")
    now = source(s3, body=b"2")

    assert maker(s3).make(before, 1).reason == "the object was changed meanwhile"
    assert stored(s3) == {}
    assert maker(s3).make(now, 1).key == f"m/k.{now.etag}.json"


def test_a_deleted_object_has_no_manifest(s3: "S3Client") -> None:
    gone = source(s3)
    s3.delete_object(Bucket=BUCKET, Key="k")

    assert maker(s3).make(gone, 1).reason == "the object was deleted meanwhile"
    elsewhere = Source(bucket="no-such-bucket", key="k", etag="e")
    assert maker(s3).make(elsewhere, 1).reason == "the object was deleted meanwhile"


# S3's errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
@pytest.mark.parametrize(
    ("code", "status", "message", "reason"),
    [
        (
            "InvalidObjectState",
            403,
            "The operation is not valid for the object's storage class",
            "the object is archived and has to be restored first",
        ),
        (
            "InvalidRequest",
            400,
            "The object was stored using a form of Server Side Encryption. The correct parameters "
            "must be provided to retrieve the object.",
            "the object is encrypted with a key that only its owner has (SSE-C)",
        ),
        (
            "KMS.DisabledException",
            400,
            "arn:aws:kms:eu-west-1:1:key/k is disabled.",
            "the object's key cannot be used (KMS.DisabledException)",
        ),
    ],
)
def test_an_unreadable_object_has_no_manifest(
    code: str, status: int, message: str, reason: str
) -> None:
    s3 = boto3.client("s3")
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", code, message, http_status_code=status)
        made = maker(s3).make(Source(bucket="b", key="k", etag="e"), 1)

    assert (made.key, made.reason) == (None, reason)


@pytest.mark.parametrize(
    ("code", "message", "refusal"),
    [
        (
            "AccessDenied",
            "Access Denied",
            "is not authorized to perform: s3:GetObject or s3:ListBucket"
            " on resource: object b/k, or",
        ),
        (
            "AccessDenied",
            "User: arn:aws:sts::1:assumed-role/files/files is not authorized to perform: "
            "kms:Decrypt on the resource associated with this ciphertext because no "
            "identity-based policy allows the kms:Decrypt action",
            "role files is not authorized to perform: kms:Decrypt"
            " on resource: the key of object b/k",
        ),
    ],
)
def test_a_denied_call_fails_the_event(code: str, message: str, refusal: str) -> None:
    s3 = boto3.client("s3")
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", code, message, http_status_code=403)
        with pytest.raises(PermissionDeniedError, match=refusal):
            maker(s3).make(Source(bucket="b", key="k", etag="e"), 1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SlowDown", "Reduce"),
        ("InvalidRequest", "Missing required header"),
        ("AnotherError", "The object was stored using a form of Server Side Encryption."),
    ],
)
def test_other_errors_fail_the_event(code: str, message: str) -> None:
    s3 = boto3.client("s3")
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", code, message, http_status_code=400)
        with pytest.raises(s3.exceptions.ClientError, match=code):
            maker(s3).make(Source(bucket="b", key="k", etag="e"), 1)


def test_a_denied_store_names_the_bucket_and_key(s3: "S3Client") -> None:
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", {"Body": _body(b"a"), "ContentLength": 1})
        stubber.add_client_error(
            "put_object", "AccessDenied", "Access Denied", http_status_code=403
        )
        with pytest.raises(
            PermissionDeniedError,
            match=r"is not authorized to perform: s3:PutObject"
            r" on resource: object manifests/m/k.e.json.*if derived_files is",
        ):
            maker(s3).make(Source(bucket="b", key="k", etag="e"), 1)


def _body(data: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(data), len(data))


def answering(body: Any, length: int) -> "S3Client":
    """Return a client that responds to the next GetObject with this body."""
    s3 = boto3.client("s3")
    stubber = Stubber(s3)
    stubber.add_response(
        "get_object", {"Body": StreamingBody(body, length), "ContentLength": length}
    )
    stubber.activate()
    return s3


class BreakingBody(io.BytesIO):
    def read1(self, size: int | None = -1, /) -> bytes:
        data = super().read1(size)
        if not data:
            raise ReadTimeoutError(endpoint_url="https://s3")
        return data


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (BreakingBody, ReadTimeoutError, "Read timeout"),
        (io.BytesIO, IncompleteReadError, "2 read, but total bytes expected is 3"),
    ],
    ids=["breaks", "ends early"],
)
def test_a_broken_connection_is_not_blamed_on_the_content(
    body: type[io.BytesIO], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        maker(answering(body(b"ab"), 3)).make(Source(bucket="b", key="k", etag="e"), 3)


class Dripping(threading.Thread):
    """Responds to a GET with one byte every hundredth of a second."""

    def __init__(self, length: int) -> None:
        super().__init__(daemon=True)
        self._length = length
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.sent = 0
        self.start()

    def run(self) -> None:
        with self._server, self._server.accept()[0] as connection:
            connection.recv(65536)
            head = f'HTTP/1.1 200 OK\r\nContent-Length: {self._length}\r\nETag: "e"\r\n\r\n'
            connection.sendall(head.encode())
            stopped = threading.Event()
            with suppress(OSError):  # the reader is gone
                while self.sent < self._length and not stopped.wait(0.01):
                    connection.sendall(b"x")
                    self.sent += 1


@pytest.mark.parametrize("urllib3", ["2", "1.26"])
def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch, urllib3: str) -> None:
    if urllib3 == "1.26":  # some runtimes' response has no read1 of its own
        monkeypatch.delattr("urllib3.response.HTTPResponse.read1")
        monkeypatch.delattr("urllib3.response.BaseHTTPResponse.read1")
    monkeypatch.setattr(maker_module, "_SECONDS", 0.1)
    slow = Dripping(length=1000)
    monkeypatch.setitem(default_user_config["core"], "passthrough", {"urls": [f"{slow.url}.*"]})

    s3 = boto3.client("s3", endpoint_url=slow.url)
    made = maker(s3, max_bytes=1000).make(Source(bucket="b", key="k", etag="e"), 1000)
    slow.join(30)

    assert made.reason
    assert made.reason.startswith("TimeoutError: not read within 0.1 s")
    assert 0 < slow.sent < 1000


def test_a_body_is_read_in_the_requested_sizes() -> None:
    class Pieces(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(min(size or 0, 2))

    read: list[bytes] = []

    def derive(_: Source, content: Content) -> bytes:
        read.extend([content.read(3), content.read(0), content.read(), content.read(1)])
        raise ValueError("nothing to store")

    s3 = answering(Pieces(b"abcdefgh"), 8)
    maker(s3, derive=derive).make(Source(bucket="b", key="k", etag="e"), 8)

    assert read == [b"abc", b"", b"defgh", b""]


class WholeBody:
    """A body that can only be read in whole pieces."""

    def __init__(self, data: bytes) -> None:
        self._content = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._content.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._content.close()


def test_a_body_of_another_kind_is_read_too(s3: "S3Client") -> None:
    def derive(_: Source, content: Content) -> bytes:
        return content.read(2) + b"|" + content.read(2)

    client = Mock(wraps=s3)
    client.get_object.side_effect = lambda **_: {"Body": WholeBody(b"abc"), "ContentLength": 3}
    made = maker(client, derive=derive).make(Source(bucket="b", key="k", etag="e"), 3)

    assert stored(s3) == {made.key: b"ab|c"}


@pytest.mark.parametrize("code", ["400", "BadRequest", "InvalidURI", "KeyTooLongError"])
def test_a_name_that_s3_rejects_costs_only_the_derived_file(code: str) -> None:
    s3 = boto3.client("s3")
    source = Source(bucket="b", key="a/b/../../../" + "c" * 500, etag="e")
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", {"Body": _body(b"a"), "ContentLength": 1})
        stubber.add_client_error("put_object", code, "Bad Request", http_status_code=400)
        made = maker(s3).make(source, 1)

    assert made.key is None
    assert made.reason
    assert made.reason.startswith("S3 does not accept the derived file's name m/a/b/../../../ccc")
    assert len(made.reason) == 300


def test_any_other_error_of_the_store_fails_the_event() -> None:
    s3 = boto3.client("s3")
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", {"Body": _body(b"a"), "ContentLength": 1})
        stubber.add_client_error("put_object", "InvalidRequest", "no", http_status_code=400)
        with pytest.raises(s3.exceptions.ClientError, match="InvalidRequest"):
            maker(s3).make(Source(bucket="b", key="k", etag="e"), 1)


def test_content_that_make_rejects_has_no_derived_file(s3: "S3Client") -> None:
    def fails(_: Source, content: Content) -> bytes:
        raise ValueError(f"what is {content.read(3)!r}?" + "?" * 1000)

    made = maker(s3, derive=fails).make(source(s3, body=b"abc"), 3)

    assert made.key is None
    assert made.reason
    assert made.reason.startswith("ValueError: what is b'abc'?")
    assert len(made.reason) == 300


def test_an_object_that_takes_too_long_has_no_derived_file(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maker_module, "_SECONDS", -1)

    made = maker(s3).make(source(s3, body=b"abc"), 3)

    assert made.reason
    assert made.reason == (
        "TimeoutError: not read within -1 s: raise function.memory_mb, or lower queue.batch_size"
        " or derived_files.max_mb"
    )


@pytest.mark.parametrize(
    ("data", "kept"), [(bytearray(b"m"), b"m"), (memoryview(b"m"), b"m"), (None, None), ("m", None)]
)
def test_a_result_that_is_not_bytes_is_converted_or_becomes_a_reason(
    s3: "S3Client", data: Any, kept: bytes | None
) -> None:
    made = maker(s3, derive=lambda *_: data).make(source(s3), 1)

    assert [*stored(s3).values()] == ([kept] if kept else [])
    assert bool(made.reason) == (kept is None)


def test_a_reason_can_be_kept(s3: "S3Client") -> None:
    def fails(*_: Any) -> bytes:
        raise ValueError("\ud800")

    assert maker(s3, derive=fails).make(source(s3), 1).reason == "ValueError: \\ud800"


def test_the_documented_example_makes_thumbnails(s3: "S3Client") -> None:
    documentation = (ROOT / "docs" / "derived-files.md").read_text()
    example: dict[str, Any] = {}
    exec(documentation.rpartition("```python\n")[2].partition("```")[0], example)  # noqa: S102 # ours
    photograph = io.BytesIO()
    Image.new("RGB", (1000, 500)).save(photograph, "PNG")
    maker_of_thumbnails = maker(s3, derive=example["make"], max_bytes=10**6)

    made = maker_of_thumbnails.make(source(s3, body=photograph.getvalue()), None)
    none = maker_of_thumbnails.make(source(s3, "text", b"text"), None)

    with Image.open(io.BytesIO(stored(s3)[made.key or ""])) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (256, 128))
    assert none.reason
    assert none.reason.startswith("UnidentifiedImageError: cannot identify image file")


def test_a_missing_derived_file_is_logged_too(
    s3: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    about = source(s3)

    maker(s3, max_bytes=0).make(about, 1)

    (line,) = (record for record in caplog.records if record.name == "file_index")
    assert line.message == "no derived file"
    found = vars(line)
    assert (found["bucket"], found["key"]) == (about.bucket, about.key)
    assert found["reason"] == "the object has more than 0 bytes"


@pytest.mark.parametrize("character", ["a", "ü", "\U0001f600"])
def test_a_name_that_is_too_long_ends_with_the_hash_of_the_whole(
    s3: "S3Client", character: str
) -> None:
    longest = character * (1024 // len(character.encode()))
    whole = f"m/{longest}.e.json"

    name = maker(s3).name(Source(bucket="b", key=longest, etag="e"))

    assert len(name.encode()) <= 1024
    digest = hashlib.sha256(whole.encode()).hexdigest()
    assert name.endswith(digest)
    assert whole.startswith(name.removesuffix(digest))
    assert len(name.encode()) > 1024 - 64 - 4
    assert maker(s3).name(Source(bucket="b", key=longest, etag="f")) != name
    fits = "a" * (1024 - len("m/.e.json"))
    assert maker(s3).name(Source(bucket="b", key=fits, etag="e")) == f"m/{fits}.e.json"


def test_an_event_without_an_etag_is_indexed_with_the_reason(
    s3: "S3Client", reader: IndexReader
) -> None:
    function = create_function(settings(derived_bucket=DERIVED))
    del s3

    event = recent(native("ObjectCreated:Put", "k", sequencer="01", size=1))
    function.handle(s3_document(event), Invocation())

    record = reader.get(BUCKET, "k")
    assert record
    assert record.known.derived.reason == "the event names no ETag"


def test_no_file_is_derived_unless_the_deployment_says_so(
    s3: "S3Client", reader: IndexReader
) -> None:
    create_function(settings()).handle(s3_document(put(s3, "k", b"a")), Invocation())

    record = reader.get(BUCKET, "k")
    assert record
    assert (record.known.derived.key, record.known.derived.reason) == (None, None)
    assert stored(s3) == {}
