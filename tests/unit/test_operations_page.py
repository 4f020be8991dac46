"""docs/operations.md has every section that the code refers to, and a row for every input."""

import re

from tools.module_copy import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def inputs() -> set[str]:
    """Each input of the module, or each of its attributes if it is an object."""
    found: set[str] = set()
    text = (ROOT / "variables.tf").read_text()
    for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        typed = re.search(r"^  type += object\(\{\n(.*?)^  \}\)", body, re.MULTILINE | re.DOTALL)
        attributes = re.findall(r"^    (\w+) +=", typed[1], re.MULTILINE) if typed else []
        found |= {f"{name}.{attribute}" for attribute in attributes} or {name}
    return found


def rows() -> set[str]:
    """The inputs that the table of changes names; `a.b`, `c` is short for `a.b`, `a.c`."""
    section = PAGE.partition("\n## Changing settings on a deployed index\n")[2].partition("\n## ")[
        0
    ]
    found: set[str] = set()
    for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE):
        parent = ""
        for name in re.findall(r"`([a-z_.]+)`", row):
            if name in ("true", "false"):
                continue
            found |= {name, f"{parent}{name}"}
            parent = name.partition(".")[0] + "." if "." in name else parent or f"{name}."
    return found


def test_changing_settings_covers_every_input() -> None:
    named = rows()

    missing = {name for name in inputs() if not {name, name.partition(".")[0]} & named}
    assert missing == set()


def test_every_link_to_a_section_of_the_page_leads_there() -> None:
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        linked |= set(re.findall(r"operations\.md#([\w-]+)", page.read_text()))
    linked |= set(re.findall(r'section += "([\w-]+)"', (ROOT / "monitoring.tf").read_text()))

    assert linked - anchors(PAGE) == set()
