"""Reads the metrics that CloudWatch on the local AWS has recorded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any


def values(
    cloudwatch: Any, metric: Sequence[str], statistic: str, period: int, since: datetime
) -> dict[datetime, float]:
    """Return the statistic of a metric, by the start of each period.

    The metric is given as in a dashboard: namespace, name, dimension and the dimension's value.
    """
    namespace, name, dimension, of = metric
    found = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": dimension, "Value": of}],
                    },
                    "Period": period,
                    "Stat": statistic,
                },
            }
        ],
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(seconds=period),
    )["MetricDataResults"][0]
    return dict(zip(found["Timestamps"], found["Values"], strict=True))
