"""What a repair knows about a key when it refreshes the key's record."""

from dataclasses import dataclass
from datetime import datetime

from .record import FileRecord, ObjectState
from .sequencer import is_ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A key whose object and record a repair found unchanged when it checked them a second time."""

    at: datetime
    """A time between the two checks, by S3's clock. Earlier events are superseded."""
    clock: datetime
    """S3's clock when the record was read, or later."""
    revision: str | None
    """The record's; None if there was none."""
    etag: str | None = None
    """The object's; None if there was none."""
    last_modified: datetime | None = None

    def frees(self, standing: FileRecord | None, state: ObjectState | None) -> bool:
        """Return whether the repair removes the record's sequencer.

        It removes one that S3 cannot have issued yet, because it would supersede every later event.
        It keeps it if record or object have changed since the checks: the newer of two changes may
        have been superseded already, and the older one, if still under way, would be applied.
        """
        return (
            standing is not None
            and standing.sequencer is not None
            and standing.revision == self.revision
            and self._was_seen(state)
            and is_ahead(standing.sequencer, self.clock)
        )

    def _was_seen(self, state: ObjectState | None) -> bool:
        if state is None or self.last_modified is None:
            return state is None and self.etag is None
        return state.etag == self.etag and _same_second(state.last_modified, self.last_modified)


def _same_second(one: datetime | None, other: datetime) -> bool:
    """Compare whole seconds, because a listing and HeadObject may give different fractions."""
    return one is not None and one.replace(microsecond=0) == other.replace(microsecond=0)
