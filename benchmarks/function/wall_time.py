"""Wall time of batches if every request takes 5 ms, beside puts one after another."""

from functools import partial

from ..pairs import ratio
from ..results import Section
from .bench import PLAIN_PUT, Bench, Handler
from .deployments import Deployment

LATENCY_MS = 5
FEWEST_EVENTS = 200
TARGETS = {Deployment(versioned=False, batch=100): 0.10}


def measure() -> Section:
    """Measure batches of each size."""
    with Bench() as bench:
        return Section(
            title=f"Wall time at {LATENCY_MS} ms latency",
            ratios=[
                ratio(
                    f"{deployment.name}: ours / sequential puts",
                    partial(_wall_ms, bench, deployment, deployment.ours),
                    partial(_wall_ms, bench, deployment, PLAIN_PUT),
                    unit="ms per event",
                    target=TARGETS.get(deployment),
                )
                for versioned in (False, True)
                for deployment in (Deployment(versioned, batch) for batch in (10, 100, 1000))
            ],
        )


def _wall_ms(bench: Bench, deployment: Deployment, handler: Handler) -> float:
    events = max(FEWEST_EVENTS, deployment.batch or 0)
    return deployment.create(bench, handler, events, LATENCY_MS).wall_ms / events
