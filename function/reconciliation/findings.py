"""The result of a verification, key by key and in numbers."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..listed import Listed
from ..record import FileRecord, ObjectState, format_time
from .comparison import Kind
from .failures import Failure

UNSETTLED = "unsettled"
"""The kind of a failure: the key kept changing."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A key whose object and record still differ after the grace period."""

    kind: Kind
    bucket: str
    key: str
    listed: Listed | None
    record: FileRecord | None
    repaired: bool = False
    failure: Failure | None = None
    """Why the repair failed."""

    def as_json(self) -> str:
        """Return a line of JSON."""
        cause = {"cause": self.failure.cause} if self.failure else {}
        return json.dumps(self.fields() | {"repaired": self.repaired} | cause)

    def fields(self) -> dict[str, Any]:
        """Return what is known about the key, on both sides."""
        line: dict[str, Any] = {"kind": self.kind, "bucket": self.bucket, "key": self.key}
        if self.listed:
            line["object"] = {
                "etag": self.listed.etag,
                "size": self.listed.size,
                "last_modified": format_time(self.listed.last_modified),
            } | _known(self.listed, "storage_class", "version_id")
        if self.record:
            state = self.record.known
            line["record"] = _known(state, "etag", "size", "version_id")
            line["record"] |= _known(self.record, "event_name", "sequencer")
            if state.last_modified:
                line["record"]["last_modified"] = format_time(state.last_modified)
            if state.metadata:
                line["record"]["storage_class"] = state.metadata.storage_class
            line["record"]["indexed_at"] = format_time(self.record.indexed_at)
        return line


def _known(values: Listed | FileRecord | ObjectState, *names: str) -> dict[str, Any]:
    known = ((name, getattr(values, name)) for name in names)
    return {name: value for name, value in known if value is not None}


@dataclass(slots=True)
class Findings:
    """The numbers of a verification."""

    compared: int = 0
    """Keys."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    """Drift, repaired or not."""
    repaired: int = 0
    unsettled: int = 0
    """Keys that kept changing, so they could not be compared."""
    unread: int = 0
    """Keys whose object or record could not be read."""
    unrepaired: int = 0
    """Drift that could not be repaired."""
    directories: Counter[str] = field(default_factory=Counter)
    """Drift by directory below the prefix."""

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Findings":
        """Return the findings that `counts` came from."""
        return cls(
            compared=counts.get("compared", 0),
            kinds=Counter({kind: counts.get(kind, 0) for kind in Kind}),
            repaired=counts.get("repaired", 0),
            unsettled=counts.get("unsettled", 0),
            unread=counts.get("unread", 0),
            unrepaired=counts.get("unrepaired", 0),
        )

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by name, for a checkpoint."""
        names = ("compared", "repaired", "unsettled", "unread", "unrepaired")
        return {name: getattr(self, name) for name in names} | {
            str(kind): self.kinds[kind] for kind in Kind
        }

    @property
    def failed(self) -> int:
        """Keys that could not be compared or repaired."""
        return self.unread + self.unrepaired

    @property
    def equal(self) -> int:
        """Keys that do not differ."""
        return self.compared - self.kinds.total() - self.unsettled - self.unread

    def add(self, found: Drift | Failure, directory: str) -> None:
        """Count a key that differs or failed; drift also counts for its directory."""
        if isinstance(found, Failure):
            self._count(found, 1)
            return
        self.kinds[found.kind] += 1
        self.repaired += found.repaired
        self.unrepaired += found.failure is not None
        self.directories[directory] += 1

    def take_back(self, failure: Failure) -> None:
        """Uncount what an earlier run found of a key that is retried."""
        self._count(failure, -1)

    def _count(self, failure: Failure, number: int) -> None:
        match failure.kind:
            case None:
                self.unread += number
            case "unsettled":
                self.unsettled += number
            case kind:
                self.kinds[Kind(kind)] += number
                self.unrepaired += number

    def as_json(self) -> str:
        """Return the summary as a line of JSON."""
        return json.dumps(
            {
                "compared": self.compared,
                "drift": {kind: self.kinds[kind] for kind in Kind},
                "repaired": self.repaired,
                "unsettled": self.unsettled,
            }
            | ({"failed": self.failed} if self.failed else {})
        )
