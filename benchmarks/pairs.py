"""Compares programs in pairs.

On a shared machine, times of one minute differ from those of the next, while the ratio within a
pair is stable. Every other round runs in reverse order, so that no program is always the first.
"""

from collections.abc import Callable, Mapping
from statistics import median, quantiles
from types import MappingProxyType

from .progress import note
from .results import Ratio

PAIRS = 5

Measured = Callable[[], float]
"""Runs a program and returns a number, for example its CPU milliseconds."""


def ratio(  # noqa: PLR0913
    name: str,
    ours: Measured,
    other: Measured,
    *,
    pairs: int = PAIRS,
    unit: str = "ms",
    target: float | None = None,
) -> Ratio:
    """Measure two programs in pairs that alternate; both return a number in `unit`.

    Raises ValueError for fewer than five pairs.
    """
    targets = {} if target is None else {name: target}
    (found,) = ratios(ours, {name: other}, pairs=pairs, unit=unit, targets=targets)
    return found


def ratios(
    ours: Measured,
    others: Mapping[str, Measured],
    *,
    pairs: int = PAIRS,
    unit: str = "ms",
    targets: Mapping[str, float] = MappingProxyType({}),
) -> list[Ratio]:
    """Measure our program with each of the others; name the ratios as `others` does.

    A round runs each program once, and ours makes a pair with each of the others. Place the most
    important comparison first, because it runs next to ours. Raises ValueError for fewer than five
    rounds.
    """
    if pairs < PAIRS:
        raise ValueError(f"pairs is {pairs}: expected at least {PAIRS}, or quartiles say nothing")
    programs = [ours, *others.values()]
    rounds: list[list[float]] = []
    for number in range(pairs):
        if number % 2:
            rounds.append([program() for program in reversed(programs)][::-1])
        else:
            rounds.append([program() for program in programs])
    mine, *theirs = zip(*rounds, strict=True)
    found = [
        _ratio(name, mine, its, unit, targets.get(name))
        for name, its in zip(others, theirs, strict=True)
    ]
    for one in found:
        low, middle, high = one.quartiles
        note(f"{one.name}: {middle:.2f} ({low:.2f} to {high:.2f})")
    return found


def _ratio(
    name: str,
    mine: tuple[float, ...],
    its: tuple[float, ...],
    unit: str,
    target: float | None,
) -> Ratio:
    low, middle, high = quantiles(
        [one / other for one, other in zip(mine, its, strict=True)], method="inclusive"
    )
    return Ratio(
        name=name,
        ours=median(mine),
        other=median(its),
        unit=unit,
        quartiles=(low, middle, high),
        pairs=len(mine),
        target=target,
    )
