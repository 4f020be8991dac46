"""A proxy in front of AWS: it sees the calls of a function or command, and injects failures."""

import json
import random
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from types import TracebackType
from typing import Any, Self

import psutil
import urllib3

from local.emulator import Emulator
from local.waiting import HANG_SECONDS
from tests.e2e.stack import Stack


class Fault(StrEnum):
    """A failure that can happen to a call."""

    INTERNAL_ERROR = "500"
    UNAVAILABLE = "503"
    THROTTLED = "throttled"
    ANSWER_LOST = "answer lost"
    """The call is made, but the connection is dropped instead of a response."""
    DELAYED = "delayed"
    LATE = "made late"
    """The call is made after the caller has given up waiting for it."""
    KILLED_BEFORE = "killed before the call"
    KILLED_AFTER = "killed after the call"
    """The call is made, but its caller is killed before the response arrives."""
    STATEMENTS_THROTTLED = "statements throttled"
    """Every other statement of a batch; the others are executed."""
    STATEMENTS_DENIED = "statements denied"
    STATEMENTS_FAILED = "statements failed"
    STATEMENTS_LATE = "statements executed late"
    """Every other statement is executed after its caller was told that it failed."""
    ANSWER_LOST_HALFWAY = "answer lost after some statements"
    """Every other statement is executed, but the connection is dropped instead of a response."""


OF_STATEMENTS = {
    Fault.STATEMENTS_THROTTLED: "ThrottlingError",
    Fault.STATEMENTS_DENIED: "AccessDenied",
    Fault.STATEMENTS_FAILED: "ValidationError",
    Fault.STATEMENTS_LATE: "InternalServerError",
    Fault.ANSWER_LOST_HALFWAY: "",
}
"""The failures of batches of statements, and what a statement that is not executed answers."""

_STATEMENTS = "BatchExecuteStatement"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a function or command makes."""

    operation: str
    """`PutItem`, `ChangeMessageVisibility`; for S3 the method, `HEAD` or `GET`."""
    path: str
    body: bytes

    @property
    def to_s3(self) -> bool:
        """Whether the call is to S3, and not to DynamoDB or SQS."""
        return self.operation in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of AWS or of its stand-in."""

    status: int
    body: bytes
    headers: Mapping[str, str]


Decide = Callable[[Call], Fault | Answer | None]
"""Decides about a call: a fault, a response of its own, or nothing unusual.

The call waits for the decision, so a decision may wait for a point of the program.
"""


def at_random(rates: Mapping[Fault, float], statements_rate: float, seed: int) -> Decide:
    """Each fault at its rate, at most one per call; and one write in a hundred is always throttled.

    Each of its retries is throttled too; the next delivery of the event makes a new write. Batches
    of statements are few: at `statements_rate`, they have the faults of statements by turns.
    """
    chance = random.Random(seed)  # noqa: S311 # no secret
    # Batches of statements draw from a sequence of their own, so other calls get the same faults.
    chance_of_statements = random.Random(seed)  # noqa: S311 # no secret
    of_statements = cycle(OF_STATEMENTS)
    faults: list[Fault | None] = [*rates, None]
    weights = [*rates.values(), 1 - sum(rates.values())]

    def decide(call: Call) -> Fault | None:
        if call.operation == "PutItem" and zlib.crc32(call.body) % 100 == 0:
            return Fault.THROTTLED
        if call.operation == _STATEMENTS:
            hit = chance_of_statements.random() < statements_rate
            return next(of_statements) if hit else None
        return chance.choices(faults, weights)[0]

    return decide


class Proxy:
    """Passes calls on to the emulator; a context manager. Set `decide` at any time."""

    def __init__(self, emulator: Emulator) -> None:
        self.decide: Decide = lambda _: None
        self.injected: Counter[Fault] = Counter()
        self._emulator = emulator
        self._upstream = urllib3.connection_from_url(
            emulator.endpoint, ca_certs=str(emulator.ca_bundle), maxsize=64, retries=False
        )
        proxy = self

        class Handler(_Handler):
            def handle_call(self, call: Call) -> None:
                proxy._handle(self, call)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._upstream.close()

    def environment(self, *services: str) -> dict[str, str]:
        """Return the environment variables that send calls to these services here: `S3`, `SQS`."""
        endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return {f"AWS_ENDPOINT_URL_{service}": endpoint for service in services}

    @contextmanager
    def before(self, stack: Stack) -> Iterator[None]:
        """Let the deployment's function make its calls to DynamoDB and S3 through the proxy."""
        own = stack.environment()
        stack.set_environment(own | self.environment("DYNAMODB", "S3"))
        try:
            yield
        finally:
            stack.set_environment(own)

    @contextmanager
    def injecting(self, decide: Decide) -> Iterator[None]:
        """Decide in this way about the calls made while the block runs."""
        self.decide = decide
        try:
            yield
        finally:
            self.decide = lambda _: None

    def _handle(self, handler: "_Handler", call: Call) -> None:
        decided = self.decide(call)
        match decided:
            case None:
                handler.answer(self._pass_on(handler, call))
            case Answer():
                handler.answer(decided)
            case Fault.INTERNAL_ERROR | Fault.UNAVAILABLE | Fault.THROTTLED:
                handler.answer(_REFUSALS[decided][call.to_s3])
            case Fault.DELAYED:
                _take_a_moment()
                handler.answer(self._pass_on(handler, call))
            case Fault() if decided in OF_STATEMENTS:
                self._split(handler, call, decided)
            case _:
                self._break_off(handler, call, decided)
        if isinstance(decided, Fault):
            self.injected[decided] += 1

    def _split(self, handler: "_Handler", call: Call, fault: Fault) -> None:
        """Execute every other statement of a batch; the fault decides about the first, third, …"""
        statements = json.loads(call.body)["Statements"]
        answer = self._execute(statements[1::2])
        if fault is Fault.ANSWER_LOST_HALFWAY:
            handler.drop()
            return
        error = {"Error": {"Code": OF_STATEMENTS[fault], "Message": "injected"}}
        responses = [error for _ in statements]
        responses[1::2] = answer
        body = json.dumps({"Responses": responses}).encode()
        handler.answer(Answer(200, body, {"content-type": "application/x-amz-json-1.0"}))
        if fault is Fault.STATEMENTS_LATE:
            _take_a_moment()
            self._execute(statements[::2])

    def _execute(self, statements: Sequence[Any]) -> Sequence[Any]:
        """Execute a part of a batch, and return the response to each statement.

        The proxy calls the emulator itself: the batch's signature does not match a part of it.
        """
        if not statements:
            return []
        dynamodb = self._emulator.client("dynamodb")
        responses: Sequence[Any] = dynamodb.batch_execute_statement(Statements=statements)[
            "Responses"
        ]
        return responses

    def _break_off(self, handler: "_Handler", call: Call, fault: Fault) -> None:
        """Let the caller never see a response."""
        if fault is Fault.LATE:
            handler.wait_until_given_up()
        if fault is not Fault.KILLED_BEFORE:
            self._pass_on(handler, call)
        if fault in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER):
            self._kill(handler)
        handler.drop()

    def _pass_on(self, handler: "_Handler", call: Call) -> Answer:
        answer = self._upstream.urlopen(
            handler.command,
            call.path,
            body=call.body,
            headers=dict(handler.headers),
            redirect=False,
            decode_content=False,
        )
        return Answer(answer.status, answer.data, dict(answer.headers))

    def _kill(self, handler: "_Handler") -> None:
        """Kill the process that made the call, found by its end of the connection.

        If no process is found, it has already been killed at another call.
        """
        port = handler.client_address[1]
        functions = psutil.Process(self._emulator.pid).children(recursive=True)
        for process in (*functions, *psutil.Process().children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                if any(c.laddr and c.laddr.port == port for c in process.net_connections("tcp")):
                    process.kill()
                    return
        handler.wait_until_given_up()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(OSError):  # the function may be dead or have given up
            super().handle()

    def handle_call(self, call: Call) -> None:
        raise NotImplementedError

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", self.command).rpartition(".")[2]
        self.handle_call(Call(operation, self.path, body))

    do_GET = do_HEAD = do_POST  # noqa: N815 # http.server's names

    def answer(self, answer: Answer) -> None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if self.command != "HEAD":
            headers["content-length"] = str(len(answer.body))
        headers.pop("transfer-encoding", None)
        headers.pop("connection", None)
        self.send_response_only(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def drop(self) -> None:
        self.close_connection = True

    def wait_until_given_up(self) -> None:
        """Wait until the caller closes the connection, as it does when it times out."""
        self.connection.settimeout(HANG_SECONDS)
        with suppress(ConnectionError):
            if self.connection.recv(1, socket.MSG_PEEK):
                raise RuntimeError("the caller has sent more instead of waiting for the answer")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 # http.server's name
        pass


def _take_a_moment() -> None:
    time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 # no secret


def dynamodb_error(status: int, code: str, message: str) -> Answer:
    """An error as DynamoDB writes it."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/x-amz-json-1.0"})


def s3_error(status: int, code: str, message: str) -> Answer:
    """An error as S3 writes it; the response to a HEAD has no body."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, body.encode(), {"content-type": "application/xml"})


_REFUSALS = {  # as DynamoDB says it, and as S3 does
    Fault.INTERNAL_ERROR: (
        dynamodb_error(500, "InternalServerError", "injected"),
        s3_error(500, "InternalError", "injected"),
    ),
    Fault.UNAVAILABLE: (
        dynamodb_error(503, "ServiceUnavailable", "injected"),
        s3_error(503, "ServiceUnavailable", "injected"),
    ),
    Fault.THROTTLED: (
        dynamodb_error(400, "ProvisionedThroughputExceededException", "injected"),
        s3_error(503, "SlowDown", "injected"),
    ),
}
