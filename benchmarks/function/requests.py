"""Requests and units that an event consumes, by what happened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..progress import note
from ..results import Figure, Section
from ..server import Counts
from .bench import Bench
from .deployments import Deployment
from .events import BUCKET, Event, key_of

EVENTS = 500
OVERWRITES = 1000
PROCESSES = 10
MOST_WRITE_UNITS = 1.05
DEPLOYMENTS = (
    Deployment(versioned=False),
    Deployment(versioned=False, batch=100),
    Deployment(versioned=True),
    Deployment(versioned=True, batch=100),
)

Make = Callable[[Deployment, Sequence[str]], list[Event]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Events, and those that were processed before them."""

    name: str
    before: Make
    events: Make
    object_exists: bool = True


def nothing(_: Deployment, __: Sequence[str]) -> list[Event]:
    """Return no events."""
    return []


def puts(deployment: Deployment, keys: Sequence[str]) -> list[Event]:
    """Return an upload of each key."""
    return [deployment.event(key) for key in keys]


def deletes(deployment: Deployment, keys: Sequence[str]) -> list[Event]:
    """Return a delete of each key, as the bucket reports it."""
    name = f"ObjectRemoved:{'DeleteMarkerCreated' if deployment.versioned else 'Delete'}"
    return [deployment.event(key, name) for key in keys]


def late_puts(deployment: Deployment, keys: Sequence[str]) -> list[Event]:
    """Return an upload of each key from before every event so far."""
    return [deployment.event(key, age=10**5) for key in keys]


KINDS = (
    Kind("put", nothing, puts),
    Kind("overwrite", puts, puts),
    Kind("delete", puts, deletes, object_exists=False),
    Kind("late", puts, late_puts),
)


def measure() -> Section:
    """Count every kind of event in every deployment."""
    figures: list[Figure] = []
    with Bench() as bench:
        for deployment in DEPLOYMENTS:
            for kind in KINDS:
                figures += _figures(
                    f"{deployment.name}, {kind.name}", _kind(bench, deployment, kind)
                )
            figures += _figures(f"{deployment.name}, duplicate", _duplicates(bench, deployment))
        for versioned in (False, True):
            figures += _write_units_of_overwrites(bench, Deployment(versioned, batch=100))
    return Section(title="Requests and units per event", figures=figures)


def _kind(bench: Bench, deployment: Deployment, kind: Kind) -> Counts:
    keys = [key_of(number) for number in range(EVENTS)]
    _start(bench, deployment, keys)
    bench.run(deployment.ours, [], deployment.payloads(kind.before(deployment, keys)))
    if not kind.object_exists:
        bench.server.fill_bucket(BUCKET, [], versioned=deployment.versioned)
    return _counted(bench, deployment, kind.events(deployment, keys))


def _duplicates(bench: Bench, deployment: Deployment) -> Counts:
    keys = [key_of(number) for number in range(EVENTS)]
    events = puts(deployment, keys)
    _start(bench, deployment, keys)
    bench.run(deployment.ours, [], deployment.payloads(events))
    return _counted(bench, deployment, events)


def _start(bench: Bench, deployment: Deployment, keys: Sequence[str]) -> None:
    bench.server.reset()
    bench.server.fill_bucket(BUCKET, keys, versioned=deployment.versioned)


def _counted(bench: Bench, deployment: Deployment, events: Sequence[Event]) -> Counts:
    """Return what each event consumed, in a new process."""
    bench.server.reset_counts()
    bench.run(deployment.ours, [], deployment.payloads(events))
    counts = bench.server.counts()
    return Counts(
        {name: number / len(events) for name, number in counts.requests.items()},
        counts.write_units / len(events),
        counts.read_units / len(events),
    )


def _figures(name: str, counts: Counts) -> list[Figure]:
    shown = ", ".join(f"{number:g} {operation}" for operation, number in counts.requests.items())
    note(f"{name}: {shown}; {counts.write_units:g} write units")
    requests = sum(counts.requests.values())
    return [
        Figure(name=name, value=requests, unit="requests per event"),
        Figure(name=name, value=counts.write_units, unit="write units per event"),
        Figure(name=name, value=counts.read_units, unit="read units per event"),
    ]


def _write_units_of_overwrites(bench: Bench, deployment: Deployment) -> list[Figure]:
    """Count what is lost by writes that expect no record where there is one."""
    keys = [key_of(number) for number in range(PROCESSES * OVERWRITES)]
    shares = [keys[first : first + OVERWRITES] for first in range(0, len(keys), OVERWRITES)]
    new = [f"new/{key}" for key in keys[: 2 * OVERWRITES]]
    _start(bench, deployment, [*keys, *new])
    bench.run(deployment.ours, [], deployment.payloads(puts(deployment, keys)))
    bench.server.reset_counts()
    for share in shares:
        bench.run(deployment.ours, [], deployment.payloads(puts(deployment, share)))
    in_processes = bench.server.counts().write_units / len(keys)

    mixed = [keys[: 2 * OVERWRITES], new, keys[: 2 * OVERWRITES]]
    events = [event for some in mixed for event in puts(deployment, some)]
    in_turn = _counted(bench, deployment, events).write_units

    found = {
        f"{deployment.name}: {len(keys):,} overwrites in {PROCESSES} new processes": in_processes,
        f"{deployment.name}: overwrites, then creations, then overwrites": in_turn,
    }
    for name, value in found.items():
        note(f"{name}: {value:.3f} write units")
    return [
        Figure(name=name, value=value, unit="write units per event", target=MOST_WRITE_UNITS)
        for name, value in found.items()
    ]
