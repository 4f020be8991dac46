"""Parses pages of records and objects, in place of botocore.

botocore parses any answer by its model, field by field, which takes most of the time of reading a
table or a bucket. What these parsers do not understand, they leave to it.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

_OK = 200

_LISTS = {"Contents": "Contents", "Version": "Versions", "DeleteMarker": "DeleteMarkers"}
"""Elements of a page of objects that make up a list, and its name in botocore's answer."""
_VALUES: Mapping[str, Callable[[str], Any]] = {
    # of the page
    "EncodingType": str,
    "IsTruncated": "true".__eq__,
    "NextContinuationToken": str,
    "NextKeyMarker": str,
    "NextVersionIdMarker": str,
    # of an object
    "ETag": str,
    "IsLatest": "true".__eq__,
    "Key": str,
    "LastModified": datetime.fromisoformat,
    "Size": int,
    "StorageClass": str,
    "VersionId": str,
}
"""The values that are read; others are left out."""


def parse_pages(client: Any) -> None:
    """Let these parsers read what a client of DynamoDB or S3 lists.

    Binary attributes remain Base64, and no other value of an object than those above is read, so
    only a client that nobody else uses may have them.
    """
    for event, parse in _PARSERS.items():
        # With an id, so that a client that is given these parsers twice has them once.
        client.meta.events.register(event, _before_parse(parse), f"file-index {event}")


def _before_parse(parse: Callable[[bytes], dict[str, Any]]) -> Callable[..., None]:
    def before_parse(
        response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
    ) -> None:
        if response_dict["status_code"] != _OK:
            return
        with suppress(ValueError, ElementTree.ParseError):
            customized_response_dict.update(parse(response_dict["body"]))
            response_dict["body"] = b""

    return before_parse


def _objects(body: bytes) -> dict[str, Any]:
    root = ElementTree.fromstring(body)  # noqa: S314 # as botocore does
    namespace = root.tag[: root.tag.find("}") + 1]
    page: dict[str, Any] = {}
    for element in root:
        name = element.tag.removeprefix(namespace)
        if name in _LISTS:
            page.setdefault(_LISTS[name], []).append(_values(element, namespace))
    return page | _values(root, namespace)


def _values(element: ElementTree.Element, namespace: str) -> dict[str, Any]:
    texts = {child.tag.removeprefix(namespace): child.text or "" for child in element}
    return {name: read(texts[name]) for name, read in _VALUES.items() if name in texts}


_PARSERS: Mapping[str, Callable[[bytes], dict[str, Any]]] = {
    "before-parse.dynamodb.Query": json.loads,
    "before-parse.s3.ListObjectsV2": _objects,
    "before-parse.s3.ListObjectVersions": _objects,
}
