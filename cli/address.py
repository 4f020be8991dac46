"""Addresses (`s3://bucket/key`), and the keys that a deployment watches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import CommandError
from .function.events import MAX_KEY_BYTES
from .terminal import unescaped

_ACCESS_POINT = re.compile(r"arn:|.*(?:-s3alias|--ol-s3|\.mrap)$")
"""An ARN, or the reserved suffix of an alias, which no bucket name has.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""


@dataclass(frozen=True, slots=True)
class Address:
    """An object, or a prefix."""

    bucket: str
    path: str
    """An object's key, or a prefix of keys."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the address in the text. Raises CommandError."""
        scheme, _, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise CommandError(f"{text} is not an address: use s3://bucket/key")
        try:
            length = len(text.encode())
        except UnicodeEncodeError:
            raise CommandError("the address is not valid UTF-8, which every key is") from None
        length -= len(f"{scheme}://{bucket}/".encode())
        if length > MAX_KEY_BYTES:
            raise CommandError(f"the key is longer than {MAX_KEY_BYTES:,} bytes, the limit of S3")
        return cls(bucket, key)

    @property
    def is_access_point(self) -> bool:
        """Whether it names an access point instead of a bucket."""
        return _ACCESS_POINT.match(self.bucket) is not None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}"


def meanings(text: str) -> list[Address]:
    """Return the possible meanings of an address that was typed, or copied from `ls`.

    The text as it is comes first, then the text with its escapes decoded, then each directory as it
    is with the escapes of the rest decoded, because `ls` prints the part below its prefix. Raises
    CommandError if none is an address.
    """
    slashes = [number for number, char in enumerate(text) if char == "/"]
    texts = (
        text,
        unescaped(text),
        *(text[: slash + 1] + unescaped(text[slash + 1 :]) for slash in reversed(slashes)),
    )
    found: list[Address] = []
    refusal: CommandError | None = None
    for one in dict.fromkeys(texts):
        try:
            found.append(Address.parse(one))
        except CommandError as error:
            refusal = refusal or error
    if refusal and not found:
        raise refusal
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """Keys that begin with `prefix` and end with `suffix`."""

    prefix: str = ""
    suffix: str = ""

    def matches(self, key: str) -> bool:
        """Return whether the filter matches the key."""
        return key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the deployment watches: every key that one of the filters matches."""

    filters: tuple[Filter, ...] = (Filter(),)

    @classmethod
    def of(cls, filters: Sequence[Mapping[str, str]]) -> "Filters":
        """Return the filters of the module's output; without any, all keys are watched."""
        return cls(tuple(Filter(**one) for one in filters)) if filters else cls()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Filters":
        """Return the filters of options, each PREFIX or PREFIX*SUFFIX. Raises CommandError."""
        filters = []
        for text in texts:
            prefix, _, suffix = text.partition("*")
            if "*" in suffix:
                raise CommandError(f"--filter {text} has more than one *: use PREFIX*SUFFIX")
            filters.append(Filter(prefix, suffix))
        return cls(tuple(filters)) if filters else cls()

    def matches(self, key: str) -> bool:
        """Return whether the key is watched."""
        return any(one.matches(key) for one in self.filters)

    def within(self, prefix: str) -> list[Filter]:
        """Return filters for what is watched below a prefix."""
        return [
            Filter(max(prefix, one.prefix, key=len), one.suffix)
            for one in self.filters
            if one.prefix.startswith(prefix) or prefix.startswith(one.prefix)
        ]

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes to list for the watched keys below a prefix: sorted, no overlap."""
        found = sorted({one.prefix for one in self.within(prefix)})
        return [
            one
            for one in found
            if not any(one != other and one.startswith(other) for other in found)
        ]

    def __str__(self) -> str:
        return ", ".join(f"{one.prefix}*{one.suffix}" for one in self.filters)
