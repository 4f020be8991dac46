"""Completion of commands and options in the shell."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from click.shell_completion import get_completion_class, shell_complete

from .errors import CommandError

PROGRAM = "file-index"
VARIABLE = "_FILE_INDEX_COMPLETE"
"""The environment variable with which a shell asks for completions."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a shell finds a completion script."""

    script: Path
    profile: Path | None = None
    """The file that must name the script; None if the shell finds it by itself."""
    line: str = ""
    """What the profile must contain."""


def _bash() -> _Place:
    script = Path.home() / ".bash_completions" / f"{PROGRAM}.sh"
    return _Place(script, Path.home() / ".bashrc", f"source {shlex.quote(str(script))}")


def _zsh() -> _Place:
    home = Path(os.environ.get("ZDOTDIR") or Path.home())
    functions = home / ".zfunc"
    line = f"fpath+=({shlex.quote(str(functions))}); autoload -Uz compinit; compinit"
    return _Place(functions / f"_{PROGRAM}", home / ".zshrc", line)


def _fish() -> _Place:
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return _Place(configuration / "fish" / "completions" / f"{PROGRAM}.fish")


_PLACES: Mapping[str, Callable[[], _Place]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
SHELLS = tuple(_PLACES)


def answer(program: click.Command, instruction: str) -> int:
    """Write the completions, or the script, that a shell asks for. Returns the exit code."""
    return shell_complete(program, {}, PROGRAM, VARIABLE, instruction)


def install(program: click.Command, shell: str) -> list[str]:
    """Install completion for a shell, or for that of $SHELL if the name is empty.

    Installing it again changes nothing. Returns what was done, a line each. Raises CommandError.
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    completion = get_completion_class(name) if name in _PLACES else None
    if completion is None:
        unknown = f"there is no completion for {name}" if name else "SHELL is not set"
        raise CommandError(
            f"{unknown}: choose {', '.join(SHELLS)}, as in --install-completion {SHELLS[0]}"
        )
    place = _PLACES[name]()
    _write(place.script, completion(program, {}, PROGRAM, VARIABLE).source())
    done = [f"Wrote {place.script}."]
    if place.profile and not _contains(place.profile, place.line):
        with place.profile.open("a") as profile:
            profile.write(f"\n{place.line}\n")
        done.append(f"Added to {place.profile}: {place.line}")
    return [*done, f"Completion works in every new {name}."]


def _write(script: Path, text: str) -> None:
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text)


def _contains(profile: Path, line: str) -> bool:
    return profile.exists() and line in profile.read_text().splitlines()
