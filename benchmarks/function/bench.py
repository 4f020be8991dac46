"""A server, and the handlers that are measured against it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.package import PACKAGE, ROOT

from ..server import Server
from .events import BUCKET

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""The interpreter of every handler, ours and theirs."""

_PEERS = ROOT / "benchmarks" / "peers"
_WORKER = Path(__file__).with_name("worker.py")
TABLE = "files"


@dataclass(frozen=True, slots=True)
class Handler:
    """A Lambda function."""

    name: str
    entry: str
    """Module and function, as Lambda's configuration has it."""
    environment: Mapping[str, str] = field(default_factory=dict)


OURS = Handler("ours", "function.handler.handler", {"BUCKET_NAME": BUCKET})
# Terraform sets it for a deployment with a queue and an unversioned bucket.
OURS_QUEUED = Handler("ours", OURS.entry, {**OURS.environment, "INSERT_FIRST": "true"})
PLAIN_PUT = Handler("plain put", "peers.plain_put.handler")
GET_THEN_PUT = Handler("get, then put", "peers.get_then_put.handler")
HEAD_THEN_PUT = Handler("HeadObject, then put", "peers.head_then_put.handler")
POWERTOOLS = Handler("powertools", "peers.powertools.handler")
FLOOR = Handler("floor", "peers.floor.handler")


@dataclass(frozen=True, slots=True)
class Used:
    """What a warm handler used for all of its payloads."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What a process used from its start to the answer to its first invocation."""

    cpu_ms: float
    wall_ms: float


class HandlerError(Exception):
    """A handler failed, so there is nothing to measure."""


class Bench:
    """A server, and the packages of the handlers in a directory, while its context is open."""

    def __init__(self) -> None:
        self.server = Server()
        self._directory = tempfile.TemporaryDirectory(prefix="file-index-bench-")

    def __enter__(self) -> Self:
        with zipfile.ZipFile(PACKAGE) as package:
            package.extractall(self._directory.name)
        shutil.copytree(_PEERS, Path(self._directory.name, _PEERS.name))
        self.server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.__exit__(kind, error, trace)
        self._directory.cleanup()

    def run(self, handler: Handler, warm_up: Sequence[Any], measured: Sequence[Any]) -> Used:
        """Run a handler in a new process. Raises HandlerError."""
        done = subprocess.run(
            [PYTHON, _WORKER, handler.entry],
            input=json.dumps({"warm_up": warm_up, "measured": measured}),
            cwd=self._directory.name,
            env=self._environment(handler),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HandlerError(f"{handler.name}: {done.stderr[-2000:]}")
        used = json.loads(done.stdout)
        for answer in used["answers"]:
            if failed := answer and (answer.get("batchItemFailures") or answer.get("failed")):
                raise HandlerError(f"{handler.name}: {failed} failed: {done.stderr[-2000:]}")
        return Used(used["cpu_ms"], used["wall_ms"])

    @contextmanager
    def runtime(self, handler: Handler, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a handler under Lambda's runtime interface client, which polls the server."""
        with log.open("wb") as lines:
            process = subprocess.Popen(
                [PYTHON, "-m", "awslambdaric", handler.entry],
                cwd=self._directory.name,
                env=self._environment(handler)
                | {
                    "PYTHONUNBUFFERED": "1",
                    "AWS_LAMBDA_RUNTIME_API": self.server.address,
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",
                    "AWS_LAMBDA_LOG_LEVEL": "INFO",
                },
                stdout=lines,
                stderr=lines,
            )
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
                self.server.end_runtime()

    def cold_start(self, handler: Handler, payload: Any) -> ColdStart:
        """Start a handler's process and wait for the answer to its first invocation."""
        began = time.perf_counter()
        with self.runtime(handler, Path(os.devnull)) as process:
            self.server.invoke([payload])
            wall_ms = (time.perf_counter() - began) * 1000
            process.kill()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return ColdStart((used.ru_utime + used.ru_stime) * 1000, wall_ms)

    def _environment(self, handler: Handler) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": self._directory.name,
            # Lambda compiles a package at every cold start, because it cannot write to it.
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_FUNCTION_NAME": "file-index",
            "AWS_ENDPOINT_URL": self.server.url,
            "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TABLE_NAME": TABLE,
        } | dict(handler.environment)
