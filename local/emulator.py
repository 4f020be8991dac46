"""Start and stop the local AWS: ministack with TLS and IAM, on a free port of 127.0.0.1."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from local.decisions import Decision, read

REGION = "us-east-1"
ACCESS_KEY = "test"  # the root user of the emulated account 000000000000
SECRET_KEY = "test"  # noqa: S105 - the emulator's own, not a secret

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 300  # one second is usual
_STOP_SECONDS = 30
_START_ATTEMPTS = 5
_LOG_LINES = 30


class EmulatorError(Exception):
    """The local AWS could not be started; the message says why."""


class _PortTakenError(Exception):
    """Another process took the port between its choice and its use."""


class Emulator:
    """A running local AWS; a context manager, and safe to run several times at once.

    It is isolated from the user's environment: it and its clients do not see the user's AWS
    variables and files, and do not change them. `corrected` is false only to show that the
    corrections are still needed.
    """

    def __init__(self, *, corrected: bool = True) -> None:
        self._arguments = [] if corrected else ["uncorrected"]
        self._making_clients = threading.Lock()  # clients are thread-safe, making them is not
        self._clients: list[Any] = []
        self._session = _isolated_session()

    @classmethod
    def found_at(cls, directory: str, port: int, pid: int) -> Self:
        """Return the emulator that another process runs, by its `whereabouts`."""
        emulator = cls()
        emulator._directory = Path(directory)
        emulator._port = port
        emulator._pid = pid
        return emulator

    @property
    def whereabouts(self) -> dict[str, Any]:
        """What another process needs to use this emulator, for JSON."""
        return {"directory": str(self._directory), "port": self._port, "pid": self._pid}

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="local-aws-"))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_clients()
        try:
            self._stop()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def endpoint(self) -> str:
        """The endpoint of every service."""
        # An address instead of `localhost` makes clients put the bucket's name in the path.
        return f"https://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The emulator's process; those that run functions are its children."""
        return self._pid

    @property
    def ca_bundle(self) -> Path:
        """The certificate that clients verify the endpoint with."""
        return self._directory / "ministack-tls" / "server.crt"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which aws, boto3 and terraform use only this emulator."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service, as the account's root."""
        return self.client_as(service, ACCESS_KEY, SECRET_KEY)

    def client_as(
        self, service: str, access_key: str, secret_key: str, token: str | None = None
    ) -> Any:
        """Return a boto3 client of a service with the given credentials."""
        make: Any = self._session.client  # typed by literal names of services
        with self._making_clients:
            client = make(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                verify=str(self.ca_bundle),
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                aws_session_token=token,
                config=Config(proxies={}),
            )
            self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Close the connections of all clients. An open one would delay the emulator's end."""
        for client in self._clients:
            client.close()

    def decisions(self, access_key: str) -> list[Decision]:
        """Return the actions that an IAM user has needed so far, by the user's access key."""
        return [one for one in read(self._directory) if one.access_key == access_key]

    def log(self, lines: int = _LOG_LINES) -> str:
        """Return the end of the emulator's log."""
        text = self._log_file.read_text(errors="replace") if self._log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def _log_file(self) -> Path:
        return self._directory / "emulator.log"

    def _start(self) -> None:
        if shutil.which("openssl") is None:
            raise EmulatorError(
                "openssl is not installed; the local AWS makes its certificate with it"
            )
        for _ in range(_START_ATTEMPTS):
            self._port = _free_port()
            self._process = self._launch()
            self._pid = self._process.pid
            try:
                self._wait_until_healthy()
            except _PortTakenError:
                self._stop()
                continue
            except BaseException:
                self._stop()
                raise
            return
        raise EmulatorError(f"no port stayed free in {_START_ATTEMPTS} attempts")

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log_file.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "local.launcher", *self._arguments],
                cwd=_ROOT,
                env={
                    "AUTH": "true",
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(self._port),
                    "HOME": str(self._directory),
                    "IOT_MTLS_ENABLED": "0",
                    # A failed event is retried after this time and then after twice as long; on AWS
                    # after one and two minutes.
                    "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
                    "MINISTACK_REGION": REGION,
                    "PATH": os.environ.get("PATH", os.defpath),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SFTP_ENABLED": "0",
                    "TMPDIR": str(self._directory),
                    "USE_SSL": "1",
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A process group of its own: Ctrl-C in the terminal is the owner's to handle, and
                # the function's workers can be ended with the group.
                start_new_session=True,
            )

    def _wait_until_healthy(self) -> None:
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit:
            if self._process.poll() is not None:
                if "already in use" in self.log():
                    raise _PortTakenError
                raise EmulatorError(f"the local AWS ended at its start; its log:\n{self.log()}")
            if self._is_healthy():
                return
            time.sleep(0.05)
        raise EmulatorError(
            f"the local AWS did not answer within {_START_SECONDS} s; its log:\n{self.log()}"
        )

    def _is_healthy(self) -> bool:
        # Only this emulator has the key of its certificate, so another one that took the port first
        # is not mistaken for it.
        try:
            trust = ssl.create_default_context(cafile=str(self.ca_bundle))
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
            )
            with opener.open(f"{self.endpoint}/_ministack/health", timeout=5) as response:
                return bool(response.status == HTTPStatus.OK)
        except OSError:  # URLError, SSLError and the file that is not there yet
            return False

    def _stop(self) -> None:
        # The functions' workers too: their open connections would delay its end.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        finally:
            # The rest of the group. On macOS, an empty group is a PermissionError.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _isolated_session() -> boto3.Session:
    """Return a session that does not read the user's profiles and files."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(botocore_session=core)
