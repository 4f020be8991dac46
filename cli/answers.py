"""Answers to the questions of `file-index status`, and the screen that shows them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.text import Text

from .errors import CommandError, as_command_errors
from .terminal import escaped, stdout_console


class State(StrEnum):
    """What an answer means."""

    RIGHT = "ok"
    WRONG = "wrong"
    UNCHECKED = "unchecked"
    """The deployment does not check it."""
    UNKNOWN = "unknown"
    """It could not be found out."""


_COLOURS = {
    State.RIGHT: "green",
    State.WRONG: "red",
    State.UNCHECKED: "blue",
    State.UNKNOWN: "yellow",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question."""

    check: str
    """What was asked."""
    state: State
    says: str
    more: Sequence[str] = ()
    """Further lines."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The same for a program."""

    def as_json(self) -> str:
        """Return a line of JSON."""
        line = {"check": self.check, "state": self.state, "says": self.says, "more": self.more}
        return json.dumps(line | dict(self.values))


@dataclass(frozen=True, slots=True)
class Question:
    """What to find out about a deployment."""

    check: str
    ask: Callable[[], Iterator[Answer]]

    def answers(self) -> list[Answer]:
        """Return the answers, or the one that they could not be found out."""
        try:
            with as_command_errors():
                return list(self.ask())
        except CommandError as error:
            said = str(error)
            return [Answer(self.check, State.UNKNOWN, "could not be found out", (said,))]


def show(name: str, answers: Sequence[Answer]) -> None:
    """Print the answers about a deployment, below what they come to."""
    console = stdout_console()
    console.print(Text(f"{escaped(name)}: {_verdict(answers)}."), soft_wrap=True)
    states = max(len(answer.state) for answer in answers)
    checks = max(len(answer.check) for answer in answers)
    for answer in answers:
        console.print(
            Text.assemble(
                "  ",
                (answer.state.ljust(states), _COLOURS[answer.state]),
                f"  {answer.check.ljust(checks)}  {escaped(answer.says)}",
            ),
            soft_wrap=True,
        )
        # The causes of what is unknown go to standard error.
        for line in () if answer.state is State.UNKNOWN else answer.more:
            console.print(Text(f"{' ' * (states + checks + 6)}{escaped(line)}"), soft_wrap=True)


def _verdict(answers: Sequence[Answer]) -> str:
    states = [answer.state for answer in answers]
    problems = [state for state in (State.WRONG, State.UNKNOWN) if state in states]
    if problems:
        return f"not all right: {', '.join(f'{states.count(state)} {state}' for state in problems)}"
    if State.UNCHECKED in states:
        return "nothing is wrong, but not everything is checked"
    return "everything is all right"
