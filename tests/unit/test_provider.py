import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local import provider
from local.provider import KeptProvider, ProviderError, provider_binary
from local.waiting import wait_for
from tools.module_copy import ROOT

KEPT = """
env > "$0.environment"
echo "Provider started. Set TF_REATTACH_PROVIDERS to what follows:"
printf "\\tTF_REATTACH_PROVIDERS='%s'\\n" "$$"
exec sleep 600
"""
OWNER = """
import sys
from pathlib import Path
from local.provider import KeptProvider
with KeptProvider(Path(sys.argv[1]), {}) as kept:
    print(kept.environment["TF_REATTACH_PROVIDERS"], flush=True)
    sys.stdin.read()
"""


def fake_provider(directory: Path, does: str = KEPT) -> Path:
    """A script that announces its process id where the provider announces its address."""
    binary = directory / "terraform-provider-aws"
    binary.write_text(f"#!/bin/sh\n{does}")
    binary.chmod(0o755)
    return binary


def process_of(kept: KeptProvider) -> psutil.Process:
    return psutil.Process(int(kept.environment["TF_REATTACH_PROVIDERS"]))


def runs(process: psutil.Process) -> bool:
    # The process that inherits an orphan may leave it a zombie.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def seen(binary: Path) -> dict[str, str]:
    """The environment that the fake provider was started with."""
    lines = Path(f"{binary}.environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_provider_runs_until_its_context_ends(tmp_path: Path) -> None:
    binary = fake_provider(tmp_path)

    with KeptProvider(binary, {}) as kept:
        process = process_of(kept)
        assert runs(process)

    assert not runs(process)
    assert not Path(seen(binary)["TMPDIR"]).exists()


def test_a_provider_knows_only_the_given_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "prod")
    monkeypatch.setattr(sys, "platform", "linux")
    binary = fake_provider(tmp_path)

    with KeptProvider(binary, {"AWS_REGION": "us-east-1", "AWS_CA_BUNDLE": "/tls/server.crt"}):
        given = seen(binary)

    assert given["AWS_REGION"] == "us-east-1"
    assert given["SSL_CERT_FILE"] == "/tls/server.crt"
    assert not {"AWS_CA_BUNDLE", "AWS_PROFILE"} & given.keys()
    assert given["HOME"] != os.environ["HOME"]


def test_a_certificate_leaves_the_providers_to_terraform_on_macos(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    binary = fake_provider(tmp_path)

    with KeptProvider(binary, {"AWS_CA_BUNDLE": "/tls/server.crt"}) as kept:
        assert kept.environment == {}

    with KeptProvider(binary, {}) as kept:
        assert runs(process_of(kept))


def test_a_provider_that_does_not_start_explains_itself(tmp_path: Path) -> None:
    binary = fake_provider(tmp_path, "echo no such flag: -debug; exit 2")

    with pytest.raises(ProviderError, match="ended at its start:\nno such flag: -debug"):
        KeptProvider(binary, {}).__enter__()


def test_a_provider_that_hangs_is_ended_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def give_up(_: object, seen: Callable[[], str], __: float) -> None:
        raise TimeoutError(wait_for(seen, lambda: "nothing"))

    monkeypatch.setattr(provider, "wait_for", give_up)
    monkeypatch.setattr(provider, "_STOP_SECONDS", 0.1)
    binary = fake_provider(tmp_path, "trap '' TERM; sleep 600 & echo $! > $0.pid; echo wait; wait")

    with pytest.raises(ProviderError, match=r"did not start: wait"):
        KeptProvider(binary, {}).__enter__()

    pid = int(Path(f"{binary}.pid").read_text())
    wait_for(lambda: not psutil.pid_exists(pid) or not runs(psutil.Process(pid)), lambda: "it runs")


def test_a_provider_does_not_outlive_its_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, fake_provider(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        process = psutil.Process(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)

    wait_for(lambda: not runs(process), lambda: process)


def test_a_directory_without_a_provider_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=rf"{tmp_path} holds no AWS provider"):
        provider_binary(tmp_path)
