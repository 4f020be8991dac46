"""Ranges of keys."""

from dataclasses import dataclass

from ..events import MAX_KEY_BYTES


@dataclass(frozen=True, slots=True)
class Range:
    """The keys after one, up to and including another."""

    after: str = ""
    up_to: str | None = None
    looks: int = 0

    def __contains__(self, key: str) -> bool:
        return self.after < key and (self.up_to is None or key <= self.up_to)


def separator(low: str, high: str) -> str:
    """Return a text s with low <= s < high."""
    for length in range(len(high)):
        if low <= high[:length] < high:
            return high[:length]
    return low


def last_key(prefix: str) -> str:
    """Return the greatest key that begins with the prefix."""
    room = MAX_KEY_BYTES - len(prefix.encode())
    return prefix + "\U0010ffff" * (room // 4) + ["", "\x7f", "\u07ff", "\uffff"][room % 4]
