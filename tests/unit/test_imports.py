"""Imports between modules."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PARSER = "function.event_parser"

MAY_IMPORT = {
    "function": set[str](),
    "cli": set[str](),  # it has the function's modules as its own, under cli/function
    "tools": {"cli"},
    "local": {"cli", "tools"},
}


def imported(file: Path) -> Iterator[str]:
    """The modules of the repository that a file imports, by their full names."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            # For `from . import module`, only the module: a package imports its own modules.
            modules = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else base for name in modules]
        else:
            continue
        yield from (name for name in names if is_module(name))


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def graph(package: str) -> dict[str, set[str]]:
    files = (ROOT / package).rglob("*.py")
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): set(
            imported(file)
        )
        for file in files
    }


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    found = graph(package)
    tuple(TopologicalSorter(found).static_order())  # raises CycleError

    others = {name.partition(".")[0] for names in found.values() for name in names} - {package}
    assert others == MAY_IMPORT[package]


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks"])
def test_derived_files_are_imported_through_their_package_only(package: str) -> None:
    doors = ("function.derived_files.", "cli.function.derived_files.")
    past = {
        (importer, name)
        for importer, names in graph(package).items()
        for name in names
        if name.startswith(doors) and not importer.startswith("function.derived_files")
    }
    assert past == set()


def test_only_the_handler_imports_the_parser() -> None:
    importers = {name for name, names in graph("function").items() if PARSER in names}

    assert importers == {"function.handler"}


@pytest.mark.parametrize("module", ["function.event_parser", "function.indexer"])
def test_reading_and_deciding_load_no_boto3(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'boto3', 'botocore'}} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "--help"], ["ls"]])
def test_the_command_line_explains_itself_without_loading_boto3(arguments: list[str]) -> None:
    slow = {"boto3", "botocore", "cli.target", "rich.progress"}
    program = (
        f"import sys; from cli.main import execute; execute({arguments});"
        f"print(sorted({slow} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert "Usage: file-index" in ran.stdout + ran.stderr
    assert ran.stderr.splitlines()[-1] == "[]"
