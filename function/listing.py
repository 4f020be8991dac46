"""Lists the watched objects of a bucket, in the order of the index."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from .denials import explained_denial
from .errors import BucketMissingError
from .filters import Filters
from .listed import Listed, Page, known_version
from .ranges import Range

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EVERYTHING = Range()


class Listing:
    """Lists the watched objects of a bucket. Safe to share between threads."""

    def __init__(
        self, s3: "S3Client", bucket: str, filters: Filters, *, versions: bool = False
    ) -> None:
        """With `versions`, list the current versions with their ids."""
        self._s3 = s3
        self._bucket = bucket
        self._filters = filters
        self._versions = versions

    def pages(self, prefix: str, of: Range = EVERYTHING) -> Iterator[Page]:
        """Yield a range's watched objects below the prefix, in key order.

        The next page is fetched ahead.
        """
        with ThreadPoolExecutor(1) as ahead:
            pages = self._pages(prefix, of)
            coming = ahead.submit(next, pages, None)
            while page := coming.result():
                coming = ahead.submit(next, pages, None)
                yield page

    def reach(self, prefix: str) -> None:
        """Check that the prefix can be listed; raise the error if not."""
        next(self._list(prefix, "", at_most=1))

    def find(self, key: str) -> tuple[Listed | None, datetime]:
        """Return a watched object, or None if it is absent, and the time by S3's clock."""
        page = next(self._list(key, "", at_most=1))
        found = next((one for one in page.objects if one.key == key), None)
        return found, page.time

    def next_object(self, prefix: str, after: str) -> str | None:
        """Return the first key below the prefix after a key, watched or not, by one request."""
        page = next(self._list(prefix, after if after.startswith(prefix) else "", at_most=1))
        return page.last

    def _pages(self, prefix: str, of: Range) -> Iterator[Page]:
        for one in self._filters.prefixes(prefix):
            # Keys with this prefix that sort after `of.after`: all, some or none.
            if one <= of.after and not of.after.startswith(one):
                continue
            if of.up_to is not None and one > of.up_to:
                return
            for page in self._list(one, of.after if of.after.startswith(one) else ""):
                objects = [listed for listed in page.objects if listed.key in of]
                is_past = of.up_to is not None and page.last is not None and page.last > of.up_to
                yield Page(objects, page.time, of.up_to if is_past else page.last)
                if is_past:
                    return

    def _list(self, prefix: str, start_after: str, *, at_most: int = 1000) -> Iterator[Page]:
        action = "s3:ListBucketVersions" if self._versions else "s3:ListBucket"
        operation = "list_object_versions" if self._versions else "list_objects_v2"
        start = (
            {"KeyMarker" if self._versions else "StartAfter": start_after} if start_after else {}
        )
        with self._explained(action):
            pages = self._s3.get_paginator(operation).paginate(  # type: ignore[call-overload]
                Bucket=self._bucket,
                Prefix=prefix,
                PaginationConfig={"PageSize": at_most},
                **start,
            )
            for page in pages:
                yield Page(
                    [one for one in self._objects(page) if self._filters.matches(one.key)],
                    parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"]),
                    max(_last_keys(page), default=None),
                )

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            with explained_denial(action, f"bucket {self._bucket}"):
                yield
        except self._s3.exceptions.NoSuchBucket:
            raise BucketMissingError(f"bucket {self._bucket} does not exist") from None

    def _objects(self, page: dict[str, Any]) -> Iterator[Listed]:
        for found in page.get("Versions" if self._versions else "Contents", ()):
            if found.get("IsLatest", True):
                yield Listed(
                    key=found["Key"],
                    etag=found["ETag"].strip('"'),
                    size=found["Size"],
                    last_modified=found["LastModified"],
                    version_id=known_version(found.get("VersionId")),
                    storage_class=found.get("StorageClass"),
                )


def _last_keys(page: dict[str, Any]) -> Iterator[str]:
    """Yield the last key of each list on the page; markers take up its room too."""
    for name in ("Contents", "Versions", "DeleteMarkers"):
        for found in page.get(name, ())[-1:]:
            yield found["Key"]
