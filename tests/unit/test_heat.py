"""The simulation behind docs/scale.md says which keys a table can spread."""

import pytest

from benchmarks.heat import Workload, simulate


def taken(shape: str, partitions: int, rate: int, minutes: int = 40) -> float:
    return list(simulate(Workload(shape, partitions, rate), minutes, samples=1000))[-1].taken


def test_ordered_keys_of_one_partition_never_get_more_than_a_thousand_writes() -> None:
    minutes = list(simulate(Workload("dates", 1, 10_000), minutes=40, samples=1000))

    assert {minute.taken for minute in minutes} == {1000}
    assert minutes[-1].partitions == 4, "a split that does not help was made"


def test_ordered_keys_get_a_thousand_writes_for_each_partition() -> None:
    assert taken("dates", 8, 100_000) == 8000


@pytest.mark.parametrize("shape", ["hashes", "dates in directories"])
def test_one_partition_splits_for_heat_if_keys_are_not_in_order(shape: str) -> None:
    assert taken(shape, 1, 5_000) == pytest.approx(5000, rel=0.02)


def test_a_new_table_throttles_until_it_has_split() -> None:
    minutes = list(simulate(Workload("hashes", 1, 5_000), minutes=40, samples=1000))

    assert minutes[0].taken == 1000
    assert minutes[0].partitions < minutes[-1].partitions


def test_the_same_seed_gives_the_same_minutes() -> None:
    runs = [
        list(simulate(Workload("hashes", 8, 10_000), 10, samples=500, seed=7)) for _ in range(2)
    ]

    assert runs[0] == runs[1]
