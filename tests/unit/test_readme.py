"""The Terraform blocks of README.md are quotes from the examples, which tests plan and apply."""

import re

import pytest

from benchmarks.results import read
from cli import __version__
from tools.module_copy import ROOT

README = (ROOT / "README.md").read_text()
EXAMPLES = {
    path.parent.name: re.sub(
        r'source = "\.\./\.\." # or ("git::.*")', r"source = \1", path.read_text()
    )
    for path in (ROOT / "examples").glob("*/main.tf")
}
APPLIED = "### Two indexes of one bucket"
"""The section whose block tests/e2e/test_two_indexes.py applies."""
NOT_OF_A_STACK = "# backend_override.tf"


def blocks() -> list[str]:
    readme = re.sub(rf"{APPLIED}.*?(?=\n## )", "", README, flags=re.DOTALL)
    found = re.findall(r"```hcl\n(.*?)```", readme, re.DOTALL)
    return [block for block in found if NOT_OF_A_STACK not in block]


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("\n")[0])
def test_a_block_of_the_readme_is_quoted_from_an_example(block: str) -> None:
    assert [name for name, stack in EXAMPLES.items() if block in stack]


def test_the_readme_links_every_example() -> None:
    links = set(re.findall(r"\(examples/([\w-]+)\)", README))

    assert links >= {name for name in EXAMPLES if not name.startswith("existing-bucket")}


def test_every_source_names_this_version_which_the_changelog_describes() -> None:
    texts = [README, *EXAMPLES.values()]
    sources = [source for text in texts for source in re.findall(r'"git::([^"]+)"', text)]

    assert {source.partition("?ref=")[2] for source in sources} == {f"v{__version__}"}
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_figures_are_those_of_the_benchmarks() -> None:
    sections = read()
    cpu = {ratio.name: ratio.quartiles[1] for ratio in sections["cpu"].ratios}
    rows = {
        "one event": "unversioned, single",
        "100 new files from the queue": "unversioned, batches of 100",
        "one event, bucket with versions": "versioned, single",
    }

    for row, name in rows.items():
        assert f"| {row} | {cpu[f'{name}: ours / plain put']:.2f} |" in README
    in_dollars = [
        f"${figure.value:.2f}"
        for figure in sections["price"].figures
        if figure.unit == "$ per million events"
        and figure.name in {"unversioned, single", "versioned, single", "plain put", "powertools"}
    ]
    assert len(in_dollars) == 4
    assert [price for price in in_dollars if price not in README] == []
