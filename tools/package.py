"""Write the deployed packages, with the same bytes on every machine.

python -m tools.package           all of them
python -m tools.package TARGET    function.zip, there
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "function.zip"
SOURCES = {
    PACKAGE: ROOT / "function",
    ROOT / "examples/on-change/on_change.zip": ROOT / "examples/on-change/on_change.py",
}
"""The source of each package: a directory of modules, or a module."""

_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644
_UNIX = 3


def build(target: Path, source: Path = SOURCES[PACKAGE]) -> None:
    """Zip the modules of `source`: sorted, with one date and mode, stored uncompressed."""
    modules = [source] if source.is_file() else sorted(source.rglob("*.py"))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in modules:
            entry = zipfile.ZipInfo(path.relative_to(source.parent).as_posix(), _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    for target, source in (
        {Path(sys.argv[1]): SOURCES[PACKAGE]} if len(sys.argv) > 1 else SOURCES
    ).items():
        build(target, source)
