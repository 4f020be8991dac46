"""`file-index` as pip installs it, outside the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.package import ROOT


@pytest.fixture(scope="module", params=["with a link", "without links"])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which only the project was installed, from a copy."""
    directory = tmp_path_factory.mktemp("installed")
    copy = directory / "copy"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("cli", "function"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    if request.param == "without links":  # as Git checks them out if it must not make any
        link = copy / "cli" / "function"
        target_of_link = str(link.readlink())
        link.unlink()
        link.write_text(target_of_link)
    target = directory / "environment"
    # Dependencies and build backend are the tests' own, so no network is needed.
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, copy], check=True
    )
    return target


def test_the_installation_adds_only_its_own_package_name(environment: Path) -> None:
    names = {path.name for path in environment.iterdir() if path.suffix != ".dist-info"}

    assert names == {"bin", "file_index"}
    assert [path.name for path in (environment / "bin").iterdir()] == ["file-index"]


def test_it_runs_on_the_functions_own_package(environment: Path, tmp_path: Path) -> None:
    where = {"PATH": os.environ["PATH"], "PYTHONPATH": str(environment), "HOME": str(tmp_path)}

    said = subprocess.run(
        [
            sys.executable,
            environment / "bin" / "file-index",
            "get",
            "s3:/wrong",
            "--table",
            "files",
        ],
        env=where,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (
        2,
        "file-index: s3:/wrong is not an address: use s3://bucket/key\n",
    )
    program = "import sys, file_index.main; print(*sys.modules['file_index.function'].__path__)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=where,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == environment / "file_index" / "function"


def test_an_application_reads_with_boto3_alone(environment: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules.update(rich=None, click=None);"
        " from file_index.reader import IndexReader; print(IndexReader(None, 'files')._table_name)"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(environment)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "files\n"
