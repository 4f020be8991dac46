"""`file-index` in this process, on moto."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from cli.main import app
from function.record import FileRecord
from function.repository import FileIndex
from tests.integration.conftest import TABLE


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    answer: str
    """On standard output."""
    messages: str
    """On standard error."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The answer, of JSON lines."""
        return [json.loads(line) for line in self.answer.splitlines()]


FileIndexCommand = Callable[..., Said]


@pytest.fixture
def file_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FileIndexCommand:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments: str, table: str = TABLE) -> Said:
        # A command makes its options those of its process; here that is the other tests' too.
        with patch.dict(os.environ):
            done = CliRunner().invoke(app, [*arguments, "--table", table])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    return run


Store = Callable[[FileRecord], None]


@pytest.fixture
def store(index: FileIndex) -> Store:
    return lambda record: index.replace(record, None)
