"""Compare the claims of manifests with other tools, for the files on this machine.

python -m benchmarks.claims [DIRECTORY ...]

Without a directory, it reads Python's packages and /usr/share. Pillow, json, gzip, bz2, lzma and
zipfile judge the files they know; the suffix decides for the others. For each kind of file, the
table counts right claims, claims that say less ("unknown", or text/plain for JSON, XML or CSV) and
wrong claims. Every wrong claim is printed with its path, so that a person can look at it: the
file's name may be wrong instead.
"""

import bz2
import gzip
import json
import lzma
import os
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Column, Table

from function.derived_files import make_manifest
from function.record import Source

MOST_OF_A_KIND = 1000
LARGEST = 8 * 1024 * 1024

TEXT = "text/plain"
UNKNOWN = "unknown"
TABLES = {"csv": "text/csv", "tsv": "text/tab-separated-values"}
ARCHIVES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    **dict.fromkeys(
        ("zip", "whl", "jar", "egg", "npz", "docx", "xlsx", "odt"),
        ("application/zip", lambda path: zipfile.ZipFile(path).close()),
    ),
    **dict.fromkeys(("gz", "tgz", "svgz"), ("application/gzip", lambda path: _read(gzip, path))),
    "bz2": ("application/x-bzip2", lambda path: _read(bz2, path)),
    "xz": ("application/x-xz", lambda path: _read(lzma, path)),
}
IMAGES = ("png", "gif", "jpg", "jpeg", "webp", "bmp", "ico", "tiff", "tif", "ppm", "pgm", "pbm")
TEXTS = """
json xml svg pom rss xhtml xsd xsl rng ui plist policy html css js mjs ts map md rst txt tex bib
py pyi c h hpp cpp cc cuh inl cs java kt scala go rs rb pl pm tcl lua php r jl f f90 sql el lisp
scm hs ml erl ex clj asm s sh bash ps1 vim tf hcl tfvars toml yaml yml ini cfg conf properties
service target desktop list rules cmake mk am m4 ac in diff patch po pot j2 tmpl lang def ld
pem crt md5sums shlibs symbols control postrm prerm postinst preinst typed decTest afm
"""
BINARIES = """
pyc pyo mo gmo so a o exe class jmod bc rlib rmeta debug ttf otf woff woff2 pcf au wav mp3 ogg
mat npy pickle pkl db sqlite tar deb udeb dat bin cache
"""


def main() -> None:
    """Print the table, and every wrong claim."""
    places = sys.argv[1:] or [sys.prefix, "/usr/share"]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    console = Console(highlight=False, soft_wrap=True)
    for kind, path in _sampled(places):
        verdict, claim = _judged(kind, path)
        counts[kind][verdict] += 1
        if verdict == "wrong":
            console.print(f"wrong: {claim}: {path}", markup=False)
    verdicts = ("right", "less", "wrong")
    table = Table("kind", *(Column(name, justify="right") for name in verdicts))
    for kind, count in sorted(counts.items()):
        table.add_row(kind, *(f"{count[verdict]:,}" for verdict in verdicts))
    total: Counter[str] = sum(counts.values(), Counter())
    table.add_section()
    table.add_row("all", *(f"{total[verdict]:,}" for verdict in verdicts))
    console.print(table)


def _sampled(places: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield up to MOST_OF_A_KIND files of each kind, the same ones each time."""
    known = {*TABLES, *ARCHIVES, *IMAGES, *TEXTS.split(), *BINARIES.split(), "pdf"}
    seen: Counter[str] = Counter()
    for place in places:
        for directory, below, names in os.walk(place):
            below.sort()
            for name in sorted(names):
                path = Path(directory, name)
                kind = path.suffix.removeprefix(".")
                if kind not in known or seen[kind] >= MOST_OF_A_KIND or path.is_symlink():
                    continue
                if path.is_file() and 0 < path.stat().st_size <= LARGEST:
                    seen[kind] += 1
                    yield kind, path


def _judged(kind: str, path: Path) -> tuple[str, str]:
    with path.open("rb") as content:
        found = json.loads(make_manifest(Source(bucket="b", key="k", etag="e"), content))
    claim = found["media_type"]
    right, less = _truth(kind, path)
    if "image" in found and found["image"] != "unknown":
        size = found["image"]["width"], found["image"]["height"]
        with Image.open(path) as image:
            if image.size != size:
                return "wrong", f"{claim} of {size}"
    if claim in right:
        return "right", claim
    return ("less" if claim == UNKNOWN or claim in less else "wrong"), claim


def _truth(kind: str, path: Path) -> tuple[set[str], set[str]]:
    """Return the right claims, and those that are true but say less."""
    if kind in IMAGES:
        return _image(path), set()
    if kind in ARCHIVES:
        media_type, opened = ARCHIVES[kind]
        return {media_type} if _opens(opened, path) else {UNKNOWN}, {TEXT}
    if kind in TABLES:
        return {TABLES[kind]}, {TEXT}
    if kind == "pdf":
        return {"application/pdf"}, set()
    return _by_content(kind, path), {TEXT} if kind in TEXTS.split() else set()


def _by_content(kind: str, path: Path) -> set[str]:
    content = path.read_bytes()
    if b"<?xml" in content[:200].replace(b"\0", b""):
        return {"application/xml"}
    if content.lstrip()[:1] in {b"{", b"["} and _opens(json.loads, content):
        return {"application/json"}
    if kind in TEXTS.split():
        return {TEXT}
    if content.startswith(b"PK") and _opens(lambda file: zipfile.ZipFile(file).close(), path):
        return {"application/zip"}
    return {UNKNOWN} if b"\0" in content else {UNKNOWN, TEXT}


def _image(path: Path) -> set[str]:
    try:
        with Image.open(path) as image:
            name = {"MPO": "jpeg"}.get(image.format or "", (image.format or "").lower())
    except (OSError, ValueError):
        return {UNKNOWN}
    return {f"image/{name}"} if name in {"png", "gif", "jpeg", "webp"} else {UNKNOWN}


def _opens(opened: Callable[[Any], Any], source: Path | bytes) -> bool:
    try:
        opened(source)
    except (OSError, ValueError, EOFError, lzma.LZMAError, zipfile.BadZipFile):
        return False
    return True


def _read(module: Any, path: Path) -> None:
    with module.open(path) as file:
        file.read(1024)


if __name__ == "__main__":
    main()
