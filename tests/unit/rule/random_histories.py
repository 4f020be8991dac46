"""Random histories of one key: many per second, far more than a state machine explores.

A history is determined by its seed.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from random import Random

from function.repair import Settled
from tests.payloads import BUCKET
from tests.unit.rule.model_bucket import NULL, Versioning
from tests.unit.rule.model_table import ModelTable
from tests.unit.rule.simulation import KEY, TOMBSTONE_LIFE, Simulation

HISTORIES = 1500
"""The number of histories that show that the rule converges.

In how many of 1,500 histories each broken rule diverges, counted on two sets of seeds:

    the unchanged write is skipped                 9   13
    of a group the first event is inserted        10   12
    refresh does not keep the event's sequencer   11    6
    an upload is as old as its completion         29   34
    of a group the first event is applied         42   22
    events that need a look are inserted          46   46
    EventBridge: 00 restored at 16 digits alone   53   59
    events are applied whatever their age         55   56
    refresh writes without comparing revisions    62   71
    an INSERT replaces a tombstone                64   66
    events are ordered by their time              81   77
    no record is observed                         82   93
    an INSERT that found a record counts          95   96
    sequencers are ignored                       111  102
    refresh does not look again                  121  115
    sequencers are padded on the left            171  173
    the record is deleted, no tombstone is left  185  195

Three diverge in none or one, and have only their fixed histories: see test_safeguards.py.
"""

REPAIRS = 4000
"""The number of histories that show that a repair holds.

In how many of 4,000 histories each broken rule diverges, counted on two sets of seeds:

    an upload is not compared with the object       7   19
    takes a sequencer away after a refused write   16   17
    takes a sequencer away whatever the object     20   11
    takes no sequencer away                        26   35
    replaces the time of a later one               38   45
    a refresh drops the time of the last repair    65   69
    takes every sequencer away                    107  119
    has no time                                   187  196
"""

CONTENTS = ("A", "B")
FAMILIES = ("ObjectRemoved", "LifecycleExpiration")
TAGS = ("red", "blue", None)
TIMES = (timedelta(minutes=5), *(timedelta(days=days) for days in (1, 14, 29, 30, 60)))

_Action = Callable[[Simulation, Random], None]


def first_divergence(
    seeds: Iterable[int], table: Callable[[], ModelTable] = ModelTable
) -> Simulation | None:
    """Return the first history after which the index differs from the bucket."""
    histories = (diverging(seed, table) for seed in seeds)
    return next((history for history in histories if history), None)


def diverging(seed: int, table: Callable[[], ModelTable] = ModelTable) -> Simulation | None:
    """Return the history of this seed if the index differs after all events were delivered."""
    random = Random(seed)  # noqa: S311 # no secret
    simulation = Simulation(
        table=table(),
        versioning=random.choice((Versioning.NEVER, *Versioning)),
        object_metadata=random.random() < 0.4,
        derived_files=random.random() < 0.3,
        insert_first=random.random() < 0.5,
        expects_no_record=seed % 2 == 1,
        deployed=random.random() < 0.7,
    )
    if not simulation.deployed:
        _before(simulation, random)
    # Not every history switches everything: a bucket that was once versioned stays so.
    switches = random.choice(_SWITCHES)
    # Rare divergences need a rich past and a quiet present, so most rounds are quiet and cheap.
    fewest = int(simulation.deployed)
    rounds = [_busy] * random.randint(fewest, 2) + random.choices(
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
    """Return the history of this seed if a repair did not make up for earlier damage.

    Events were lost, or one came with too great a sequencer, which blocks the key for all others.
    """
    random = Random(seed)  # noqa: S311 # no secret
    simulation = Simulation(
        table=table(),
        versioning=random.choice((*[Versioning.NEVER] * 6, *Versioning)),
        object_metadata=random.random() < 0.1,
        expects_no_record=seed % 2 == 1,
        insert_first=random.random() < 0.5,
    )
    _go_wrong(simulation, random)
    settled = simulation.verify()
    if not settled:
        return None  # work in flight may still cause drift, which the next verification finds
    disturbed = random.random() < (0.8 if simulation.is_shut() else 0.4)
    if disturbed:
        disturb = random.choice((_repair_twice, _repair_while_it_changes, _repair_while_it_changes))
        disturb(simulation, settled, random)
    else:
        simulation.finish(simulation.repair_settled(settled))
        if simulation.divergence():
            return simulation
    simulation.abort_what_cannot_be_told()
    # Waiting events and requests in flight come late, and lost events may still come.
    for _ in range(random.randint(0, 3)):
        random.choice((_duplicate, _duplicate, _put, _delete, _complete, _repair))(
            simulation, random
        )
        _move(simulation, random)
    simulation.settle(random)
    if disturbed and simulation.is_shut():
        simulation.verify_and_repair()  # the next one finds the key at rest
    return simulation if simulation.divergence() else None


def _go_wrong(simulation: Simulation, random: Random) -> None:
    """Lose events, or let one come with too great a sequencer."""
    too_great = random.random() < 0.4
    changes = _some((*_CHANGES, _duplicate, _wait_a_little), random)
    for _ in range(random.randint(2, 6)):
        random.choice((_put, _begin, *changes))(simulation, random)
        for _ in range(random.choice((0, 0, 1, 3))):
            _move(simulation, random)
        if too_great and simulation.sent and random.random() < 0.1:
            simulation.handle(simulation.send_too_great(random.choice(simulation.sent)))
        elif simulation.pending and random.random() < 0.3:
            simulation.lose(random.choice(simulation.pending))
    if random.random() < 0.1:
        simulation.switch_versioning()
    _put(simulation, random)
    if too_great:
        simulation.handle(simulation.send_too_great(random.choice(simulation.sent)))
    _wait_a_little(simulation, random)
    random.choice((_put, _put, _delete))(simulation, random)
    if not too_great:
        simulation.lose(simulation.pending[-1])


def _repair_twice(simulation: Simulation, settled: Settled, random: Random) -> None:
    """Another repair, of the same state or a later one, overtakes the first."""
    slow = simulation.repair_settled(settled)
    for _ in range(random.randint(0, 2)):
        simulation.advance(slow)
    record = simulation.table.read(BUCKET, KEY)
    if record and not record.deleted and random.random() < 0.5:
        _put(simulation, random)
        simulation.lose(simulation.delete())  # otherwise there would be no drift
        settled = simulation.verify() or settled
        simulation.finish(simulation.repair_settled(settled))
    else:
        simulation.finish(simulation.repair_settled(settled))
        _wait_a_little(simulation, random)
        _put(simulation, random)
        simulation.handle(simulation.delete())
    if slow in simulation.handlers:
        simulation.finish(slow)


def _repair_while_it_changes(simulation: Simulation, settled: Settled, random: Random) -> None:
    repair = simulation.repair_settled(settled)
    if settled.etag is not None:  # else see test_limits.py
        _change_and_deliver(simulation, random)
    if repair in simulation.handlers:
        simulation.finish(repair)


def _change_and_deliver(simulation: Simulation, random: Random) -> None:
    for _ in range(random.choice((0, 1, 2, 2, 3))):
        random.choice((_put, _put, _delete))(simulation, random)
    events = simulation.pending[-random.randint(1, 3) :]
    for event in random.sample(events, random.randint(0, len(events))):
        simulation.handle(event)


def _before(simulation: Simulation, random: Random) -> None:
    """Change the bucket before the index exists."""
    for _ in range(random.randint(0, 4)):
        random.choice((_put, _put, _delete, _switch_versioning))(simulation, random)
    if random.random() < 0.5:
        simulation.settle(random)


def _busy(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    # The probabilities change from time to time, so that rare things also come in numbers.
    changes = [_put, *_some(_CHANGES, random)]
    others = _some((*_OTHERS, *switches), random)
    pace = random.choice(((0,), (0, 1), (0, 1, 3), (1, 2, 3)))
    for _ in range(random.randint(2, 10)):
        random.choice(changes if random.random() < 0.6 else others)(simulation, random)
        for _ in range(random.choice(pace)):
            _move(simulation, random)


def _turn(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    """Switch a setting between two changes."""
    random.choice((_put, _put, _delete, _begin))(simulation, random)
    for _ in range(random.choice((0, 2))):
        _move(simulation, random)
    random.choice(switches)(simulation, random)
    random.choice((_put, _put, _delete))(simulation, random)


def _quiet(simulation: Simulation, random: Random, switches: Sequence[_Action]) -> None:
    """Make no lasting change that would correct the damage of a late event."""
    random.choice((_duplicate, _repair, _expire_null))(simulation, random)
    for _ in range(random.choice((0, 2))):
        _move(simulation, random)
    random.choice((_wait, _flicker, *switches))(simulation, random)
    random.choice((_duplicate, _duplicate, _complete, _complete_late))(simulation, random)


def _some(actions: Sequence[_Action], random: Random) -> list[_Action]:
    return random.sample(actions, random.randint(1, len(actions)))


def _move(simulation: Simulation, random: Random) -> None:
    """Deliver something or let a handler take a step."""
    if simulation.pending and (not simulation.handlers or random.random() < 0.4):
        size = min(random.choice((1, 1, 1, 2, 3)), len(simulation.pending))
        simulation.deliver(*random.sample(simulation.pending, size))
    elif simulation.handlers:
        simulation.advance_or_fail(random.choice(simulation.handlers), random)


def _put(simulation: Simulation, random: Random) -> None:
    simulation.put(random.choice(CONTENTS))


def _delete(simulation: Simulation, random: Random) -> None:
    simulation.delete(random.choice(FAMILIES))


def _begin(simulation: Simulation, random: Random) -> None:
    simulation.begin(random.choice(CONTENTS))


def _complete(simulation: Simulation, random: Random) -> None:
    if simulation.uploads:
        simulation.complete(random.choice(simulation.uploads))


def _complete_late(simulation: Simulation, random: Random) -> None:
    """Keep an upload open for so long that no tombstone is left from its start."""
    if simulation.uploads:
        simulation.wait(TOMBSTONE_LIFE + timedelta(days=1))
        simulation.expire()
        _complete(simulation, random)


def _delete_version(simulation: Simulation, random: Random) -> None:
    if simulation.versions():
        simulation.delete_version(random.choice(simulation.versions()), random.choice(FAMILIES))


def _delete_current(simulation: Simulation, random: Random) -> None:
    if simulation.versions():
        simulation.delete_version(simulation.versions()[-1], random.choice(FAMILIES))


def _expire_null(simulation: Simulation, _random: Random) -> None:
    for version in simulation.versions()[:-1]:
        if version.id == NULL:
            simulation.delete_version(version, "LifecycleExpiration")


def _tag(simulation: Simulation, random: Random) -> None:
    if simulation.objects():
        simulation.tag(random.choice(simulation.objects()), random.choice(TAGS))


def _flicker(simulation: Simulation, random: Random) -> None:
    """Make a change and undo it: afterwards it looks as if nothing had happened."""
    if not simulation.versions() or simulation.versions()[-1].marker:
        return
    current = simulation.versions()[-1]
    change = random.choice(("tags", "content", "delete"))
    if change == "tags":
        simulation.tag(current, "green")
    elif change == "content":
        simulation.put("other")
    else:
        simulation.delete()
    for handler in list(simulation.handlers):
        simulation.advance(handler)
    if change == "tags":
        simulation.tag(simulation.versions()[-1], current.tag)
    elif change == "content":
        simulation.put(current.etag.removesuffix("-etag"))
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


def _wait_a_little(simulation: Simulation, _random: Random) -> None:
    simulation.wait(timedelta(seconds=20))


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


def _redeliver(simulation: Simulation, random: Random) -> None:
    running = [handler for handler in simulation.handlers if not handler.redelivered]
    if running:
        simulation.redeliver(random.choice(running))


def _send_again(simulation: Simulation, random: Random) -> None:
    writing = [h for h in simulation.handlers if h.steps.pending in ("write", "insert")]
    if writing:
        simulation.send_again(random.choice(writing))


def _arrive(simulation: Simulation, _random: Random) -> None:
    if simulation.late_requests:
        simulation.arrive()


_SWITCHES = (
    (_switch_versioning,),
    (_switch_object_metadata,),
    (_switch_versioning, _switch_object_metadata),
)
_CHANGES = (_put, _delete, _flicker, _delete_version, _delete_current, _tag, _begin, _complete)
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
    _redeliver,
    _send_again,
    _arrive,
)
