"""A bucket and a table without a deployment between them, and `file-index` on both."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import psutil

from cli.function.reader import IndexReader
from cli.function.record import FileRecord
from cli.function.repository import FileIndex
from local.emulator import Emulator
from tools.module_copy import ROOT

FILE_INDEX = (
    sys.executable,
    "-c",
    # A shell's background job ignores Ctrl-C, and so would every process that the tests start.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from cli.__main__ import run; run()",
)
"""The command line's program."""
TOGETHER = (
    *FILE_INDEX[:2],
    "from cli import engine; engine.cores, engine.ALONE_SECONDS = lambda: 2, 0; " + FILE_INDEX[2],
)
"""The same, with two processes from the beginning."""


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    answer: str
    messages: str
    peak_mb: float
    """Its peak memory."""


class Bare:
    """A bucket and a table, as before the module is deployed, and `file-index`."""

    def __init__(self, emulator: Emulator, home: Path, bucket: str | None = None) -> None:
        """Use an existing bucket, or create one with the table's name."""
        self.emulator = emulator
        self.name = f"bare-{uuid4().hex[:12]}"
        """The name of the table."""
        self.bucket = bucket or self.name
        self._home = home
        self.s3: Any = emulator.client("s3")
        if bucket is None:
            self.s3.create_bucket(Bucket=self.bucket)
        emulator.client("dynamodb").create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("partition", "key")
            ],
            KeySchema=[
                {"AttributeName": "partition", "KeyType": "HASH"},
                {"AttributeName": "key", "KeyType": "RANGE"},
            ],
        )

    @cached_property
    def index(self) -> IndexReader:
        return IndexReader(self.emulator.client("dynamodb"), self.name)

    def store(self, record: FileRecord) -> None:
        """Write a record for a key that has none."""
        FileIndex(self.emulator.client("dynamodb"), self.name).replace(record, None)

    def url(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, body: bytes = b"x") -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        stderr: int = subprocess.PIPE,
        program: Sequence[str] = FILE_INDEX,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*program, *arguments, "--table", self.name],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "HOME": str(self._home),
                **self.emulator.environment,
                **environment,
            },
            cwd=self._home,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def file_index(
        self,
        *arguments: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        program: Sequence[str] = FILE_INDEX,
    ) -> Done:
        process = self.start(*arguments, environment=environment, program=program)
        answer, messages = process.communicate()
        return Done(process.returncode, answer, messages, 0)

    def measured(self, *arguments: str) -> Done:
        """Run a command with little output, and measure its memory."""
        process = self.start(*arguments)
        # Not with wait4, which counts the memory of the tests' own process at the fork.
        seen = psutil.Process(process.pid)
        most = 0
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                most = max(most, seen.memory_info().rss)
            time.sleep(0.02)
        answer, messages = process.communicate()
        return Done(process.returncode, answer, messages, most / 2**20)
