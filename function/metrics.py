"""What an invocation did, in numbers: the metrics that CloudWatch takes from its log.

They are fields of the summary's line, in the embedded metric format, and cost no call:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .errors import PermissionDeniedError
from .events import ObjectEvent, Outcome

NAMESPACE = "FileIndex"
DIMENSION = "Deployment"
MOST_VALUES = 100
"""The format takes no more of one metric."""

_DEPLOYMENT = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
_PERMISSION_DENIED = "PermissionDenied"
_LAG = "Lag"
_WRITTEN = {Outcome.INDEXED, Outcome.REMOVED}


class Tally:
    """Counts the object events of one invocation."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._permission_denied = 0
        self._lags_ms: list[int] = []

    def count(
        self, events: Sequence[ObjectEvent], outcomes: Sequence[Outcome], now: datetime
    ) -> None:
        """Count what became of each event; `now` is when it was written."""
        self.outcomes.update(outcomes)
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome in _WRITTEN and (lag := lag_ms(event, now)) is not None:
                # Of values below zero, as clocks may differ, CloudWatch makes no percentiles.
                self._lags_ms.append(max(0, lag))

    def fail(self, error: Exception, events: int = 1) -> None:
        """Count events that failed."""
        self.outcomes[Outcome.FAILED] += events
        self._permission_denied += events * isinstance(error, PermissionDeniedError)

    def embedded(self, now: datetime) -> dict[str, Any]:
        """The fields that make a log line one of metrics, with their values."""
        counts = {outcome.capitalize(): self.outcomes[outcome] for outcome in Outcome}
        counts[_PERMISSION_DENIED] = self._permission_denied
        metrics = [{"Name": name, "Unit": "Count"} for name in counts]
        lags = {_LAG: _spread(self._lags_ms)} if self._lags_ms else {}
        metrics += [{"Name": name, "Unit": "Milliseconds"} for name in lags]
        return {
            "_aws": {
                "Timestamp": int(now.timestamp() * 1000),
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
                ],
            },
            DIMENSION: _DEPLOYMENT,
            **counts,
            **lags,
        }


def lag_ms(event: ObjectEvent, now: datetime) -> int | None:
    """Milliseconds since the event happened."""
    return round((now - event.time).total_seconds() * 1000) if event.time else None


def _spread(values: Sequence[int]) -> list[int]:
    """The values in order; of too many, as many as may be, evenly by rank, with both ends."""
    ordered = sorted(values)
    if len(ordered) <= MOST_VALUES:
        return ordered
    step = (len(ordered) - 1) / (MOST_VALUES - 1)
    return [ordered[round(rank * step)] for rank in range(MOST_VALUES)]
