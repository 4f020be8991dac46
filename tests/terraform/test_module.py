"""The module's own tests, in HCL: one test for each file, whose runs Terraform names."""

import re
from pathlib import Path

import pytest

from tests.terraform.terraform import Configuration, by_heading

FILES = sorted(path.name for path in Path(__file__).parent.glob("*.tftest.hcl"))


@pytest.fixture(scope="module")
def said(request: pytest.FixtureRequest, module: Configuration) -> dict[str, str]:
    """Terraform's output for each selected file."""
    selected = sorted(
        {
            str(item.callspec.params["file"])
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.originalname == test_the_runs_of.__name__
        }
    )
    # In one process, because reading the provider's schemas costs as much as six runs.
    _, words = module.terraform(
        "test",
        "-test-directory=tests/terraform",
        *(f"-filter=tests/terraform/{file}" for file in selected),
    )
    files = by_heading(
        words, re.compile(r"^tests/terraform/(\S+)\.\.\. in progress$", re.MULTILINE)
    )
    # Output without a heading has only errors that concern all files.
    return {file: files.get(file, words) for file in selected}


@pytest.mark.parametrize("file", FILES)
def test_the_runs_of(file: str, said: dict[str, str]) -> None:
    if not re.search(rf"^tests/terraform/{re.escape(file)}\.\.\. pass$", said[file], re.MULTILINE):
        pytest.fail(said[file], pytrace=False)


def test_the_module_is_valid(module: Configuration) -> None:
    module.succeed("validate")


def test_every_file_is_formatted(module: Configuration) -> None:
    module.succeed("fmt", "-check", "-diff", "-recursive")
