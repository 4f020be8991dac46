"""Reads records: one by its key, all below a prefix, or one level of it.

Needs only boto3, so that an application can import it without the command line's libraries.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from .errors import PartitionsError, UnreadableRecordError
from .events import MAX_KEY_BYTES
from .ranges import Range, last_key
from .record import FileRecord, Unreadable
from .repository import FileIndex, explained_call, partition_name, partition_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_PARTITIONS = 100
"""The limit of the module's input `table.partitions`."""
_SAMPLE = 20
"""Enough records to show a wrong number of partitions: it is right for half the keys at most."""
_LAST_CHARACTER = "\U0010ffff"
_NO_TOMBSTONES = {"FilterExpression": "attribute_not_exists(deleted)"}


class IndexReader:
    """Reads the records of a table. Safe to share between threads.

    Raises PermissionDeniedError, TableMissingError and UnreadableRecordError.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        partitions: int = 1,
        *,
        consistent: bool = False,
    ) -> None:
        """With `consistent`, a listing has every record that was written before it began."""
        self._client = client
        self._table_name = table_name
        self._partitions = partitions
        self._options: dict[str, Any] = {"ConsistentRead": True} if consistent else {}
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
        return map(_record, self._list(bucket, Range(after), prefix, _NO_TOMBSTONES))

    def list_range(
        self, bucket: str, of: Range, prefix: str = ""
    ) -> Iterator[FileRecord | Unreadable]:
        """Yield what the table holds in a range below a prefix: tombstones too, in key order.

        Records have only what a listing of the bucket has too, and their revision. An item that is
        not a record does not end the listing.
        """
        return map(_record_or_unreadable, self._list(bucket, of, prefix, _COMPARED))

    def next_key(self, bucket: str, of: Range, prefix: str = "") -> str | None:
        """Return a range's first key in one of the table's partitions; a tombstone counts."""
        items = self._query(partition_name(bucket, 0, self._partitions), of, prefix, {"Limit": 1})
        return next(map(_key, items), None)

    def last_key(self, bucket: str, of: Range, prefix: str = "") -> str | None:
        """Return a range's greatest key; a tombstone counts."""
        options = {"Limit": 1, "ScanIndexForward": False}
        found = (
            next(map(_key, self._query(partition, of, prefix, options)), None)
            for partition in self._names(bucket)
        )
        return max((key for key in found if key is not None), default=None)

    def list_level(
        self, bucket: str, prefix: str = "", delimiter: str = "/"
    ) -> Iterator[FileRecord | str]:
        """Yield what `list_prefix` yields, but group keys by the next delimiter after the prefix.

        Each group is yielded once, as its common prefix, which ends with the delimiter. The rest of
        a group is skipped at the end of a page.
        """

        def common_prefix(key: str) -> str | None:
            found = key.find(delimiter, len(prefix))
            return None if found < 0 else key[: found + len(delimiter)]

        def start_after(last: str) -> str:
            common = common_prefix(last)
            if common is None:
                return last
            room = MAX_KEY_BYTES - len(common.encode())
            return max(last, common + _LAST_CHARACTER * (room // len(_LAST_CHARACTER.encode())))

        yielded = None
        for item in self._list(bucket, Range(), prefix, _NO_TOMBSTONES, start_after):
            record = _record(item)
            common = common_prefix(record.key)
            if common is None:
                yield record
            elif common != yielded:
                yielded = common
                yield common

    def check_partitions(self, bucket: str) -> bool:
        """Raise PartitionsError if a sample of records shows another number of partitions.

        With a wrong number, records would not be found and would be written twice. Return whether
        the sample is large enough: a few records can be where a wrong number has them too.
        """
        return self._check(bucket, (bucket, f"{bucket}#0", f"{bucket}#{self._partitions}"))

    def check_all_partitions(self, bucket: str) -> bool:
        """Do as `check_partitions`. If its sample is too small, sample every possible partition."""
        if self.check_partitions(bucket):
            return True
        numbered = (f"{bucket}#{number}" for number in range(MOST_PARTITIONS))
        return self._check(bucket, (bucket, *numbered))

    def _check(self, bucket: str, partitions: Iterable[str]) -> bool:
        found = 0
        for partition in partitions:
            page = self._page(partition, "", {}, {"Limit": _SAMPLE})
            keys = [_key(item) for item in page["Items"]]
            if any(partition_of(bucket, key, self._partitions) != partition for key in keys):
                raise PartitionsError(
                    f"table {self._table_name} has records of bucket {bucket} in partition"
                    f" {partition}, which {self._partitions} partitions do not explain: use the"
                    " number that the module's input table.partitions has"
                )
            found += len(keys)
        return found >= _SAMPLE

    def _names(self, bucket: str) -> Iterator[str]:
        return (
            partition_name(bucket, number, self._partitions) for number in range(self._partitions)
        )

    def _list(
        self,
        bucket: str,
        of: Range,
        prefix: str,
        options: dict[str, Any],
        start_after: Callable[[str], str] = str,
    ) -> Iterator[dict[str, Any]]:
        # DynamoDB orders strings by their UTF-8 bytes, Python by code points: the same order.
        listings = (
            self._query(partition, of, prefix, options, start_after)
            for partition in self._names(bucket)
        )
        return heapq.merge(*listings, key=_key)

    def _query(
        self,
        partition: str,
        of: Range,
        prefix: str,
        options: dict[str, Any],
        start_after: Callable[[str], str] = str,
    ) -> Iterator[dict[str, Any]]:
        """Yield items; `start_after` returns where to continue after the last key of a page.

        The next page is fetched while the second half of a page is used, so that a caller who only
        wants the first items does not pay for it.
        """
        bounds = _bounds(of, prefix)
        if bounds is None:
            return
        fetch = partial(self._page, partition, *bounds)
        page = fetch(options)
        while True:
            items = [item for item in page["Items"] if _key(item) in of]
            half = (len(items) + 1) // 2
            yield from items[:half]
            last = page.get("LastEvaluatedKey")
            if last is None:
                yield from items[half:]
                return
            key = start_after(last["key"]["S"])
            start = {"ExclusiveStartKey": {**last, "key": {"S": key}}}
            coming = _started(partial(fetch, options | start))
            yield from items[half:]
            page = coming.result()

    def _page(
        self, partition: str, condition: str, values: dict[str, Any], options: dict[str, Any]
    ) -> Any:
        with explained_call(self._client, self._table_name, "dynamodb:Query"):
            return self._client.query(
                TableName=self._table_name,
                KeyConditionExpression=" AND ".join(filter(None, (_PARTITION, condition))),
                ExpressionAttributeNames=_names(condition, options.get("ProjectionExpression", "")),
                ExpressionAttributeValues={":partition": {"S": partition}, **values},
                **self._options,
                **options,
            )


def _started(fetch: Callable[[], Any]) -> "Future[Any]":
    """Fetch in a thread that does not delay the end of the program."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(fetch())
        except BaseException as error:  # noqa: BLE001 # raised where the result is used
            future.set_exception(error)

    try:
        Thread(target=run, daemon=True).start()
    except RuntimeError:  # the interpreter ends, or there are too many threads
        run()
    return future


_LISTED = (
    *("bucket", "key", "indexed_at", "revision", "deleted"),
    *("event_time", "settled_at", "expires_at"),  # parsed, so an unreadable record is noticed
    *("etag", "size", "last_modified", "version_id", "storage_class"),
)
_COMPARED = {"ProjectionExpression": ", ".join(f"#{name}" for name in _LISTED)}
_PARTITION = "#partition = :partition"


def _names(*expressions: str) -> dict[str, str]:
    """Return the names that the expressions use; DynamoDB refuses others."""
    used = re.findall(r"#(\w+)", " ".join((_PARTITION, *expressions)))
    return {f"#{name}": name for name in used}


def _bounds(of: Range, prefix: str) -> tuple[str, dict[str, Any]] | None:
    """Return the condition on the sort key and its values; None if no key can fulfil it.

    DynamoDB takes one condition and no empty value, and BETWEEN includes both bounds.
    """
    low = max(of.after, prefix)
    highs = [] if of.up_to is None else [of.up_to]
    high = min([*highs, last_key(prefix)]) if prefix else of.up_to
    if high is not None and (high < low or high <= of.after):
        return None
    if high is None:
        return ("#key > :low", {":low": {"S": low}}) if low else ("", {})
    if not low:
        return "#key <= :high", {":high": {"S": high}}
    return "#key BETWEEN :low AND :high", {":low": {"S": low}, ":high": {"S": high}}


def _key(item: dict[str, Any]) -> str:
    key: str = item["key"]["S"]
    return key


_record = FileRecord.from_item


def _record_or_unreadable(item: dict[str, Any]) -> FileRecord | Unreadable:
    try:
        return FileRecord.from_item(item)
    except UnreadableRecordError as error:
        return Unreadable(_key(item), error)
