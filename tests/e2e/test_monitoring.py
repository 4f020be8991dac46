"""Alarms and dashboard watch existing metrics, and each alarm fires if its cause exists."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from local.waiting import wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

DAY_SECONDS = 86400

# Metrics that AWS records and the local AWS does not:
DOCUMENTED = {
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName"),
    ("AWS/DynamoDB", "WriteThrottleEvents", "TableName"),
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    ("AWS/Events", "InvocationsFailedToBeSentToDlq", "RuleName"),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "AsyncEventAge", "FunctionName"),
    ("AWS/Lambda", "AsyncEventsReceived", "FunctionName"),
    ("AWS/Lambda", "DestinationDeliveryFailures", "FunctionName"),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
    ("AWS/SQS", "NumberOfMessagesSent", "QueueName"),
}

Metric = tuple[str, str, str, str]
"""Namespace, name, dimension and its value."""

Minutes = Sequence[datetime]
"""When each minute began, and when the last one ended.

They stand for CloudWatch's minutes, but last only as long as their events.
"""

Cause = Callable[[Stack], Iterator[None]]
"""Makes an alarm fire; yields at the end of each minute that this takes."""


class Monitoring:
    """The alarms of a deployment, its dashboard, and what has been measured."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.cloudwatch = stack.emulator.client("cloudwatch")
        described = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"{stack.name}-")
        self.alarms: dict[str, dict[str, Any]] = {
            alarm["AlarmName"].removeprefix(f"{stack.name}-"): alarm
            for alarm in map(_with_its_metric, described["MetricAlarms"])
            # The name of one deployment may begin another's.
            if alarm["Dimensions"][0]["Value"] in self.names
        }

    @property
    def names(self) -> set[str]:
        """Return the names of the module's resources."""
        return {self.stack.name, f"{self.stack.name}-dead-letter"}

    def watched(self) -> set[Metric]:
        return {_metric(alarm) for alarm in self.alarms.values()}

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

    def fired(self, minutes: Minutes) -> set[str]:
        """Return the alarms that fired in these minutes."""
        return {name for name in self.alarms if self.fires(name, minutes)}

    def fires(self, name: str, minutes: Minutes) -> bool:
        """Return whether the alarm fired in these minutes, by CloudWatch's rules.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
        """
        alarm = self.alarms[name]
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        # No data never breaches: neither with "notBreaching" nor with "ignore".
        assert alarm["TreatMissingData"] in ("notBreaching", "ignore")
        breaching = [
            any(value > alarm["Threshold"] for value in self._statistic(alarm, began, ended))
            for began, ended in pairwise(minutes)
        ]
        return any(
            sum(breaching[max(0, end - alarm["EvaluationPeriods"]) : end])
            >= alarm["DatapointsToAlarm"]
            for end in range(1, len(breaching) + 1)
        )

    def _statistic(self, alarm: dict[str, Any], began: datetime, ended: datetime) -> list[float]:
        """Return the alarm's value for one minute; None without data."""
        percentile = alarm.get("ExtendedStatistic")
        found = self.cloudwatch.get_metric_statistics(
            Namespace=alarm["Namespace"],
            MetricName=alarm["MetricName"],
            Dimensions=alarm["Dimensions"],
            StartTime=began,
            EndTime=ended,
            Period=DAY_SECONDS,
            **(
                {"ExtendedStatistics": [percentile]}
                if percentile
                else {"Statistics": [alarm["Statistic"]]}
            ),
        )["Datapoints"]
        return [
            point["ExtendedStatistics"][percentile] if percentile else point[alarm["Statistic"]]
            for point in found
        ]


def now() -> datetime:
    return datetime.now(UTC)


def _with_its_metric(alarm: dict[str, Any]) -> dict[str, Any]:
    """The alarm; one on an expression with the metric that the expression fills with zeros."""
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            statistic = query["MetricStat"]
            return {
                **alarm,
                **statistic["Metric"],
                "Period": int(statistic["Period"]),
                "Statistic": statistic["Stat"],
            }
    return alarm


def _metric(alarm: dict[str, Any]) -> Metric:
    (dimension,) = alarm["Dimensions"]
    return alarm["Namespace"], alarm["MetricName"], dimension["Name"], dimension["Value"]


@pytest.mark.parametrize(
    "stack", ["unversioned", "external_queued", "eventbridge", "eventbridge_queued"], indirect=True
)
def test_nothing_watches_a_metric_that_does_not_exist(stack: Stack) -> None:
    stack.put(f"{PREFIX}measured.csv")
    stack.wait_until_indexed(f"{PREFIX}measured.csv")
    monitoring = Monitoring(stack)
    measured = monitoring.measured()

    assert monitoring.alarms
    for metric in monitoring.watched() | monitoring.drawn():
        assert metric[3] in monitoring.names
        assert metric in measured or metric[:3] in DOCUMENTED, metric
    # And the reverse: the dashboard draws all metrics of the function.
    ours = {metric for metric in measured if metric[0] == "FileIndex" and metric[3] == stack.name}
    assert ours <= monitoring.drawn()


@pytest.mark.parametrize("stack", ["unversioned", "external_queued"], indirect=True)
def test_no_alarm_fires_without_a_cause(stack: Stack) -> None:
    began = now()
    key = f"{PREFIX}all is well.csv"
    stack.put(key)
    stack.wait_until_indexed(key)
    stack.delete(key)
    stack.wait_until_removed(key)

    assert Monitoring(stack).fired([began, now()]) == set()


def denied(stack: Stack) -> Iterator[None]:
    with stack.without("dynamodb:PutItem"):
        failed, _ = stack.invoke(stack.upload_event("denied"))
    assert failed
    yield


def unreadable(stack: Stack) -> Iterator[None]:
    with stack.redelivering_after(1):
        stack.emulator.client("sqs").send_message(QueueUrl=stack.queue_url, MessageBody="?")
        wait_for(stack.take_dead_letters, stack.dead_letters)
    yield


def late(stack: Stack) -> Iterator[None]:
    for minute in range(2):
        stack.invoke(stack.upload_event(f"late {minute}", age=timedelta(minutes=6)))
        yield


def throttled(stack: Stack) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        # Without retries: one call a minute is enough.
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        awslambda = stack.emulator.client("lambda")
    with _reserved(stack, 0):
        for _ in range(5):
            with pytest.raises(awslambda.exceptions.TooManyRequestsException):
                awslambda.invoke(FunctionName=stack.name, Payload="{}")
            yield


@contextmanager
def _reserved(stack: Stack, concurrency: int) -> Iterator[None]:
    awslambda = stack.emulator.client("lambda")
    awslambda.put_function_concurrency(
        FunctionName=stack.name, ReservedConcurrentExecutions=concurrency
    )
    try:
        yield
    finally:
        awslambda.delete_function_concurrency(FunctionName=stack.name)


@pytest.mark.parametrize(
    ("stack", "cause", "alarms"),
    [
        ("unversioned", denied, {"errors", "permission-denied"}),
        ("external_queued", unreadable, {"failed-events"}),
        ("unversioned", late, {"lag"}),
        ("unversioned", throttled, {"throttles"}),
    ],
    indirect=["stack"],
)
def test_an_alarm_fires_when_its_cause_is_there(
    stack: Stack, cause: Cause, alarms: set[str]
) -> None:
    minutes = [now()]

    for _ in cause(stack):
        minutes.append(now())  # noqa: PERF401 # each at its time

    monitoring = Monitoring(stack)
    assert monitoring.fired(minutes) == alarms
    assert not alarms & monitoring.fired(minutes[:-1])


# The test records the metrics that the local AWS lacks, as AWS would.
@pytest.mark.parametrize(
    ("stack", "alarm", "well", "ill", "minutes"),
    [
        ("unversioned", "dead-letters", 0, 1, 1),
        ("unversioned", "lost", 0, 1, 1),
        ("unversioned", "old-events", 600_000, 600_001, 1),
        ("external_queued", "old-events", 600, 601, 1),
        ("eventbridge", "lost-by-rule", 0, 1, 1),
        ("unversioned", "table-throttled", 0, 1, 3),
    ],
    indirect=["stack"],
)
def test_an_alarm_fires_by_what_aws_measures(
    stack: Stack, alarm: str, well: float, ill: float, minutes: int
) -> None:
    monitoring = Monitoring(stack)
    namespace, name, dimension, value = _metric(monitoring.alarms[alarm])
    period = timedelta(seconds=monitoring.alarms[alarm]["Period"])
    yesterday = now() - timedelta(days=1)

    def measure(number: float, periods: int, hour: int) -> Minutes:
        """Measure the number in the first minutes of an hour; return that hour's first minutes."""
        began = yesterday + timedelta(hours=hour)
        minutes = [began + minute * period for minute in range(7)]
        monitoring.cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": dimension, "Value": value}],
                    "Value": number,
                    "Timestamp": minute,
                }
                for minute in minutes[:periods]
            ],
        )
        return minutes

    assert not monitoring.fires(alarm, measure(well, minutes, hour=0))
    if minutes > 1:
        assert not monitoring.fires(alarm, measure(ill, minutes - 1, hour=1))
    assert monitoring.fires(alarm, measure(ill, minutes, hour=2))


def test_the_queries_use_fields_that_the_log_has(unversioned: Stack) -> None:
    queries = unversioned.emulator.client("logs").describe_query_definitions(
        queryDefinitionNamePrefix=f"{unversioned.name}/"
    )["queryDefinitions"]
    list(denied(unversioned))
    unversioned.put(f"{PREFIX}asked for.csv")
    unversioned.wait_until_indexed(f"{PREFIX}asked for.csv")
    known = {name for line in unversioned.log_lines() for name in line} | {
        "@timestamp",
        "version_id",  # in buckets with versions
    }

    assert len(queries) == 5
    for query in queries:
        assert query["logGroupNames"] == [unversioned.outputs["log_group"]["name"]]
        assert _fields(query["queryString"]) <= known
        assert _fields(query["queryString"])


def _fields(query: str) -> set[str]:
    """The fields that a query names after `filter`, `fields`, `by` and in functions."""
    found: set[str] = set()
    for command in query.split(" | "):
        word, _, rest = command.partition(" ")
        if word == "fields":
            found |= {name.strip() for name in rest.split(",")}
        elif word == "filter":
            found.add(rest.split()[0])
        elif word == "stats":
            found |= {name.strip() for name in rest.partition(" by ")[2].split(",")}
    return found
