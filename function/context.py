"""The part of Lambda's context that the package uses."""

from typing import Protocol


class Context(Protocol):
    """Lambda's context of an invocation."""

    def get_remaining_time_in_millis(self) -> int: ...  # noqa: D102
