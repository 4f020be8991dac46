"""`file-index` in this process, on moto."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.config import Config

from cli.connection import Connection
from cli.function import reader
from cli.function.record import FileRecord
from cli.function.repository import FileIndex
from cli.main import execute
from tests.identity import identity
from tests.integration.conftest import TABLE

__all__ = ["identity"]


@dataclass(frozen=True)
class Said:
    """The output of a command."""

    code: int
    answer: str
    """On standard output."""
    messages: str
    """On standard error."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The values on standard output, of JSON lines."""
        return [json.loads(line) for line in self.answer.splitlines()]


FileIndexCommand = Callable[..., Said]


@pytest.fixture(scope="package", autouse=True)
def clients(session: None) -> Iterator[None]:  # noqa: ARG001 # they are made from it
    """One client of each kind for all commands: making one takes longer than two calls."""
    make, made = Connection.client, {}

    def client(connection: Connection, service: Any, config: Config | None = None) -> Any:
        chosen = vars(config)["_user_provided_options"] if config else None
        environment = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
        where = (connection.region, connection.session.profile_name, connection.endpoint_url)
        kind = repr((service, chosen, where, environment))
        if kind not in made:
            made[kind] = make(connection, service, config)
        return made[kind]

    with patch.object(Connection, "client", client):
        yield


@pytest.fixture
def file_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FileIndexCommand:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr("cli.engine.cores", lambda: 1)  # moto is in this process

    def run(*arguments: str, table: str = TABLE) -> Said:
        answer, messages = StringIO(), StringIO()
        with redirect_stdout(answer), redirect_stderr(messages):
            code = execute([*arguments, "--table", table])
        return Said(code, answer.getvalue(), messages.getvalue())

    return run


Store = Callable[[FileRecord], None]


@pytest.fixture
def store(index: FileIndex) -> Store:
    return lambda record: index.replace(record, None)


@pytest.fixture(autouse=True)
def few_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the search for records in any partition end after 8, because moto is slow."""
    monkeypatch.setattr(reader, "MOST_PARTITIONS", 8)
