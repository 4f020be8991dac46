"""`file-index` as pip installs it, outside the repository."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cli import __version__
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


@pytest.fixture
def empty(environment: Path, tmp_path: Path) -> list[str]:
    """Python without any package but this one, and boto3 with its dependencies."""
    for name in ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"):
        package = Path(sysconfig.get_path("purelib")) / name
        (tmp_path / name).symlink_to(package)
    (tmp_path / "file_index").symlink_to(environment / "file_index")
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n",
    ]


def test_an_application_reads_with_boto3_alone(empty: list[str], tmp_path: Path) -> None:
    *python, path = empty
    program = """
from file_index import *
from file_index import Index
import file_index
index = Index("files", client=object(), s3=object())
try:
    index.get("reports", "")
except file_index.ArgumentError as error:
    print(error)
files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
print(*filter(None, files), sep="\\n")
"""

    said = subprocess.run(
        [*python, path + program], check=True, capture_output=True, text=True, cwd=tmp_path
    )

    refusal, *files = said.stdout.splitlines()
    assert refusal == "the key is empty: use an object's key"
    library = sysconfig.get_path("stdlib")
    others = {file for file in files if not file.startswith(library) or "site-packages" in file}
    packages = {Path(file).relative_to(tmp_path).parts[0] for file in others}
    assert {"file_index", "boto3", "botocore"} <= packages
    own = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"}
    assert packages <= {"file_index", *own}


def test_the_command_without_its_extra_says_how_to_install_it(
    empty: list[str], tmp_path: Path
) -> None:
    *python, path = empty
    program = "from file_index.__main__ import run; run()"

    said = subprocess.run(
        [*python, path + program], check=False, capture_output=True, text=True, cwd=tmp_path
    )

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("file-index: click and rich not found: install the command line")
    assert "pipx install 'file-index[cli] @ git+https://" in said.stderr


def test_the_distribution_has_its_version_needs_boto3_alone_and_is_typed(environment: Path) -> None:
    (metadata,) = environment.glob("file_index-*.dist-info/METADATA")
    stated = email.message_from_string(metadata.read_text())
    needs = stated.get_all("Requires-Dist", [])

    assert stated["Version"] == __version__
    assert [need for need in needs if "extra ==" not in need] == ["boto3>=1.35.50"]
    # The first client that returns the checksum CRC64NVME and the checksum's type.
    assert sorted(need.partition(";")[0] for need in needs if "extra == 'cli'" in need) == [
        "boto3>=1.36.0",
        "click>=8.2",
        "rich>=13.7",
    ]
    assert (environment / "file_index" / "py.typed").is_file()
