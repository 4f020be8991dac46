"""Serves a bucket of any size and its index; every page is computed when it is asked for.

It answers what lists and what inserts: ListObjectsV2, Query, PutItem, BatchWriteItem and
BatchExecuteStatement. It keeps nothing, so writes are counted and forgotten.
"""

import json
import subprocess
import sys
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from function.record import FileRecord, ObjectState

BUCKET = "large"
TABLE = "large"
DIRECTORY = "logs/2026/11/"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SIZE = 1024
PAGE_BYTES = 2**20
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html"""

_COUNTS = "/counts"


class LargeBucket:
    """A context manager around a server process of its own."""

    def __init__(self, objects: int, latency_ms: float = 0) -> None:
        """Serve that many objects; every answer waits for the latency."""
        self.objects = objects
        self._command = [sys.executable, "-m", __name__, str(objects), str(latency_ms)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout  # noqa: S101 # a pipe
        self.endpoint = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()  # closes its standard input, and it ends

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an AWS client uses this server and no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",  # the AWS CLI does not read the other one
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def written(self) -> int:
        """Return how many items were written so far."""
        with urlopen(self.endpoint + _COUNTS) as answer:  # noqa: S310 # http
            written: int = json.load(answer)["written"]
            return written


class Contents:
    """The objects and their records, by number."""

    def __init__(self, objects: int) -> None:
        self.objects = objects

    @staticmethod
    def key(number: int) -> str:
        """Return the key of an object."""
        return f"{DIRECTORY}{number:09}.json"

    def after(self, key: str) -> int:
        """Return the number of the first object whose key is greater."""
        return bisect_right(range(self.objects), key, key=self.key)

    def end(self, prefix: str) -> int:
        """Return the number after the last object whose key has the prefix."""
        return self.after(prefix + "\U0010ffff")

    def listing(self, question: Mapping[str, list[str]]) -> str:
        """Answer ListObjectsV2."""
        prefix, delimiter, after, token, most = (
            question.get(name, [""])[0]
            for name in ("prefix", "delimiter", "start-after", "continuation-token", "max-keys")
        )
        if delimiter:
            raise ValueError("a delimiter is not served")
        first = max(
            bisect_left(range(self.objects), prefix, key=self.key), self.after(token or after)
        )
        end = self.end(prefix)
        last = min(first + int(most or 1000), end)
        rest = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{self.key(last - 1)}"
            "</NextContinuationToken>"
            if last < end
            else "<IsTruncated>false</IsTruncated>"
        )
        contents = "".join(
            f"<Contents><Key>{DIRECTORY}{number:09}.json</Key>"
            "<LastModified>2026-11-26T12:00:00.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{SIZE}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for number in range(first, last)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><MaxKeys>{most or 1000}</MaxKeys>"
            f"<KeyCount>{max(0, last - first)}</KeyCount>{contents}{rest}</ListBucketResult>"
        )

    def query(self, question: Mapping[str, Any]) -> str:
        """Answer Query, for the conditions that `function.reader` sends."""
        values = {name: value["S"] for name, value in question["ExpressionAttributeValues"].items()}
        if values[":partition"] != BUCKET:
            return '{"Items":[],"Count":0,"ScannedCount":0}'
        includes_low = "BETWEEN" in question["KeyConditionExpression"]
        low, high = values.get(":low", ""), values.get(":high")
        first = (
            bisect_left(range(self.objects), low, key=self.key) if includes_low else self.after(low)
        )
        end = self.objects if high is None else self.after(high)
        if start := question.get("ExclusiveStartKey"):
            first = self.after(start["key"]["S"])
        template = _template(_projected(question))
        most = question.get("Limit") or PAGE_BYTES // _item_bytes()
        numbers = range(first, min(first + most, end))
        if not question.get("ScanIndexForward", True):
            numbers = range(end - 1, max(end - 1 - most, first - 1), -1)
        items = ",".join(map(template, numbers))
        more = len(numbers) == most and len(numbers) < end - first
        rest = (
            f',"LastEvaluatedKey":{{"partition":{{"S":"{BUCKET}"}},'
            f'"key":{{"S":"{self.key(numbers[-1])}"}}}}'
            if more
            else ""
        )
        return f'{{"Items":[{items}],"Count":{len(numbers)},"ScannedCount":{len(numbers)}{rest}}}'


def _projected(question: Mapping[str, Any]) -> frozenset[str] | None:
    names = question.get("ExpressionAttributeNames", {})
    projection = question.get("ProjectionExpression")
    if projection is None:
        return None
    return frozenset(names.get(name.strip(), name.strip()) for name in projection.split(","))


def _item() -> dict[str, Any]:
    """Return the record of an object, with placeholders for what differs between objects."""
    record = FileRecord(
        bucket=BUCKET,
        key=f"{DIRECTORY}KEY_NUMBER.json",
        indexed_at=NOW,
        revision="0123456789abcdef",
        event_name="ObjectCreated:Put",
        event_time=NOW,
        request_id="C3D13FE58DE4C810",
        sequencer="0066F0A1B2C3D4E5F6",
        state=ObjectState(etag="ETAG_NUMBER", size=SIZE, last_modified=NOW),
    )
    return {"partition": {"S": BUCKET}, **record.to_item()}


@cache
def _template(names: frozenset[str] | None) -> Callable[[int], str]:
    """Return what writes an object's record as JSON: all of it, or these attributes."""
    chosen = {name: value for name, value in _item().items() if names is None or name in names}
    text = json.dumps(chosen, separators=(",", ":")).replace("{", "{{").replace("}", "}}")
    return text.replace("KEY_NUMBER", "{0:09}").replace("ETAG_NUMBER", "{0:032x}").format


@cache
def _item_bytes() -> int:
    """Return the size of a record as DynamoDB counts it: names and values, whatever is projected.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    item = json.loads(_template(None)(0))
    return sum(len(name) + len(*value.values()) for name, value in item.items())


class _Handler(BaseHTTPRequestHandler):
    """Answers a connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one packet, or the client waits for the second
    contents: Contents
    latency: float
    written = 0
    lock = Lock()

    def do_GET(self) -> None:  # the base class calls it
        where = urlsplit(self.path)
        if where.path == _COUNTS:
            self._answer(json.dumps({"written": _Handler.written}), "application/json")
        else:
            time.sleep(self.latency)
            self._answer(self.contents.listing(parse_qs(where.query)), "application/xml")

    def do_POST(self) -> None:  # the base class calls it
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        time.sleep(self.latency)
        self._answer(self._dynamodb(operation, question), "application/x-amz-json-1.0")

    def _dynamodb(self, operation: str, question: Mapping[str, Any]) -> str:
        match operation:
            case "Query":
                return self.contents.query(question)
            case "PutItem":
                self._count(1)
                return "{}"
            case "BatchWriteItem":
                self._count(sum(map(len, question["RequestItems"].values())))
                return '{"UnprocessedItems":{}}'
            case "BatchExecuteStatement":
                self._count(len(question["Statements"]))
                return json.dumps({"Responses": [{} for _ in question["Statements"]]})
        raise ValueError(f"{operation} is not served")

    def _count(self, written: int) -> None:
        with self.lock:
            _Handler.written += written

    def _answer(self, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if kind.startswith("application/x-amz-json"):
            self.send_header("x-amz-crc32", str(zlib.crc32(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Log nothing: a measurement makes a thousand requests."""


def main() -> None:
    """Serve until standard input ends: `python -m benchmarks.large_bucket OBJECTS LATENCY_MS`."""
    _Handler.contents = Contents(int(sys.argv[1]))
    _Handler.latency = float(sys.argv[2]) / 1000
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
