"""The output of an invocation: its log lines, and the metrics in the last of them."""

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from function.errors import ContentionError, MalformedEventError, PermissionDeniedError
from function.events import ObjectEvent, Outcome
from function.reconciliation.log import Log
from function.report import Report, set_up

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event(lag_ms: float | None) -> ObjectEvent:
    time = None if lag_ms is None else NOW - timedelta(milliseconds=lag_ms)
    return ObjectEvent(bucket="b", key="k", name="ObjectCreated:Put", time=time)


def declared(fields: dict[str, Any]) -> dict[str, str]:
    """The metrics that CloudWatch would take from the line, with their units."""
    (directive,) = fields["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("FileIndex", [["Deployment"]])
    assert isinstance(fields["Deployment"], str)
    return {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The fields of the logged lines."""
    caplog.set_level(logging.INFO)
    return lambda: [vars(record) for record in caplog.records]


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

    set_up()

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


def test_the_runtimes_handler_and_level_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_logger(monkeypatch)
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)

    set_up()

    assert (root.handlers, root.level) == ([handler], logging.DEBUG)
    assert logging.getLogger("botocore").level == logging.WARNING


def test_outcomes_are_counted_and_a_count_of_zero_is_left_out(lines: Lines) -> None:
    report = Report(lambda: NOW, expected=5)
    outcomes = [Outcome.INDEXED, Outcome.REMOVED, Outcome.SUPERSEDED, *[Outcome.INDEXED] * 2]

    for lag_ms, outcome in zip((5, 7, 9, None, -3), outcomes, strict=True):
        report.done(event(lag_ms), outcome)
    report.summary(messages=2, test_events=1)

    fields = lines()[-1]
    assert declared(fields) == {
        "Indexed": "Count",
        "Removed": "Count",
        "Superseded": "Count",
        "PermissionDenied": "Count",
        "Lag": "Milliseconds",
    }
    assert {name: fields[name] for name in declared(fields)} == {
        "Indexed": 3,
        "Removed": 1,
        "Superseded": 1,
        "PermissionDenied": 0,  # its alarm waits for it
        "Lag": [0, 5, 7],  # of written events with a time
    }
    assert not {"Ignored", "Failed"} & fields.keys()
    assert fields["_aws"]["Timestamp"] == NOW.timestamp() * 1000
    assert (fields["messages"], fields["test_events"]) == (2, 1)


def test_a_summary_names_test_events_only_if_there_were_any(lines: Lines) -> None:
    report = Report(lambda: NOW, expected=0)

    report.summary(messages=1, test_events=0)

    assert "test_events" not in lines()[-1]


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.FAILED])
def test_the_line_of_the_only_event_has_the_metrics(lines: Lines, outcome: Outcome) -> None:
    report = Report(lambda: NOW, expected=1)

    report.done(event(7), outcome)
    report.summary(messages=1, test_events=0)

    (line,) = lines()
    assert (line["message"], line["key"], line["lag_ms"]) == (outcome, "k", 7)
    counts = {name: line[name] for name, unit in declared(line).items() if unit == "Count"}
    assert counts == {outcome.capitalize(): 1, "PermissionDenied": 0}


def test_the_line_of_the_only_failure_has_the_metrics(lines: Lines) -> None:
    failed, malformed = Report(lambda: NOW, expected=1), Report(lambda: NOW, expected=1)

    failed.failed([event(7)], PermissionDeniedError("role r is not authorized"))
    malformed.malformed(MalformedEventError("no key"))

    denial, unreadable = lines()
    assert (denial["outcome"], denial["Failed"], denial["PermissionDenied"]) == ("failed", 1, 1)
    assert denial["exc_info"]
    assert (unreadable["message"], unreadable["Failed"], unreadable["PermissionDenied"]) == (
        "malformed",
        1,
        0,
    )


def test_at_level_warn_the_line_of_the_only_event_has_nothing_but_metrics(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    Report(lambda: NOW, expected=1).done(event(7), Outcome.INDEXED)
    Report(lambda: NOW, expected=1).done(event(7), Outcome.IGNORED)

    indexed, ignored = lines()
    plain = vars(logging.makeLogRecord({})).keys() | {"message"}
    assert (indexed["levelname"], indexed["message"]) == ("WARNING", "indexed")
    assert indexed.keys() - plain == {"_aws", "Deployment", *declared(indexed)}
    assert declared(indexed).keys() == {"Indexed", "PermissionDenied", "Lag"}
    assert (ignored["key"], ignored["Ignored"]) == ("k", 1)  # a warning of its own


def test_a_zero_is_written_if_an_alarm_needs_it_to_end(lines: Lines) -> None:
    """Data that is missing neither fires an alarm nor ends it, unless the alarm says otherwise."""
    for outcome in Outcome:
        Report(lambda: NOW, expected=1).done(event(1), outcome)
    written = [declared(line) for line in lines()]
    possible, always = set[str]().union(*written), set(written[0]).intersection(*written)
    assert len(possible) == len(Outcome) + 2

    log = Log("d", "b", "run", lambda: NOW)
    log.ended({**RESULT, "outcome": "complete"})
    clean = declared(lines()[-1]).keys()

    waited_for = needed_by_alarms()
    assert always == waited_for & possible
    assert waited_for - possible <= clean


RESULT = {
    "counts": {"compared": 1},
    "reason": None,
    "mode": "verify",
    "prefix": "",
    "repair": False,
    "rounds": 1,
    "at_least": False,
}


def needed_by_alarms() -> set[str]:
    """The metrics of this package without which an alarm keeps its state, or fires."""
    text = (Path(__file__).parents[2] / "monitoring.tf").read_text()
    names = dict(re.findall(r'^    (\w+) += \["FileIndex", "(\w+)"', text, re.MULTILINE))
    alarms = re.findall(r"^    [a-z-]+ = \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL)
    found = {
        names[metric]
        for alarm in alarms
        if 'no_data = "notBreaching"' not in alarm
        for metric in re.findall(r"local\.metrics\.(\w+)", alarm)
        if metric in names
    }
    assert len(alarms) == text.count("no_data =")
    return found


def test_an_event_has_one_line_with_the_lag_that_is_counted(lines: Lines) -> None:
    report = Report(lambda: NOW, expected=3)

    report.done(event(7), Outcome.INDEXED)
    report.done(event(-3), Outcome.REMOVED)
    report.done(event(None), Outcome.IGNORED)
    report.summary(messages=1, test_events=0)

    told = [(line["levelname"], line["message"], line.get("lag_ms")) for line in lines()]
    assert told == [
        ("INFO", "indexed", 7),
        ("INFO", "removed", -3),
        ("WARNING", "ignored", None),
        ("INFO", "summary", None),
    ]
    assert lines()[-1]["Lag"] == [0, 7]


def test_without_a_write_there_is_no_lag(lines: Lines) -> None:
    report = Report(lambda: NOW, expected=1)

    report.done(event(5), Outcome.SUPERSEDED)

    assert "Lag" not in declared(lines()[-1])
    assert "Lag" not in lines()[-1]


def test_a_denial_is_counted_in_addition_to_the_failure(lines: Lines) -> None:
    report = Report(lambda: NOW, expected=5)

    report.failed([event(5)] * 3, PermissionDeniedError("role r is not authorized"))
    report.failed([event(5)], ContentionError("again"))
    report.malformed(MalformedEventError("no key"), "m1")
    report.summary(messages=1, test_events=0)

    *failures, malformed, summary = lines()
    assert [line["outcome"] for line in failures] == ["failed"] * 4
    assert (malformed["message"], malformed["message_id"]) == ("malformed", "m1")
    assert (summary["Failed"], summary["PermissionDenied"]) == (5, 3)
    assert report.outcomes == {Outcome.FAILED: 5}


@pytest.mark.parametrize("events", [1, 99, 100, 101, 250, 10_000])
def test_values_are_thinned_to_the_formats_limit_and_keep_their_distribution(
    lines: Lines, events: int
) -> None:
    report = Report(lambda: NOW, expected=events)
    for number in range(events):  # all below, in disorder
        report.done(event((number * 7919) % events), Outcome.INDEXED)

    report.summary(messages=1, test_events=0)

    kept = lines()[-1]["Lag"]
    assert len(kept) == min(events, 100)
    assert (kept[0], kept[-1]) == (0, events - 1)
    for rank in range(len(kept)):
        assert abs(kept[rank] - rank * (events - 1) / max(len(kept) - 1, 1)) <= 1
