"""Writes the records of new objects with few requests: up to 25 INSERTs in each.

An INSERT succeeds exactly if the key has no record, which is the first part of the condition of
`FileIndex.put_newer`. So it writes nothing that `put_newer` would not. A record that it does not
write goes through `put_newer` with the same revision: if an INSERT whose response was lost has
written it, `put_newer` finds its own revision and has succeeded.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from . import report
from .allowance import Allowance
from .groups import Group
from .indexer import Indexer
from .record import FileRecord, InsertResult
from .repository import MOST_INSERTS


class Table(Protocol):
    """The table, as INSERTs need it: see `repository.FileIndex`."""

    def insert(  # noqa: D102
        self, records: Sequence[FileRecord]
    ) -> Sequence[InsertResult | Exception]: ...


class InsertFirst:
    """Inserts records before the rule sees their events. For one invocation at a time."""

    def __init__(self, indexer: Indexer, table: Table) -> None:
        self._indexer = indexer
        self._table = table
        self._allowance = Allowance(at_start=MOST_INSERTS)

    def candidates(self, groups: Iterable[Group]) -> list[Group]:
        """Return the groups whose record can be inserted, each with its record."""
        found = []
        for group in groups:
            with suppress(Exception):  # the rule raises it again, and the key fails alone
                group.record = self._indexer.creation(group.events)
            if group.record:
                found.append(group)
        return found

    def insert(self, candidates: Sequence[Group], has_time: Callable[[], bool]) -> None:
        """Insert records, 25 per request, and note in each group its outcomes or its error.

        A group with neither is still to be processed. Nothing is inserted without time, or while
        the table has been refusing too many INSERTs.
        """
        self._allowance.earn(len(candidates))
        for first in range(0, len(candidates), MOST_INSERTS):
            batch = candidates[first : first + MOST_INSERTS]
            if not has_time() or not self._allowance.covers(len(batch)):
                return
            try:
                results = self._table.insert([group.record for group in batch if group.record])
                answered = list(zip(batch, results, strict=True))
            except Exception as error:  # noqa: BLE001 # each of the keys still fails or succeeds alone
                self._allowance.spend(len(batch))
                report.not_inserted(len(batch), error)
                return
            self._allowance.spend(results.count(InsertResult.PRESENT))
            for group, result in answered:
                match result:
                    case InsertResult.WRITTEN:
                        group.outcomes = self._indexer.created(group.events)
                    case Exception():
                        group.error = result
