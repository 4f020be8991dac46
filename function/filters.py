"""The keys that a deployment watches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """Keys that begin with `prefix` and end with `suffix`."""

    prefix: str = ""
    suffix: str = ""

    def matches(self, key: str) -> bool:
        """Return whether the filter matches the key."""
        return key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the deployment watches: every key that one of the filters matches."""

    filters: tuple[Filter, ...] = (Filter(),)

    @classmethod
    def of(cls, filters: Sequence[Mapping[str, str]]) -> "Filters":
        """Return the filters of the module's output; without any, all keys are watched."""
        return cls(tuple(Filter(**one) for one in filters)) if filters else cls()

    def matches(self, key: str) -> bool:
        """Return whether the key is watched."""
        return any(one.matches(key) for one in self.filters)

    def within(self, prefix: str) -> list[Filter]:
        """Return filters for what is watched below a prefix."""
        return [
            Filter(max(prefix, one.prefix, key=len), one.suffix)
            for one in self.filters
            if one.prefix.startswith(prefix) or prefix.startswith(one.prefix)
        ]

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes to list for the watched keys below a prefix: sorted, no overlap."""
        found = sorted({one.prefix for one in self.within(prefix)})
        return [
            one
            for one in found
            if not any(one != other and one.startswith(other) for other in found)
        ]

    def __str__(self) -> str:
        return ", ".join(f"{one.prefix}*{one.suffix}" for one in self.filters)
