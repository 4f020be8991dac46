"""What verifies, repairs and fills the index of one bucket, below one prefix."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..derived_files import DerivedFiles
from ..filters import Filters
from ..indexer import Index, Indexer
from ..listing import Listing
from ..objects import Objects
from ..reader import IndexReader
from ..repository import FileIndex
from ..settings import Settings
from .comparison import Comparison
from .filling import Filling, Inserting, Refreshing, Writer
from .insertion import Insertion
from .sides import BucketAlone, BucketAndTable
from .verification import Verification
from .watched import WatchedObjects

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Makes the parts of a reconciliation, which all share two clients and the settings."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    settings: Settings
    bucket: str
    prefix: str
    filters: Filters
    versioned: bool
    """Whether the bucket has versions, or ever had."""
    compare_versions: bool = False
    cause: Callable[[Exception], str] = str
    """Puts an error into words."""
    guarded: Callable[[FileIndex], Index] = lambda index: index
    """Returns the table as repairs and refreshes write it."""

    @property
    def listing(self) -> Listing:
        """The bucket."""
        return Listing(self.s3, self.bucket, self.filters, versions=self.compare_versions)

    @property
    def reader(self) -> IndexReader:
        """The table."""
        return IndexReader(self.dynamodb, self.settings.table_name, self.settings.table_partitions)

    def sides(self) -> BucketAndTable:
        """Return bucket and table, for one division of a verification."""
        return BucketAndTable(
            self.listing, self.filters, self.prefix, reader=self.reader, bucket=self.bucket
        )

    def bucket_alone(self) -> BucketAlone:
        """Return the bucket, for one division of a backfill."""
        return BucketAlone(self.listing, self.filters, self.prefix)

    def verification(self, *, grace: float, repair: bool) -> Verification:
        """Return what compares, and repairs if asked; `grace` is in seconds."""
        return Verification(
            listing=self.listing,
            reader=self.reader,
            indexer=self._indexer() if repair else None,
            comparison=Comparison(self.filters, self.compare_versions),
            bucket=self.bucket,
            prefix=self.prefix,
            grace=grace,
            cause=self.cause,
        )

    def filling(self) -> Filling:
        """Return what inserts missing records, or refreshes all if a listing does not tell all."""
        writer = self._refreshing() if self.settings.refreshes else self._inserting()
        return Filling(self.listing, writer, prefix=self.prefix, cause=self.cause)

    def _refreshing(self) -> Writer:
        return Refreshing(self._indexer(), self.bucket, self.cause)

    def _inserting(self) -> Writer:
        return Inserting(
            Insertion(self._index()),
            self.bucket,
            self.settings,
            versioned=self.versioned,
            cause=self.cause,
        )

    def _index(self) -> FileIndex:
        return FileIndex(self.dynamodb, self.settings.table_name, self.settings.table_partitions)

    def _indexer(self) -> Indexer:
        settings = self.settings
        objects = Objects(
            lambda: self.s3, metadata=settings.object_metadata, tags=settings.object_tags
        )
        return Indexer(
            index=self.guarded(self._index()),
            objects=WatchedObjects(objects, self.filters),
            settings=settings,
            now=lambda: datetime.now(UTC),
            pause=time.sleep,
            derived_files=DerivedFiles.of(settings, objects.client)
            if settings.derived_bucket
            else None,
        )
