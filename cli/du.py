"""`file-index du`: counts and sums records by directory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .address import Address
from .errors import NO, OK
from .function.record import FileRecord
from .target import Target
from .terminal import escaped, human_size, write_stderr, write_stdout


@dataclass(slots=True)
class Total:
    """What a directory holds."""

    prefix: str
    """What its keys begin with."""
    objects: int = 0
    size: int = 0
    """Bytes."""


def du(
    target: Target,
    addresses: Sequence[Address],
    *,
    depth: int,
    human_readable: bool,
    as_json: bool,
) -> int:
    """Show the totals below the first of these addresses that has any record."""
    target.check_partitions(addresses[0].bucket)
    for address in addresses:
        records = (
            record
            for record in target.reader().list_prefix(address.bucket, address.path)
            if target.filters.matches(record.key)
        )
        was_empty = True
        for total in totals(records, address.path, depth):
            was_empty = total.objects == 0
            if not was_empty:
                _show(total, address, human_readable=human_readable, as_json=as_json)
        if not was_empty:
            return OK
    write_stderr("Nothing in the index begins with {}.", str(addresses[0]))
    return NO


def totals(records: Iterable[FileRecord], prefix: str, depth: int) -> Iterator[Total]:
    """Yield each directory's total down to a depth below the prefix, and at last the prefix's own.

    The records are in key order, so the keys of a directory follow each other, and only the
    directories that contain the current key are kept.
    """
    within = [Total(prefix)]
    for record in records:
        while not record.key.startswith(within[-1].prefix):
            yield _closed(within)
        while len(within) <= depth:
            slash = record.key.find("/", len(within[-1].prefix))
            if slash < 0:
                break
            within.append(Total(record.key[: slash + 1]))
        within[-1].objects += 1
        within[-1].size += record.known.size or 0
    while within:
        yield _closed(within)


def _closed(within: list[Total]) -> Total:
    """Take the innermost directory off, and add its total to that of the one around it."""
    closed = within.pop()
    if within:
        within[-1].objects += closed.objects
        within[-1].size += closed.size
    return closed


def _show(total: Total, address: Address, *, human_readable: bool, as_json: bool) -> None:
    if as_json:
        write_stdout(
            json.dumps({"prefix": total.prefix, "objects": total.objects, "bytes": total.size})
        )
        return
    size = human_size(total.size) if human_readable else str(total.size)
    where = escaped(str(replace(address, path=total.prefix)))
    write_stdout(f"{size:>15} {total.objects:>12} {where}")
