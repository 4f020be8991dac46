"""Works on many things at once, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 16


def each(work: Callable[[T], R], things: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Yield each thing with its result, in order.

    If the caller stops, work that has begun is finished, and no other work begins.
    """
    under_way: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for thing in things:
            under_way.append((thing, pool.submit(work, thing)))
            if len(under_way) > 2 * WORKERS:
                done, result = under_way.popleft()
                yield done, result.result()
        while under_way:
            done, result = under_way.popleft()
            yield done, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
