import os
from pathlib import Path

import pytest

from tools import terraform_init
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import TerraformError, init

OUT_OF_REACH = """
│ Error: Failed to query available provider packages
│
│ Could not retrieve the list of available versions for provider
│ hashicorp/aws: could not connect to
│ registry.terraform.io: failed to request discovery document
"""
PACKAGE = "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64"


@pytest.fixture(autouse=True)
def no_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform_init, "_IMPLIED_MIRRORS", ())
    monkeypatch.setattr(terraform_init, "_SOFTWARE_ROOTS", ())


def fake_terraform(
    directory: Path, *, version: str = "1.11.4", init: str = "exit 0"
) -> dict[str, str]:
    """An environment in which `terraform` is a script; `init` is its code for that command."""
    script = directory / "terraform"
    script.write_text(
        f"""#!/bin/sh
if [ "$1" = version ]; then
    echo 'There are some problems with the CLI configuration'
    echo '{{"terraform_version": "{version}", "platform": "linux_amd64"}}'
    exit 0
fi
echo "$@"
{init}
"""
    )
    script.chmod(0o755)
    return {"PATH": f"{directory}:/usr/bin:/bin"}


def out_of_reach_without(mirror: str) -> str:
    return f"""case "$*" in *"-plugin-dir={mirror}"*) exit 0;; esac
cat <<'END'
{OUT_OF_REACH}
END
exit 1"""


def test_the_registry_is_used_if_it_can_be_reached(tmp_path: Path) -> None:
    assert init(tmp_path, fake_terraform(tmp_path)) == "init -input=false -no-color\n"


@pytest.mark.parametrize("depth", ["mirror", "tools/mirror"])
def test_a_mirror_is_found_in_directories_for_software(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, depth: str
) -> None:
    monkeypatch.setattr(terraform_init, "_SOFTWARE_ROOTS", (str(tmp_path / "absent"), tmp_path))
    mirror = tmp_path / depth
    (mirror / PACKAGE).mkdir(parents=True)
    env = fake_terraform(tmp_path, init=out_of_reach_without(str(mirror)))

    assert f"-plugin-dir={mirror}" in init(tmp_path, env)


def test_a_mirror_is_found_where_terraform_looks_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(terraform_init, "_IMPLIED_MIRRORS", ("~/.terraform.d/plugins",))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".terraform.d/plugins" / PACKAGE).mkdir(parents=True)
    env = fake_terraform(tmp_path, init=out_of_reach_without(f"{tmp_path}/.terraform.d/plugins"))

    assert "-plugin-dir=" in init(tmp_path, env)


def test_a_mirror_for_another_platform_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(terraform_init, "_SOFTWARE_ROOTS", (tmp_path,))
    (tmp_path / "mirror" / PACKAGE.replace("linux", "darwin")).mkdir(parents=True)

    with pytest.raises(TerraformError, match=r"no unpacked mirror .* \(a directory that holds"):
        init(tmp_path, fake_terraform(tmp_path, init=out_of_reach_without("none")))


def test_terraform_reports_what_a_mirror_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(terraform_init, "_SOFTWARE_ROOTS", (tmp_path,))
    (tmp_path / "mirror" / PACKAGE).mkdir(parents=True)
    lacks = f"""case "$*" in *-plugin-dir=*) echo no matching version; exit 1;; esac
{out_of_reach_without("none")}"""

    with pytest.raises(TerraformError, match="no matching version"):
        init(tmp_path, fake_terraform(tmp_path, init=lacks))


def test_another_failure_is_terraforms_to_explain(tmp_path: Path) -> None:
    env = fake_terraform(tmp_path, init="echo 'Error: no such backend'; exit 1")

    with pytest.raises(TerraformError, match="Error: no such backend"):
        init(tmp_path, env)


@pytest.mark.parametrize("version", ["1.8.5", "0.15.0"])
def test_an_old_terraform_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(TerraformError, match=rf"Terraform {version}; install Terraform 1.9"):
        init(tmp_path, fake_terraform(tmp_path, version=version))


@pytest.mark.parametrize("version", ["1.9.0", "1.10.0-rc1", "2.0.0"])
def test_a_newer_terraform_is_accepted(tmp_path: Path, version: str) -> None:
    init(tmp_path, fake_terraform(tmp_path, version=version))


def test_a_missing_terraform_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TerraformError, match="terraform is not installed"):
        init(tmp_path, {"PATH": str(tmp_path)})


def test_a_copy_holds_the_module_and_nothing_of_its_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    module = {
        *("main.tf", "function.zip", "environments/dev.tfvars", "examples/a/main.tf"),
        "tests/terraform/a.tftest.hcl",
    }
    for name in (
        *module,
        *("examples/a/terraform.tfstate", "examples/a/.terraform/environment"),
        *("backend_override.tf", "override.tf", "terraform.tfvars", "mine.auto.tfvars"),
        *("terraform.tfstate", "terraform.tfstate.d/prod/terraform.tfstate"),
        *(".terraform/environment", ".terraform.lock.hcl"),
    ):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    before = sorted(checkout.rglob("*"))
    monkeypatch.setattr("tools.module_copy.ROOT", checkout)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "cache"))

    env = fake_terraform(tmp_path)
    with ModuleCopy(env) as copy:
        held = {
            str(path.relative_to(copy.directory))
            for path in copy.directory.rglob("*")
            if path.is_file()
        }

    assert held == module
    assert not copy.directory.exists()
    assert sorted(checkout.rglob("*")) == before


def test_a_copy_takes_over_what_another_initialised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "cache"))
    installs = f"""echo init >> {tmp_path}/inits
echo hashes > .terraform.lock.hcl
mkdir -p $TF_DATA_DIR/{Path(PACKAGE).parent}
ln -s {tmp_path}/cache $TF_DATA_DIR/{PACKAGE}"""

    with (
        ModuleCopy(fake_terraform(tmp_path, init=installs)) as first,
        ModuleCopy({"TF_WORKSPACE": "local"}, first) as copy,
    ):
        assert (copy.directory / ".terraform.lock.hcl").read_text() == "hashes\n"
        assert (copy.data_directory / PACKAGE).readlink() == tmp_path / "cache"
        assert copy.data_directory != first.data_directory
        assert copy.environment["TF_WORKSPACE"] == "local"

    assert (tmp_path / "inits").read_text() == "init\n"


def test_a_copys_terraform_does_not_see_the_users_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unwanted = {
        "AWS_PROFILE": "prod",
        "TF_CLI_ARGS_apply": "-auto-approve",
        "TF_DATA_DIR": "/nowhere",
        "TF_VAR_name": "prod",
        "TF_WORKSPACE": "prod",
    }
    for name, value in unwanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "cache"))

    with ModuleCopy({**fake_terraform(tmp_path), "TF_WORKSPACE": "local"}) as copy:
        seen = copy.environment

    assert not unwanted.items() & seen.items()
    assert seen["TF_WORKSPACE"] == "local"
    assert seen["HTTPS_PROXY"] == "http://proxy"
    assert ROOT not in Path(os.fspath(seen["TF_DATA_DIR"])).parents
