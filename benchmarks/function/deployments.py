"""The deployments that are measured: what the bucket sends, and how it reaches the function."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tools.package import ROOT

from .bench import OURS, OURS_QUEUED, Bench, Handler, Used
from .events import BUCKET, Event, batched, direct, event, key_of

_WARM_UP = 500
"""With fewer events, the interpreter still speeds up while it is measured."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A bucket and a way from it to the function."""

    versioned: bool
    batch: int | None = None
    """The messages of a batch from SQS; None if S3 invokes the function."""

    @property
    def name(self) -> str:
        """The deployment in a few words."""
        bucket = "versioned" if self.versioned else "unversioned"
        return f"{bucket}, {f'batches of {self.batch:,}' if self.batch else 'single'}"

    @property
    def warm_up(self) -> int:
        """The events that warm a handler up."""
        return max(_WARM_UP, self.batch or 0)

    @property
    def ours(self) -> Handler:
        """The function as Terraform configures it for this deployment."""
        return OURS_QUEUED if self.batch and not self.versioned else OURS

    def payloads(self, events: Iterable[Event]) -> list[Any]:
        """Return the payloads with which the events reach the function."""
        return batched(events, self.batch) if self.batch else direct(events)

    def event(self, key: str, name: str = "ObjectCreated:Put", age: int = 0) -> Event:
        """Return an event of this deployment's bucket."""
        return event(key, name, versioned=self.versioned, age=age)

    def create(self, bench: Bench, handler: Handler, events: int, latency_ms: float = 0) -> Used:
        """Run a handler on the events of new objects, after `warm_up` others."""
        keys = [key_of(number) for number in range(self.warm_up + events)]
        bench.server.reset(latency_ms=latency_ms)
        bench.server.fill_bucket(BUCKET, keys, versioned=self.versioned)
        return bench.run(
            handler,
            self.payloads(map(self.event, keys[: self.warm_up])),
            self.payloads(map(self.event, keys[self.warm_up :])),
        )


def default(name: str, otherwise: str | None = None) -> str:
    """Return the default of an attribute of the module's inputs.

    Raises LookupError if the attribute does not exist and `otherwise` is not given.
    """
    pattern = rf'^\s*{name}\s*=\s*optional\(\w+, "?([\w.]+)"?\)'
    found = re.search(pattern, (ROOT / "variables.tf").read_text(), re.MULTILINE)
    value = found[1] if found else otherwise
    if value is None:
        raise LookupError(f"variables.tf has no attribute {name} with a default")
    return value
