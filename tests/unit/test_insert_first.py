"""How many INSERTs may be refused, whatever the events are."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.allowance import MOST_REFUSALS, RECORDS_PER_REFUSAL
from function.events import ObjectEvent
from function.groups import Group
from function.indexer import Indexer
from function.insert_first import InsertFirst
from function.record import FileRecord, InsertResult
from function.repository import MOST_INSERTS
from function.settings import Settings
from tests.unit.rule.model_table import ModelTable

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BATCH = 100
OLD, NEW = "old", "new"


class Process:
    """A process of the function, and a table that holds the keys that begin with `old`."""

    def __init__(self) -> None:
        self.tried = 0
        self.refused = 0
        self.responds = True
        self._first = InsertFirst(
            Indexer(
                index=ModelTable(),
                objects=None,  # type: ignore[arg-type] # nothing is looked at
                settings=Settings(table_name="files"),
                now=lambda: NOW,
                pause=lambda _seconds: None,
            ),
            self,
        )

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult]:
        self.tried += len(records)
        if not self.responds:
            raise TimeoutError("no response")
        refused = [record.key.startswith(OLD) for record in records]
        self.refused += sum(refused)
        return [InsertResult.PRESENT if one else InsertResult.WRITTEN for one in refused]

    def invoke(self, keys: Iterable[str]) -> int:
        """Return how many records were put."""
        groups = [
            Group(
                [
                    ObjectEvent(
                        bucket="b",
                        key=key,
                        name="ObjectCreated:Put",
                        sequencer="01",
                        time=NOW,
                    )
                ]
            )
            for key in keys
        ]
        candidates = self._first.candidates(groups)
        assert len(candidates) == len(groups)
        self._first.insert(candidates, lambda: True)
        return sum(not group.is_done for group in groups)


def units(events: str, processes: int, number: int) -> float:
    """Return the write units of each of `number` events, in batches for all processes alike."""
    written = 0
    for _ in range(processes):
        process = Process()
        for _ in range(number // processes // BATCH):
            written += BATCH  # each event is written once
            process.invoke([events] * BATCH)
        written += process.refused
    return written / number


def test_overwrites_in_fresh_processes_cost_little_more() -> None:
    assert 1 < units(OLD, processes=10, number=10_000) <= 1.05


def test_many_overwrites_in_a_process_cost_a_fiftieth_more() -> None:
    process = Process()
    for _ in range(100):
        process.invoke([OLD] * BATCH)

    assert 200 <= process.refused <= 225


def test_a_turn_to_overwrites_after_many_creations_costs_a_hundred_units() -> None:
    process = Process()
    for _ in range(100):
        process.invoke([NEW] * BATCH)
    assert process.refused == 0

    process.invoke([OLD] * 1000)

    assert process.refused == MOST_REFUSALS


def test_a_request_without_a_response_ends_the_inserts_of_an_invocation() -> None:
    process = Process()
    for _ in range(100):
        process.invoke([NEW] * BATCH)
    process.responds = False
    process.tried = 0

    assert process.invoke([NEW] * BATCH) == BATCH
    assert process.tried == MOST_INSERTS


def test_requests_without_a_response_count_as_refused() -> None:
    process = Process()
    process.responds = False

    for _ in range(10):
        process.invoke([NEW] * BATCH)

    assert process.tried == MOST_INSERTS


def test_creations_cost_no_more() -> None:
    assert units(NEW, processes=10, number=10_000) == 1


def test_overwrites_then_creations_then_overwrites_cost_little_more() -> None:
    process = Process()
    for key in (OLD, NEW, OLD):
        for _ in range(10):
            process.invoke([key] * BATCH)

    assert process.refused <= 0.05 * 3 * 10 * BATCH


def test_new_objects_are_inserted_again_after_overwrites() -> None:
    process = Process()
    for _ in range(10):
        process.invoke([OLD] * BATCH)

    put = [process.invoke([NEW] * BATCH) for _ in range(20)]

    assert put[0] == BATCH
    assert put[-1] == 0
    assert sum(put) <= MOST_INSERTS * RECORDS_PER_REFUSAL


@given(st.lists(st.lists(st.sampled_from((OLD, NEW)), min_size=1, max_size=130), max_size=60))
def test_few_inserts_are_refused_whatever_comes(invocations: list[list[str]]) -> None:
    process = Process()
    events = 0
    for keys in invocations:
        events += len(keys)
        process.invoke(keys)

        assert process.refused <= MOST_INSERTS + events / RECORDS_PER_REFUSAL


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_few_overwrites_among_new_objects_do_not_end_the_inserts(refusals: int) -> None:
    process = Process()
    keys = [OLD] * refusals + [NEW] * (BATCH - refusals)

    put = [process.invoke(keys) for _ in range(50)]

    assert sum(put) < 0.5 * len(put) * BATCH
