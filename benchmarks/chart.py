"""Draws the chart of the README: what an event costs, beside other ways to index a bucket.

python -m benchmarks.chart

It reads results.json.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

from tools.package import ROOT

from .function.bench import FLOOR, GET_THEN_PUT, HEAD_THEN_PUT, PLAIN_PUT, POWERTOOLS
from .function.deployments import Deployment
from .progress import note
from .results import Figure, Ratio, Section, read

CHART = ROOT / "docs" / "benchmarks.svg"

DEPLOYMENTS = [Deployment(versioned, batch) for versioned in (False, True) for batch in (None, 100)]
OTHERS = {
    POWERTOOLS.name: "powertools,\nidempotent",
    HEAD_THEN_PUT.name: "HeadObject,\nthen put",
    GET_THEN_PUT.name: "get, then put",
    PLAIN_PUT.name: "plain put",
    FLOOR.name: "signed request,\nno boto3",
}
"""The label of each other handler in the chart, from top to bottom."""
PRICES = {
    **{deployment.name: deployment.name for deployment in DEPLOYMENTS},
    PLAIN_PUT.name: "plain put",
    POWERTOOLS.name: "powertools",
    "Amazon S3 Metadata, without queries": "S3 Metadata,\nwithout queries",
}

_OURS, _VERSIONED, _GREY, _INK = "#1f6f8b", "#e07b39", "#b9bec3", "#24292f"
_PER_MILLION = "$ per million events"
_OFFSET = 0.17
_SHARES = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def draw(sections: Collection[Section], path: Path = CHART) -> None:
    """Draw the results. Raises KeyError if they lack a measurement that the chart shows."""
    ratios = {ratio.name: ratio for section in sections for ratio in section.ratios}
    prices = {
        figure.name: figure
        for section in sections
        for figure in section.figures
        if figure.unit == _PER_MILLION
    }
    # Text is kept as paths, so that it looks the same everywhere, and ids do not change by chance.
    with mpl.rc_context({"font.size": 9, "text.color": _INK, "svg.hashsalt": "file-index"}):
        drawing = Drawing(figsize=(8, 3.9), layout="constrained")
        left, right = drawing.subplots(1, 2, width_ratios=(5, 4))
        _cpu(left, ratios)
        _price(right, prices)
        drawing.savefig(path, metadata={"Date": None}, facecolor="white")


def _cpu(axes: Axes, ratios: Mapping[str, Ratio]) -> None:
    for row, other in enumerate(reversed(OTHERS)):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color="#f3f5f7", zorder=-1)
        for place, deployment in enumerate(reversed(DEPLOYMENTS)):
            low, median, high = ratios[f"{deployment.name}: ours / {other}"].quartiles
            y = row + (place - 1.5) * _OFFSET
            color = _VERSIONED if deployment.versioned else _OURS
            axes.plot((low, high), (y, y), color=color, linewidth=1.5)
            axes.plot(
                median,
                y,
                "o",
                color=color,
                markerfacecolor=color if deployment.batch else "white",
                markersize=5.5,
            )
    axes.set_ylim(-0.5, len(OTHERS) - 0.5)
    axes.axvline(1, color=_INK, linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_SHARES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(OTHERS)), list(reversed(OTHERS.values())))
    axes.set_title(
        "CPU per event, ours ÷ theirs:\nleft of 1, this module needs less", loc="left", fontsize=10
    )
    axes.legend(
        handles=[
            Line2D(
                [],
                [],
                color=_VERSIONED if deployment.versioned else _OURS,
                marker="o",
                markerfacecolor=None if deployment.batch else "white",
                label=deployment.name,
            )
            for deployment in DEPLOYMENTS
        ],
        frameon=False,
        fontsize=8,
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.4, -0.08),
    )
    _plain(axes)
    axes.grid(axis="x", color=_GREY, linewidth=0.4)


def _price(axes: Axes, prices: Mapping[str, Figure]) -> None:
    names = list(reversed(PRICES))
    ours = {deployment.name: deployment for deployment in DEPLOYMENTS}
    colors = [
        _GREY if name not in ours else _VERSIONED if ours[name].versioned else _OURS
        for name in names
    ]
    values = [prices[name].value for name in names]
    bars = axes.barh([PRICES[name] for name in names], values, color=colors, height=0.6)
    axes.bar_label(bars, [f"${value:.2f}" for value in values], padding=3)
    axes.set_xlim(0, max(values) * 1.3)
    axes.set_xticks([])
    axes.set_title(
        "Price of a million events,\nlist prices of all services", loc="left", fontsize=10
    )
    _plain(axes)
    axes.spines["bottom"].set_visible(False)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)


if __name__ == "__main__":
    draw(read().values())
    note(f"wrote {CHART}")
