"""The derived file: a manifest that describes an object's content.

To make another derived file, change this module only, see docs/derived-files.md. `make` reads the
content and returns the bytes to store; MEDIA_TYPE is their type, and SUFFIX ends their name. It
runs again when an event is redelivered, and must return the same bytes for the same content. If it
raises, the record is written with the reason and without a derived file.
"""

import hashlib
import json
from typing import Protocol

from ..record import Source
from . import media_types
from .text_content import Text

SUFFIX = ".json"
MEDIA_TYPE = "application/json"

_CHUNK_BYTES = 256 * 1024


class Content(Protocol):
    """An object's content, read once from its beginning."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes: at most `size`, or all if it is negative; none at the end."""


def make(source: Source, content: Content) -> bytes:
    """Return the manifest of the content, as JSON."""
    digest = hashlib.sha256()
    length = 0
    beginning = b""
    ending = b""
    text = Text()
    while chunk := content.read(_CHUNK_BYTES):
        digest.update(chunk)
        length += len(chunk)
        beginning += chunk[: media_types.BEGINNING - len(beginning)]
        ending = (ending + chunk[-media_types.ENDING :])[-media_types.ENDING :]
        text.add(chunk)
    found = (
        media_types.described(beginning, ending)
        or text.described()
        or media_types.described_behind_other_bytes(beginning)
        or media_types.UNKNOWN
    )
    manifest = {
        "bucket": source.bucket,
        "key": source.key,
        "etag": source.etag,
        "length": length,
        "sha256": digest.hexdigest(),
        **found,
    }
    return f"{json.dumps(manifest, indent=2)}\n".encode()
