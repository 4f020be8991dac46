"""Measure what an event costs, beside other ways to index a bucket: run by `make bench`.

python -m benchmarks [SECTION ...]

Without a section, it measures all of them. It writes the results of each to results.json, and draws
the chart once results.json has all sections. It exits with 1 if a measurement misses its target.
"""

import sys
from importlib import import_module

from rich.console import Console

from .chart import CHART, draw
from .progress import note
from .results import RESULTS, Section, read, tables, write

SECTIONS = {
    "requests": ".function.requests",
    "cpu": ".function.cpu",
    "wall_time": ".function.wall_time",
    "cold_start": ".function.cold_start",
    "price": ".function.price",
    "command_line": ".command_line",
    "end_to_end": ".end_to_end",
}
"""The module that measures each section, by the name used on the command line."""


def main() -> int:
    """Measure the sections named on the command line, or all of them."""
    chosen = sys.argv[1:] or list(SECTIONS)
    if unknown := sorted(set(chosen) - SECTIONS.keys()):
        console = Console(stderr=True)
        console.print(f"unknown: {', '.join(unknown)}. Sections: {', '.join(SECTIONS)}")
        return 2
    console = Console(highlight=False)
    sections = []
    for name in chosen:
        section = _measured(name)
        write(name, section)
        sections.append(section)
        for table in tables(section):
            console.print(table)
    note(f"wrote {RESULTS}")
    results = read()
    if results.keys() == SECTIONS.keys():
        draw(results.values())
        note(f"wrote {CHART}")
    missed = [one for section in sections for one in section.missed]
    for one in missed:
        console.print(f"missed its target: {one.name}, {one.unit}", style="red", markup=False)
    return int(bool(missed))


def _measured(name: str) -> Section:
    note(f"{name} …")
    section: Section = import_module(SECTIONS[name], __package__).measure()
    return section


if __name__ == "__main__":
    sys.exit(main())
