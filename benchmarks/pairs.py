"""Compares two programs in pairs.

On a shared machine, times of one minute differ from those of the next, while the ratio within a
pair is stable. Every other pair runs in reverse order, so that neither program is always the first.
"""

from collections.abc import Callable
from statistics import median, quantiles

from .progress import note
from .results import Ratio

PAIRS = 5


def ratio(  # noqa: PLR0913
    name: str,
    ours: Callable[[], float],
    other: Callable[[], float],
    *,
    pairs: int = PAIRS,
    unit: str = "ms",
    target: float | None = None,
) -> Ratio:
    """Measure two programs in pairs that alternate.

    `ours` and `other` run a program and return a number in `unit`, for example CPU milliseconds.
    Raises ValueError for fewer than five pairs.
    """
    if pairs < PAIRS:
        raise ValueError(f"pairs is {pairs}: expected at least {PAIRS}, or quartiles say nothing")
    measured: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            second, first = other(), ours()
        else:
            first, second = ours(), other()
        measured.append((first, second))
    low, middle, high = quantiles([mine / its for mine, its in measured], method="inclusive")
    found = Ratio(
        name=name,
        ours=median(mine for mine, _ in measured),
        other=median(its for _, its in measured),
        unit=unit,
        quartiles=(low, middle, high),
        pairs=pairs,
        target=target,
    )
    note(f"{name}: {middle:.2f} ({low:.2f} to {high:.2f})")
    return found
