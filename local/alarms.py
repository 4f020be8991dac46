"""Tells the states of an alarm as CloudWatch does; the local AWS does not know missing data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

_FURTHER_PERIODS: Final = 2
"""CloudWatch looks at more periods than an alarm has, in its example at 5 for 3."""

_FILLED: Final = re.compile(r"FILL\((\w+), 0\)")


class State(StrEnum):
    """The state of an alarm, in CloudWatch's words."""

    OK = "OK"
    ALARM = "ALARM"
    UNKNOWN = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Alarm:
    """How an alarm judges the values of its metric, one for each period."""

    comparison: str
    threshold: float
    breaching_periods: int
    """How many of the periods must breach the threshold."""
    periods: int
    no_data: str

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Alarm":
        """Return the alarm that DescribeAlarms returned."""
        return cls(
            comparison=described["ComparisonOperator"],
            threshold=described["Threshold"],
            breaching_periods=described["DatapointsToAlarm"],
            periods=described["EvaluationPeriods"],
            no_data=described["TreatMissingData"],
        )

    def states(self, values: Sequence[float | None]) -> Iterator[State]:
        """Yield the state before the first value, then after each; None is a missing value."""
        looked_at = self.periods + _FURTHER_PERIODS
        known: list[float | None] = [None] * looked_at
        state = State.UNKNOWN
        yield (state := self._judge(known, state))
        for value in values:
            known = [*known[1:], value]
            yield (state := self._judge(known, state))

    def fires(self, values: Sequence[float | None]) -> bool:
        """Return whether one of the values fires the alarm."""
        return any(
            state is State.ALARM and before is not State.ALARM
            for before, state in pairwise(self.states(values))
        )

    def _judge(self, values: Sequence[float | None], state: State) -> State:
        measured = [value for value in values if value is not None][-self.periods :]
        breaching = sum(map(self._is_breaching, measured))
        missing = self.periods - len(measured)
        match self.no_data:
            case "breaching":
                breaching += missing
            case "ignore" if missing and breaching == len(measured) < self.breaching_periods:
                return state
            case "ignore" | "notBreaching":
                pass
            case other:
                raise NotImplementedError(f"missing data: {other}")
        return State.ALARM if breaching >= self.breaching_periods else State.OK

    def _is_breaching(self, value: float) -> bool:
        match self.comparison:
            case "GreaterThanThreshold":
                return value > self.threshold
            case "LessThanThreshold":
                return value < self.threshold
            case other:
                raise NotImplementedError(f"comparison: {other}")


def computed(expression: str, measured: Mapping[str, float | None]) -> float | None:
    """Return the value of an expression for one period, of the metrics with these ids.

    In a sum, a missing value counts as 0 if another one is there.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math-syntax.html
    """
    if filled := _FILLED.fullmatch(expression):
        return measured[filled[1]] or 0.0
    summed = [measured[name] for name in expression.split(" + ")]
    return None if all(value is None for value in summed) else sum(value or 0 for value in summed)
