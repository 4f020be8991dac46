"""Alarms and dashboard watch existing metrics, and each alarm fires if its cause exists."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from local.deployment import without_events
from local.waiting import wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.monitoring import Monitoring, Periods, metrics_of, now
from tests.e2e.proofs import PROOF, Runs, worker_lines, write_result
from tests.e2e.stack import Stack

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

Cause = Callable[[Stack], Iterator[None]]
"""Makes an alarm fire; yields at the end of each minute that this takes."""


def measure_every_outcome(stack: Stack) -> None:
    """Let the function write each of its metrics: a count of 0 is not written."""
    key = f"{PREFIX}measured.csv"
    stack.put(key)
    stack.wait_until_indexed(key)
    stack.delete(key)
    stack.wait_until_removed(key)
    twice = stack.upload_event(f"{PREFIX}measured twice.csv")
    stack.invoke(twice)
    stack.invoke(twice)
    ignored = stack.upload_event(key)
    ignored["Records"][0]["eventName"] = "ObjectAcl:Put"
    stack.invoke(ignored)
    stack.invoke({"not": "an event of S3"})


@pytest.mark.parametrize(
    "stack", ["unversioned", "external_queued", "eventbridge", "eventbridge_queued"], indirect=True
)
def test_nothing_watches_a_metric_that_does_not_exist(stack: Stack) -> None:
    measure_every_outcome(stack)
    if "reconciliation" in stack.outputs:
        write_result(stack, dict.fromkeys(PROOF, 0))
    monitoring = Monitoring(stack)
    measured = monitoring.measured()

    assert monitoring.alarms
    for metric in monitoring.watched() | monitoring.drawn():
        assert metric[3] in monitoring.names
        assert metric in measured or metric[:3] in DOCUMENTED, metric
    # And the reverse: the dashboard draws all metrics of the function and the workers.
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
    ((namespace, name, dimension, value),) = metrics_of(monitoring.alarms[alarm])
    period = timedelta(minutes=1)
    yesterday = now() - timedelta(days=1)

    def measure(number: float, periods: int, hour: int) -> Periods:
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


def test_the_queries_use_fields_that_the_logs_have(unversioned: Stack) -> None:
    queries = unversioned.emulator.client("logs").describe_query_definitions(
        queryDefinitionNamePrefix=f"{unversioned.name}/"
    )["queryDefinitions"]
    list(denied(unversioned))
    unversioned.put(f"{PREFIX}asked for.csv")
    unversioned.wait_until_indexed(f"{PREFIX}asked for.csv")
    with without_events(unversioned.s3, unversioned.bucket):
        unversioned.put(f"{PREFIX}lost.csv")
    runs = Runs(unversioned)
    runs.result(runs.start())
    write_result(unversioned, dict.fromkeys(PROOF, 0))
    own, workers = (
        {name for line in lines for name in line} | {"@timestamp"}
        for lines in (unversioned.log_lines(), worker_lines(unversioned))
    )
    known = {
        unversioned.outputs["log_group"]["name"]: own | {"version_id"},  # in buckets with versions
        unversioned.outputs["reconciliation"]["log_group"]["name"]: workers
        | {"cause"},  # of keys that failed
    }

    assert len(queries) == 7
    for query in queries:
        (group,) = query["logGroupNames"]
        assert _fields(query["queryString"]) <= known[group]
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
