"""`s3://bucket/key`, and which keys a deployment watches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import CommandError
from .function.events import MAX_KEY_BYTES
from .terminal import unescaped

_ACCESS_POINT = re.compile(r"arn:|.*(?:-s3alias|--ol-s3|\.mrap)$")
"""An ARN, or an alias, which ends so: no bucket's name does.

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
        """Raises CommandError."""
        scheme, _, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise CommandError(f"{text} is not an address: use s3://bucket/key")
        try:
            length = len(text.encode())
        except UnicodeEncodeError:
            raise CommandError("the address is not in UTF-8, as all keys are") from None
        length -= len(f"{scheme}://{bucket}/".encode())
        if length > MAX_KEY_BYTES:
            raise CommandError(
                f"the key is longer than {MAX_KEY_BYTES:,} bytes, the most that S3 allows"
            )
        return cls(bucket, key)

    @property
    def is_access_point(self) -> bool:
        """Whether it names an access point where the bucket belongs."""
        return _ACCESS_POINT.match(self.bucket) is not None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}"


def meanings(text: str) -> list[Address]:
    """Return what an address can mean that may be typed, or copied from what `ls` printed.

    First the text as it is, then with its escapes read, then a directory as it is with the escapes
    read in the rest: `ls` prints the part below its prefix. Raises CommandError if none is an
    address.
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
        """Whether the key is watched."""
        return key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the deployment watches: what any of the filters matches; without any, everything."""

    filters: tuple[Filter, ...] = (Filter(),)

    @classmethod
    def of(cls, filters: Sequence[Mapping[str, str]]) -> "Filters":
        """From the module's output."""
        return cls(tuple(Filter(**one) for one in filters)) if filters else cls()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Filters":
        """From options: PREFIX, or PREFIX*SUFFIX. Raises CommandError."""
        filters = []
        for text in texts:
            prefix, _, suffix = text.partition("*")
            if "*" in suffix:
                raise CommandError(f"--filter {text} has more than one *: use PREFIX*SUFFIX")
            filters.append(Filter(prefix, suffix))
        return cls(tuple(filters)) if filters else cls()

    def matches(self, key: str) -> bool:
        """Whether the key is watched."""
        return any(one.matches(key) for one in self.filters)

    def within(self, prefix: str) -> list[Filter]:
        """What is watched below a prefix, as filters."""
        return [
            Filter(max(prefix, one.prefix, key=len), one.suffix)
            for one in self.filters
            if one.prefix.startswith(prefix) or prefix.startswith(one.prefix)
        ]

    def prefixes(self, prefix: str) -> list[str]:
        """The prefixes to list for what is watched below a prefix: sorted, none in another."""
        found = sorted({one.prefix for one in self.within(prefix)})
        return [
            one
            for one in found
            if not any(one != other and one.startswith(other) for other in found)
        ]

    def __str__(self) -> str:
        return ", ".join(f"{one.prefix}*{one.suffix}" for one in self.filters)
