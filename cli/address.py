"""Addresses: `s3://bucket/key`."""

import re
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
