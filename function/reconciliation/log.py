"""What a worker did, as log lines: each difference with its metric, each key that failed, the end.

A difference is logged before it is repaired, so that a worker that dies in between does not hide
it. If the worker is started again, it may log a difference a second time.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..report import metric_fields, wanted_level
from .comparison import Kind
from .failures import Failure
from .findings import Drift

_METRICS = {
    Kind.PHANTOM: "Phantoms",
    Kind.ORPHAN: "Orphans",
    Kind.MISMATCH: "Mismatches",
    Kind.FILTERED_OUT: "FilteredOut",
}
_DRIFT = (Kind.PHANTOM, Kind.ORPHAN, Kind.MISMATCH)
"""What the alarm `drift` counts. Records are filtered out by a change of the filters."""
_REPAIRED = "Repaired"
_TOTALS = ("compared", "unread", "unsettled")

_logger = logging.getLogger("file_index")


@dataclass(frozen=True, slots=True)
class Log:
    """The log of one invocation. Safe to share between threads."""

    deployment: str
    """The dimension of the metrics."""
    bucket: str
    run: str
    """The name of the run."""
    now: Callable[[], datetime]

    def difference(self, drift: Drift) -> None:
        """Log a difference that is about to be repaired, if this run repairs."""
        self._measured("difference", drift.fields(), _METRICS[drift.kind])

    def found(self, found: Drift | Failure) -> None:
        """Log what became of a difference, or why a key could not be compared or written."""
        if isinstance(found, Failure):
            self._failed(found.key, found.kind or "unread", found.cause)
        elif found.failure:
            self._failed(found.key, found.kind, found.failure.cause)
        elif found.repaired:
            fields = {"kind": found.kind, "bucket": self.bucket, "key": found.key}
            self._measured("repaired", fields, _REPAIRED)

    def ended(self, result: Mapping[str, Any]) -> None:
        """Log the result of a run, with metrics if it compared the whole index."""
        counts = result["counts"]
        names = ("outcome", "reason", "mode", "prefix", "repair", "rounds", "at_least")
        fields = {name: result[name] for name in names} | {"run": self.run, "counts": counts}
        is_of_all = result["mode"] == "verify" and not result["prefix"]
        if is_of_all and result["outcome"] in ("complete", "incomplete"):
            is_complete = result["outcome"] == "complete"
            metrics = {name.capitalize(): counts.get(name, 0) for name in _TOTALS}
            metrics["Proved"] = int(is_complete)
            # A worker that died has logged differences that are not in the counts.
            is_known = is_complete and not result["at_least"]
            if is_known and not any(counts.get(kind) for kind in _DRIFT):
                # The zeros end the alarm `drift`. The lines of the differences have other values.
                none = [_METRICS[kind] for kind in Kind if not counts.get(kind)]
                metrics |= dict.fromkeys([*none, _REPAIRED], 0)
            fields |= metric_fields(self.now(), self.deployment, metrics)
        _logger.log(wanted_level(), "result", extra=fields)

    def died(self, error: Exception) -> None:
        """Log an error that ends the invocation."""
        _logger.error("worker failed", extra={"run": self.run}, exc_info=error)

    def _failed(self, key: str, kind: str, cause: str) -> None:
        fields = {"kind": kind, "bucket": self.bucket, "key": key, "cause": cause}
        _logger.error("failed", extra=fields | {"run": self.run})

    def _measured(self, message: str, fields: Mapping[str, Any], metric: str) -> None:
        metrics = metric_fields(self.now(), self.deployment, {metric: 1})
        _logger.log(wanted_level(), message, extra={**fields, "run": self.run, **metrics})
