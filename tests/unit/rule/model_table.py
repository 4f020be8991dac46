"""The table in memory, with the conditions of `function.repository.FileIndex`.

tests/integration/test_model_table.py compares the two.
"""

from collections.abc import Sequence
from datetime import datetime

from function.record import FileRecord, InsertResult, WriteRefusedError
from function.sequencer import CLOCKS_DIFFER, upload_began


class ModelTable:
    """An `Index`. Broken rules override `_store` or one of the writes."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], FileRecord] = {}

    def put_newer(self, record: FileRecord) -> None:
        standing = self.read(record.bucket, record.key)
        if standing is None or (not standing.observed and self._is_newer(record, standing)):
            self._store(record)
        else:
            self._refuse(record, standing)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        found = self.read(record.bucket, record.key)
        if (found and found.revision) == (standing and standing.revision):
            self._store(record)
        else:
            self._refuse(record, found)

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        return [self._insert(record) for record in records]

    def read(self, bucket: str, key: str) -> FileRecord | None:
        return self._records.get((bucket, key))

    def expire(self, now: datetime) -> None:
        """Remove what DynamoDB's TTL may remove."""
        for place, record in list(self._records.items()):
            if record.expires_at is not None and record.expires_at <= now.timestamp():
                del self._records[place]

    def remove(self, bucket: str, key: str) -> None:
        self._records.pop((bucket, key), None)

    def _insert(self, record: FileRecord) -> InsertResult | Exception:
        if self.read(record.bucket, record.key):
            return InsertResult.PRESENT
        self._store(record)
        return InsertResult.WRITTEN

    def _is_newer(self, record: FileRecord, standing: FileRecord) -> bool:
        return (
            (standing.sequencer is None or standing.sequencer < (record.sequencer or ""))
            and (
                standing.settled_at is None
                or (record.event_time is not None and standing.settled_at < record.event_time)
            )
            and not self._is_overtaken(record, standing)
        )

    def _is_overtaken(self, record: FileRecord, standing: FileRecord) -> bool:
        began = upload_began(record.event_name, record.sequencer, record.event_time)
        return (
            began is not None
            and standing.known.last_modified is not None
            and standing.known.last_modified > began + CLOCKS_DIFFER
        )

    def _store(self, record: FileRecord) -> None:
        self._records[(record.bucket, record.key)] = record

    def _refuse(self, record: FileRecord, standing: FileRecord | None) -> None:
        # The same revision: the response was lost and the write was sent again. It has succeeded.
        if standing is None or standing.revision != record.revision:
            raise WriteRefusedError(standing)
