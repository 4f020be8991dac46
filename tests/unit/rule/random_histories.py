"""Random histories of one key: many a second, far more than a state machine explores.

A history is determined by its seed.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from random import Random

from tests.unit.rule.model_bucket import Versioning
from tests.unit.rule.model_table import ModelTable
from tests.unit.rule.simulation import Simulation

HISTORIES = 1500
"""How many show that the rule converges.

In how many of 1,500 histories each broken rule diverges, counted on two sets of seeds. The
histories were shaped on the first four rules, and then tried on the others.

    refresh does not keep the event's sequencer   10   14
    no record is observed                         14   27
    the unchanged write is skipped                17   17
    events are applied whatever their age         44   31

    of a group the first event is applied         51   48
    refresh writes without comparing revisions    54   49
    sequencers are ignored                       124  115
    sequencers are padded on the left            153  136
    the record is deleted, no tombstone is left  235  264
"""

CONTENTS = ("A", "B")
FAMILIES = ("ObjectRemoved", "LifecycleExpiration")
TAGS = ("red", "blue", None)
TIMES = (timedelta(minutes=5), *(timedelta(days=days) for days in (1, 14, 29, 30, 60)))

_Action = Callable[[Simulation, Random], None]


def first_divergence(
    seeds: Iterable[int], table: Callable[[], ModelTable] = ModelTable
) -> Simulation | None:
    """The first history that ends with an index that differs from the bucket."""
    histories = (diverging(seed, table) for seed in seeds)
    return next((history for history in histories if history), None)


def diverging(seed: int, table: Callable[[], ModelTable] = ModelTable) -> Simulation | None:
    """The history of this seed, up to where all was delivered and the index was not the bucket."""
    random = Random(seed)  # noqa: S311 # no secret
    simulation = Simulation(
        table=table(),
        versioning=random.choice((Versioning.NEVER, *Versioning)),
        object_metadata=random.random() < 0.4,
        deployed=random.random() < 0.8,
    )
    # Not every history switches all: a bucket that once was versioned is so for the rest of it.
    switches = random.choice(_SWITCHES)
    # Rare divergences need a rich past and a quiet present: most rounds are quiet, and cheap.
    rounds = [_busy] * random.randint(1, 2) + random.choices(
        (_turn, _quiet, _quiet, _quiet), k=random.randint(6, 10)
    )
    for happens in rounds:
        happens(simulation, random, switches)
        simulation.settle(random)
        if simulation.divergence():
            return simulation
    return None


def diverging_after_repair(
    seed: int, table: Callable[[], ModelTable] = ModelTable
) -> Simulation | None:
    """The history of this seed, where a repair did not make up for events that were lost."""
    random = Random(seed)  # noqa: S311 # no secret
    simulation = Simulation(
        table=table(),
        versioning=random.choice((Versioning.NEVER, *Versioning)),
        object_metadata=random.random() < 0.2,
    )
    happens = [_put, *_some((_put, *_CHANGES, _duplicate, _switch_versioning), random)]
    for _ in range(random.randint(2, 8)):
        random.choice(happens)(simulation, random)
        for _ in range(random.choice((0, 0, 1, 3))):
            _move(simulation, random)
        if simulation.pending and random.random() < 0.6:
            simulation.lose(
                random.choice((random.choice(simulation.pending), simulation.pending[-1]))
            )
    if not simulation.verify_and_repair():
        return None  # what was under way may still make a drift, for the next to find
    if simulation.divergence():
        return simulation
    # What was under way or waiting comes late, and what was lost may yet come.
    for _ in range(random.randint(2, 6)):
        simulation.settle(random)
        if simulation.divergence():
            return simulation
        random.choice((_duplicate, _duplicate, _repair))(simulation, random)
    # Life goes on.
    random.choice((_put, _delete))(simulation, random)
    simulation.settle(random)
    return simulation if simulation.divergence() else None


def _busy(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    # What is likely differs from time to time, so that rare things also come in numbers.
    changes = [_put, *_some(_CHANGES, random)]
    others = _some((*_OTHERS, *switches), random)
    pace = random.choice(((0,), (0, 1), (0, 1, 3), (1, 2, 3)))
    for _ in range(random.randint(2, 10)):
        random.choice(changes if random.random() < 0.6 else others)(simulation, random)
        for _ in range(random.choice(pace)):
            _move(simulation, random)


def _turn(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    """A setting is switched between two changes."""
    random.choice((_put, _put, _delete))(simulation, random)
    for _ in range(random.choice((0, 2))):
        _move(simulation, random)
    random.choice(switches)(simulation, random)
    random.choice((_put, _put, _delete))(simulation, random)


def _quiet(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    """Nothing changes for good that would set right what a late event has put wrong."""
    random.choice((_duplicate, _repair))(simulation, random)
    for _ in range(random.choice((0, 2))):
        _move(simulation, random)
    random.choice((_wait, _flicker, *switches))(simulation, random)
    _duplicate(simulation, random)


def _some(actions: Sequence[_Action], random: Random) -> list[_Action]:
    return random.sample(actions, random.randint(1, len(actions)))


def _move(simulation: Simulation, random: Random) -> None:
    """Deliver something or let a handler take a step."""
    if simulation.pending and (not simulation.handlers or random.random() < 0.4):
        size = min(random.choice((1, 1, 1, 2, 3)), len(simulation.pending))
        simulation.deliver(*random.sample(simulation.pending, size))
    elif simulation.handlers:
        simulation.advance(random.choice(simulation.handlers))


def _put(simulation: Simulation, random: Random) -> None:
    simulation.put(random.choice(CONTENTS))


def _delete(simulation: Simulation, random: Random) -> None:
    simulation.delete(random.choice(FAMILIES))


def _delete_version(simulation: Simulation, random: Random) -> None:
    if simulation.versions():
        simulation.delete_version(random.choice(simulation.versions()), random.choice(FAMILIES))


def _delete_current(simulation: Simulation, random: Random) -> None:
    if simulation.versions():
        simulation.delete_version(simulation.versions()[-1], random.choice(FAMILIES))


def _tag(simulation: Simulation, random: Random) -> None:
    if simulation.objects():
        simulation.tag(random.choice(simulation.objects()), random.choice(TAGS))


def _flicker(simulation: Simulation, random: Random) -> None:
    """A change that is taken back: afterwards it looks as if nothing had happened."""
    if not simulation.versions() or simulation.versions()[-1].marker:
        return
    current = simulation.versions()[-1]
    tags = random.random() < 0.5
    simulation.tag(current, "green") if tags else simulation.delete()
    for handler in list(simulation.handlers):
        simulation.advance(handler)
    if tags:
        simulation.tag(simulation.versions()[-1], current.tag)
    elif simulation.versions():
        simulation.delete_version(simulation.versions()[-1])


def _switch_versioning(simulation: Simulation, _random: Random) -> None:
    simulation.switch_versioning()


def _switch_object_metadata(simulation: Simulation, _random: Random) -> None:
    simulation.switch_object_metadata()


def _deploy(simulation: Simulation, _random: Random) -> None:
    if not simulation.deployed:
        simulation.deploy()


def _duplicate(simulation: Simulation, random: Random) -> None:
    if simulation.sent:
        simulation.duplicate(random.choice(simulation.sent))


def _backfill(simulation: Simulation, _random: Random) -> None:
    if simulation.deployed:
        simulation.backfill()


def _repair(simulation: Simulation, _random: Random) -> None:
    if simulation.deployed:
        simulation.repair()


def _wait(simulation: Simulation, random: Random) -> None:
    simulation.wait(random.choice(TIMES))
    if random.random() < 0.5:
        simulation.expire()


def _expire(simulation: Simulation, _random: Random) -> None:
    simulation.expire()


def _crash(simulation: Simulation, random: Random) -> None:
    if simulation.handlers:
        simulation.crash(random.choice(simulation.handlers))


def _deny(simulation: Simulation, random: Random) -> None:
    if simulation.handlers:
        simulation.deny(random.choice(simulation.handlers))


def _lose_answer(simulation: Simulation, random: Random) -> None:
    if simulation.handlers:
        simulation.lose_answer(random.choice(simulation.handlers))


_SWITCHES = (
    (_switch_versioning,),
    (_switch_object_metadata,),
    (_switch_versioning, _switch_object_metadata),
)
_CHANGES = (_put, _delete, _flicker, _delete_version, _delete_current, _tag)
_OTHERS = (
    _deploy,
    _duplicate,
    _duplicate,
    _backfill,
    _repair,
    _wait,
    _expire,
    _crash,
    _deny,
    _lose_answer,
)
