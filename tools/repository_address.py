"""Write the repository's address, which pyproject.toml states, wherever the project names it.

python -m tools.repository_address [ADDRESS]

An address is written into pyproject.toml first.
"""

import re
import sys
import tomllib
from pathlib import Path

from tools.module_copy import ROOT

NAME = "terraform-aws-file-index"
_TEXT = {".hcl", ".md", ".py", ".tf", ".toml"}
_ADDRESS = re.compile(rf"https://[\w.-]+/[\w.-]+/{NAME}")
_STATED = re.compile(rf'(?<=^Repository = "){_ADDRESS.pattern}(?="$)', re.MULTILINE)


def stated(root: Path = ROOT) -> str:
    """Return the address that pyproject.toml states."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    address: str = project["urls"]["Repository"]
    return address


def state(address: str, root: Path = ROOT) -> None:
    """Write the address into pyproject.toml. Raises ValueError if it is not one."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address} is not of the form https://HOST/OWNER/{NAME}")
    file = root / "pyproject.toml"
    file.write_text(_STATED.sub(address, file.read_text()))


def named(root: Path = ROOT) -> dict[Path, set[str]]:
    """Return the addresses that each file names."""
    return {file: set(_ADDRESS.findall(file.read_text())) for file in _files(root)}


def spread(root: Path = ROOT) -> list[Path]:
    """Write the stated address into every file that names another; return these files."""
    address = stated(root)
    changed = [file for file, addresses in named(root).items() if addresses - {address}]
    for file in changed:
        file.write_text(_ADDRESS.sub(address, file.read_text()))
    return changed


def _files(root: Path) -> list[Path]:
    """Return the text files that may name the address."""
    # Hidden directories such as .venv hold many files, so they are not entered.
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.suffix in _TEXT and entry.is_file()]
    return files + [file for entry in entries if entry.is_dir() for file in _files(entry)]


def main() -> None:
    """Print the files that changed."""
    if len(sys.argv) > 1:
        try:
            state(sys.argv[1])
        except ValueError as error:
            sys.exit(str(error))
    for file in spread():
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
