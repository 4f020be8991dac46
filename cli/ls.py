"""`file-index ls`: lists records as `aws s3 ls` lists objects."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain

from .address import Address
from .errors import NO, OK
from .function.record import FileRecord
from .get import plain
from .target import Target
from .terminal import escaped, human_size, write_stderr, write_stdout

_UNKNOWN = "-"


def ls(
    target: Target,
    addresses: Sequence[Address],
    *,
    recursive: bool,
    summarize: bool,
    human_readable: bool,
    as_json: bool,
) -> int:
    """List the records below the first of these addresses that has any."""
    target.check_partitions(addresses[0].bucket)
    reader = target.reader()
    for address in addresses:
        found = (
            reader.list_prefix(address.bucket, address.path)
            if recursive
            else reader.list_level(address.bucket, address.path)
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
            write_stdout(json.dumps(plain(entry)))
        else:
            amount = _size(entry.known.size, human_readable=human_readable)
            name = entry.key if recursive else _below(entry.key, address)
            write_stdout(f"{_time(entry)} {amount:>10} {escaped(name)}")
    if summarize and as_json:
        write_stdout(json.dumps({"objects": objects, "bytes": total}))
    elif summarize:
        amount = _size(total, human_readable=human_readable)
        write_stdout(f"\nTotal Objects: {objects}\n   Total Size: {amount}")
    if not lines:
        write_stderr("Nothing in the index begins with {}.", str(addresses[0]))
    return OK if lines else NO


def _watched(
    target: Target, found: Iterator[FileRecord | str] | Iterator[FileRecord]
) -> Iterator[FileRecord | str]:
    for entry in found:
        if isinstance(entry, str):
            if target.filters.within(entry):
                yield entry
        elif target.filters.matches(entry.key):
            yield entry


def _show_prefix(prefix: str, address: Address, *, as_json: bool) -> None:
    if as_json:
        write_stdout(json.dumps({"prefix": prefix}))
    else:
        write_stdout(f"{'PRE':>30} {escaped(_below(prefix, address))}")


def _size(count: int | None, *, human_readable: bool) -> str:
    if count is None:  # some events do not have it
        return _UNKNOWN
    return human_size(count) if human_readable else str(count)


def _below(key: str, address: Address) -> str:
    """Return the key without the directory that is listed."""
    return key[address.path.rfind("/") + 1 :]


def _time(record: FileRecord) -> str:
    # Events do not say when the object was last modified, which is shortly before the event.
    time = record.known.last_modified or record.event_time or record.indexed_at
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
