"""The actions that IAM users needed: the local AWS writes them, tests read them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "decisions.jsonl"
_KEYS_OF_USERS = "AKIA"  # access keys of roles begin with ASIA


@dataclass(frozen=True, slots=True)
class Decision:
    """An action that a call needs, and whether the caller's policies allow it."""

    access_key: str
    action: str
    resource: str
    allowed: bool


def write(home: Path, decision: Decision) -> None:
    """Add a decision to those in the emulator's home if it is about an IAM user."""
    if decision.access_key.startswith(_KEYS_OF_USERS):
        with (home / _FILE).open("a") as file:
            file.write(json.dumps(asdict(decision)) + "\n")


def read(home: Path) -> list[Decision]:
    """Read the decisions in the emulator's home, oldest first."""
    file = home / _FILE
    lines = file.read_text().splitlines() if file.exists() else []
    return [Decision(**json.loads(line)) for line in lines]
