"""The stacks in examples/: each can be planned, and has the same files."""

import json
import re
from pathlib import Path

import pytest

from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT
from tools.terraform_init import init

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/main.tf"))


def test_every_example_can_be_planned(module: Configuration) -> None:
    # As modules of one stack, because reading the provider's schemas costs more than all plans.
    stack = module.at("tests/terraform/examples")
    stack.directory.mkdir()
    sources = {path.name: {"source": f"../../../examples/{path.name}"} for path in EXAMPLES}
    # Its second provider can be mocked only in a root module. The end-to-end tests apply it.
    del sources["other-account"]
    (stack.directory / "main.tf.json").write_text(json.dumps({"module": sources}))
    (stack.directory / "plan.tftest.json").write_text(
        json.dumps(
            {
                "mock_provider": {"aws": {"source": "../mocks"}},
                "run": {"plan": {"command": "plan"}},
            }
        )
    )
    # Its user builds it, as a long test does.
    (module.directory / "examples/reader/reader.zip").touch()
    init(stack.directory, stack.environment)

    stack.succeed("test", "-test-directory=.")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_the_same_files_as_the_others(example: Path) -> None:
    main = (example / "main.tf").read_text()

    assert (example / "versions.tf").read_text() == (ROOT / "versions.tf").read_text()
    assert (example / "README.md").is_file()
    assert 'source = "../.." # or "git::https://' in " ".join(main.split())
    assert 'output "file_index" {' in main


def test_every_example_is_listed() -> None:
    listed = re.findall(r"^\| \[(.+)\]\(\1/\) \|", (ROOT / "examples/README.md").read_text(), re.M)

    assert sorted(listed) == [path.name for path in EXAMPLES]
