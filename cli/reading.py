"""`file-index get` and `file-index ls`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from rich.table import Table
from rich.text import Text

from .address import Address
from .errors import NO, OK
from .function.errors import PermissionDeniedError
from .function.record import FileRecord
from .function.repository import FileIndex
from .target import Target
from .text import answer, answers, say, shown, shown_json, size

_UNKNOWN = "-"


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


def get(target: Target, addresses: Sequence[Address], *, as_json: bool) -> int:
    """Show the record of the first of these addresses that has one."""
    watched = [one for one in addresses if target.filters.match(one.key)]
    if not watched:
        say("{} is not watched: the filters are {}", str(addresses[0]), str(target.filters))
        return NO
    index = target.index()
    was_deleted = False
    for number, address in enumerate(watched):
        record = index.read(address.bucket, address.key)
        if record and not record.deleted:
            _show_record(record, as_json=as_json)
            _warn_of_others(index, watched[number + 1 :])
            return OK
        was_deleted = was_deleted or record is not None
    with suppress(PermissionDeniedError):  # whoever may only get cannot be told
        target.check_partitions(watched[0].bucket)
    why = "it was deleted" if was_deleted else "the index has no record of it"
    say("No record of {}: {}.", str(watched[0]), why)
    return NO


def _show_record(record: FileRecord, *, as_json: bool) -> None:
    if as_json:
        answer(json.dumps(plain(record)))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in plain(record).items():
        text = shown_json(value) if isinstance(value, dict) else shown(str(value))
        table.add_row(name, Text(text, overflow="fold"))
    answers().print(table)


def _warn_of_others(index: FileIndex, addresses: Sequence[Address]) -> None:
    """Say so if the address can also mean another object."""
    for address in addresses:
        if index.get(address.bucket, address.key):
            say(
                "The address also reads as that of another object, {}. To get it, give its control"
                " characters as they are, as in bash by $'…'.",
                str(address),
            )


def ls(
    target: Target,
    addresses: Sequence[Address],
    *,
    recursive: bool,
    summarize: bool,
    human_readable: bool,
    as_json: bool,
) -> int:
    """List records as `aws s3 ls` lists objects, below the first address that has any."""
    index = target.index()
    for address in addresses:
        found = (
            index.list_prefix(address.bucket, address.key)
            if recursive
            else index.list_level(address.bucket, address.key)
        )
        entries = _watched(target, found)
        first = next(entries, None)
        if first is not None:
            break
    objects = total = lines = 0
    for entry in () if first is None else chain((first,), entries):
        lines += 1
        if isinstance(entry, str):
            _show_prefix(entry, address, as_json=as_json)
            continue
        objects += 1
        total += entry.known.size or 0
        if as_json:
            answer(json.dumps(plain(entry)))
        else:
            amount = _size(entry.known.size, human_readable=human_readable)
            name = entry.key if recursive else _below(entry.key, address)
            answer(f"{_time(entry)} {amount:>10} {shown(name)}")
    if summarize and as_json:
        answer(json.dumps({"objects": objects, "bytes": total}))
    elif summarize:
        amount = _size(total, human_readable=human_readable)
        answer(f"\nTotal Objects: {objects}\n   Total Size: {amount}")
    if not lines:
        target.check_partitions(addresses[0].bucket)
        say("Nothing in the index begins with {}.", str(addresses[0]))
    return OK if lines else NO


def _watched(
    target: Target, found: Iterator[FileRecord | str] | Iterator[FileRecord]
) -> Iterator[FileRecord | str]:
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


def _size(count: int | None, *, human_readable: bool) -> str:
    if count is None:  # not every event says it
        return _UNKNOWN
    return size(count) if human_readable else str(count)


def _below(key: str, address: Address) -> str:
    """The key without the directory that is listed."""
    return key[address.key.rfind("/") + 1 :]


def _time(record: FileRecord) -> str:
    # S3's events do not say when an object was last modified: soon before its event.
    time = record.known.last_modified or record.event_time or record.indexed_at
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
