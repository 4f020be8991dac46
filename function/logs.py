"""Structured logs: a line for each object event, one summary with the metrics for each invocation.

In Lambda the runtime writes every line as JSON (log format JSON) and decides the level. Elsewhere,
where the root logger has no handler, lines of the same shape go to standard error.
"""

import json
import logging
import time
import traceback
from datetime import datetime

from .events import ObjectEvent, Outcome
from .metrics import Tally, lag_ms

_logger = logging.getLogger("file_index")

_LEVELS = {Outcome.IGNORED: logging.WARNING, Outcome.FAILED: logging.ERROR}
_RECORD_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "aws_request_id"}


def set_up() -> None:
    """Make sure that lines are written, and that botocore's own stay out."""
    logging.getLogger("botocore").setLevel(logging.WARNING)
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
        root.setLevel(logging.INFO)


def object_event(
    event: ObjectEvent, outcome: Outcome, now: datetime, error: Exception | None = None
) -> None:
    """What became of an object event; `error` is why it failed."""
    fields = {
        "outcome": outcome,
        "bucket": event.bucket,
        "key": event.key,
        "event": event.name,
        "sequencer": event.sequencer,
        "version_id": event.version_id,
        "lag_ms": lag_ms(event, now),
        "s3_request_id": event.request_id,
    }
    _logger.log(
        _LEVELS.get(outcome, logging.INFO),
        outcome.value,
        extra={name: value for name, value in fields.items() if value is not None},
        exc_info=error,
    )


def malformed(message_id: str | None, error: Exception) -> None:
    """A message, or a part of it, cannot be read."""
    _logger.error(
        "malformed",
        extra={"outcome": Outcome.FAILED} | ({"message_id": message_id} if message_id else {}),
        exc_info=error,
    )


def summary(
    tally: Tally, now: datetime, *, messages: int, test_events: int = 0, seconds: float
) -> None:
    """What became of an invocation, and its metrics.

    Written at the level in force where that is above INFO: it is there also when the lines of the
    object events are turned down, and Lambda drops lines below the level by itself.
    """
    _logger.log(
        max(logging.INFO, _logger.getEffectiveLevel()),
        "summary",
        extra=tally.embedded(now)
        | {
            "messages": messages,
            "test_events": test_events,
            "duration_ms": round(seconds * 1000, 1),
        },
    )


class JsonFormatter(logging.Formatter):
    """Makes lines as Lambda's runtime for Python writes them with log format JSON."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON in ASCII."""
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
        line |= {k: v for k, v in vars(record).items() if k not in _RECORD_FIELDS and k not in line}
        return json.dumps({k: v for k, v in line.items() if v is not None}, default=str)
