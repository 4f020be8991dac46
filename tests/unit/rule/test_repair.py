"""Events that S3 never delivers: a repair makes up for them, and late events do not undo it."""

import dataclasses
import os
from collections.abc import Callable

from function.record import FileRecord
from tests.unit.rule.model_table import ModelTable
from tests.unit.rule.random_histories import diverging_after_repair
from tests.unit.rule.simulation import Simulation

SOAK = int(os.environ.get("SOAK", "1"))

HISTORIES = 3000
"""A repair that settles nothing diverges in 35 to 40, one that is forgotten in 16 to 19 of them."""


class RepairSettlesNothing(ModelTable):
    def _store(self, record: FileRecord) -> None:
        super()._store(dataclasses.replace(record, settled_at=None))


class NextRefreshForgetsTheRepair(ModelTable):
    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        if standing and record.settled_at == standing.settled_at:
            record = dataclasses.replace(record, settled_at=None)
        super().replace(record, standing)


def first_divergence(table: Callable[[], ModelTable] = ModelTable) -> Simulation | None:
    histories = (diverging_after_repair(seed, table) for seed in range(HISTORIES * SOAK))
    return next((history for history in histories if history), None)


def late_event_after_a_repair(table: ModelTable, *, repairs: int = 1) -> Simulation:
    history = Simulation(table=table)
    history.handle(history.put("A"))
    late = history.put("B")
    history.lose(history.delete())
    assert history.verify_and_repair()
    for _ in range(repairs - 1):
        history.finish(history.repair())
    history.handle(late)
    return history


def test_repair_makes_up_for_lost_events() -> None:
    found = first_divergence()

    assert not found, "\n".join([*found.history, found.divergence() or ""])


def test_without_its_time_a_repair_is_undone() -> None:
    assert late_event_after_a_repair(ModelTable()).divergence() is None
    assert late_event_after_a_repair(RepairSettlesNothing()).divergence()
    assert first_divergence(RepairSettlesNothing)


def test_a_refresh_that_forgets_the_repair_before_it_lets_it_be_undone() -> None:
    assert late_event_after_a_repair(ModelTable(), repairs=2).divergence() is None
    assert late_event_after_a_repair(NextRefreshForgetsTheRepair(), repairs=2).divergence()
    assert first_divergence(NextRefreshForgetsTheRepair)


def test_what_happens_after_a_repair_is_applied() -> None:
    history = Simulation()
    history.lose(history.put("A"))
    assert history.verify_and_repair()

    history.handle(history.put("B"))
    assert history.divergence() is None

    history.handle(history.delete())
    assert history.divergence() is None
