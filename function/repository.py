"""The table: every read and every write of a record."""

import heapq
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .denials import explained_denial
from .errors import TableMissingError
from .events import MAX_KEY_BYTES
from .record import FileRecord, WriteRefusedError, format_time
from .sequencer import CLOCKS_DIFFER, upload_began

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# There is no record; or it is ordered by sequencer, has a smaller one, and was not settled by a
# repair after the event.
_NEWER = (
    "attribute_not_exists(#key) OR (attribute_not_exists(observed)"
    " AND (attribute_not_exists(sequencer) OR sequencer < :sequencer)"
    " AND (attribute_not_exists(settled_at) OR settled_at < :event_time){})"
)
# An object that was stored after a multipart upload began takes precedence over it.
_NOT_OVERTAKEN = " AND (attribute_not_exists(last_modified) OR last_modified <= :began)"
_NO_TIME = "0"  # before every time
_LAST_CHARACTER = "\U0010ffff"


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

    def read(self, bucket: str, key: str) -> FileRecord | None:
        """Return the key's record, which may be a tombstone. The read is consistent."""
        with self._explained("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table_name,
                Key={"partition": {"S": self._partition(bucket, key)}, "key": {"S": key}},
                ConsistentRead=True,
            )
        item = response.get("Item")
        return FileRecord.from_item(item) if item else None

    def get(self, bucket: str, key: str) -> FileRecord | None:
        """The record of an object that exists; None for what is absent or deleted."""
        record = self.read(bucket, key)
        return None if record is None or record.deleted else record

    def list_prefix(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[FileRecord]:
        """The objects whose key begins with the prefix, in the order in which S3 lists them.

        `after` is a key that begins with the prefix: only those that sort after it are given.
        """
        return self._list(bucket, prefix, lambda last: last, after)

    def list_level(self, bucket: str, prefix: str = "") -> Iterator[FileRecord | str]:
        """What `list_prefix` gives up to the next slash.

        Of the keys with a slash after the prefix only the common prefixes are given, up to that
        slash and each once. What is below them is passed over at the end of a page.
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

        given = None
        for record in self._list(bucket, prefix, start_after):
            common = common_prefix(record.key)
            if common is None:
                yield record
            elif common != given:
                given = common
                yield common

    def has_its_partitions(self, bucket: str) -> bool:
        """Whether a few of the bucket's records lie where an index of so many partitions has them.

        With a wrong number records would be written twice, and not be found.
        """
        for partition in (bucket, f"{bucket}#0", f"{bucket}#{self._partitions}"):
            with self._explained("dynamodb:Query"):
                page = self._client.query(
                    TableName=self._table_name,
                    KeyConditionExpression="#partition = :partition",
                    ExpressionAttributeNames={"#partition": "partition"},
                    ExpressionAttributeValues={":partition": {"S": partition}},
                    Limit=20,
                )
            keys = (item["key"]["S"] for item in page["Items"])
            if any(self._partition(bucket, key) != partition for key in keys):
                return False
        return True

    def _list(
        self, bucket: str, prefix: str, start_after: Callable[[str], str], after: str = ""
    ) -> Iterator[FileRecord]:
        # DynamoDB orders strings by their UTF-8 bytes, Python by code points: the same order.
        listings = (
            self._query(self._partition_name(bucket, number), prefix, start_after, after)
            for number in range(self._partitions)
        )
        return heapq.merge(*listings, key=attrgetter("key"))

    def _query(
        self, partition: str, prefix: str, start_after: Callable[[str], str], after: str
    ) -> Iterator[FileRecord]:
        """`start_after` tells from a page's last key where the next page starts."""
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
        with self._explained("dynamodb:Query"):
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

    def to_item(self, record: FileRecord) -> dict[str, Any]:
        """Return the record as this table stores it."""
        return {
            "partition": {"S": self._partition(record.bucket, record.key)},
            **record.to_item(),
        }

    def _partition(self, bucket: str, key: str) -> str:
        return self._partition_name(bucket, zlib.crc32(key.encode()) % self._partitions)

    def _partition_name(self, bucket: str, number: int) -> str:
        return bucket if self._partitions == 1 else f"{bucket}#{number}"

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        with explained_denial(action, f"table {self._table_name}"):
            try:
                yield
            except self._client.exceptions.ResourceNotFoundException as error:
                raise TableMissingError(
                    f"table {self._table_name} does not exist: the function's environment variable "
                    "TABLE_NAME names it; apply the module again, or correct the variable"
                ) from error
