"""Reads an index from an application. Needs only boto3."""

import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, overload

import boto3
from botocore.exceptions import ClientError

from .function.denials import is_denied
from .function.errors import (
    BucketMissingError,
    FileIndexError,
    PermissionDeniedError,
    TableMissingError,
)
from .function.events import MAX_KEY_BYTES
from .function.objects import Objects
from .function.reader import MOST_PARTITIONS, IndexReader
from .function.record import FileRecord
from .function.repository import FileIndex, explained_call, item_key
from .function.sequencer import CLOCKS_DIFFER

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_BATCH = 100
"""The most keys of one BatchGetItem."""
_ATTEMPTS = 10
"""Attempts in a row that return no key."""
_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_CHECKED_SECONDS = 60
"""How long a search of all partitions that found few records is not repeated; it is slow."""


class ArgumentError(FileIndexError, ValueError):
    """An argument that is right for no index."""


class ThrottledError(FileIndexError):
    """DynamoDB left keys of a batch unprocessed in every attempt."""


class NotIndexedError(FileIndexError, TimeoutError):
    """A write was neither indexed nor overtaken in time."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """The index holds the write that was waited for."""

    record: FileRecord


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer write or delete of the key followed the write that was waited for."""

    record: FileRecord | None
    """The index's record of the key, which may not show the newer change yet."""


class Index:
    """Reads the records of a table. Safe to share between threads.

    Raises FileIndexError: PermissionDeniedError, TableMissingError, PartitionsError,
    UnreadableRecordError or ArgumentError. Other errors of calls are botocore's.
    """

    def __init__(
        self,
        table: str,
        partitions: int = 1,
        *,
        client: "DynamoDBClient | None" = None,
        s3: "S3Client | None" = None,
        consistent: bool = True,
    ) -> None:
        """Read a table that has this number of partitions, the module's `table.partitions`.

        Without `client`, boto3's default session makes both clients. With `client`, only `s3` lets
        `wait_until_indexed` look at objects. Without `consistent`, reads cost half, and may miss
        what was written within the last second.
        """
        if not isinstance(table, str) or not table:
            raise ArgumentError("the table has no name: use the module's output table.name")
        if type(partitions) is not int or not 1 <= partitions <= MOST_PARTITIONS:
            raise ArgumentError(
                f"partitions is {partitions!r}: use the module's input table.partitions, a whole"
                f" number from 1 to {MOST_PARTITIONS}"
            )
        self._objects: Objects | None = None
        if s3 is not None:
            self._objects = Objects(lambda: s3)
        elif client is None:
            self._objects = Objects(lambda: boto3.client("s3"))
        client = client or boto3.client("dynamodb")
        self._client = client
        self._table = table
        self._partitions = partitions
        self._consistent = consistent
        self._index = FileIndex(client, table, partitions)
        self._reader = IndexReader(client, table, partitions, consistent=consistent)
        self._checked: dict[str, float] = {}
        """When the number of partitions is checked again, by bucket and the monotonic clock."""

    def get(self, bucket: str, key: str) -> FileRecord | None:
        """Return the record of an object; None if it was deleted or never indexed."""
        _check_key(bucket, key)
        with self._explained():
            record = self._index.read(bucket, key, consistent=self._consistent)
        if record is None:
            self._check_missing(bucket)
        return None if record is None or record.deleted else record

    def get_many(self, bucket: str, keys: Iterable[str]) -> dict[str, FileRecord]:
        """Return the records of those keys that have one, by key, in the order of the keys.

        Raises ThrottledError if DynamoDB leaves keys unprocessed in every attempt.
        """
        if isinstance(keys, (str, bytes)):
            raise ArgumentError(f"keys is a single text, {keys!r}: use get, or a list of keys")
        asked = list(dict.fromkeys(keys))
        for key in asked:
            _check_key(bucket, key)
        found: dict[str, FileRecord] = {}
        with self._explained():
            for start in range(0, len(asked), _BATCH):
                for item in self._batch(bucket, asked[start : start + _BATCH]):
                    record = FileRecord.from_item(item)
                    found[record.key] = record
        if len(found) < len(asked):
            self._check_missing(bucket)
        return {key: found[key] for key in asked if key in found and not found[key].deleted}

    @overload
    def list(
        self, bucket: str, prefix: str = "", *, delimiter: None = None
    ) -> Iterator[FileRecord]: ...
    @overload
    def list(
        self, bucket: str, prefix: str = "", *, delimiter: str | None
    ) -> Iterator[FileRecord | str]: ...
    def list(
        self, bucket: str, prefix: str = "", *, delimiter: str | None = None
    ) -> Iterator[FileRecord] | Iterator[FileRecord | str]:
        """Yield the objects whose key begins with the prefix, in the order in which S3 lists them.

        With a delimiter, yield keys that have it after the prefix as one common prefix, a string.
        The next page is fetched ahead. Nothing is read before the first object is asked for.
        """
        _check_bucket(bucket)
        _check_length(prefix, "prefix")
        if delimiter is not None:
            _check_text(delimiter, "delimiter")
        if delimiter == "":
            raise ArgumentError('the delimiter is empty: use "/", or leave it out')
        return self._list(bucket, prefix, delimiter)

    def wait_until_indexed(
        self,
        bucket: str,
        key: str,
        *,
        etag: str,
        version_id: str | None = None,
        timeout: float = 60,
    ) -> Indexed | Overtaken:
        """Wait until the index holds a write, and return its record.

        `etag` and, in a versioned bucket, `version_id` are those that S3 returned for the write.
        Return Overtaken at once if a newer write or delete of the key followed. That is certain if
        S3 holds something else, or if the record's event happened after this call. Raises
        NotIndexedError after `timeout` seconds, and BucketMissingError if there is no such bucket.
        """
        _check_key(bucket, key)
        _check_text(etag, "ETag")
        etag = etag.strip('"')
        if not etag:
            raise ArgumentError("the ETag is empty: use the one that S3 returned for the write")
        if not isinstance(timeout, (int, float)) or not timeout >= 0:
            raise ArgumentError(f"timeout is {timeout!r}: use a number of seconds")
        wanted = _Write(etag, version_id)
        bucket_side = _BucketSide(self._objects, bucket, key, wanted)
        ends = time.monotonic() + timeout
        pause = _SHORTEST_PAUSE
        with self._explained():
            if not self._is_checked(bucket):
                with suppress(PermissionDeniedError):
                    if self._reader.check_partitions(bucket):
                        self._checked[bucket] = math.inf
            began = self._time(bucket, key)
            while True:
                # The object first: what S3 does not hold any more may have been indexed meanwhile.
                is_gone = bucket_side.is_replaced()
                record = self._index.read(bucket, key)
                if record and wanted.is_in(record.known.etag, record.known.version_id):
                    return Indexed(record)
                if is_gone or (record and _happened_after(began, record)):
                    return Overtaken(record)
                left = ends - time.monotonic()
                if left <= 0:
                    break
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        if record is None:
            self._check_missing(bucket)
        raise NotIndexedError(
            f"{bucket}/{key} with ETag {etag} was not indexed within {timeout:g} s: the index has"
            f" {_described(record)}. Wait longer, or find out with file-index status why events are"
            " late"
        )

    def _list(
        self, bucket: str, prefix: str, delimiter: str | None
    ) -> Iterator[Any]:  # the overloads of `list` say which
        with self._explained():
            # A wrong number would leave out some objects, so it is found out before the first.
            self._check_partitions(bucket)
            if delimiter is None:
                yield from self._reader.list_prefix(bucket, prefix)
            else:
                yield from self._reader.list_level(bucket, prefix, delimiter)

    def _batch(self, bucket: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        left: Any = [item_key(bucket, key, self._partitions) for key in keys]
        attempts, pause = 0, _SHORTEST_PAUSE
        while True:
            with explained_call(self._client, self._table, "dynamodb:BatchGetItem"):
                page = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": left, "ConsistentRead": self._consistent}}
                )
            items = page["Responses"].get(self._table, [])
            yield from items
            unprocessed = page.get("UnprocessedKeys", {}).get(self._table)
            if not unprocessed:
                return
            left = unprocessed["Keys"]
            attempts, pause = (0, _SHORTEST_PAUSE) if items else (attempts + 1, pause * 2)
            if attempts == _ATTEMPTS:
                raise ThrottledError(
                    f"DynamoDB did not process {len(left)} keys of table {self._table} in"
                    f" {_ATTEMPTS} attempts: ask for fewer keys at once, or raise the table's"
                    " read capacity"
                )
            time.sleep(random.uniform(0, min(pause, _LONGEST_PAUSE)))  # noqa: S311 # no secret

    def _check_missing(self, bucket: str) -> None:
        """Find out whether a record is missing because of a wrong number of partitions."""
        with suppress(PermissionDeniedError):  # a caller without Query cannot find out
            self._check_partitions(bucket)

    def _check_partitions(self, bucket: str) -> None:
        """Raise PartitionsError if the records have another number of partitions.

        With few records the number cannot be checked, so a later call checks again.
        """
        if self._is_checked(bucket):
            return
        with self._explained():
            if self._reader.check_all_partitions(bucket):
                self._checked[bucket] = math.inf
            else:
                self._checked[bucket] = time.monotonic() + _CHECKED_SECONDS

    def _is_checked(self, bucket: str) -> bool:
        return time.monotonic() < self._checked.get(bucket, 0)

    def _time(self, bucket: str, key: str) -> datetime | None:
        """Return the time by AWS's clock, because the caller's may be wrong."""
        with explained_call(self._client, self._table, "dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table,
                Key=item_key(bucket, key, self._partitions),
                ProjectionExpression="revision",
            )
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
        return parsedate_to_datetime(date) if date else None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what a reader can do; the errors' own advice is for the module's function."""
        try:
            yield
        except PermissionDeniedError as error:
            advice = "Give the caller's role the module's output index_read_policy."
            raise PermissionDeniedError(error.refusal, advice, error.said) from error
        except TableMissingError as error:
            advice = "use the module's output table.name, and its Region and account"
            raise TableMissingError(error.missing, advice) from error


@dataclass(frozen=True, slots=True)
class _Write:
    """A write to wait for."""

    etag: str
    version_id: str | None

    def is_in(self, etag: str | None, version_id: str | None) -> bool:
        """Return whether a state of the key is this write's. Not every state has its version id."""
        return etag == self.etag and (
            None in (self.version_id, version_id) or version_id == self.version_id
        )


class _BucketSide:
    """What S3 holds under the key of a write, until it denies a look."""

    def __init__(self, objects: Objects | None, bucket: str, key: str, wanted: _Write) -> None:
        self._objects = objects
        self._bucket = bucket
        self._key = key
        self._wanted = wanted

    def is_replaced(self) -> bool:
        """Return whether S3 holds something else; False if the caller may not look.

        Raises BucketMissingError.
        """
        if self._objects is None:
            return False
        try:
            state = self._objects.look(self._bucket, self._key)
            if state is None:
                self._check_bucket(self._objects.client())
        except PermissionDeniedError:
            self._objects = None
        except ClientError as error:
            if not is_denied(error):
                raise
            self._objects = None
        else:
            return state is None or not self._wanted.is_in(state.etag, state.version_id)
        return False

    def _check_bucket(self, client: "S3Client") -> None:
        """Raise BucketMissingError if there is no such bucket: HEAD of an object does not say."""
        try:
            client.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1)
        except client.exceptions.NoSuchBucket:
            raise BucketMissingError(
                f"bucket {self._bucket} does not exist: use the module's output bucket.name"
            ) from None
        except ClientError as error:
            if not is_denied(error):  # HEAD has found nothing, which is answer enough
                raise


def _happened_after(began: datetime | None, record: FileRecord) -> bool:
    time = record.event_time
    return began is not None and time is not None and time > began + CLOCKS_DIFFER


def _described(record: FileRecord | None) -> str:
    if record is None:
        return "no record"
    return "its tombstone" if record.deleted else f"a record with ETag {record.known.etag}"


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise ArgumentError(f"the {what} is {value!r}: use a str")


def _check_key(bucket: str, key: str) -> None:
    _check_bucket(bucket)
    _check_text(key, "key")
    if not key:
        raise ArgumentError("the key is empty: use an object's key")
    _check_length(key, "key")


def _check_bucket(bucket: str) -> None:
    _check_text(bucket, "bucket")
    if not bucket:
        raise ArgumentError("the bucket has no name: use the module's output bucket.name")
    if "/" in bucket or ":" in bucket:
        raise ArgumentError(f"the bucket is {bucket!r}: use its name, without s3:// and the key")


def _check_length(text: str, what: str) -> None:
    _check_text(text, what)
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ArgumentError(f"the {what} {text!r} is not Unicode text: S3's are") from None
    if length > MAX_KEY_BYTES:
        raise ArgumentError(
            f"the {what} has {length} bytes, and S3 allows {MAX_KEY_BYTES}: {text[:50]!r}…"
        )
