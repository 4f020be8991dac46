"""What the division of a range asks of bucket and table."""

from dataclasses import dataclass

from ..filters import Filters
from ..listing import Listing
from ..ranges import Range
from ..reader import IndexReader


@dataclass(slots=True)
class BucketAlone:
    """Answers with real keys of the bucket below one prefix. For one division of a backfill.

    A backfill does not read the table, so it needs no key of it.
    """

    listing: Listing
    filters: Filters
    prefix: str
    requests: int = 100
    """How many times the bucket may still be listed: several prefixes can take several requests."""

    def next_object(self, of: Range) -> str | None:
        """Return the range's first key that has the prefix of a filter; None if there is none.

        Suffixes are ignored, because keys that only they exclude have to be listed too. None also
        if no request is left, which makes for fewer cuts.
        """
        for prefix in self.filters.prefixes(self.prefix):
            if prefix <= of.after and not of.after.startswith(prefix):
                continue
            if self.requests == 0 or (of.up_to is not None and prefix > of.up_to):
                return None
            self.requests -= 1
            found = self.listing.next_object(prefix, of.after)
            if found is not None:
                return found if found in of else None
        return None

    def next_record(self, of: Range) -> str | None:  # noqa: ARG002 # see the class
        """Return None."""
        return None

    def last_record(self, of: Range) -> str | None:  # noqa: ARG002 # see the class
        """Return None."""
        return None


@dataclass(slots=True, kw_only=True)
class BucketAndTable(BucketAlone):
    """Answers with real keys of both below one prefix. For one division."""

    reader: IndexReader
    bucket: str

    def next_record(self, of: Range) -> str | None:
        """Return the first key of the range in one of the table's partitions."""
        return self.reader.next_key(self.bucket, of, self.prefix)

    def last_record(self, of: Range) -> str | None:
        """Return the greatest key of the range in the table."""
        return self.reader.last_key(self.bucket, of, self.prefix)
