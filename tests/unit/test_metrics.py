"""The metrics in a summary's line, in the embedded metric format."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from function.errors import ContentionError, PermissionDeniedError
from function.events import ObjectEvent, Outcome
from function.metrics import Tally

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


def test_every_outcome_is_counted_also_where_there_was_none() -> None:
    tally = Tally()
    outcomes = [Outcome.INDEXED, Outcome.REMOVED, Outcome.SUPERSEDED, *[Outcome.INDEXED] * 2]

    tally.count([event(5), event(7), event(9), event(None), event(-3)], outcomes, NOW)
    fields = tally.embedded(NOW)

    assert declared(fields) == {
        "Indexed": "Count",
        "Removed": "Count",
        "Superseded": "Count",
        "Ignored": "Count",
        "Failed": "Count",
        "PermissionDenied": "Count",
        "Lag": "Milliseconds",
    }
    assert {name: fields[name] for name in declared(fields)} == {
        "Indexed": 3,
        "Removed": 1,
        "Superseded": 1,
        "Ignored": 0,
        "Failed": 0,
        "PermissionDenied": 0,
        "Lag": [0, 5, 7],  # of what was written and says when it happened
    }
    assert fields["_aws"]["Timestamp"] == NOW.timestamp() * 1000


def test_where_nothing_was_written_there_is_no_lag() -> None:
    tally = Tally()
    tally.count([event(5)], [Outcome.SUPERSEDED], NOW)

    fields = tally.embedded(NOW)

    assert "Lag" not in declared(fields)
    assert "Lag" not in fields


def test_a_refusal_is_counted_beside_the_failure() -> None:
    tally = Tally()

    tally.fail(PermissionDeniedError("role r may not"), 3)
    tally.fail(ContentionError("again"))

    fields = tally.embedded(NOW)
    assert (fields["Failed"], fields["PermissionDenied"]) == (4, 3)


@pytest.mark.parametrize("events", [1, 99, 100, 101, 250, 10_000])
def test_no_more_values_than_the_format_takes_and_the_distribution_stays(events: int) -> None:
    tally = Tally()
    lags = [(number * 7919) % events for number in range(events)]  # all below, in disorder

    tally.count([event(lag) for lag in lags], [Outcome.INDEXED] * events, NOW)
    kept = tally.embedded(NOW)["Lag"]

    assert len(kept) == min(events, 100)
    assert (kept[0], kept[-1]) == (0, events - 1)
    for rank in range(len(kept)):
        assert abs(kept[rank] - rank * (events - 1) / max(len(kept) - 1, 1)) <= 1
