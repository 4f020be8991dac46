"""Reads records: one by its key, all below a prefix, or one level of it.

Needs only boto3, so that an application can import it without the command line's libraries.
"""

import heapq
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .events import MAX_KEY_BYTES
from .record import FileRecord
from .repository import FileIndex, explained_call, partition_name, partition_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LAST_CHARACTER = "\U0010ffff"


class IndexReader:
    """Reads the records of a table. Safe to share between threads.

    Raises PermissionDeniedError, TableMissingError and UnreadableRecordError.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, partitions: int = 1) -> None:
        self._client = client
        self._table_name = table_name
        self._partitions = partitions
        self._index = FileIndex(client, table_name, partitions)

    def get(self, bucket: str, key: str) -> FileRecord | None:
        """Return the record of an object; None if it was deleted or never indexed."""
        record = self.read(bucket, key)
        return None if record is None or record.deleted else record

    def read(self, bucket: str, key: str) -> FileRecord | None:
        """Return the record of a key, even if it is a tombstone, by a consistent read."""
        return self._index.read(bucket, key)

    def list_prefix(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[FileRecord]:
        """Yield the objects whose key begins with the prefix, in the order in which S3 lists them.

        `after` is a key that begins with the prefix; only keys that sort after it are listed.
        """
        return self._list(bucket, prefix, lambda last: last, after)

    def list_level(self, bucket: str, prefix: str = "") -> Iterator[FileRecord | str]:
        """Yield what `list_prefix` yields, but group keys by the next slash after the prefix.

        Each group is yielded once, as its common prefix, which ends with the slash. The rest of a
        group is skipped at the end of a page.
        """

        def common_prefix(key: str) -> str | None:
            slash = key.find("/", len(prefix))
            return None if slash < 0 else key[: slash + 1]

        def start_after(last: str) -> str:
            common = common_prefix(last)
            if common is None:
                return last
            room = MAX_KEY_BYTES - len(common.encode())
            return max(last, common + _LAST_CHARACTER * (room // len(_LAST_CHARACTER.encode())))

        yielded = None
        for record in self._list(bucket, prefix, start_after):
            common = common_prefix(record.key)
            if common is None:
                yield record
            elif common != yielded:
                yielded = common
                yield common

    def has_its_partitions(self, bucket: str) -> bool:
        """Return whether this number of partitions fits a sample of records.

        With a wrong number, records would not be found and would be written twice.
        """
        for partition in (bucket, f"{bucket}#0", f"{bucket}#{self._partitions}"):
            with explained_call(self._client, self._table_name, "dynamodb:Query"):
                page = self._client.query(
                    TableName=self._table_name,
                    KeyConditionExpression="#partition = :partition",
                    ExpressionAttributeNames={"#partition": "partition"},
                    ExpressionAttributeValues={":partition": {"S": partition}},
                    Limit=20,
                )
            keys = (item["key"]["S"] for item in page["Items"])
            if any(partition_of(bucket, key, self._partitions) != partition for key in keys):
                return False
        return True

    def _list(
        self, bucket: str, prefix: str, start_after: Callable[[str], str], after: str = ""
    ) -> Iterator[FileRecord]:
        # DynamoDB orders strings by their UTF-8 bytes, Python by code points: the same order.
        listings = (
            self._query(
                partition_name(bucket, number, self._partitions), prefix, start_after, after
            )
            for number in range(self._partitions)
        )
        return heapq.merge(*listings, key=attrgetter("key"))

    def _query(
        self, partition: str, prefix: str, start_after: Callable[[str], str], after: str
    ) -> Iterator[FileRecord]:
        """`start_after` returns where to continue after the last key of a page."""
        condition = "#partition = :partition"
        names = {"#partition": "partition"}
        values: dict[str, Any] = {":partition": {"S": partition}}
        if prefix:
            condition += " AND begins_with(#key, :prefix)"
            names["#key"] = "key"
            values[":prefix"] = {"S": prefix}
        start: dict[str, Any] = {}
        if after:
            start = {"ExclusiveStartKey": {"partition": {"S": partition}, "key": {"S": after}}}
        with explained_call(self._client, self._table_name, "dynamodb:Query"):
            while True:
                page = self._client.query(
                    TableName=self._table_name,
                    KeyConditionExpression=condition,
                    FilterExpression="attribute_not_exists(deleted)",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    **start,
                )
                yield from map(FileRecord.from_item, page["Items"])
                last = page.get("LastEvaluatedKey")
                if last is None:
                    return
                key = start_after(last["key"]["S"])
                start = {"ExclusiveStartKey": {**last, "key": {"S": key}}}
