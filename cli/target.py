"""Which index a command works on: a deployment of the module, or a table by itself."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from .address import Address, Filters, meanings
from .deployment import Deployment
from .errors import CommandError
from .function.derived_files import DerivedFiles
from .function.indexer import Indexer
from .function.objects import Objects
from .function.record import FileRecord, ObjectState
from .function.repository import FileIndex
from .function.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 16
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_RECORDS_LOOKED_AT = 1000


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How AWS is reached, as with the AWS CLI; None: as environment and profile say."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def use(self, region: str | None = None) -> None:
        """Make it what boto3 uses in this process; `region` is the deployment's."""
        chosen = self.region or region or os.environ.get("AWS_REGION")
        settings = {
            "AWS_PROFILE": self.profile,
            "AWS_DEFAULT_PROFILE": self.profile,  # boto3 asks for this one first
            "AWS_DEFAULT_REGION": chosen,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }
        os.environ.update({name: value for name, value in settings.items() if value})
        if self.profile:
            # A profile that is asked for comes before credentials in the environment.
            for name in _CREDENTIALS:
                os.environ.pop(name, None)
        if self.endpoint_url:
            os.environ.pop("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", None)
            for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")]:
                del os.environ[name]


@dataclass(frozen=True, slots=True)
class WatchedObjects:
    """The bucket as the index is to hold it: what is not watched is not there."""

    objects: Objects
    filters: Filters

    def head(self, bucket: str, key: str) -> ObjectState | None:
        """See `.function.objects.Objects`."""
        return self.objects.head(bucket, key) if self.filters.match(key) else None


@dataclass(frozen=True, slots=True)
class KeepingIndex:
    """The table, of which nothing is written over that holds more than the settings know of."""

    index: FileIndex
    settings: Settings

    def read(self, bucket: str, key: str) -> FileRecord | None:
        """See `.function.repository.FileIndex`. Raises CommandError."""
        record = self.index.read(bucket, key)
        for option, is_missing in self._missing(record) if record else ():
            if is_missing:
                raise CommandError(
                    f"the record of {key} holds more than these options tell, and would"
                    f" lose it: {option}"
                )
        return record

    def _missing(self, record: FileRecord) -> Iterator[tuple[str, bool]]:
        settings, metadata = self.settings, record.known.metadata
        yield "add --object-metadata", metadata is not None and not settings.object_metadata
        yield "add --object-tags", bool(metadata and metadata.tags) and not settings.object_tags
        derived = record.known.derived.key or record.known.derived.reason
        yield "name its deployment with --env", derived is not None

    def put_newer(self, record: FileRecord) -> None:
        """See `.function.repository.FileIndex`."""
        self.index.put_newer(record)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        """See `.function.repository.FileIndex`."""
        self.index.replace(record, standing)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An index, and the bucket it follows."""

    settings: Settings
    filters: Filters
    deployment: Deployment | None = None
    """None if only the table is known."""
    filters_are_chosen: bool = False
    """Whether the filters are others than the deployment's."""
    versioned: bool = False
    """Whether the bucket has versions, so that the function looks at its objects."""

    @classmethod
    def of(cls, deployment: Deployment, filters: Filters | None) -> "Target":
        """Return a deployment's index, with other filters than its own if there are any."""
        return cls(
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

    def client(self, service: Any, **config: Any) -> Any:
        """A client of boto3 for all workers."""
        options: dict[str, Any] = {
            "max_pool_connections": WORKERS,
            "retries": {"mode": "standard", "total_max_attempts": 5},
        }
        try:
            return boto3.client(service, config=Config(**(options | config)))
        except ValueError as error:  # botocore's for an endpoint that is no URL
            raise CommandError(str(error)) from error

    def index(self) -> FileIndex:
        """The table."""
        return FileIndex(
            self.client("dynamodb", parameter_validation=False),
            self.settings.table_name,
            self.settings.table_partitions,
        )

    def check_partitions(self, bucket: str) -> None:
        """Raise CommandError where a table that is named by itself has others than were said."""
        if not self.deployment and not self.index().has_its_partitions(bucket):
            raise CommandError(
                f"table {self.settings.table_name} has other --partitions than"
                f" {self.settings.table_partitions}: give table.partitions of its deployment"
            )

    def check_derived_files(self, bucket: str) -> None:
        """Raise CommandError if a table that is named by itself is of a deployment that has them.

        Nothing but the records can tell, so some are looked at.
        """
        if self.deployment:
            return
        records = islice(self.index().list_prefix(bucket), _RECORDS_LOOKED_AT)
        if any(record.known.derived.key or record.known.derived.reason for record in records):
            raise CommandError(
                f"the records of table {self.settings.table_name} name derived files, which --table"
                " cannot make: leave --table out, and name its deployment with --env"
            )

    def indexer(self) -> Indexer:
        """What refreshes records, with the rights of whoever runs this."""
        settings = self.settings
        objects = Objects(self.s3, metadata=settings.object_metadata, tags=settings.object_tags)
        return Indexer(
            # A deployment's settings are its own: what they leave out is to go.
            index=self.index() if self.deployment else KeepingIndex(self.index(), settings),
            objects=WatchedObjects(objects, self.filters),
            object_metadata=settings.object_metadata,
            tombstone_life=settings.tombstone_life,
            now=lambda: datetime.now(UTC),
            pause=time.sleep,
            derived_files=DerivedFiles.of(settings, objects.client)
            if settings.derived_bucket
            else None,
        )

    def s3(self) -> "S3Client":
        """The bucket's service."""
        client: S3Client = self.client("s3")
        return client

    def objects(self, text: str) -> list[Address]:
        """Return the objects that an address can mean, the likeliest first. Raises CommandError."""
        addresses = [self._known(one) for one in meanings(text)]
        if not addresses[0].key:
            raise CommandError(
                f"{text} has no key: add the object's key, or list the bucket with file-index ls"
            )
        return addresses

    def prefixes(self, text: str) -> list[Address]:
        """Return the prefixes that an address can mean, the likeliest first.

        Something below each of them is watched. Raises CommandError.
        """
        addresses = [self._known(one) for one in meanings(text)]
        watched = [one for one in addresses if self.filters.within(one.key)]
        return watched or [self.watched(text)]

    def watched(self, text: str) -> Address:
        """Return the address of a prefix, below which something is watched. Raises CommandError."""
        address = self._known(Address.parse(text))
        if not self.filters.within(address.key):
            raise CommandError(
                f"nothing below {address} is watched: the filters are {self.filters}"
            )
        return address

    def _known(self, address: Address) -> Address:
        """Return the address if this index can know its bucket. Raises CommandError."""
        if address.is_access_point:
            bucket = self.bucket or "BUCKET"
            raise CommandError(
                f"{address.bucket} is an access point, and the index knows objects by their bucket:"
                f" use s3://{bucket}/KEY"
            )
        if self.bucket is not None and address.bucket != self.bucket:
            raise CommandError(f"the deployment watches bucket {self.bucket}, not {address.bucket}")
        return address
