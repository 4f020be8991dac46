"""Inserts records for keys that have none, 25 per request."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ..denials import explained_denial
from ..errors import TableMissingError
from ..record import FileRecord
from ..repository import FileIndex
from .failures import is_of_object

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_AT_ONCE = 25
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html"""

_PRESENT = "DuplicateItem"
_AGAIN = {
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
}
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

    def __init__(self, client: "DynamoDBClient", table_name: str, index: FileIndex) -> None:
        self._client = client
        self._table_name = table_name
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
            for record, error in zip(left, self._execute(left), strict=True):
                match error:
                    case None:
                        written += 1
                    case ClientError() if _code(error) == _PRESENT:
                        pass
                    case ClientError() if _code(error) in _AGAIN:
                        again.append(record)
                    case _:
                        failed[record.key] = error
            if not again:
                return Inserted(written, failed)
            left = again
        throttled = _error("Throttled", f"{_ATTEMPTS} times in a row")
        return Inserted(written, failed | {record.key: throttled for record in left})

    def _execute(self, records: Sequence[FileRecord]) -> list[Exception | None]:
        """Return for each record why it was not written; None if it was."""
        try:
            with explained_denial("dynamodb:PartiQLInsert", f"table {self._table_name}"):
                response = self._client.batch_execute_statement(
                    Statements=[self._statement(record) for record in records]
                )
        except self._client.exceptions.ResourceNotFoundException as error:
            raise self._missing() from error
        except (BotoCoreError, ClientError) as error:
            if not is_of_object(error):
                raise
            return [error for _ in records]
        return [self._error(result.get("Error")) for result in response["Responses"]]

    def _statement(self, record: FileRecord) -> Any:
        item = self._index.to_item(record)
        attributes = ", ".join(f"'{name}': ?" for name in item)
        return {
            "Statement": f'INSERT INTO "{self._table_name}" VALUE {{{attributes}}}',
            "Parameters": list(item.values()),
        }

    def _error(self, found: Any) -> Exception | None:
        """Return the error of a record. Raises an error that every other record would meet too."""
        if found is None:
            return None
        if found["Code"] == "ResourceNotFound":
            raise self._missing()
        # The code of a denied statement differs from that of a denied request.
        code = {"AccessDenied": "AccessDeniedException"}.get(found["Code"], found["Code"])
        error = _error(code, found.get("Message", ""))
        if code == "AccessDeniedException":
            with explained_denial("dynamodb:PartiQLInsert", f"table {self._table_name}"):
                raise error
        return error

    def _missing(self) -> TableMissingError:
        return TableMissingError(f"table {self._table_name} does not exist")


def _error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "BatchExecuteStatement")


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
