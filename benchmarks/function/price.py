"""The price of a million events, from what they consume and AWS's list prices."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import prices
from ..progress import note
from ..results import Figure, Section
from .bench import PLAIN_PUT, POWERTOOLS, Bench, Handler
from .deployments import Deployment, default
from .events import BUCKET, key_of

EVENTS = 500
LOGGED_EVENTS = 100
LATENCY_MS = 5
"""What a request to DynamoDB or S3 takes, about, from inside the Region."""
MEMORY_OF_A_CORE_MB = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

# The fixed items, as docs/cost.md counts them.
ALARMS = 8
METRICS = 7
PROOF_ALARM_METRICS = 4
PROOF_METRICS = 9
PROOF_TRANSITIONS = 8
POLLS = 650_000
DAYS = 30
HOURS_OF_A_DAY = 24

MOST_BYTES = 700
MOST_DOLLARS = 1.30
AT_ONCE = 10
"""Messages of a receive or a delete request: Lambda polls a queue with as many as it can take."""

_PER_MILLION = "$ per million events"
_LEVEL = "INFO"
"""AWS's default of the system log level."""
_ALL = {"DEBUG", "INFO"}
# What Lambda writes for an invocation, at these system log levels:
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
_PLATFORM_LINES = (
    {
        "time": "2026-11-23T08:15:30.123Z",
        "type": "platform.start",
        "record": {"requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "version": "$LATEST"},
    },
    {
        "time": "2026-11-23T08:15:30.145Z",
        "type": "platform.report",
        "record": {
            "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "metrics": {
                "durationMs": 15.342,
                "billedDurationMs": 16,
                "memorySizeMB": 256,
                "maxMemoryUsedMB": 92,
            },
            "status": "success",
        },
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What an event consumes, on average."""

    write_units: float
    read_units: float
    heads: float
    logged_bytes: float
    platform_bytes: float
    duration_ms: float
    """The part of an invocation's duration."""
    invocations: float
    queue_requests: float

    @property
    def dollars(self) -> Mapping[str, float]:
        """The price of an event, by service."""
        gigabytes = int(default("memory_mb")) / 1024
        gb_second = prices.LAMBDA_GB_SECOND[default("architecture")]
        return {
            "writes": self.write_units * prices.WRITE_UNIT,
            "reads": self.read_units * prices.READ_UNIT,
            "HeadObject": self.heads * prices.HEAD_OBJECT,
            "log lines": (self.logged_bytes + self.platform_bytes) * prices.LOG_BYTE,
            "Lambda": self.invocations * prices.LAMBDA_REQUEST
            + self.duration_ms / 1000 * gigabytes * gb_second,
            "SQS": self.queue_requests * prices.SQS_REQUEST,
        }

    @property
    def million(self) -> float:
        """The price of a million events."""
        return sum(self.dollars.values()) * prices.MILLION


def measure() -> Section:
    """Price every deployment, and what others teach."""
    figures: list[Figure] = []
    batch = int(default("batch_size"))
    single = Deployment(versioned=False)
    deployments = (
        single,
        Deployment(versioned=True),
        Deployment(versioned=False, batch=batch),
        Deployment(versioned=True, batch=batch),
    )
    level = default("system_log_level", _LEVEL)
    with Bench() as bench:
        for deployment in deployments:
            consumed = _consumed(bench, deployment, deployment.ours, level)
            most = MOST_DOLLARS if deployment == single else None
            figures += _figures(deployment.name, consumed, most)
            figures.append(
                Figure(
                    name=deployment.name,
                    value=consumed.logged_bytes,
                    unit="bytes logged per event",
                    target=MOST_BYTES if deployment == single else None,
                )
            )
        for other in (PLAIN_PUT, POWERTOOLS):
            figures += _figures(other.name, _consumed(bench, single, other, _LEVEL))
    figures += [
        _dollars("EventBridge instead of notifications, in addition", prices.EVENTBRIDGE_EVENT),
        _dollars("Amazon S3 Metadata, without queries", prices.S3_METADATA_UPDATE),
        *fixed_costs(),
    ]
    return Section(title=f"Price, at list prices of {prices.DATE}", figures=figures)


def _consumed(bench: Bench, deployment: Deployment, handler: Handler, level: str) -> Event:
    used = deployment.create(bench, handler, EVENTS, LATENCY_MS)
    counts = bench.server.counts()
    # The events that warm up are counted too, and consume the same.
    events = EVENTS + deployment.warm_up
    requests = counts.requests
    invocations = 1 / (deployment.batch or 1)
    cpu_ms = used.cpu_ms * MEMORY_OF_A_CORE_MB / int(default("memory_mb"))
    platform = _platform_bytes() if level in _ALL else 0
    return Event(
        write_units=counts.write_units / events,
        read_units=counts.read_units / events,
        heads=requests.get("HeadObject", 0) / events,
        logged_bytes=_logged_bytes(bench, deployment, handler),
        platform_bytes=platform * invocations,
        # With less memory than a core has, the function gets only a share of the core.
        duration_ms=(max(0.0, used.wall_ms - used.cpu_ms) + cpu_ms) / EVENTS,
        invocations=invocations,
        queue_requests=1 + 2 / AT_ONCE if deployment.batch else 0,
    )


def _platform_bytes() -> int:
    return sum(len(json.dumps(line, separators=(",", ":"))) for line in _PLATFORM_LINES)


def _logged_bytes(bench: Bench, deployment: Deployment, handler: Handler) -> float:
    """Return the bytes that the function logs for an event, under Lambda's runtime."""
    keys = [key_of(number) for number in range(2 * LOGGED_EVENTS)]
    bench.server.reset()
    bench.server.fill_bucket(BUCKET, keys, versioned=deployment.versioned)
    with tempfile.NamedTemporaryFile() as log:
        with bench.runtime(handler, Path(log.name)):
            bench.server.invoke(deployment.payloads(map(deployment.event, keys[:LOGGED_EVENTS])))
            first = Path(log.name).stat().st_size
            bench.server.invoke(deployment.payloads(map(deployment.event, keys[LOGGED_EVENTS:])))
        return (Path(log.name).stat().st_size - first) / LOGGED_EVENTS


def _figures(name: str, event: Event, most: float | None = None) -> list[Figure]:
    parts = ", ".join(
        f"{what} {dollars * prices.MILLION:.2f}" for what, dollars in event.dollars.items()
    )
    note(f"{name}: ${event.million:.2f} per million events: {parts}")
    return [
        Figure(name=name, value=event.million, unit=_PER_MILLION, target=most),
        *(
            _dollars(f"{name}: {what}", dollars)
            for what, dollars in event.dollars.items()
            if dollars
        ),
    ]


def _dollars(name: str, an_event: float) -> Figure:
    return Figure(name=name, value=an_event * prices.MILLION, unit=_PER_MILLION)


def fixed_costs() -> list[Figure]:
    """Return what a deployment costs a month whatever it indexes: see docs/cost.md."""
    fixed = {
        f"{ALARMS} alarms": ALARMS * prices.ALARM_METRIC_MONTH,
        "dashboard": prices.DASHBOARD_MONTH,
        f"{METRICS} metrics, with events in every hour": METRICS * prices.METRIC_MONTH,
        "queue, polled": POLLS * prices.SQS_REQUEST,
        "daily reconciliation": PROOF_ALARM_METRICS * prices.ALARM_METRIC_MONTH
        + PROOF_METRICS * prices.METRIC_MONTH / HOURS_OF_A_DAY
        + DAYS * PROOF_TRANSITIONS * prices.STATE_TRANSITION,
    }
    return [Figure(name=name, value=value, unit="$ a month") for name, value in fixed.items()]
