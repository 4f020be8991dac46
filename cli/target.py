"""Which index a command works on: by the options, or by the outputs of a Terraform deployment."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from function.derived_files import DerivedFiles
from function.errors import SettingsError
from function.indexer import Indexer
from function.objects import Objects
from function.record import FileRecord, ObjectState
from function.repository import FileIndex
from function.settings import Settings

from .address import Address, Filters
from .errors import CommandError
from .text import shown

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
_OF_A_MODULE = {"table", "filters", "dead_letter_queue"}


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

    def look(self, bucket: str, key: str) -> ObjectState | None:
        """See `function.objects.Objects`."""
        return self.objects.look(bucket, key) if self.filters.match(key) else None


@dataclass(frozen=True, slots=True)
class KeepingIndex:
    """The table, of which nothing is written over that holds more than the settings know of."""

    index: FileIndex
    settings: Settings

    def read(self, bucket: str, key: str) -> FileRecord | None:
        """See `function.repository.FileIndex`. Raises CommandError."""
        record = self.index.read(bucket, key)
        for option, is_missing in self._missing(record) if record else ():
            if is_missing:
                raise CommandError(
                    f"the record of {shown(key)} holds more than these options tell, and would"
                    f" lose it: {option}"
                )
        return record

    def _missing(self, record: FileRecord) -> Iterator[tuple[str, bool]]:
        settings, metadata = self.settings, record.metadata
        yield "add --object-metadata", metadata is not None and not settings.object_metadata
        yield "add --object-tags", bool(metadata and metadata.tags) and not settings.object_tags
        yield "name its deployment with --env", record.derived_key is not None

    def put_newer(self, record: FileRecord) -> None:
        """See `function.repository.FileIndex`."""
        self.index.put_newer(record)

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        """See `function.repository.FileIndex`."""
        self.index.replace(record, standing)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An index, and the bucket it follows."""

    settings: Settings
    filters: Filters
    bucket: str | None = None
    """None where only the table is known."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The module's, where the deployment is known."""
    filters_are_chosen: bool = False
    """Whether the filters are others than the deployment's."""
    versioned: bool = False
    """Whether the bucket has versions, and the function may look at objects therefore."""

    def output(self, name: str, why: str) -> Any:
        """One of the module's outputs. Raises CommandError where there is none."""
        value = self.outputs.get(name)
        if value is None:
            raise CommandError(why)
        return value

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
        if not self.outputs and not self.index().has_its_partitions(bucket):
            raise CommandError(
                f"table {self.settings.table_name} has other --partitions than"
                f" {self.settings.table_partitions}: give table.partitions of its deployment"
            )

    def indexer(self) -> Indexer:
        """What refreshes records, with the rights of whoever runs this."""
        settings = self.settings
        objects = Objects(self.s3, metadata=settings.object_metadata, tags=settings.object_tags)
        return Indexer(
            # A deployment's settings are its own: what they leave out is to go.
            index=self.index() if self.outputs else KeepingIndex(self.index(), settings),
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

    def address(self, text: str) -> Address:
        """The address, if it is one that this index can know. Raises CommandError."""
        address = Address.parse(text)
        if self.bucket is not None and address.bucket != self.bucket:
            raise CommandError(f"the deployment watches bucket {self.bucket}, not {address.bucket}")
        return address

    def watched(self, text: str) -> Address:
        """The address of a prefix, of which something at least is watched. Raises CommandError."""
        address = self.address(text)
        if not self.filters.within(address.key):
            raise CommandError(
                f"nothing below {address} is watched: the filters are {self.filters}"
            )
        return address


def settings_of(
    table: str,
    *,
    partitions: int = 1,
    tombstone_days: int = 30,
    object_metadata: bool = False,
    object_tags: bool = False,
    derived_files: Mapping[str, Any] | None = None,
) -> Settings:
    """The function's settings, as its environment variables would say them.

    Raises CommandError.
    """
    derived = derived_files or {}
    try:
        return Settings.from_environment(
            {
                "TABLE_NAME": table,
                "TABLE_PARTITIONS": str(partitions),
                "TOMBSTONE_DAYS": str(tombstone_days),
                "OBJECT_METADATA": str(object_metadata).lower(),
                "OBJECT_TAGS": str(object_tags).lower(),
                "DERIVED_BUCKET": derived.get("bucket_name", ""),
                "DERIVED_PREFIX": derived.get("prefix", ""),
                "DERIVED_MAX_BYTES": str(derived.get("max_mb", 0) * 1024**2),
            }
        )
    except SettingsError as error:
        raise CommandError(str(error)) from error


def of_deployment(env: str | None, filters: Filters | None) -> Target:
    """What Terraform says in this directory; `env` is the workspace, else the selected one."""
    outputs = _module(_outputs(env), env)
    table = outputs["table"]
    metadata = outputs["object_metadata"]
    settings = settings_of(
        table["name"],
        partitions=table["partitions"],
        tombstone_days=table["tombstone_days"],
        object_metadata=metadata["enabled"],
        object_tags=metadata["tags"],
        derived_files=outputs.get("derived_files"),
    )
    return Target(
        settings=settings,
        filters=filters or Filters.of(outputs["filters"]),
        bucket=outputs["bucket"]["name"],
        outputs=outputs,
        filters_are_chosen=filters is not None,
        versioned=bool(outputs["bucket"].get("versioned")),
    )


def _outputs(env: str | None) -> dict[str, Any]:
    environment = {**os.environ, **({"TF_WORKSPACE": env} if env else {})}
    try:
        answer = subprocess.run(
            ["terraform", "output", "-json", "-no-color"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise CommandError("terraform is not installed: name the table with --table") from None
    if answer.returncode != 0:
        raise CommandError(
            f"terraform output failed: {' '.join(answer.stderr.split())} "
            "Run this where Terraform was applied, or name the table with --table"
        )
    return {name: output["value"] for name, output in json.loads(answer.stdout).items()}


def _module(outputs: dict[str, Any], env: str | None) -> dict[str, Any]:
    """The module's outputs: those of this directory, or a single one that holds them."""
    found = [
        value
        for value in (outputs, *outputs.values())
        if isinstance(value, dict) and value.keys() >= _OF_A_MODULE
    ]
    if len(found) == 1:
        return found[0]
    where = f"workspace {env}" if env else "the selected workspace"
    if found:
        raise CommandError(
            f"Terraform's outputs hold {len(found)} indexes: choose one with --table"
        )
    raise CommandError(
        f"nothing is deployed in {where}, or not with this version of the module: among Terraform's"
        " outputs are none of its. Was the stack applied here, with the same backend? From a stack"
        ' that uses the module, output all of it: output "file_index" { value = module.file_index }'
    )
