"""The result of a verification as a person sees it."""

from collections import Counter
from io import StringIO

from rich.console import Console

from cli.address import Address
from cli.function.reconciliation.comparison import Kind
from cli.function.reconciliation.findings import Findings
from cli.summary import show


def seen(places: dict[str, int], prefix: str = "") -> list[str]:
    findings = Findings(
        compared=10, kinds=Counter({Kind.ORPHAN: sum(places.values())}), directories=Counter(places)
    )
    console = Console(file=StringIO(), width=100)
    show(findings, Address("reports", prefix), console)
    assert isinstance(console.file, StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_directories_with_drift_are_listed_worst_first() -> None:
    lines = seen({"": 1, "in/\x1b/": 3, "out/": 2})

    assert lines[-4:] == [
        "directories with most drift keys",
        "in/\\x1b/ 3 ██████████████████████████████",
        "out/ 2 ████████████████████",
        "s3://reports/ 1 ██████████",
    ]


def test_the_prefix_itself_is_not_repeated() -> None:
    assert "directories" not in " ".join(seen({"": 2}))
    assert "directories" not in " ".join(seen({"in/": 2}, "in/"))
    assert "directories" in " ".join(seen({"in/a/": 2}, "in/"))


def test_the_address_is_on_one_line() -> None:
    assert seen({}, "a\nb")[0] == "s3://reports/a\\nb: 10 keys compared, no drift."
