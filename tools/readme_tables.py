"""Write the tables of inputs and outputs into README.md, from variables.tf and outputs.tf.

python -m tools.readme_tables
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

from tools.markers import replaced
from tools.module_copy import ROOT

README = ROOT / "README.md"

_HEREDOC = re.compile(r'^"<<-?EOT\n(.*)\n *EOT"$', re.DOTALL)
_ITEM = re.compile(r"^( *)- ((?:`\w+`(?:, )?)+): ")
_OPTIONAL = re.compile(r"^optional\((.*)\)$", re.DOTALL)
_OBJECT = re.compile(r"^(?:list\()?object\(\{(.*)\}\)\)?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Input:
    """An input, or an attribute of one."""

    name: str
    """With the names of what it belongs to: `monitoring.limits.errors`."""
    type: str
    default: str
    """`required` if there is none."""
    description: str


def inputs(text: str) -> Iterator[Input]:
    """Yield the inputs that the Terraform file declares, each followed by its attributes."""
    for block in hcl2.loads(text)["variable"]:
        for quoted, variable in block.items():
            name = quoted.strip('"')
            described = _described(_text(variable["description"]))
            type_ = _text(variable["type"])
            default = _shown(variable["default"]) if "default" in variable else "required"
            yield Input(name, _kind(type_), default, described[""])
            for path, attribute, value in _attributes(type_):
                yield Input(f"{name}.{path}", _kind(attribute), value, described.get(path, ""))


def inputs_table(text: str) -> str:
    """Return the Markdown table of the inputs."""
    rows = [
        f"| `{input_.name}` | {input_.type} | {_code(input_.default)} | {input_.description} |"
        for input_ in inputs(text)
    ]
    return "\n".join(
        ["| input | type | default | description |", "| --- | --- | --- | --- |", *rows]
    )


def outputs_table(text: str) -> str:
    """Return the Markdown table of the outputs."""
    rows = [
        f"| `{quoted.strip(chr(34))}` | {_joined(_text(output['description']))} |"
        for block in hcl2.loads(text)["output"]
        for quoted, output in block.items()
    ]
    return "\n".join(["| output | description |", "| --- | --- |", *rows])


def written(readme: str, root: Path = ROOT) -> str:
    """Return the README with the tables between its markers. Raises ValueError without markers."""
    tables = {
        "inputs": inputs_table((root / "variables.tf").read_text()),
        "outputs": outputs_table((root / "outputs.tf").read_text()),
    }
    for name, table in tables.items():
        readme = replaced(readme, name, table)
    return readme


def _text(value: str) -> str:
    """Return the text of an expression as the parser gives it."""
    if heredoc := _HEREDOC.match(value):
        return textwrap.dedent(heredoc[1])
    return value.removeprefix("${").removesuffix("}").strip('"').replace('\\"', '"')


def _attributes(type_: str, parents: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield path, type and default of each attribute of an object, of a list's object too."""
    declared = _OBJECT.match(type_)
    if not declared:
        return
    for attribute in _split(declared[1]):
        name, _, kind = attribute.partition(" = ")
        optional = _OPTIONAL.match(kind)
        kind, default = (*_split(optional[1]), "null")[:2] if optional else (kind, "required")
        yield f"{parents}{name}", kind, default
        yield from _attributes(kind, f"{parents}{name}.")


def _split(text: str) -> list[str]:
    """Split at the commas that are not within brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _described(description: str) -> dict[str, str]:
    """Return the description of the input, under "", and of each attribute, by its path."""
    lines: dict[tuple[str, ...], list[str]] = {("",): []}
    paths: tuple[str, ...] = ("",)
    parents = [""]
    for line in description.splitlines():
        if item := _ITEM.match(line):
            level = len(item[1]) // 2
            parents = parents[: level + 1]
            names = re.findall(r"`(\w+)`", item[2])
            paths = tuple(f"{parents[-1]}{name}" for name in names)
            parents.append(f"{names[-1]}.")
        text = line[item.end() :] if item else line
        lines.setdefault(paths, []).append(text.strip())
    return {path: _joined("\n".join(found)) for paths, found in lines.items() for path in paths}


def _joined(text: str) -> str:
    """Return the text as one cell, with a full stop."""
    joined = " ".join(text.split()).replace("|", "\\|").rstrip(",:")
    if not joined:
        return ""
    return f"{joined[0].upper()}{joined[1:]}{'' if joined.endswith(('.', '.)')) else '.'}"


def _kind(type_: str) -> str:
    return type_.partition("(")[0] if type_.startswith("object") else type_.partition("(object")[0]


def _shown(default: Any) -> str:
    shown = {None: "null", True: "true", False: "false"}
    if isinstance(default, str):
        return _text(default) if default.startswith("${") else default
    return shown[default] if default in (None, True, False) else str(default)


def _code(default: str) -> str:
    return default if default == "required" else f"`{default}`"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
