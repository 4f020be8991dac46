"""How many rounds a run takes, at any size: at most 4 + 2 * keys / (workers * keys of a budget)."""

from collections.abc import Callable

import pytest

from tests.unit.reconciliation.many_keys import SHAPES, Many, bound, rounds_needed, sides

SIDES = list(sides(Many(0, str)))


@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("shape", SHAPES)
def test_twenty_thousand_keys(shape: Callable[[int], Many], which: str) -> None:
    keys = shape(20_000)

    assert rounds_needed(keys, sides(keys)[which], workers=5, budget=1000) <= bound(keys, 5, 1000)


@pytest.mark.parametrize("which", ["index of the first tenth", "tail of phantoms", "empty bucket"])
def test_several_partitions_of_the_table(which: str) -> None:
    keys = SHAPES[0](20_000)

    needed = rounds_needed(keys, sides(keys)[which], workers=5, budget=1000, partitions=8)

    assert needed <= bound(keys, 5, 1000)


@pytest.mark.long
@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("count", "workers", "budget"),
    [(10**6, 40, 10_000), (10**8, 40, 1_800_000), (10**9, 5, 1_800_000), (10**9, 40, 1_800_000)],
)
def test_up_to_a_billion_keys(
    count: int, workers: int, budget: int, shape: Callable[[int], Many], which: str
) -> None:
    keys = shape(count)

    needed = rounds_needed(keys, sides(keys)[which], workers, budget)

    assert needed <= bound(keys, workers, budget)
