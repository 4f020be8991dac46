"""Divides a range."""

from typing import Protocol

from .ranges import Range, separator


class Sides(Protocol):
    """The bucket and the table."""

    def next_object(self, of: Range) -> str | None: ...  # noqa: D102
    def next_record(self, of: Range) -> str | None: ...  # noqa: D102
    def last_record(self, of: Range) -> str | None: ...  # noqa: D102


def divide(rest: Range, sides: Sides, pieces: int, requests: int = 100) -> list[Range]:
    """Return ranges that cover it."""
    first, last = sides.next_object(rest), sides.last_record(rest)
    if first is None:
        return [rest]
    if last is None:
        shared, end = 0, len(first)
        while shared < end:
            half = (shared + end + 1) // 2
            if sides.next_object(Range(first[:half] + "\U0010ffff", rest.up_to)):
                end = half - 1
            else:
                shared = half
        last = first[:shared] + "\x7f"
    if first >= last:
        return [rest]
    segments = [(first, last)]
    cuts: list[str] = []
    while segments and len(cuts) < pieces - 1 and requests > 0:
        low, high = segments.pop(0)
        differs = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), None)
        if differs is None:
            continue
        requests -= 1
        middle = low[:differs] + chr((ord(low[differs]) + ord(high[differs]) + 1) // 2)
        found = sides.next_object(Range(middle, rest.up_to))
        if found is None or found <= low or found >= high:
            segments += [(low, middle)] if low < middle < high else []
            continue
        cuts.append(separator(low, found))
        segments += [(low, cuts[-1]), (found, high)]
    cuts = sorted({cut for cut in cuts if rest.after < cut})
    return [Range(a, b) for a, b in zip([rest.after, *cuts], [*cuts, rest.up_to], strict=True)]
