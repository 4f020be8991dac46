"""The table, as the function reads and writes it."""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .denials import explained_denial
from .errors import PermissionDeniedError, TableMissingError
from .record import FileRecord, InsertResult, WriteRefusedError, format_time
from .sequencer import CLOCKS_DIFFER, upload_began

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_INSERTS = 25
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html"""

# The key has no record, or its record is ordered by sequencer, has a smaller one, and no repair
# settled it after the event.
_NEWER = (
    "attribute_not_exists(#key) OR (attribute_not_exists(observed)"
    " AND (attribute_not_exists(sequencer) OR sequencer < :sequencer)"
    " AND (attribute_not_exists(settled_at) OR settled_at < :event_time){})"
)
# An object that was stored after a multipart upload began takes precedence over it.
_NOT_OVERTAKEN = " AND (attribute_not_exists(last_modified) OR last_modified <= :began)"
_NO_TIME = "0"  # before every time

_INSERT = "dynamodb:PartiQLInsert"
_PRESENT = "DuplicateItem"
_THROTTLED = {  # statements and requests have different codes
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
}
_TABLE_MISSING = "ResourceNotFound"


class FileIndex:
    """The records of a table. Safe to share between threads."""

    def __init__(self, client: "DynamoDBClient", table_name: str, partitions: int = 1) -> None:
        self._client = client
        self._table_name = table_name
        self._partitions = partitions

    def put_newer(self, record: FileRecord) -> None:
        """Write the record unless the one in the table is observed or at least as new.

        It is at least as new if it has an equal or greater sequencer, was settled after the event,
        or holds an object that was stored after the event's multipart upload began. Raises
        WriteRefusedError with the record in the table.
        """
        time = format_time(record.event_time) if record.event_time else _NO_TIME
        values = {":sequencer": {"S": record.sequencer}, ":event_time": {"S": time}}
        overtaken = ""
        if began := upload_began(record.event_name, record.sequencer, record.event_time):
            overtaken = _NOT_OVERTAKEN
            values[":began"] = {"S": format_time(began + CLOCKS_DIFFER)}
        self._put(record, _NEWER.format(overtaken), values, {"#key": "key"})

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        """Write the record if the table still holds `standing`.

        Raises WriteRefusedError with the record that it holds instead.
        """
        if standing is None:
            self._put(record, "attribute_not_exists(#key)", {}, {"#key": "key"})
        else:
            self._put(record, "revision = :revision", {":revision": {"S": standing.revision}}, {})

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        """Insert up to 25 records, each only if its key has neither a record nor a tombstone.

        Return what became of each, or why it failed. Raises BotoCoreError or ClientError if the
        request failed as a whole; then any of the records may have been written.
        """
        try:
            with self._explained(_INSERT):
                response = self._client.batch_execute_statement(
                    Statements=[self._statement(record) for record in records]
                )
        except (PermissionDeniedError, TableMissingError) as error:
            return [error for _ in records]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THROTTLED:
                raise
            return [InsertResult.THROTTLED for _ in records]
        return [self._insert_result(result.get("Error")) for result in response["Responses"]]

    def read(self, bucket: str, key: str, *, consistent: bool = True) -> FileRecord | None:
        """Return the key's record, which may be a tombstone."""
        with self._explained("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table_name,
                Key=item_key(bucket, key, self._partitions),
                ConsistentRead=consistent,
            )
        item = response.get("Item")
        return FileRecord.from_item(item) if item else None

    def _put(
        self, record: FileRecord, condition: str, values: dict[str, Any], names: dict[str, str]
    ) -> None:
        # DynamoDB refuses empty maps of names and values, so each is sent only if it is used.
        expression: dict[str, Any] = {}
        if names:
            expression["ExpressionAttributeNames"] = names
        if values:
            expression["ExpressionAttributeValues"] = values
        try:
            with self._explained("dynamodb:PutItem"):
                self._client.put_item(
                    TableName=self._table_name,
                    Item=self.to_item(record),
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **expression,
                )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item: dict[str, Any] | None = error.response.get("Item")  # type: ignore[assignment] # ALL_OLD puts it there
            standing = FileRecord.from_item(item) if item else None
            if standing is None or standing.revision != record.revision:
                raise WriteRefusedError(standing) from None
            # Otherwise the response to this write was lost, and botocore sent it again.

    def _statement(self, record: FileRecord) -> Any:
        item = self.to_item(record)
        attributes = ", ".join(f"'{name}': ?" for name in item)
        return {
            "Statement": f'INSERT INTO "{self._table_name}" VALUE {{{attributes}}}',
            "Parameters": list(item.values()),
        }

    def _insert_result(self, error: Any) -> InsertResult | Exception:
        if error is None:
            return InsertResult.WRITTEN
        code = error["Code"]
        if code == _PRESENT:
            return InsertResult.PRESENT
        if code in _THROTTLED:
            return InsertResult.THROTTLED
        missing = self._client.exceptions.ResourceNotFoundException
        kind = missing if code == _TABLE_MISSING else ClientError
        try:
            with self._explained(_INSERT):
                raise kind(
                    {"Error": {"Code": code, "Message": error.get("Message", "")}},
                    "BatchExecuteStatement",
                )
        except (ClientError, PermissionDeniedError, TableMissingError) as explained:
            return explained

    def to_item(self, record: FileRecord) -> dict[str, Any]:
        """Return the record as this table stores it."""
        return {
            "partition": {"S": partition_of(record.bucket, record.key, self._partitions)},
            **record.to_item(),
        }

    def _explained(self, action: str) -> AbstractContextManager[None]:
        return explained_call(self._client, self._table_name, action)


def item_key(bucket: str, key: str, partitions: int) -> dict[str, Any]:
    """Return the primary key of a key's item in a table with `partitions` partitions."""
    return {"partition": {"S": partition_of(bucket, key, partitions)}, "key": {"S": key}}


def partition_of(bucket: str, key: str, partitions: int) -> str:
    """Return the partition that holds a key's record in a table with `partitions` partitions."""
    return partition_name(bucket, zlib.crc32(key.encode()) % partitions, partitions)


def partition_name(bucket: str, number: int, partitions: int) -> str:
    """Return the name of one of a bucket's partitions."""
    return bucket if partitions == 1 else f"{bucket}#{number}"


@contextmanager
def explained_call(client: "DynamoDBClient", table_name: str, action: str) -> Iterator[None]:
    """Raise PermissionDeniedError or TableMissingError if DynamoDB refuses the call made inside."""
    with explained_denial(action, f"table {table_name}"):
        try:
            yield
        except client.exceptions.ResourceNotFoundException as error:
            raise TableMissingError(
                f"table {table_name} does not exist in {client.meta.region_name}",
                "the function's environment variable TABLE_NAME names it; apply the module again,"
                " or correct the variable",
            ) from error
