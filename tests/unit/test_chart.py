"""The benchmarks' chart shows the results."""

from pathlib import Path

import pytest

from benchmarks.chart import DEPLOYMENTS, OTHERS, PRICES, draw
from benchmarks.function import cpu
from benchmarks.results import Figure, Ratio, Section

RATIOS = [
    Ratio(
        name=f"{deployment.name}: ours / {other}",
        ours=1,
        other=2,
        unit="CPU ms per event",
        quartiles=(0.4, 0.5, 0.6),
        pairs=5,
    )
    for deployment in DEPLOYMENTS
    for other in OTHERS
]
FIGURES = [Figure(name=name, value=1.5, unit="$ per million events") for name in PRICES]


def results(ratios: list[Ratio], figures: list[Figure]) -> list[Section]:
    return [Section(title="t", ratios=ratios, figures=figures)]


def test_the_same_results_give_the_same_chart(tmp_path: Path) -> None:
    drawn = []
    for name in ("a.svg", "b.svg"):
        draw(results(RATIOS, FIGURES), tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())

    assert drawn[0] == drawn[1]


def test_other_results_give_another_chart(tmp_path: Path) -> None:
    cheaper = [*FIGURES[:-1], Figure(name=FIGURES[-1].name, value=0.3, unit=FIGURES[-1].unit)]
    draw(results(RATIOS, FIGURES), tmp_path / "a.svg")
    draw(results(RATIOS, cheaper), tmp_path / "b.svg")

    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


def test_a_missing_measurement_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=RATIOS[0].name):
        draw(results(RATIOS[1:], FIGURES), tmp_path / "a.svg")


def test_the_chart_shows_what_is_measured() -> None:
    assert {deployment.name for deployment in DEPLOYMENTS} <= {
        deployment.name for deployment in cpu.DEPLOYMENTS
    }
    assert set(OTHERS) == {other.name for other in cpu.OTHERS}
