"""The built package under Lambda's own runtime interface client, with the API played by the test.

No other test shows failed imports in the package, responses that are not JSON, and the real log
lines.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from function.handler import RESERVED_MS
from tests.payloads import created, s3_document, sqs
from tools.package import PACKAGE

HANG_SECONDS = 600
"""No working machine is that slow."""
MOST_BYTES = 700
"""CloudWatch Logs charges by the byte, and the line would otherwise cost more than the write."""


@dataclass
class LambdaApi:
    """The endpoints that a runtime talks to, and a DynamoDB that accepts every write."""

    url: str
    events: "queue.Queue[Any]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)
    written: list[Any] = field(default_factory=list)
    answers_writes: threading.Event = field(default_factory=threading.Event)
    seconds: float = HANG_SECONDS
    """The time that an invocation has."""


@pytest.fixture
def api() -> Iterator[LambdaApi]:
    class Endpoints(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            event = state.events.get(timeout=HANG_SECONDS)
            self.reply(
                event,
                {
                    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    "Lambda-Runtime-Deadline-Ms": str(round((time.time() + state.seconds) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:f",
                },
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/":
                state.answers_writes.wait(HANG_SECONDS)
                state.written.append(json.loads(body))
                self.reply({}, {})
            else:
                state.answers.put((self.path.rpartition("/")[2], json.loads(body)))
                self.reply({}, {}, status=202)

        def reply(self, document: Any, headers: dict[str, str], status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            # The runtime's native client crashes without a content type.
            always = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in (headers | always).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the runtime was killed, or gave up
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoints)
    server.daemon_threads = True
    state = LambdaApi(url=f"127.0.0.1:{server.server_port}")
    state.answers_writes.set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        state.answers_writes.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Running:
    """The package, started as Lambda starts it."""

    def __init__(self, api: LambdaApi, directory: Path, **environment: str) -> None:
        self.log = directory / "log"
        with zipfile.ZipFile(PACKAGE) as archive:
            archive.extractall(directory / "task")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", "function.handler.handler"],
                cwd=directory / "task",
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(directory / "task"),
                    "PYTHONUNBUFFERED": "1",
                    "AWS_LAMBDA_RUNTIME_API": api.url,
                    "AWS_LAMBDA_FUNCTION_NAME": "file-index",
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",
                    "AWS_LAMBDA_LOG_LEVEL": "INFO",
                    "AWS_ENDPOINT_URL": f"http://{api.url}",
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_DEFAULT_REGION": "us-east-1",
                }
                | environment,
                stdout=log,
                stderr=log,
            )

    def lines(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")
        ]


@contextmanager
def running(api: LambdaApi, directory: Path, **environment: str) -> Iterator[Running]:
    package = Running(api, directory, **environment)
    try:
        yield package
    finally:
        package.process.kill()
        package.process.wait()


def test_the_package_runs_as_lambda_runs_it(api: LambdaApi, tmp_path: Path) -> None:
    api.events.put(sqs("not json"))
    api.events.put(s3_document(created("a b+ü")))

    with running(api, tmp_path, TABLE_NAME="files", TOMBSTONE_DAYS="99999") as package:
        answers = [api.answers.get(timeout=HANG_SECONDS) for _ in range(2)]

    assert answers == [
        ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}]}),
        ("response", {"indexed": 1, "removed": 0, "superseded": 0, "ignored": 0, "failed": 0}),
    ]
    assert [put["Item"]["key"] for put in api.written] == [{"S": "a b+ü"}]
    indexed = package.lines()[-1]
    assert (indexed["message"], indexed["level"], indexed["bucket"], indexed["key"]) == (
        "indexed",
        "INFO",
        "reports",
        "a b+ü",
    )
    assert indexed["requestId"] == "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    assert indexed["Indexed"] == 1


def test_without_the_lines_of_objects_the_metrics_remain(api: LambdaApi, tmp_path: Path) -> None:
    api.events.put(s3_document(created()))

    with running(
        api, tmp_path, TABLE_NAME="files", TOMBSTONE_DAYS="99999", AWS_LAMBDA_LOG_LEVEL="WARN"
    ) as package:
        api.answers.get(timeout=HANG_SECONDS)

    (line,) = package.lines()
    assert (line["message"], line["level"], line["Indexed"]) == ("indexed", "WARNING", 1)
    assert "key" not in line
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} <= line.keys()


def test_the_line_of_a_single_event_is_short(api: LambdaApi, tmp_path: Path) -> None:
    api.events.put(s3_document(created()))

    with running(api, tmp_path, TABLE_NAME="files", TOMBSTONE_DAYS="99999") as package:
        api.answers.get(timeout=HANG_SECONDS)

    (line,) = package.log.read_bytes().splitlines()
    assert len(line) <= MOST_BYTES


def test_a_table_that_never_answers_ends_in_a_line_before_the_time_out(
    api: LambdaApi, tmp_path: Path
) -> None:
    api.answers_writes.clear()
    api.seconds = RESERVED_MS / 1000 + 1  # the least with which an event is started, and a margin
    api.events.put(s3_document(created("a")))

    with running(api, tmp_path, TABLE_NAME="files", TOMBSTONE_DAYS="99999") as package:
        kind, answer = api.answers.get(timeout=HANG_SECONDS)
        api.answers_writes.set()
        api.events.put(s3_document(created("b")))
        next_kind, _ = api.answers.get(timeout=HANG_SECONDS)

    assert (kind, answer["errorType"]) == ("error", "ObjectEventsFailedError")
    failed, indexed = [line for line in package.lines() if line.get("logger") == "file_index"]
    assert (failed["key"], failed["errorType"]) == ("a", "OutOfTimeError")
    assert (next_kind, indexed["key"]) == ("response", "b")


def test_a_wrong_setting_fails_the_cold_start_with_its_name(api: LambdaApi, tmp_path: Path) -> None:
    with running(api, tmp_path, TABLE_NAME="files", TOMBSTONE_DAYS="3") as package:
        kind, answer = api.answers.get(timeout=HANG_SECONDS)
        package.process.wait(HANG_SECONDS)

    assert kind == "error"
    assert answer["errorType"] == "SettingsError"
    assert "TOMBSTONE_DAYS is 3: expected a whole number from 15" in answer["errorMessage"]
