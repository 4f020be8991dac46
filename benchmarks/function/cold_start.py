"""Cold start under Lambda's runtime interface client: process start to the first answer."""

from collections.abc import Callable

from ..pairs import ratios
from ..results import Section
from .bench import OURS, PLAIN_PUT, POWERTOOLS, Bench, ColdStart, Handler
from .events import direct, event, key_of

PAIRS = 11
OTHERS = (PLAIN_PUT, POWERTOOLS)


def measure() -> Section:
    """Measure CPU and wall time."""
    with Bench() as bench:

        def started(handler: Handler) -> ColdStart:
            bench.server.reset()
            return bench.cold_start(handler, direct([event(key_of(0))])[0])

        def cpu_ms(handler: Handler) -> Callable[[], float]:
            return lambda: started(handler).cpu_ms

        def wall_ms(handler: Handler) -> Callable[[], float]:
            return lambda: started(handler).wall_ms

        return Section(
            title="Cold start",
            ratios=[
                *ratios(
                    cpu_ms(OURS),
                    {f"CPU: ours / {other.name}": cpu_ms(other) for other in OTHERS},
                    pairs=PAIRS,
                    targets={f"CPU: ours / {PLAIN_PUT.name}": 0.85},
                ),
                *ratios(
                    wall_ms(OURS),
                    {f"wall time: ours / {other.name}": wall_ms(other) for other in OTHERS},
                    pairs=PAIRS,
                ),
            ],
        )
