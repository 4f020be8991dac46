"""The summary of a verification, as a table."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from .address import Address
from .function.reconciliation.comparison import Kind
from .terminal import counted, escaped, stdout_console

if TYPE_CHECKING:
    from .function.reconciliation.findings import Findings

_WIDTH = 30
_MOST_DIRECTORIES = 8
_KINDS = {
    Kind.PHANTOM: ("red", "in the index, not in the bucket"),
    Kind.ORPHAN: ("yellow", "in the bucket, not in the index"),
    Kind.MISMATCH: ("magenta", "in both, but different"),
    Kind.FILTERED_OUT: ("cyan", "in the index, but not watched"),
}


def show(findings: "Findings", address: Address, console: Console | None = None) -> None:
    """Print the counts by kind, and the directories with most drift."""
    console = console or stdout_console()
    drift = findings.kinds.total()
    console.print(Text(f"{escaped(str(address))}: {_sentence(findings)}."), soft_wrap=True)
    equal = findings.equal
    most = max(equal, *findings.kinds.values(), 1) if drift else max(equal, 1)
    table = Table(
        Column(), Column(justify="right"), Column(), Column(), box=None, show_header=False
    )

    def row(name: str, count: int, colour: str, meaning: str = "") -> None:
        table.add_row(Text(name), Text(f"{count:,}"), _bar(count, most, colour), Text(meaning))

    row("equal", equal, "green")
    for kind, (colour, meaning) in _KINDS.items():
        if findings.kinds[kind]:
            row(kind, findings.kinds[kind], colour, meaning)
    if findings.unsettled:
        row("unsettled", findings.unsettled, "blue", "kept changing: not compared")
    if findings.unread:
        row("failed", findings.unread, "red", "could not be read: not compared")
    if findings.compared:
        console.print(table)
    if findings.directories.keys() - {address.path}:
        console.print(_directories(findings, address))


def _sentence(findings: "Findings") -> str:
    drift = findings.kinds.total()
    if not drift:
        found = "no drift"
    elif drift == findings.repaired:
        found = f"{drift:,} repaired"
    elif findings.repaired:
        found = f"{drift:,} drift, {findings.repaired:,} of it repaired"
    else:
        found = f"{drift:,} drift"
    failed = f", {findings.failed:,} failed" if findings.failed else ""
    return f"{counted(findings.compared, 'key')} compared, {found}{failed}"


def _directories(findings: "Findings", address: Address) -> Table:
    table = Table(
        Column("directories with most drift", overflow="fold"),
        Column("keys", justify="right"),
        Column(),
        box=None,
    )
    directories = findings.directories.most_common(_MOST_DIRECTORIES)
    for directory, count in directories:
        name = directory or f"s3://{address.bucket}/"
        table.add_row(Text(escaped(name)), f"{count:,}", _bar(count, directories[0][1], "red"))
    return table


def _bar(count: int, most: int, colour: str) -> Text:
    return Text("█" * max(round(_WIDTH * count / most), min(count, 1)), style=colour)
