"""The package's logging module: what an invocation did, as log lines and as metrics.

Each object event and each unreadable message has a line of its own. The last line of an invocation
carries the metrics in the embedded metric format, so they cost no call: the line of the only event,
otherwise a summary.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

In Lambda the runtime writes every line as JSON (log format JSON) and decides the level. Elsewhere,
if the root logger has no handler, lines of the same shape go to standard error.
"""

import json
import logging
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from .errors import PermissionDeniedError
from .events import ObjectEvent, Outcome
from .record import Source

NAMESPACE = "FileIndex"
DIMENSION = "Deployment"
MAX_VALUES = 100
"""The format allows no more values of one metric."""

_DEPLOYMENT = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
_PERMISSION_DENIED = "PermissionDenied"
"""A metric whose alarm waits for a 0 to end (monitoring.tf), so a 0 is written too."""
_LAG = "Lag"
_WRITTEN = {Outcome.INDEXED, Outcome.REMOVED}
_MILLISECOND = timedelta(milliseconds=1)
_LEVELS = {Outcome.IGNORED: logging.WARNING, Outcome.FAILED: logging.ERROR}
_LOG_RECORD_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "aws_request_id"}

_logger = logging.getLogger("file_index")


def set_up() -> None:
    """Make sure that lines are written, and keep botocore's out."""
    logging.getLogger("botocore").setLevel(logging.WARNING)
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
        root.setLevel(logging.INFO)


def no_derived_file(source: Source, reason: str) -> None:
    """Log why an object gets no derived file; its record is written all the same."""
    fields = {"bucket": source.bucket, "key": source.key, "reason": reason}
    _logger.warning("no derived file", extra=fields)


def no_checksum(bucket: str, key: str, kms_key_id: str | None) -> None:
    """Log why a record has no checksum; it is written all the same."""
    key_name = kms_key_id or "of the object"
    reason = f"it needs kms:Decrypt on the KMS key {key_name}, and the key must be enabled"
    _logger.info("no checksum", extra={"bucket": bucket, "key": key, "reason": reason})


def not_inserted(records: int, error: Exception) -> None:
    """Log why a request that inserts records failed; each record is then written by itself."""
    _logger.warning("not inserted", extra={"records": records}, exc_info=error)


class Report:
    """Logs and counts what one invocation does. For the thread that runs the invocation."""

    def __init__(self, now: Callable[[], datetime], expected: int) -> None:
        """`expected` is how many object events and unreadable messages will be reported.

        If there is only one, its line carries the metrics.
        """
        self.outcomes: Counter[Outcome] = Counter()
        """Object events and unreadable messages, by outcome."""
        self._now = now
        self._is_one_line = expected == 1
        self._started = time.monotonic()
        self._permission_denied = 0
        self._lags_ms: list[int] = []

    def done(self, event: ObjectEvent, outcome: Outcome) -> None:
        """Report an object event that did not fail."""
        self.outcomes[outcome] += 1
        lag_ms = self._lag_ms(event)
        if lag_ms is not None and outcome in _WRITTEN:
            # Clocks may differ, and CloudWatch computes no percentiles if a value is negative.
            self._lags_ms.append(max(0, lag_ms))
        self._event_line(event, outcome, lag_ms)

    def failed(self, events: Sequence[ObjectEvent], error: Exception) -> None:
        """Report object events that failed for the same reason."""
        self._count_failures(len(events), error)
        for event in events:
            self._event_line(event, Outcome.FAILED, self._lag_ms(event), error)

    def malformed(self, error: Exception, message_id: str | None = None) -> None:
        """Report a message, or a part of one, that cannot be read."""
        self._count_failures(1, error)
        fields = {"outcome": Outcome.FAILED, "message_id": message_id}
        self._line(logging.ERROR, "malformed", fields, error)

    def summary(self, *, messages: int, test_events: int) -> None:
        """Report the end of the invocation, with its metrics, unless its only line has them.

        The line is wanted even if the lines of object events are not.
        """
        if self._is_one_line:
            return
        seconds = time.monotonic() - self._started
        fields = {
            "messages": messages,
            "test_events": test_events or None,
            "duration_ms": round(seconds * 1000, 1),
        }
        _log(wanted_level(), "summary", fields | self._metrics())

    def _count_failures(self, events: int, error: Exception) -> None:
        self.outcomes[Outcome.FAILED] += events
        self._permission_denied += events * isinstance(error, PermissionDeniedError)

    def _lag_ms(self, event: ObjectEvent) -> int | None:
        """Return the milliseconds since the event happened, if that is known."""
        return round((self._now() - event.time) / _MILLISECOND) if event.time else None

    def _event_line(
        self,
        event: ObjectEvent,
        outcome: Outcome,
        lag_ms: int | None,
        error: Exception | None = None,
    ) -> None:
        fields = {
            "outcome": outcome,
            "bucket": event.bucket,
            "key": event.key,
            "event": event.name,
            "sequencer": event.sequencer,
            "version_id": event.version_id,
            "lag_ms": lag_ms,
            "s3_request_id": event.request_id,
        }
        self._line(_LEVELS.get(outcome, logging.INFO), outcome.value, fields, error)

    def _line(
        self, level: int, message: str, fields: Mapping[str, Any], error: Exception | None = None
    ) -> None:
        if not self._is_one_line:
            _log(level, message, fields, error)
        elif _logger.isEnabledFor(level):
            _log(level, message, {**fields, **self._metrics()}, error)
        else:
            _log(wanted_level(), message, self._metrics())

    def _metrics(self) -> dict[str, Any]:
        counts = {outcome.capitalize(): count for outcome, count in self.outcomes.items()}
        counts[_PERMISSION_DENIED] = self._permission_denied
        lags = {_LAG: _thinned(self._lags_ms)} if self._lags_ms else {}
        return metric_fields(self._now(), _DEPLOYMENT, counts, lags)


def _log(
    level: int, message: str, fields: Mapping[str, Any], error: Exception | None = None
) -> None:
    known = {name: value for name, value in fields.items() if value is not None}
    _logger.log(level, message, extra=known, exc_info=error)


def wanted_level() -> int:
    """Return the level of a line that carries metrics: INFO, or the level in force if it is above.

    Lambda drops lines below the level in force.
    """
    return max(logging.INFO, _logger.getEffectiveLevel())


def metric_fields(
    time: datetime,
    deployment: str,
    counts: Mapping[str, int],
    milliseconds: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the fields that make a log line one of metrics, with their values."""
    units = dict.fromkeys(counts, "Count") | dict.fromkeys(milliseconds, "Milliseconds")
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    return {
        "_aws": {
            "Timestamp": int(time.timestamp() * 1000),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
            ],
        },
        DIMENSION: deployment,
        **counts,
        **milliseconds,
    }


class JsonFormatter(logging.Formatter):
    """Formats lines as Lambda's runtime for Python does with log format JSON."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON in ASCII."""
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", None),
        }
        if record.exc_info and record.exc_info[0]:
            line |= {
                "errorType": record.exc_info[0].__name__,
                "errorMessage": str(record.exc_info[1]),
                "stackTrace": traceback.format_tb(record.exc_info[2]),
            }
        extra = vars(record).items()
        line |= {k: v for k, v in extra if k not in _LOG_RECORD_FIELDS and k not in line}
        return json.dumps({k: v for k, v in line.items() if v is not None}, default=str)


def _thinned(values: Sequence[int]) -> list[int]:
    """Return the values sorted, thinned evenly to MAX_VALUES; minimum and maximum stay."""
    ordered = sorted(values)
    if len(ordered) <= MAX_VALUES:
        return ordered
    step = (len(ordered) - 1) / (MAX_VALUES - 1)
    return [ordered[round(rank * step)] for rank in range(MAX_VALUES)]
