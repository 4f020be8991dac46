"""Events of one key, which an invocation processes together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .events import ObjectEvent, Outcome
from .record import FileRecord


@dataclass(slots=True)
class Group:
    """Events that are processed together, the messages they came with, and the result."""

    events: list[ObjectEvent] = field(default_factory=list)
    messages: set[int] = field(default_factory=set)
    record: FileRecord | None = None
    """The record that an INSERT was to write; a write in its place has the same revision."""
    outcomes: Sequence[Outcome] | None = None
    """The outcome of each event; None if the group failed or is not finished."""
    error: Exception | None = None
    """Why all of the events failed."""

    @property
    def is_done(self) -> bool:
        """Whether the events were processed or failed."""
        return self.outcomes is not None or self.error is not None
