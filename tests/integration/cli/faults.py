"""Calls to AWS that fail: for an object, for a while, or from some call on."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError


class Faults:
    """Stands between all boto3 clients and moto."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._faults: list[tuple[str, str | None, Callable[[Any], BaseException]]] = []
        self.calls: list[tuple[str, str | None]] = []
        """Operation and key of each call."""
        self.spared = 0
        """How many calls that would fail still succeed, the first ones."""
        self._counting = threading.Lock()
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def make_api_call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            key = _key(parameters)
            self.calls.append((operation, key))
            for failing, failing_key, error in list(self._faults):
                if failing == operation and failing_key in (None, key):
                    if self._is_spared():
                        break
                    raise error(client)
            return call(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)

    def _is_spared(self) -> bool:
        with self._counting:  # calls come from many threads
            spared = self.spared > 0
            self.spared -= spared
            return spared

    def fail(self, operation: str, error: str | BaseException, *keys: str | None) -> None:
        """Make calls fail, for these keys or all, with an error code or an exception."""

        def made(client: Any) -> BaseException:
            if isinstance(error, BaseException):
                return error
            kind = client.exceptions.from_code(error)
            made = kind({"Error": {"Code": error, "Message": "it says"}}, operation)
            assert isinstance(made, ClientError)
            return made

        self._faults += [(operation, key, made) for key in keys or (None,)]

    def end(self) -> None:
        """Let all calls succeed again."""
        self._faults.clear()
        self.spared = 0
        self.calls.clear()

    def keys(self, operation: str) -> list[str | None]:
        """The keys of the calls of an operation, in order."""
        return [key for called, key in self.calls if called == operation]


def _key(parameters: dict[str, Any]) -> str | None:
    """The object's key, or the record's."""
    found = parameters.get("Item", {}).get("key") or parameters.get("Key")
    if isinstance(found, dict):
        found = found.get("key", found)
    if isinstance(found, dict):
        found = found.get("S")
    return found
