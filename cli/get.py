"""`file-index get`: shows the record of one object."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rich.table import Table
from rich.text import Text

from .address import Address
from .errors import NO, OK
from .function.errors import PermissionDeniedError
from .function.reader import IndexReader
from .function.record import FileRecord
from .target import Target
from .terminal import escaped, escaped_json, stdout_console, write_stderr, write_stdout


def plain(record: FileRecord) -> dict[str, Any]:
    """Return the attributes of a record as JSON has them."""
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
    watched = [one for one in addresses if target.filters.matches(one.path)]
    if not watched:
        write_stderr(
            "{} is not watched: the filters are {}", str(addresses[0]), str(target.filters)
        )
        return NO
    reader = target.reader()
    was_deleted = False
    for number, address in enumerate(watched):
        record = reader.read(address.bucket, address.path)
        if record and not record.deleted:
            _show(record, as_json=as_json)
            _warn_of_others(reader, watched[number + 1 :])
            return OK
        was_deleted = was_deleted or record is not None
    with suppress(PermissionDeniedError):  # a caller with GetItem alone cannot check them
        target.check_partitions(watched[0].bucket)
    why = "it was deleted" if was_deleted else "the index has no record of it"
    write_stderr("No record of {}: {}.", str(watched[0]), why)
    return NO


def _show(record: FileRecord, *, as_json: bool) -> None:
    if as_json:
        write_stdout(json.dumps(plain(record)))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in plain(record).items():
        text = escaped_json(value) if isinstance(value, dict) else escaped(str(value))
        table.add_row(name, Text(text, overflow="fold"))
    stdout_console().print(table)


def _warn_of_others(reader: IndexReader, addresses: Sequence[Address]) -> None:
    """Name the objects that the address can also mean."""
    for address in addresses:
        if reader.get(address.bucket, address.path):
            write_stderr(
                "The address can also mean another object, {}. To get that one, give its control"
                " characters as they are, for example with $'…' in bash.",
                str(address),
            )
