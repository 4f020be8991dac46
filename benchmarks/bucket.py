"""S3 in memory: HeadObject and ListObjectsV2 on objects that differ only in their key and size."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

LAST_MODIFIED = "2026-11-23T08:15:30.000Z"
_LAST_MODIFIED_HEADER = "Mon, 23 Nov 2026 08:15:30 GMT"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
VERSION_ID = "3HL4kqtJvjVBH40Nrjfkd.XYZ.EXAMPLE"
_LIST = {
    *("list-type", "prefix", "max-keys", "start-after", "continuation-token"),
    *("encoding-type", "delimiter"),
}


class Bucket:
    """The objects of a bucket."""

    def __init__(self, keys: Iterable[str], *, versioned: bool) -> None:
        self._keys = sorted(keys)
        self._versioned = versioned

    def head(self, key: str) -> Mapping[str, str] | None:
        """Return the headers of HeadObject; None if there is no such object."""
        place = bisect_left(self._keys, key)
        if self._keys[place : place + 1] != [key]:
            return None
        headers = {
            "ETag": f'"{ETAG}"',
            "Last-Modified": _LAST_MODIFIED_HEADER,
            "Content-Length": str(size_of(key)),
            "Content-Type": "binary/octet-stream",
        }
        return headers | ({"x-amz-version-id": VERSION_ID} if self._versioned else {})

    def list(self, name: str, query: Mapping[str, str]) -> bytes:
        """Return the document of ListObjectsV2. Raises ValueError for a query that it cannot do."""
        if set(query) - _LIST or query.get("list-type") != "2":
            raise ValueError(f"cannot list with {sorted(query)}")
        prefix, most = query.get("prefix", ""), int(query.get("max-keys", "1000"))
        encode = quote if query.get("encoding-type") == "url" else escape
        after = query.get("continuation-token") or query.get("start-after") or ""
        place = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        contents, groups = list[str](), list[str]()
        last = after
        while place < len(self._keys) and self._keys[place].startswith(prefix):
            key = self._keys[place]
            if len(contents) + len(groups) == most:
                break
            common = _common_prefix(key, prefix, query.get("delimiter"))
            if common is None:
                contents.append(_entry(key, encode(key)))
                last = key
                place += 1
                continue
            last = common + "\U0010ffff"
            place = bisect_right(self._keys, last)
            if not after.startswith(common):
                groups.append(f"<CommonPrefixes><Prefix>{encode(common)}</Prefix></CommonPrefixes>")
        truncated = place < len(self._keys) and self._keys[place].startswith(prefix)
        parts = {
            "Name": name,
            "Prefix": encode(prefix),
            "MaxKeys": str(most),
            "KeyCount": str(len(contents) + len(groups)),
            "IsTruncated": str(truncated).lower(),
            **({"EncodingType": "url"} if query.get("encoding-type") else {}),
            **({"Delimiter": encode(query["delimiter"])} if "delimiter" in query else {}),
            **({"NextContinuationToken": escape(last)} if truncated else {}),
        }
        head = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{head}{''.join(contents)}{''.join(groups)}</ListBucketResult>"
        ).encode()


def size_of(key: str) -> int:
    """Return the size of an object in bytes."""
    return 1024 + len(key)


def _common_prefix(key: str, prefix: str, delimiter: str | None) -> str | None:
    if not delimiter:
        return None
    place = key.find(delimiter, len(prefix))
    return None if place < 0 else key[: place + len(delimiter)]


def _entry(key: str, encoded: str) -> str:
    fields: dict[str, Any] = {
        "Key": encoded,
        "LastModified": LAST_MODIFIED,
        "ETag": f"&quot;{ETAG}&quot;",
        "Size": size_of(key),
        "StorageClass": "STANDARD",
    }
    return f"<Contents>{''.join(f'<{n}>{v}</{n}>' for n, v in fields.items())}</Contents>"
