"""Where lines go, and their shape outside the runtime."""

import json
import logging

import pytest

from function import logs


def root_logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The root logger as a program starts with; pytest adds its handlers to each phase."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    return root


def test_a_root_logger_without_a_handler_gets_one_that_writes_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = root_logger(monkeypatch)

    logs.set_up()

    try:
        raise ValueError("bad")  # a traceback is wanted
    except ValueError as error:
        logging.getLogger("file_index").error("failed", extra={"n": 1}, exc_info=error)

    line = json.loads(capsys.readouterr().err)
    assert line["stackTrace"]
    assert {
        name: line[name] for name in ("level", "message", "errorType", "errorMessage", "n")
    } == {
        "level": "ERROR",
        "message": "failed",
        "errorType": "ValueError",
        "errorMessage": "bad",
        "n": 1,
    }
    assert root.level == logging.INFO


def test_the_runtime_s_handler_and_level_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_logger(monkeypatch)
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)

    logs.set_up()

    assert (root.handlers, root.level) == ([handler], logging.DEBUG)
    assert logging.getLogger("botocore").level == logging.WARNING
