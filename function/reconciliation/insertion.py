"""Inserts records for keys that have none, and waits until DynamoDB takes them."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from ..record import FileRecord, InsertResult
from ..repository import FileIndex
from .failures import is_of_object

_ATTEMPTS = 12
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Inserted:
    """The result for some records. The others already had a record or a tombstone."""

    written: int
    failed: Mapping[str, Exception]
    """The error of each key."""


class Insertion:
    """Inserts into one table. Safe to share between threads."""

    def __init__(self, index: FileIndex) -> None:
        self._index = index

    def insert(self, records: Sequence[FileRecord]) -> Inserted:
        """Insert up to 25 records, except those whose key has a record or a tombstone.

        A throttled record is retried for about a minute. Raises PermissionDeniedError,
        TableMissingError, and every error that does not concern a single record.
        """
        if not records:
            return Inserted(0, {})
        written = 0
        failed: dict[str, Exception] = {}
        left = list(records)
        for attempt in range(_ATTEMPTS):
            if attempt:
                longest = min(_LONGEST_PAUSE, 0.05 * 2**attempt)
                time.sleep(random.uniform(0, longest))  # noqa: S311 # not a secret
            again = []
            for record, result in zip(left, self._insert(left), strict=True):
                match result:
                    case InsertResult.WRITTEN:
                        written += 1
                    case InsertResult.THROTTLED:
                        again.append(record)
                    case Exception() as error:
                        if not is_of_object(error):
                            raise error
                        failed[record.key] = error
            if not again:
                return Inserted(written, failed)
            left = again
        throttled = ClientError(
            {"Error": {"Code": "Throttled", "Message": f"{_ATTEMPTS} times in a row"}},
            "BatchExecuteStatement",
        )
        return Inserted(written, failed | {record.key: throttled for record in left})

    def _insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        try:
            return self._index.insert(records)
        except (BotoCoreError, ClientError) as error:
            return [error for _ in records]
