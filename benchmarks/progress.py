"""Tells how far a measurement is, on standard error."""

from rich.console import Console

console = Console(stderr=True, highlight=False, log_path=False)


def note(text: str) -> None:
    """Print one line, with the time."""
    console.log(text, markup=False)
