"""The benchmarks measure what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.pairs import ratio
from benchmarks.results import Figure, Ratio, Section, read, write


def numbers(values: list[float], order: list[str], name: str) -> Iterator[float]:
    for value in values:
        order.append(name)
        yield value


def test_pairs_alternate_and_give_quartiles_of_the_ratio() -> None:
    order: list[str] = []
    ours = numbers([1, 2, 3, 4, 50], order, "ours")
    other = numbers([10, 10, 10, 10, 10], order, "other")

    found = ratio("a", lambda: next(ours), lambda: next(other), target=0.3)

    assert order == ["ours", "other", "other", "ours"] * 2 + ["ours", "other"]
    assert found.quartiles == (0.2, 0.3, 0.4)
    assert (found.ours, found.other) == (3, 10)
    assert found.missed  # by the upper quartile, although the median meets it


def test_fewer_than_five_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        ratio("a", lambda: 1, lambda: 1, pairs=4)


def test_results_survive_the_file(tmp_path: Path) -> None:
    section = Section(
        title="t",
        ratios=[
            Ratio(
                name="r", ours=1, other=2, unit="ms", quartiles=(0.4, 0.5, 0.6), pairs=5, target=1
            )
        ],
        figures=[Figure(name="f", value=3, unit="requests")],
    )

    write([section], tmp_path / "results.json")

    results = read(tmp_path / "results.json")
    assert results.sections == [section]
    assert results.machine.keys() >= {
        "cores",
        "processor",
        "memory_gb",
        "python",
        "boto3",
        "commit",
    }
