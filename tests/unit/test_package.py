"""function.zip and the packages of the examples: the deployed one is the committed one."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.package import PACKAGE, ROOT, SOURCES, build


@pytest.mark.parametrize("package", SOURCES, ids=lambda path: path.name)
def test_the_committed_package_is_built_from_the_sources(tmp_path: Path, package: Path) -> None:
    build(tmp_path / package.name, SOURCES[package])

    assert (tmp_path / package.name).read_bytes() == package.read_bytes(), "run `make package`"


def test_umask_and_file_modes_do_not_change_the_package(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        copy = Path(shutil.copytree(ROOT / "function", tmp_path / "function"))
        for module in copy.rglob("*.py"):
            module.chmod(0o755)
            os.utime(module, (0, 0))
        build(tmp_path / "function.zip", copy)
    finally:
        os.umask(previous)

    assert (tmp_path / "function.zip").read_bytes() == PACKAGE.read_bytes()


def other_pythons() -> list[str]:
    """Pythons of other minor versions on this machine, on the path or pyenv's."""
    found = [shutil.which(f"python3.{minor}") for minor in range(9, 20)]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found += [
        str(path) for path in pyenv.glob("versions/3.*/bin/python3.*") if path.suffix[1:].isdigit()
    ]
    suffix = f".{sys.version_info.minor}"
    return [path for path in found if path and not path.endswith(suffix) and runs(path)]


def runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


def test_other_pythons_build_the_same_package(tmp_path: Path) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("there is no other Python on this machine")

    for number, python in enumerate(pythons):
        target = tmp_path / f"{number}.zip"
        subprocess.run([python, "-m", "tools.package", str(target)], check=True, cwd=ROOT)
        assert target.read_bytes() == PACKAGE.read_bytes(), python


def test_the_package_holds_nested_modules_too(tmp_path: Path) -> None:
    (tmp_path / "function" / "deeper").mkdir(parents=True)
    (tmp_path / "function" / "deeper" / "module.py").touch()

    build(tmp_path / "function.zip", tmp_path / "function")

    with zipfile.ZipFile(tmp_path / "function.zip") as archive:
        assert archive.namelist() == ["function/deeper/module.py"]


def test_the_package_imports_only_boto3_and_the_standard_library() -> None:
    imported = set()
    for path in (ROOT / "function").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])

    # The stubs are for mypy, under TYPE_CHECKING alone: test_runtime runs the package without them.
    stubs = {"mypy_boto3_dynamodb", "mypy_boto3_s3"}
    assert imported - sys.stdlib_module_names - stubs == {"boto3", "botocore"}
