"""CPU per event of a warm function, beside other handlers."""

from functools import partial

from ..pairs import ratios
from ..results import Ratio, Section
from .bench import (
    FLOOR,
    GET_THEN_PUT,
    HEAD_THEN_PUT,
    PLAIN_PUT,
    POWERTOOLS,
    Bench,
    Handler,
)
from .deployments import Deployment

EVENTS = 600
OTHERS = (PLAIN_PUT, GET_THEN_PUT, HEAD_THEN_PUT, POWERTOOLS, FLOOR)
DEPLOYMENTS = [
    Deployment(versioned, batch) for versioned in (False, True) for batch in (None, 10, 100, 1000)
]
TARGETS = {
    f"{Deployment(versioned=False).name}: ours / {PLAIN_PUT.name}": 1.05,
    f"{Deployment(versioned=False, batch=100).name}: ours / {PLAIN_PUT.name}": 0.15,
}


def measure() -> Section:
    """Measure every deployment."""
    found: list[Ratio] = []
    with Bench() as bench:
        for deployment in DEPLOYMENTS:
            found += ratios(
                partial(_cpu_ms, bench, deployment, deployment.ours),
                {
                    f"{deployment.name}: ours / {other.name}": partial(
                        _cpu_ms, bench, deployment, other
                    )
                    for other in OTHERS
                },
                unit="CPU ms per event",
                targets=TARGETS,
            )
    return Section(title="CPU per event", ratios=found)


def _cpu_ms(bench: Bench, deployment: Deployment, handler: Handler) -> float:
    events = max(EVENTS, deployment.batch or 0)
    return deployment.create(bench, handler, events).cpu_ms / events
