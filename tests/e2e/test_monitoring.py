"""Alarms and dashboard watch what there is, and each alarm fires when its cause is there."""

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.metrics import values
from local.waiting import wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.stack import Stack

MINUTE = 2
"""Seconds that pass here for a minute of CloudWatch's."""

# What AWS itself measures and the local AWS does not:
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
        """What the module made."""
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

    def fires(self, name: str, since: float) -> bool:
        """Whether the alarm has fired since then, by CloudWatch's rules.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
        """
        alarm = self.alarms[name]
        first = math.floor(since / MINUTE)
        found = values(
            self.cloudwatch,
            _metric(alarm),
            alarm.get("ExtendedStatistic") or alarm["Statistic"],
            MINUTE,
            datetime.fromtimestamp(first * MINUTE, UTC),
        )
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        breaching = {
            round(at.timestamp() / MINUTE)
            for at, value in found.items()
            if value > alarm["Threshold"]
        }
        # No data never breaches: neither with "notBreaching" nor with "ignore".
        assert alarm["TreatMissingData"] in ("notBreaching", "ignore")
        last = math.ceil(time.time() / MINUTE)
        return any(
            len(breaching & set(range(end - alarm["EvaluationPeriods"], end)))
            >= alarm["DatapointsToAlarm"]
            for end in range(first + 1, last + 2)
        )


def next_minute() -> float:
    """Wait for it, so that nothing earlier is in it."""
    time.sleep(MINUTE - time.time() % MINUTE)
    return time.time()


def _with_its_metric(alarm: dict[str, Any]) -> dict[str, Any]:
    """The alarm; one on an expression with the metric that the expression fills with zeros."""
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            statistic = query["MetricStat"]
            return {**alarm, **statistic["Metric"], "Statistic": statistic["Stat"]}
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
    # And the other way round: what the function measures is drawn.
    ours = {metric for metric in measured if metric[0] == "FileIndex" and metric[3] == stack.name}
    assert ours <= monitoring.drawn()


@pytest.mark.parametrize("stack", ["unversioned", "external_queued"], indirect=True)
def test_no_alarm_fires_when_all_is_well(stack: Stack) -> None:
    started = next_minute()
    key = f"{PREFIX}all is well.csv"
    stack.put(key)
    stack.wait_until_indexed(key)
    stack.delete(key)
    stack.wait_until_removed(key)

    monitoring = Monitoring(stack)

    assert [name for name in monitoring.alarms if monitoring.fires(name, started)] == []


def denied(stack: Stack) -> None:
    with stack.without("dynamodb:PutItem"):
        failed, _ = stack.invoke(stack.upload_event("denied"))
    assert failed


def unreadable(stack: Stack) -> None:
    with stack.redelivering_after(1):
        stack.emulator.client("sqs").send_message(QueueUrl=stack.queue_url, MessageBody="?")
        wait_for(stack.take_dead_letters, stack.dead_letters)


def late(stack: Stack) -> None:
    for minute in range(5):  # on a busy machine some pass in between
        stack.invoke(stack.upload_event(f"late {minute}", age=timedelta(minutes=6)))
        time.sleep(MINUTE)


def throttled(stack: Stack) -> None:
    awslambda = stack.emulator.client("lambda")
    until = time.time() + 7 * MINUTE

    def invoke(_: int) -> None:
        while time.time() < until:
            with pytest.raises(awslambda.exceptions.TooManyRequestsException):
                stack.invoke({"Event": "s3:TestEvent"})

    # Each waits longer and longer between its own attempts; together they leave no minute out.
    with _reserved(stack, 0), ThreadPoolExecutor(16) as pool:
        list(pool.map(invoke, range(16)))


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
    stack: Stack, cause: Callable[[Stack], None], alarms: set[str]
) -> None:
    started = next_minute()

    cause(stack)

    monitoring = Monitoring(stack)
    fired = {name for name in monitoring.alarms if monitoring.fires(name, started)}
    assert fired == alarms


# What the local AWS does not measure is measured here, as AWS would.
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

    def measure(number: float, periods: int) -> float:
        since = next_minute()
        for _ in range(periods):
            monitoring.cloudwatch.put_metric_data(
                Namespace=namespace,
                MetricData=[
                    {
                        "MetricName": name,
                        "Dimensions": [{"Name": dimension, "Value": value}],
                        "Value": number,
                    }
                ],
            )
            time.sleep(MINUTE)
        return since

    assert not monitoring.fires(alarm, measure(well, minutes))
    if minutes > 1:
        assert not monitoring.fires(alarm, measure(ill, minutes - 1))
        time.sleep(5 * MINUTE)
    assert monitoring.fires(alarm, measure(ill, minutes))


def test_the_queries_ask_for_what_is_in_the_log(unversioned: Stack) -> None:
    queries = unversioned.emulator.client("logs").describe_query_definitions(
        queryDefinitionNamePrefix=f"{unversioned.name}/"
    )["queryDefinitions"]
    denied(unversioned)
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
