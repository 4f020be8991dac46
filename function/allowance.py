"""A limit on writes that expect no record and are refused."""

import threading

REFUSALS_AT_START = 25
MOST_REFUSALS = 100
RECORDS_PER_REFUSAL = 50


class Allowance:
    """How many more of these writes may be refused. Each of those costs a write unit for nothing.

    A process wastes at most 25 write units, and one for every 50 records that such a write could
    have written, whatever the events are. Safe to share between threads, which may go beyond it by
    the writes that they have under way.
    """

    def __init__(self) -> None:
        self._left = REFUSALS_AT_START * RECORDS_PER_REFUSAL
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
