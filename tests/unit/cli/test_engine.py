"""How the engine spreads ranges, and that it never loses a key or works on one twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import engine
from cli.crew import Job
from cli.engine import Engine
from cli.errors import CommandError
from cli.function.ranges import Range
from cli.interruption import Interruption
from tests.unit.cli.crew_work import Numbers

KEYS = [f"{number:02}" for number in range(40)]


def numbers(of: Range, is_spent: Callable[[int], bool]) -> Iterator[Numbers]:
    for key in KEYS:
        if key in of:
            is_over = is_spent(0)
            yield Numbers(Range(key, of.up_to), [key])
            if is_over:
                return
    yield Numbers(None)


@dataclass
class Member:
    parts: Iterator[Numbers]
    rest: Range | None


@dataclass
class InProcess:
    """A crew without processes; its random numbers say who is next, and how far it gets."""

    random: Random
    size: int
    members: list[Member] = field(default_factory=list)
    back: list[Range] = field(default_factory=list)
    is_stopped: bool = False
    most: int = 0
    """How many worked at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def left(self) -> list[Range]:
        return [*(member.rest for member in self.members if member.rest), *self.back]

    @property
    def is_any_busy(self) -> bool:
        return bool(self.members)

    @property
    def is_any_idle(self) -> bool:
        return len(self.members) < self.size

    def give(self, of: Range) -> None:
        budget = self.random.randint(1, 6)
        held = iter(range(budget))
        self.members.append(Member(numbers(of, lambda _: next(held, None) is None), of))
        self.most = max(self.most, len(self.members))

    def parts(self) -> Iterator[Numbers]:
        if self.random.random() < 0.2:
            return
        member = self.random.choice(self.members)
        part = next(member.parts, None)
        if part:
            member.rest = part.rest
            yield part
        else:
            self.members.remove(member)
            self.back += [member.rest] if member.rest else []

    def taken_back(self) -> list[Range]:
        back, self.back = self.back, []
        return back

    def stop(self) -> Iterator[Numbers]:
        self.is_stopped = True
        for member in list(self.members):
            member.rest = None
            yield Numbers(None, [])


class Halves:
    """A division into two, at any key."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self, rest: Range, _: object, pieces: int) -> list[Range]:
        inside = [key for key in KEYS if key in rest and key != rest.up_to]
        if not inside or pieces < 2:
            return [rest]
        cut = self._random.choice(inside)
        return [Range(rest.after, cut), Range(cut, rest.up_to)]


def engine_of(monkeypatch: pytest.MonkeyPatch, ranges: list[Range], cores: int) -> Engine[Numbers]:
    monkeypatch.setattr(engine, "cores", lambda: cores)
    return Engine(
        cast(Job[Numbers], None), numbers, lambda: cast(Any, None), ranges, Interruption()
    )


def worked(ran: Engine[Numbers]) -> list[str]:
    """Run the engine; at each part, done and left together must be all keys, and none twice."""
    whole = [key for key in KEYS if any(key in of for of in ran.left)]
    done: list[str] = []
    for part in ran.run():
        done += part.keys if part else []
        left = [key for key in KEYS for of in ran.left if key in of]
        assert sorted(done + left) == whole
    assert ran.left == []
    return done


@given(seed=st.integers(0, 10**6), size=st.integers(1, 4), alone=st.integers(0, 10))
def test_at_any_time_every_key_is_done_or_left_and_none_is_both(
    seed: int, size: int, alone: int
) -> None:
    random = Random(seed)  # noqa: S311 # no secret
    clock = iter(range(10**6))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "ALONE_SECONDS", alone)
        patched.setattr("time.monotonic", lambda: next(clock))
        patched.setattr(engine, "divide", Halves(random))
        patched.setattr(engine, "Crew", lambda _job, _budget, size: InProcess(random, size))
        ranges = [Range("", "05"), Range("10", "20"), Range("25")]

        assert sorted(worked(engine_of(patched, ranges, size))) == [
            key for key in KEYS if any(key in of for of in ranges)
        ]


def test_one_core_works_in_this_process_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Crew", None)

    assert worked(engine_of(monkeypatch, [Range("", "10"), Range("20")], 1)) == [
        key for key in KEYS if key <= "10" or key > "20"
    ]


def test_a_short_run_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Crew", None)

    assert worked(engine_of(monkeypatch, [Range()], 8)) == KEYS


def test_processes_begin_after_the_first_seconds_with_a_piece_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = Random(1)  # noqa: S311 # no secret
    crews: list[InProcess] = []

    def crew(_job: object, _budget: object, size: int) -> InProcess:
        crews.append(InProcess(random, size))
        return crews[0]

    def pieces(rest: Range, _: object, number: int) -> list[Range]:
        cuts = [key for key in KEYS if key in rest][: number - 1]
        return [
            Range(after, up_to)
            for after, up_to in zip([rest.after, *cuts], [*cuts, rest.up_to], strict=True)
        ]

    monkeypatch.setattr(engine, "ALONE_SECONDS", 0)
    monkeypatch.setattr(engine, "divide", pieces)
    monkeypatch.setattr(engine, "Crew", crew)

    assert sorted(worked(engine_of(monkeypatch, [Range()], 3))) == KEYS
    assert (crews[0].size, crews[0].most) == (3, 3)


@pytest.mark.parametrize("cores", [1, 2])
def test_an_interruption_stops_at_a_part(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    random = Random(1)  # noqa: S311 # no secret
    crew = InProcess(random, cores)
    monkeypatch.setattr(engine, "ALONE_SECONDS", 0)
    monkeypatch.setattr(engine, "divide", Halves(random))
    monkeypatch.setattr(engine, "Crew", lambda *_: crew)
    ran = engine_of(monkeypatch, [Range()], cores)
    parts = ran.run()
    next(parts)

    ran._interruption.is_asked = True
    with pytest.raises(KeyboardInterrupt):
        for _ in parts:
            pass

    assert crew.is_stopped == (cores == 2)
    assert cores == 2 or ran.left == [Range("01")]


def test_a_division_that_fails_loses_no_range(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> list[Range]:
        raise CommandError("no connection")

    monkeypatch.setattr(engine, "ALONE_SECONDS", 0)
    monkeypatch.setattr(engine, "divide", refused)
    ran = engine_of(monkeypatch, [Range("a", "b"), Range("c")], 2)

    with pytest.raises(CommandError):
        list(ran.run())

    assert ran.left == [Range("a", "b"), Range("c")]
