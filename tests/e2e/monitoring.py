"""The alarms of a deployment and its dashboard, and what was measured."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from local.alarms import Alarm, State, computed
from tests.e2e.stack import Stack

DAY_SECONDS = 86400

Metric = tuple[str, str, str, str]
"""Namespace, name, dimension and its value."""

Periods = Sequence[datetime]
"""When each period began, and when the last one ended.

They stand for the minutes or hours of an alarm, but last only as long as their events.
"""


class Monitoring:
    """The alarms of a deployment, its dashboard, and what has been measured."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.cloudwatch = stack.emulator.client("cloudwatch")
        described = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"{stack.name}-")
        self.alarms: dict[str, dict[str, Any]] = {
            alarm["AlarmName"].removeprefix(f"{stack.name}-"): alarm
            for alarm in described["MetricAlarms"]
            # The name of one deployment may begin another's.
            if all(metric[3] in self.names for metric in metrics_of(alarm))
        }

    @property
    def names(self) -> set[str]:
        """Return the names of the module's resources."""
        return {self.stack.name, f"{self.stack.name}-dead-letter"}

    def watched(self) -> set[Metric]:
        return {metric for alarm in self.alarms.values() for metric in metrics_of(alarm)}

    def drawn(self) -> set[Metric]:
        body = json.loads(
            self.cloudwatch.get_dashboard(DashboardName=self.stack.name)["DashboardBody"]
        )
        return {
            (metric[0], metric[1], metric[2], metric[3])
            for widget in body["widgets"]
            for metric in widget["properties"].get("metrics", ())
        }

    def measured(self) -> set[Metric]:
        return {
            (metric["Namespace"], metric["MetricName"], dimension["Name"], dimension["Value"])
            for page in self.cloudwatch.get_paginator("list_metrics").paginate()
            for metric in page["Metrics"]
            for dimension in metric["Dimensions"]
        }

    def fired(self, periods: Periods) -> set[str]:
        """Return the alarms that fired in these periods."""
        return {name for name in self.alarms if self.fires(name, periods)}

    def fires(self, name: str, periods: Periods) -> bool:
        """Return whether the alarm fired in these periods: none of them before has data."""
        return Alarm.of(self.alarms[name]).fires(self._values(name, periods))

    def states(self, name: str, periods: Periods) -> list[State]:
        """Return the state of the alarm before these periods, and after each."""
        return list(Alarm.of(self.alarms[name]).states(self._values(name, periods)))

    def _values(self, name: str, periods: Periods) -> list[float | None]:
        alarm = self.alarms[name]
        if "MetricName" in alarm:
            statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
            return [self._statistic(alarm, statistic, *period) for period in pairwise(periods)]
        (expression,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
        return [
            computed(
                expression,
                {
                    each["Id"]: self._statistic(of["Metric"], of["Stat"], *period)
                    for each in alarm["Metrics"]
                    if (of := each.get("MetricStat"))
                },
            )
            for period in pairwise(periods)
        ]

    def _statistic(
        self, metric: dict[str, Any], statistic: str, began: datetime, ended: datetime
    ) -> float | None:
        """Return the value of a metric for one period; None without data."""
        percentile = statistic.startswith("p")
        found = self.cloudwatch.get_metric_statistics(
            Namespace=metric["Namespace"],
            MetricName=metric["MetricName"],
            Dimensions=metric["Dimensions"],
            StartTime=began,
            EndTime=ended,
            Period=DAY_SECONDS,
            **({"ExtendedStatistics" if percentile else "Statistics": [statistic]}),
        )["Datapoints"]
        if not found:
            return None
        (point,) = found
        value: float = (point["ExtendedStatistics"] if percentile else point)[statistic]
        return value


def now() -> datetime:
    return datetime.now(UTC)


def metrics_of(alarm: dict[str, Any]) -> list[Metric]:
    """Return the metrics that an alarm watches, or of which it computes what it watches."""
    queries = [
        each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each
    ]
    return [_metric(each) for each in queries or [alarm]]


def _metric(of: dict[str, Any]) -> Metric:
    (dimension,) = of["Dimensions"]
    return of["Namespace"], of["MetricName"], dimension["Name"], dimension["Value"]
