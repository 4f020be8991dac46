"""What a user sees of long work."""

import io

import pytest
from rich.console import Console

from cli import progress
from cli.progress import Work


def shown(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> io.StringIO:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=120)
    monkeypatch.setattr(progress, "stderr_console", console)
    monkeypatch.setattr("cli.terminal.stderr_console", console)
    return screen


def test_the_bar_ends_with_all_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown(monkeypatch, is_terminal=True)

    with Work("Comparing", total=5_000) as work:
        for _ in range(5_000):
            work.advance()

    assert "5000/5000" in screen.getvalue()


def test_the_bar_is_not_redrawn_for_each_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, is_terminal=True)
    monkeypatch.setattr("time.monotonic", iter(number / 1_000 for number in range(10_000)).__next__)
    updates: list[float] = []

    work = Work("Comparing")
    monkeypatch.setattr(work._bar, "update", lambda _, completed, **__: updates.append(completed))
    for _ in range(1_000):
        work.advance()

    assert 5 <= len(updates) <= 10


def test_without_a_terminal_a_line_says_every_15_seconds_what_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = shown(monkeypatch, is_terminal=False)
    seconds = 0.0
    monkeypatch.setattr("time.monotonic", lambda: seconds)

    with Work("Comparing", total=100) as work:
        for _ in range(40):
            seconds += 1.0
            work.advance(2)

    lines = screen.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines if line] == [
        "Comparing: 32 of 100",
        "Comparing: 64 of 100",
    ]
