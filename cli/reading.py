"""`file-index get` and `file-index ls`."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rich.table import Table
from rich.text import Text

from function.errors import PermissionDeniedError
from function.record import FileRecord

from .address import Address
from .errors import NO, OK
from .target import Target
from .text import answer, answers, say, shown, size


def plain(record: FileRecord) -> dict[str, Any]:
    """The record's attributes as JSON has them."""
    return {name: _value(attribute) for name, attribute in record.to_item().items()}


def _value(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return int(value)
        case "M":
            return {name: _value(entry) for name, entry in value.items()}
        case _:
            return value


def get(target: Target, address: Address, *, as_json: bool) -> int:
    """Show a record."""
    if not target.filters.match(address.key):
        say("{} is not watched: the filters are {}", str(address), str(target.filters))
        return NO
    record = target.index().read(address.bucket, address.key)
    if record is None or record.deleted:
        with suppress(PermissionDeniedError):  # whoever may only get cannot be told
            target.check_partitions(address.bucket)
        why = "it was deleted" if record else "the index has no record of it"
        say("No record of {}: {}.", str(address), why)
        return NO
    if as_json:
        answer(json.dumps(plain(record)))
        return OK
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in plain(record).items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        table.add_row(name, Text(shown(text), overflow="fold"))
    answers().print(table)
    return OK


def ls(
    target: Target,
    address: Address,
    *,
    recursive: bool,
    summarize: bool,
    human_readable: bool,
    as_json: bool,
) -> int:
    """List records as `aws s3 ls` lists objects."""
    index = target.index()
    found = (
        index.list_prefix(address.bucket, address.key)
        if recursive
        else index.list_level(address.bucket, address.key)
    )
    objects = total = lines = 0
    for entry in _watched(target, found):
        lines += 1
        if isinstance(entry, str):
            _show_prefix(entry, address, as_json=as_json)
            continue
        objects += 1
        total += entry.size or 0
        if as_json:
            answer(json.dumps(plain(entry)))
        else:
            amount = size(entry.size or 0) if human_readable else str(entry.size)
            name = entry.key if recursive else _below(entry.key, address)
            answer(f"{_time(entry)} {amount:>10} {shown(name)}")
    if summarize and as_json:
        answer(json.dumps({"objects": objects, "bytes": total}))
    elif summarize:
        amount = size(total) if human_readable else str(total)
        answer(f"\nTotal Objects: {objects}\n   Total Size: {amount}")
    if not lines:
        target.check_partitions(address.bucket)
        say("Nothing in the index begins with {}.", str(address))
    return OK if lines else NO


def _watched(target: Target, found: Iterator[FileRecord | str] | Iterator[FileRecord]) -> Any:
    for entry in found:
        if isinstance(entry, str):
            if target.filters.within(entry):
                yield entry
        elif target.filters.match(entry.key):
            yield entry


def _show_prefix(prefix: str, address: Address, *, as_json: bool) -> None:
    if as_json:
        answer(json.dumps({"prefix": prefix}))
    else:
        answer(f"{'PRE':>30} {shown(_below(prefix, address))}")


def _below(key: str, address: Address) -> str:
    """The key without the directory that is listed."""
    return key[address.key.rfind("/") + 1 :]


def _time(record: FileRecord) -> str:
    # S3's events do not say when an object was last modified: soon before its event.
    time = record.last_modified or record.event_time or record.indexed_at
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
