"""`terraform init` from the registry or, if that cannot be reached, from a local mirror.

python -m tools.terraform_init [arguments of terraform init]
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PROVIDER = "registry.terraform.io/hashicorp/aws"
_OLDEST_TERRAFORM = (1, 9)
_REGISTRY_OUT_OF_REACH = re.compile(
    r"could not connect to registry|failed to request discovery document"
    r"|failed to retrieve (authentication|cryptographic|checksum)|error while installing",
    re.IGNORECASE,
)

# https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
_IMPLIED_MIRRORS = (
    "terraform.d/plugins",
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "~/Library/Application Support/io.terraform/plugins",
    "/Library/Application Support/io.terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)
_SOFTWARE_ROOTS = ("/opt", "/srv", "/usr/local", "/usr/local/lib", "/usr/local/share", "/var/lib")


class TerraformError(Exception):
    """Terraform is missing, too old, or its init failed; the message says what to do."""


def init(directory: Path, env: Mapping[str, str], arguments: Sequence[str] = ()) -> str:
    """Initialise a configuration and return Terraform's output.

    Raises `TerraformError` with Terraform's message, or with what to install.
    """
    platform = _platform(env)
    plain = _run_init(directory, env, arguments)
    if plain.returncode == 0:
        return plain.stdout
    if not _REGISTRY_OUT_OF_REACH.search(_one_line(plain.stdout)):
        raise TerraformError(plain.stdout)
    failed = None
    for mirror in _mirrors(platform):
        mirrored = _run_init(directory, env, (*arguments, f"-plugin-dir={mirror}"))
        if mirrored.returncode == 0:
            return mirrored.stdout
        failed = mirrored.stdout
    if failed is not None:
        raise TerraformError(failed)
    raise TerraformError(
        f"{plain.stdout}\n"
        "The Terraform registry can't be reached, and no unpacked mirror of the provider was found"
        f" on this machine (a directory that holds {_PROVIDER}/VERSION/{platform}/).\n"
        "Allow access to registry.terraform.io, or copy the provider into ~/.terraform.d/plugins:"
        " on a machine with access run `terraform providers mirror DIR` here, and copy DIR."
    )


def _platform(env: Mapping[str, str]) -> str:
    """Return the name that Terraform gives this platform, such as linux_amd64."""
    oldest = ".".join(map(str, _OLDEST_TERRAFORM))
    install = (
        f"install Terraform {oldest} or newer: https://developer.hashicorp.com/terraform/install"
    )
    try:
        done = subprocess.run(
            ["terraform", "version", "-json"],
            env={**env, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise TerraformError(f"terraform is not installed; {install}") from None
    if done.returncode != 0:
        raise TerraformError(f"`terraform version` fails:\n{done.stdout}{done.stderr}")
    # A warning about the CLI configuration may come first.
    described = json.loads(done.stdout[done.stdout.index("{") :])
    version: str = described["terraform_version"]
    if tuple(map(int, version.split(".")[:2])) < _OLDEST_TERRAFORM:
        raise TerraformError(f"this is Terraform {version}; {install}")
    return str(described["platform"])


def _run_init(
    directory: Path, env: Mapping[str, str], arguments: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", "init", "-input=false", "-no-color", *arguments],
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _one_line(message: str) -> str:
    """Return the message without Terraform's frame, which breaks sentences across lines."""
    return " ".join(message.replace("│", " ").split())


def _mirrors(platform: str) -> Iterator[Path]:
    for mirror in _IMPLIED_MIRRORS:
        expanded = Path(mirror).expanduser()
        if any(expanded.glob(f"{_PROVIDER}/*/{platform}")):
            yield expanded.resolve()
    for root in _SOFTWARE_ROOTS:
        for depth in ("*", "*/*"):
            found = Path(root).glob(f"{depth}/{_PROVIDER}/*/{platform}")
            yield from sorted({package.parents[4] for package in found})


def main() -> int:
    """Initialise the configuration in the working directory with the caller's own environment."""
    try:
        said = init(Path.cwd(), os.environ, sys.argv[1:])
    except TerraformError as error:
        print(error, file=sys.stderr)
        return 1
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
