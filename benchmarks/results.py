"""The results of the measurements, as values, as results.json and as tables."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Column, Table

RESULTS = Path(__file__).with_name("results.json")

_PACKAGES = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A comparison of two programs, measured in pairs that alternate."""

    name: str
    ours: float
    """The median of our values, in `unit`."""
    other: float
    """The median of the other program's values."""
    unit: str
    quartiles: tuple[float, float, float]
    """The lower quartile, the median and the upper quartile of ours divided by other."""
    pairs: int
    target: float | None = None
    """The upper quartile must not exceed this."""

    @property
    def missed(self) -> bool:
        """Whether there is a target, and the upper quartile exceeds it."""
        return self.target is not None and self.quartiles[2] > self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value that is counted or computed, such as requests or a price."""

    name: str
    value: float
    unit: str
    target: float | None = None
    """The value must not exceed this."""

    @property
    def missed(self) -> bool:
        """Whether there is a target, and the value exceeds it."""
        return self.target is not None and self.value > self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The measurements of one subject."""

    title: str
    ratios: Sequence[Ratio] = ()
    figures: Sequence[Figure] = ()
    machine: Mapping[str, Any] | None = None
    """The machine that measured them; None until they are written."""

    @property
    def missed(self) -> list[Ratio | Figure]:
        """The measurements that miss their target."""
        measured: list[Ratio | Figure] = [*self.ratios, *self.figures]
        return [one for one in measured if one.missed]


def write(name: str, section: Section, path: Path = RESULTS) -> None:
    """Write a section as JSON, with this machine described, in place of its former results."""
    sections = read(path) if path.exists() else {}
    sections[name] = replace(section, machine=_machine())
    document = {name: asdict(one) for name, one in sections.items()}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read(path: Path = RESULTS) -> dict[str, Section]:
    """Read what `write` wrote, by the sections' names."""
    return {
        name: Section(
            title=section["title"],
            ratios=[
                Ratio(**ratio | {"quartiles": tuple(ratio["quartiles"])})
                for ratio in section["ratios"]
            ],
            figures=[Figure(**figure) for figure in section["figures"]],
            machine=section["machine"],
        )
        for name, section in json.loads(path.read_text()).items()
    }


def tables(section: Section) -> Iterator[Table]:
    """Yield the section's tables, for a terminal."""
    if section.ratios:
        table = _table(section.title, "ours", "other", "unit", "ratio", "quartiles", "target")
        for ratio in section.ratios:
            low, median, high = ratio.quartiles
            table.add_row(
                ratio.name,
                shown(ratio.ours),
                shown(ratio.other),
                ratio.unit,
                f"{median:.2f}",
                f"{low:.2f} to {high:.2f}",
                _target(ratio),
            )
        yield table
    if section.figures:
        table = _table(section.title, "value", "unit", "target")
        for figure in section.figures:
            table.add_row(figure.name, shown(figure.value), figure.unit, _target(figure))
        yield table


def _table(title: str, *columns: str) -> Table:
    return Table(Column(title), *(Column(name, justify="right") for name in columns))


def shown(value: float) -> str:
    """Return the value with three significant digits, or as a whole number."""
    if value == int(value) or abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _target(measured: Ratio | Figure) -> str:
    if measured.target is None:
        return ""
    return f"≤ {shown(measured.target)}{' MISSED' if measured.missed else ''}"


def _machine() -> dict[str, Any]:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages * page / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": dict(
            line.split("==") for line in _PACKAGES.read_text().splitlines() if "==" in line
        ),
    }


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=RESULTS.parent, check=True, capture_output=True, text=True
    ).stdout.strip()
