"""DynamoDB, S3 and Lambda's runtime API over TCP on 127.0.0.1, in a process of its own.

The measurements are of the client, which needs the same CPU for any server that answers correctly.
The server answers at once, or after a latency in which it goes on to serve others, and counts.
"""

import asyncio
import json
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

from .bucket import Bucket
from .table import RequestError, Tables

_CONTROL = "/_control/"
_RUNTIME = "/2018-06-01/runtime/"
_JSON = {"Content-Type": "application/json"}
_DYNAMODB = {"Content-Type": "application/x-amz-json-1.0"}
_XML = {"Content-Type": "application/xml"}
_FAR_AWAY_MS = str(10**14)
_FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:file-index"
_HANG_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Counts:
    """What the clients asked for since the last reset."""

    requests: Mapping[str, float]
    """By operation."""
    write_units: float
    read_units: float


class Server:
    """A server, running while its context is open."""

    def __init__(self) -> None:
        self.address = ""
        """Host and port."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout  # noqa: S101 # it is a pipe
        self.address = f"127.0.0.1:{self._process.stdout.readline().strip()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()

    @property
    def url(self) -> str:
        """The endpoint of DynamoDB and S3."""
        return f"http://{self.address}"

    def reset(self, *, latency_ms: float = 0) -> None:
        """Forget tables, buckets and counts; answer after the latency from now on."""
        self._control("reset", {"latency_ms": latency_ms})

    def reset_counts(self) -> None:
        """Forget only the counts."""
        self._control("reset_counts", {})

    def counts(self) -> Counts:
        """Return what was counted since the last reset."""
        return Counts(**self._control("counts", {}))

    def fill_bucket(self, bucket: str, keys: Iterable[str], *, versioned: bool = False) -> None:
        """Make the bucket hold one object for each key, and nothing else."""
        self._control("bucket", {"name": bucket, "keys": list(keys), "versioned": versioned})

    def fill_table(self, table: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Put items into a table."""
        self._control("table", {"name": table, "items": list(items)})

    def invoke(self, payloads: Iterable[Any]) -> list[Any]:
        """Invoke the function that polls the runtime API; return its answer to each payload.

        Raises RuntimeError if it reports an error.
        """
        answers = []
        for payload in payloads:
            kind, answer = self._control("invoke", {"payload": payload})
            if kind != "response":
                raise RuntimeError(f"the function failed: {answer}")
            answers.append(answer)
        return answers

    def end_runtime(self) -> None:
        """Forget the function's process, which was killed."""
        self._control("end_runtime", {})

    def _control(self, name: str, arguments: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310 # our own server
            f"{self.url}{_CONTROL}{name}", json.dumps(arguments).encode()
        )
        with urllib.request.urlopen(request, timeout=_HANG_SECONDS) as answer:  # noqa: S310
            return json.load(answer)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(
        cls, document: Any, headers: Mapping[str, str] = _JSON, status: int = HTTPStatus.OK
    ) -> "_Answer":
        return cls(status, headers, json.dumps(document, separators=(",", ":")).encode())


class _Aws:
    """DynamoDB and S3."""

    def __init__(self, latency: float = 0.0) -> None:
        """`latency` is in seconds."""
        self.tables = Tables()
        self.buckets: dict[str, Bucket] = {}
        self.s3_requests: Counter[str] = Counter()
        self._latency = latency

    async def answer(self, request: _Request) -> _Answer:
        found = self._dynamodb(request) if "x-amz-target" in request.headers else self._s3(request)
        if self._latency:
            await asyncio.sleep(self._latency)
        return found

    def _dynamodb(self, request: _Request) -> _Answer:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        try:
            return _Answer.of(self.tables.answer(operation, json.loads(request.body)), _DYNAMODB)
        except RequestError as error:
            kind = f"com.amazonaws.dynamodb.v20120810#{error.code}"
            return _Answer.of({"__type": kind, **error.fields}, _DYNAMODB, HTTPStatus.BAD_REQUEST)

    def _s3(self, request: _Request) -> _Answer:
        url = urlsplit(request.target)
        name, _, key = url.path.removeprefix("/").partition("/")
        bucket = self.buckets.get(name)
        if request.method == "HEAD" and key:
            self.s3_requests["HeadObject"] += 1
            headers = bucket and bucket.head(unquote(key))
            return _Answer(HTTPStatus.OK if headers else HTTPStatus.NOT_FOUND, headers or {})
        if request.method == "GET" and not key and bucket:
            self.s3_requests["ListObjectsV2"] += 1
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            with suppress(ValueError):
                return _Answer(HTTPStatus.OK, _XML, bucket.list(name, query))
        return _Answer(HTTPStatus.NOT_IMPLEMENTED, {}, request.target.encode())


class _Runtime:
    """Lambda's runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    def __init__(self) -> None:
        self._invocations: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self._polls = 0
        self._answers: dict[str, asyncio.Future[tuple[str, Any]]] = {}

    async def invoke(self, payload: Any) -> tuple[str, Any]:
        """Return the kind of the function's answer, and the answer."""
        request_id = str(uuid4())
        self._answers[request_id] = asyncio.get_running_loop().create_future()
        self._invocations.put_nowait((request_id, payload))
        return await self._answers[request_id]

    async def answer(self, path: str, body: bytes) -> _Answer:
        if path == "invocation/next":
            self._polls += 1
            invocation = await self._invocations.get()
            self._polls -= 1
            if invocation is None:
                return _Answer(HTTPStatus.GONE, {})
            request_id, payload = invocation
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": _FAR_AWAY_MS,
                "Lambda-Runtime-Invoked-Function-Arn": _FUNCTION,
            }
            return _Answer.of(payload, _JSON | headers)
        *_, request_id, kind = path.split("/")
        if request_id == "init":  # it could not start, so nobody will answer
            for waiting in self._answers.values():
                waiting.set_result((kind, json.loads(body)))
            self._answers.clear()
        else:
            self._answers.pop(request_id).set_result((kind, json.loads(body)))
        return _Answer.of({}, status=HTTPStatus.ACCEPTED)

    def end(self) -> None:
        """End the polls of a process that was killed, or they would take the next invocation."""
        for _ in range(self._polls):
            self._invocations.put_nowait(None)


class _Services:
    """What the server serves, and the means to control it."""

    def __init__(self) -> None:
        self._aws = _Aws()
        self._runtime = _Runtime()

    async def answer(self, request: _Request) -> _Answer:
        if request.target.startswith(_RUNTIME):
            return await self._runtime.answer(request.target.removeprefix(_RUNTIME), request.body)
        if request.target.startswith(_CONTROL):
            name, arguments = request.target.removeprefix(_CONTROL), json.loads(request.body)
            return _Answer.of(await self._control(name, arguments))
        return await self._aws.answer(request)

    async def _control(self, name: str, arguments: Any) -> Any:
        aws = self._aws
        match name:
            case "reset":
                self._aws = _Aws(arguments["latency_ms"] / 1000)
            case "end_runtime":
                self._runtime.end()
            case "reset_counts":
                aws.tables.reset_counts()
                aws.s3_requests.clear()
            case "counts":
                return {
                    "requests": aws.tables.requests + aws.s3_requests,
                    "write_units": aws.tables.write_units,
                    "read_units": aws.tables.read_units,
                }
            case "bucket":
                aws.buckets[arguments["name"]] = Bucket(
                    arguments["keys"], versioned=arguments["versioned"]
                )
            case "table":
                aws.tables.fill(arguments["name"], arguments["items"])
            case "invoke":
                return await self._runtime.invoke(arguments["payload"])
        return None


async def _serve() -> None:
    services = _Services()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (request := await _read(reader)) is not None:
                answer = await services.answer(request)
                writer.write(_bytes(answer, request.method))
                await writer.drain()
        except ConnectionError:
            pass  # the client was killed, as a measurement does with a cold start
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 # for the parent
    async with server:
        await server.serve_forever()


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None  # the client closed the connection
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return _Request(method, target, headers, body)


def _bytes(answer: _Answer, method: str) -> bytes:
    headers = {
        "Date": formatdate(usegmt=True),
        "x-amzn-RequestId": "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG",
        "Content-Length": str(len(answer.body)),
        **answer.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n".encode()
    return head if method == "HEAD" else head + answer.body


if __name__ == "__main__":
    asyncio.run(_serve())
