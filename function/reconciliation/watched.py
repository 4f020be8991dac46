"""The objects that belong in the index."""

from dataclasses import dataclass

from ..filters import Filters
from ..listing import Listing
from ..objects import Objects
from ..record import ObjectState


@dataclass(frozen=True, slots=True)
class WatchedObjects:
    """The objects that belong in the index: one that is not watched counts as absent."""

    objects: Objects
    filters: Filters

    def head(self, bucket: str, key: str) -> ObjectState | None:
        """See `..objects.Objects`. Raises BucketMissingError.

        HEAD answers 404 for every key if the bucket is gone. Then no key may become a tombstone, so
        an absence counts only if the bucket can still be listed.
        """
        state = self.objects.head(bucket, key) if self.filters.matches(key) else None
        if state is None:
            Listing(self.objects.client(), bucket, self.filters).reach(key)
        return state
