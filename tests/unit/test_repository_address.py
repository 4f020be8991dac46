"""The repository's address is stated once, and a command writes it everywhere."""

from pathlib import Path

import pytest

from tools.module_copy import ROOT
from tools.repository_address import NAME, named, spread, state, stated

ADDRESS = f"https://github.com/acme/{NAME}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "README.md").write_text(f'source = "git::{stated()}.git?ref=v1.0.0"\n')
    (tmp_path / "other.md").write_text("https://github.com/acme/other\n")
    return tmp_path


def test_every_file_names_the_stated_address() -> None:
    names = {file.relative_to(ROOT).as_posix(): found for file, found in named().items() if found}

    assert {name: found for name, found in names.items() if found != {stated()}} == {}
    assert {"README.md", "docs/file-index.md", "pyproject.toml"} <= names.keys()


def test_a_new_address_is_written_everywhere(repository: Path) -> None:
    state(ADDRESS, repository)
    changed = spread(repository)

    assert changed == [repository / "README.md"]
    assert stated(repository) == ADDRESS
    assert (repository / "README.md").read_text() == f'source = "git::{ADDRESS}.git?ref=v1.0.0"\n'


def test_an_address_of_another_form_changes_nothing(repository: Path) -> None:
    with pytest.raises(ValueError, match="is not of the form https://HOST/OWNER/"):
        state("acme", repository)

    assert stated(repository) == stated()
