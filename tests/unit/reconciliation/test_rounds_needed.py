"""How many rounds a run takes, whatever the keys look like."""

import pytest

from tests.unit.reconciliation.simulation import NONE, SHAPES, Scene, bound, decoys, scenes

SCENES = list(scenes(NONE))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scene", SCENES)
def test_the_bound_holds(shape: str, scene: str) -> None:
    keys = SHAPES[shape](10_000)

    rounds = scenes(keys)[scene].rounds(workers=4, budget=800)

    assert rounds <= bound(keys.number, 4, 800)


@pytest.mark.long
def test_decoys_take_more_rounds_but_lose_no_key() -> None:
    keys = decoys(10**6)

    assert Scene(keys, keys).rounds(40, 25_000) > bound(keys.number, 40, 25_000)


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(
    ("number", "workers", "budget"),
    [
        (10**5, 1, 5_000),
        (10**6, 5, 10_000),
        (10**7, 40, 100_000),
        (10**8, 5, 1_800_000),
        (10**9, 5, 1_800_000),
        (10**9, 40, 1_800_000),
    ],
)
def test_the_bound_holds_up_to_a_billion_keys(
    shape: str, scene: str, number: int, workers: int, budget: int
) -> None:
    keys = SHAPES[shape](number)

    rounds = scenes(keys)[scene].rounds(workers, budget)

    assert rounds <= bound(keys.number, workers, budget)
