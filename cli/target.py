"""The index that a command works on: a deployment of the module, or a table alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from .address import Address, meanings
from .connection import Connection
from .deployment import Deployment
from .errors import CommandError, cause
from .function.errors import PartitionsError
from .function.filters import Filters
from .function.indexer import Index
from .function.pages import parse_pages
from .function.reader import IndexReader
from .function.reconciliation.reconciler import Reconciler
from .function.record import FileRecord
from .function.repository import FileIndex
from .function.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_RECORDS_CHECKED = 1000


@dataclass(frozen=True, slots=True)
class KeepingIndex:
    """A table that refuses to overwrite attributes that these settings would drop."""

    index: FileIndex
    settings: Settings

    def read(self, bucket: str, key: str) -> FileRecord | None:
        """See `.function.repository.FileIndex`. Raises CommandError."""
        record = self.index.read(bucket, key)
        for option, is_missing in self._missing(record) if record else ():
            if is_missing:
                raise CommandError(
                    f"the record of {key} has attributes that these options would drop: {option}"
                )
        return record

    def _missing(self, record: FileRecord) -> Iterator[tuple[str, bool]]:
        settings, metadata = self.settings, record.known.metadata
        yield "add --object-metadata", metadata is not None and not settings.object_metadata
        yield "add --object-tags", bool(metadata and metadata.tags) and not settings.object_tags
        derived = record.known.derived.key or record.known.derived.reason
        yield "choose its deployment with --env", derived is not None

    def put_newer(self, record: FileRecord) -> None:
        """See `.function.repository.FileIndex`."""
        self.index.put_newer(record)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        """See `.function.repository.FileIndex`."""
        self.index.replace(record, standing)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An index, and the bucket it follows."""

    connection: Connection
    settings: Settings
    filters: Filters
    deployment: Deployment | None = None
    """None if only the table is known."""
    filters_are_chosen: bool = False
    """Whether --filter overrides the deployment's filters."""
    versioned: bool = False
    """Whether the bucket has versions, or ever had."""

    @classmethod
    def of(
        cls, deployment: Deployment, connection: Connection, filters: Filters | None = None
    ) -> "Target":
        """Return a deployment's index, with the given filters, if any, instead of its own."""
        return cls(
            connection=connection,
            settings=deployment.settings,
            filters=filters or deployment.filters,
            deployment=deployment,
            filters_are_chosen=filters is not None,
            versioned=deployment.versioned,
        )

    @property
    def bucket(self) -> str | None:
        """The bucket that the index follows; None if only the table is known."""
        return self.deployment.bucket if self.deployment else None

    def client(self, service: Any, config: Config | None = None) -> Any:
        """See `.connection.Connection`."""
        return self.connection.client(service, config)

    def reader(self) -> IndexReader:
        """Return the table, to read it."""
        settings = self.settings
        return IndexReader(self._dynamodb(), settings.table_name, settings.table_partitions)

    def _dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self.client("dynamodb", Config(parameter_validation=False))
        parse_pages(client)
        return client

    def check_partitions(self, bucket: str) -> None:
        """Raise CommandError if a table named by --table has another number of partitions."""
        if self.deployment:
            return
        try:
            self.reader().check_all_partitions(bucket)
        except PartitionsError:
            raise CommandError(
                f"table {self.settings.table_name} does not have --partitions"
                f" {self.settings.table_partitions}: use table.partitions of its deployment"
            ) from None

    def check_derived_files(self, bucket: str) -> None:
        """Raise CommandError if the records of a table named by --table point to derived files.

        Only the records can tell, so the first ones are read.
        """
        if self.deployment:
            return
        records = islice(self.reader().list_prefix(bucket), _RECORDS_CHECKED)
        if any(record.known.derived.key or record.known.derived.reason for record in records):
            raise CommandError(
                f"the records of table {self.settings.table_name} point to derived files, which"
                " --table cannot make: leave --table out, and choose its deployment with --env"
            )

    def reconciler(self, address: Address, *, compare_versions: bool = False) -> Reconciler:
        """Return what works on the keys below a prefix, with the caller's permissions."""
        return Reconciler(
            s3=self.s3(),
            dynamodb=self._dynamodb(),
            settings=self.settings,
            bucket=address.bucket,
            prefix=address.path,
            filters=self.filters,
            versioned=self.versioned,
            compare_versions=compare_versions,
            cause=cause,
            guarded=self._guarded,
        )

    def _guarded(self, index: FileIndex) -> Index:
        # A deployment's settings are complete: attributes that they leave out are dropped.
        return index if self.deployment else KeepingIndex(index, self.settings)

    def s3(self) -> "S3Client":
        """Return a client of S3."""
        client: S3Client = self.client("s3")
        parse_pages(client)
        return client

    def objects(self, text: str) -> list[Address]:
        """Return the objects that an address can mean, most likely first. Raises CommandError."""
        addresses = [self._known(one) for one in meanings(text)]
        if not addresses[0].path:
            raise CommandError(
                f"{text} has no key: add the object's key, or list the bucket with file-index ls"
            )
        return addresses

    def prefixes(self, text: str) -> list[Address]:
        """Return the prefixes that an address can mean, most likely first.

        Only prefixes with watched keys are returned. Raises CommandError.
        """
        addresses = [self._known(one) for one in meanings(text)]
        watched = [one for one in addresses if self.filters.within(one.path)]
        return watched or [self.watched(text)]

    def watched(self, text: str) -> Address:
        """Return the address of a prefix with watched keys. Raises CommandError."""
        address = self._known(Address.parse(text))
        if not self.filters.within(address.path):
            raise CommandError(
                f"nothing below {address} is watched: the filters are {self.filters}"
            )
        return address

    def _known(self, address: Address) -> Address:
        """Return the address if it can be of this index's bucket. Raises CommandError."""
        if address.is_access_point:
            bucket = self.bucket or "BUCKET"
            raise CommandError(
                f"{address.bucket} is an access point, but the index knows objects by their bucket:"
                f" use s3://{bucket}/KEY"
            )
        if self.bucket is not None and address.bucket != self.bucket:
            raise CommandError(f"the deployment watches bucket {self.bucket}, not {address.bucket}")
        return address
