"""Limits how many writes are refused because the key already has a record."""

import threading

MOST_REFUSALS = 100
RECORDS_PER_REFUSAL = 50


class Allowance:
    """A budget of refused writes, each of which wastes a write unit.

    A process wastes about as many as it has at the start, and one for every 50 records that such a
    write could have written, whatever the events are. Safe to share between threads, which may go
    beyond it by the writes that they have under way.
    """

    def __init__(self, at_start: int) -> None:
        self._left = at_start * RECORDS_PER_REFUSAL
        self._changing = threading.Lock()

    def earn(self, records: int) -> None:
        """Allow for this many records."""
        with self._changing:
            self._left = min(self._left + records, MOST_REFUSALS * RECORDS_PER_REFUSAL)

    def covers(self, writes: int) -> bool:
        """Return whether all of these writes may be refused."""
        return self._left >= writes * RECORDS_PER_REFUSAL

    def spend(self, refused: int) -> None:
        """Count writes that were refused."""
        with self._changing:
            self._left -= refused * RECORDS_PER_REFUSAL
