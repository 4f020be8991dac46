"""What the state machine passes to a worker, and what it gets back: JSON of a bounded size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from ..ranges import MAX_ENCODED, Range, decoded, encoded, from_json, size, to_json

_ROOM_FOR_COUNTS = 450
LONGEST_CAUSE = 300
"""In bytes as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The work of one worker in one round."""

    ranges: tuple[Range, ...]
    """At most one ordinary range, and keys that keep changing."""
    budget_seconds: int
    """How long to compare; a worker that is started again takes half."""
    pieces: int
    """Into how many ranges to divide what is left."""
    room: int
    """The most bytes of the result."""
    repairs: int | None = None
    """The most keys to repair; None: all."""

    @property
    def ordinary(self) -> Range | None:
        """The ordinary range, if there is one."""
        return _ordinary(self.ranges)

    @property
    def least_room(self) -> int:
        """The bytes that a result without any cut, changing key or example takes at most."""
        return size(to_json(self.ranges)) + MAX_ENCODED + _ROOM_FOR_COUNTS

    def as_json(self) -> dict[str, Any]:
        """Return the item as JSON."""
        return {
            "ranges": to_json(self.ranges),
            "budget_seconds": self.budget_seconds,
            "pieces": self.pieces,
            "room": self.room,
            "repairs": self.repairs,
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Item":
        """Return the item that `as_json` wrote."""
        return cls(
            ranges=tuple(from_json(value["ranges"])),
            budget_seconds=value["budget_seconds"],
            pieces=value["pieces"],
            room=value["room"],
            repairs=value["repairs"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one worker did, and what it left."""

    item: tuple[Range, ...]
    """The ranges that it was given."""
    rest: tuple[str, ...] = ()
    """Where the ranges begin that are left of the ordinary range; they reach to its end."""
    changing: tuple[Range, ...] = ()
    """Keys to look at again."""
    counts: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[Mapping[str, str], ...] = ()
    """A few keys that differ or failed: `kind`, `key`, and a `cause` if it failed."""
    attempt: int = 0
    """How often the worker had been started before."""
    repairs: int | None = None
    """How many keys it was allowed to repair."""
    error: str | None = None
    """Why it did nothing."""

    def as_json(self, room: int) -> dict[str, Any]:
        """Return the result as JSON that fits into the room.

        If not everything fits, there are fewer examples, fewer cuts, and some keys that keep
        changing are counted as unread.
        """
        value = self._value()
        if size(value) <= room:
            return value
        least = replace(self, keys=(), rest=self.rest[:1], changing=())
        free = room - size(least._value())
        changing, taken = [], 0
        for key in self.changing:
            taken += size(to_json([key])) + 2
            if taken > free / 2:
                break
            changing.append(key)
        counts = Counter(self.counts)
        dropped = len(self.changing) - len(changing)
        counts.update({"unread": dropped, "compared": dropped} if dropped else {})
        least = replace(least, changing=tuple(changing), counts=dict(counts))
        for number in range(len(self.rest), 0, -1):
            fewer = replace(least, rest=thinned(self.rest, number))
            if size(fewer._value()) <= room:
                return fewer._value()
        return least._value()

    def _value(self) -> dict[str, Any]:
        return {
            "ranges": to_json(self.item),
            "rest": [encoded(key) for key in self.rest],
            "changing": to_json(self.changing),
            "counts": dict(self.counts),
            "keys": [dict(key) for key in self.keys],
            "attempt": self.attempt,
            "repairs": self.repairs,
        } | ({"error": {"Cause": shortened(self.error, LONGEST_CAUSE)}} if self.error else {})

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Result":
        """Return the result of a worker, or the item that the state machine returns in its place.

        Raises ValueError if what is left is not a part of what the worker was given.
        """
        error = value.get("error")
        if error:
            texts = filter(None, (error.get("Error"), error.get("Cause")))
            cause = shortened(" ".join(texts), LONGEST_CAUSE)
            ranges = tuple(from_json(value["ranges"]))
            return cls(
                item=ranges,
                attempt=value.get("attempt", 1),
                repairs=value.get("repairs"),
                error=cause,
            )
        result = cls(
            item=tuple(from_json(value["ranges"])),
            rest=tuple(decoded(key) for key in value["rest"]),
            changing=tuple(from_json(value["changing"])),
            counts=dict(value["counts"]),
            keys=tuple(value["keys"]),
            attempt=value["attempt"],
            repairs=value["repairs"],
        )
        result._check_rest()
        result._check_changing()
        return result

    @property
    def left(self) -> list[Range]:
        """The ordinary ranges that are left."""
        ordinary = _ordinary(self.item)
        if not (self.rest and ordinary):
            return []
        return [Range(*ends) for ends in pairwise([*self.rest, ordinary.up_to])]  # type: ignore[arg-type] # only the last is None

    def _check_rest(self) -> None:
        if not self.rest:
            return
        ordinary = _ordinary(self.item)
        if ordinary is None or self.rest[0] < ordinary.after:
            raise ValueError("a worker returned keys that it was not given")
        if self.rest[0] == ordinary.after:
            raise ValueError("a worker made no progress")
        ends = [*self.rest, *filter(None, [ordinary.up_to])]
        if any(end <= start for start, end in pairwise(ends)):
            raise ValueError("a worker returned ranges that overlap or are not in order")

    def _check_changing(self) -> None:
        ordinary = _ordinary(self.item)
        done = replace(ordinary, up_to=self.rest[0]) if ordinary and self.rest else ordinary
        given = {of.up_to: of for of in self.item if of.looks}
        for key in self.changing:
            before = given.get(key.up_to)
            if before and key.looks <= before.looks:
                raise ValueError("a worker made no progress")
            if before and key.after != before.after:
                raise ValueError("a worker returned keys that it was not given")
            if not before and not (done and key.is_within(done)):
                raise ValueError("a worker returned keys that it was not given")
            if key.up_to is None or not key.looks:
                raise ValueError("a worker returned a range as a key that keeps changing")
        changing = sorted(self.changing, key=lambda of: of.after)
        if any(other.after < (one.up_to or "") for one, other in pairwise(changing)):
            raise ValueError("a worker returned a key twice")


def _ordinary(ranges: Sequence[Range]) -> Range | None:
    return next((of for of in ranges if not of.looks), None)


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text that takes at most so many bytes as JSON."""
    text = text[:most]
    while size(text) > most:
        text = text[:-1]
    return text


def thinned(values: Sequence[str], number: int) -> tuple[str, ...]:
    """Return so many of the values, evenly spaced; the first one stays."""
    return tuple(values[rank * len(values) // number] for rank in range(number))
