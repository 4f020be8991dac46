"""The benchmarks measure what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.function.deployments import default
from benchmarks.function.price import Event, fixed_costs
from benchmarks.pairs import ratio, ratios
from benchmarks.results import Figure, Ratio, Section, read, write
from tools.package import ROOT


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


def test_every_program_of_a_round_makes_a_pair_with_ours() -> None:
    order: list[str] = []
    ours = numbers([1, 2, 3, 4, 5], order, "ours")
    one = numbers([1] * 5, order, "one")
    two = numbers([2, 4, 6, 8, 10], order, "two")

    first, second = ratios(
        lambda: next(ours),
        {"ours / one": lambda: next(one), "ours / two": lambda: next(two)},
        targets={"ours / two": 0.5},
    )

    assert order[:6] == ["ours", "one", "two", "two", "one", "ours"]
    assert (first.name, first.quartiles, first.target) == ("ours / one", (2, 3, 4), None)
    assert (second.name, second.quartiles) == ("ours / two", (0.5, 0.5, 0.5))
    assert not second.missed


def test_a_price_adds_up_what_an_event_consumes() -> None:
    event = Event(
        write_units=1,
        read_units=0,
        heads=0,
        logged_bytes=800,
        platform_bytes=200,
        duration_ms=20,
        invocations=1,
        queue_requests=0,
    )

    # A write, 1 KB of log lines, a request, and 20 ms of a quarter of a gigabyte.
    assert event.million == pytest.approx(0.625 + 0.5 + 0.2 + 0.0667, abs=0.001)


def test_the_page_on_cost_states_the_same_fixed_costs() -> None:
    page = (ROOT / "docs" / "cost.md").read_text()
    fixed = {figure.name: figure.value for figure in fixed_costs()}

    assert f"at most ${fixed['8 alarms'] + fixed['dashboard']:.2f} a month" in page
    assert f"| `queue` | ${fixed['queue, polled']:.2f}:" in page


def test_a_default_that_the_module_does_not_have_is_an_error() -> None:
    with pytest.raises(LookupError, match="no attribute memory_gb"):
        default("memory_gb")
    assert default("memory_gb", "1") == "1"
    assert default("memory_mb", "1") != "1"


def test_each_section_replaces_its_former_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    ratio = Ratio(
        name="r", ours=1, other=2, unit="ms", quartiles=(0.4, 0.5, 0.6), pairs=5, target=1
    )
    figure = Figure(name="f", value=3, unit="requests")

    write("t", Section(title="T", ratios=[ratio]), path)
    write("u", Section(title="U", figures=[figure]), path)
    write("t", Section(title="of today", ratios=[ratio, ratio]), path)

    results = read(path)
    assert results.keys() == {"t", "u"}
    first, second = results.values()
    assert (first.title, first.ratios, first.figures) == ("of today", [ratio, ratio], [])
    assert (second.title, second.ratios, second.figures) == ("U", [], [figure])
    assert first.machine is not None
    assert first.machine.keys() >= {
        "cores",
        "processor",
        "memory_gb",
        "python",
        "packages",
        "commit",
    }
