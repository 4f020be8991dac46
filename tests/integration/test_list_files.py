"""The function of examples/reader."""

import importlib.util
import sys
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import cli
from function.record import FileRecord, ObjectState
from function.repository import FileIndex
from tests.integration.conftest import BUCKET, TABLE
from tools.module_copy import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def list_files(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with the package under the name that it has when it is installed."""
    monkeypatch.setitem(sys.modules, "file_index", cli)
    monkeypatch.setenv("BUCKET", BUCKET)
    monkeypatch.setenv("TABLE_NAME", TABLE)
    monkeypatch.setenv("TABLE_PARTITIONS", "2")
    file = ROOT / "examples/reader/list_files.py"
    spec = importlib.util.spec_from_file_location("list_files", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_files_below_a_prefix_are_listed_in_order(
    list_files: ModuleType, dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_files, "MOST", 2)
    index = FileIndex(dynamodb, TABLE, 2)
    for key in ("2026/c", "2026/b", "2026/a", "2025/z", "2026/a deleted"):
        state = None if key.endswith("deleted") else ObjectState(etag=f"e-{key}", size=len(key))
        record = FileRecord(
            bucket=BUCKET, key=key, indexed_at=datetime.now(UTC), revision="r", state=state
        )
        index.replace(record, None)

    assert list_files.handler({"prefix": "2026/"}, None) == [
        {"key": "2026/a", "size": 6, "etag": "e-2026/a"},
        {"key": "2026/b", "size": 6, "etag": "e-2026/b"},
    ]
