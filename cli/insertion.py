"""Inserts records where there are none, many in a request."""

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from function.denials import explained
from function.errors import TableMissingError
from function.record import FileRecord
from function.repository import FileIndex

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_AT_ONCE = 25
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html"""

_PRESENT = "DuplicateItem"
_AGAIN = {
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
}
_ATTEMPTS = 12
_LONGEST_PAUSE = 10.0


class Insertion:
    """Inserts into one table. Safe to share between threads."""

    def __init__(self, client: "DynamoDBClient", table_name: str, index: FileIndex) -> None:
        self._client = client
        self._table_name = table_name
        self._index = index

    def insert(self, records: Sequence[FileRecord]) -> int:
        """Write those of the records, at most 25, whose key has none, not even a tombstone.

        Returns how many were written. What DynamoDB throttles is tried again, for about a minute.
        Raises PermissionDeniedError, TableMissingError or ClientError.
        """
        written = 0
        left = list(records)
        for attempt in range(_ATTEMPTS):
            if attempt:
                longest = min(_LONGEST_PAUSE, 0.05 * 2**attempt)
                time.sleep(random.uniform(0, longest))  # noqa: S311 # no secret
            again = []
            for record, error in zip(left, self._execute(left), strict=True):
                if error is None:
                    written += 1
                elif error["Code"] in _AGAIN:
                    again.append(record)
                elif error["Code"] != _PRESENT:
                    self._raise(error)
            if not again:
                return written
            left = again
        raise ClientError(
            {"Error": {"Code": "Throttled", "Message": f"{_ATTEMPTS} times in a row"}},
            "BatchExecuteStatement",
        )

    def _execute(self, records: Sequence[FileRecord]) -> list[Any]:
        """For each record why it was not written; None where it was."""
        try:
            with explained("dynamodb:PartiQLInsert", f"table {self._table_name}"):
                answer = self._client.batch_execute_statement(
                    Statements=[self._statement(record) for record in records]
                )
        except self._client.exceptions.ResourceNotFoundException as error:
            raise self._missing() from error
        return [response.get("Error") for response in answer["Responses"]]

    def _statement(self, record: FileRecord) -> Any:
        item = self._index.to_item(record)
        attributes = ", ".join(f"'{name}': ?" for name in item)
        return {
            "Statement": f'INSERT INTO "{self._table_name}" VALUE {{{attributes}}}',
            "Parameters": list(item.values()),
        }

    def _raise(self, error: dict[str, str]) -> None:
        if error["Code"] == "ResourceNotFound":
            raise self._missing()
        # Denials have another name here than where all of the request is denied.
        code = {"AccessDenied": "AccessDeniedException"}.get(error["Code"], error["Code"])
        message = error.get("Message", "")
        with explained("dynamodb:PartiQLInsert", f"table {self._table_name}"):
            raise ClientError(
                {"Error": {"Code": code, "Message": message}}, "BatchExecuteStatement"
            )

    def _missing(self) -> TableMissingError:
        return TableMissingError(f"table {self._table_name} does not exist")
