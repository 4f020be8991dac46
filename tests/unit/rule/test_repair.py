"""A repair corrects what events alone cannot, and late events do not undo it.

The damage is events that S3 never delivers, or one with too great a sequencer, which blocks its key
for all others. As in test_safeguards.py, each safeguard is removed twice.
"""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from function.events import ObjectEvent
from tests.unit.rule.broken_rules import (
    APPLIES_OVERTAKEN_UPLOADS,
    FORGETS_WHAT_WAS_SETTLED,
    REPAIR_SETTLES_NOTHING,
    SETTLES_EARLIER,
    TAKES_A_SEQUENCER_AWAY_AFTER_A_REFUSED_WRITE,
    TAKES_A_SEQUENCER_AWAY_WHATEVER_THE_OBJECT,
    TAKES_EVERY_SEQUENCER_AWAY,
    TAKES_NO_SEQUENCER_AWAY,
    BrokenRule,
)
from tests.unit.rule.model_table import ModelTable
from tests.unit.rule.random_histories import REPAIRS, diverging_after_repair
from tests.unit.rule.simulation import Simulation

SOAK = int(os.environ.get("SOAK", "1"))


def first_divergence(table: Callable[[], ModelTable] = ModelTable) -> Simulation | None:
    histories = (diverging_after_repair(seed, table) for seed in range(REPAIRS * SOAK))
    return next((history for history in histories if history), None)


def late_event_after_a_repair(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    history.handle(history.put("A"))
    late = history.put("B")
    history.lose(history.delete())
    assert history.verify_and_repair()
    history.handle(late)
    return history


def late_event_after_a_repair_and_a_refresh(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    history.handle(history.put("A"))
    late = history.put("B")
    history.lose(history.delete())
    assert history.verify_and_repair()
    history.finish(history.repair())
    history.handle(late)
    return history


def late_event_from_between_two_repairs(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    history.handle(history.put("A"))
    history.lose(history.delete())
    earlier = history.verify()
    late = history.put("B")
    history.lose(history.delete())
    later = history.verify()
    assert earlier
    assert later
    history.finish(history.repair_settled(later))
    history.finish(history.repair_settled(earlier))
    history.handle(late)
    return history


def upload_is_completed_after_the_repair_of_a_put_that_overtook_it(
    table: ModelTable,
) -> Simulation:
    history = Simulation(table=table)
    history.handle(history.put("A"))
    upload = history.begin("B")
    history.wait(timedelta(minutes=1))
    history.lose(history.put("C"))
    assert history.verify_and_repair()
    history.handle(history.complete(upload))
    return history


def upload_is_completed_after_the_repair_of_a_key_that_is_gone(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    upload = history.begin("B")
    history.handle(history.put("A"))
    history.lose(history.delete())
    assert history.verify_and_repair()
    history.handle(history.complete(upload))
    return history


def late_events_around_the_repair_of_a_shut_key(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    shuts(history, history.put("A"))
    before, lost = history.put("B"), history.put("C")
    history.handle(lost)
    assert history.verify_and_repair()
    after = history.put("D")
    history.handle(after)
    history.handle(before)
    history.duplicate(lost)
    history.handle(lost)
    return history


def another_repair_overtakes_one_of_a_shut_key(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    shuts(history, history.put("A"))
    history.handle(history.delete())
    settled = history.verify()
    assert settled
    slow = history.repair_settled(settled)
    history.advance(slow)  # reads the record
    history.finish(history.repair_settled(settled))
    history.wait(timedelta(seconds=20))
    put = history.put("B")
    history.handle(put)
    history.handle(history.delete())
    history.finish(slow)  # is refused, and looks again: gone, as before
    history.duplicate(put)
    history.handle(put)
    return history


def object_changes_under_the_repair_of_a_shut_key(table: ModelTable) -> Simulation:
    history = Simulation(table=table)
    shuts(history, history.put("A"))
    history.handle(history.put("B"))
    settled = history.verify()
    assert settled
    late, newest = history.put("C"), history.put("D")
    history.handle(newest)  # superseded
    history.finish(history.repair_settled(settled))  # sees D
    history.handle(late)
    return history


def shuts(history: Simulation, event: ObjectEvent) -> None:
    """Deliver the event, and again with too great a sequencer."""
    history.handle(event)
    history.handle(history.send_too_great(event))
    assert history.is_shut()


History = Callable[[ModelTable], Simulation]
SAFEGUARDS: list[tuple[BrokenRule, History]] = [
    (REPAIR_SETTLES_NOTHING, late_event_after_a_repair),
    (FORGETS_WHAT_WAS_SETTLED, late_event_after_a_repair_and_a_refresh),
    (SETTLES_EARLIER, late_event_from_between_two_repairs),
    (
        APPLIES_OVERTAKEN_UPLOADS,
        upload_is_completed_after_the_repair_of_a_put_that_overtook_it,
    ),
    (
        TAKES_EVERY_SEQUENCER_AWAY,
        upload_is_completed_after_the_repair_of_a_key_that_is_gone,
    ),
    (TAKES_NO_SEQUENCER_AWAY, late_events_around_the_repair_of_a_shut_key),
    (
        TAKES_A_SEQUENCER_AWAY_AFTER_A_REFUSED_WRITE,
        another_repair_overtakes_one_of_a_shut_key,
    ),
    (
        TAKES_A_SEQUENCER_AWAY_WHATEVER_THE_OBJECT,
        object_changes_under_the_repair_of_a_shut_key,
    ),
]
each_safeguard = pytest.mark.parametrize(
    ("broken", "history"), SAFEGUARDS, ids=[broken.name for broken, _ in SAFEGUARDS]
)


@each_safeguard
def test_history_converges_under_the_rule(broken: BrokenRule, history: History) -> None:  # noqa: ARG001 # named in the test's id
    end = history(ModelTable())

    assert not end.pending
    assert not end.divergence()


@each_safeguard
def test_history_diverges_without_the_safeguard(
    broken: BrokenRule, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.patch(monkeypatch)

    end = history(broken.table())

    assert not end.pending
    assert end.divergence(), f"expected drift: {broken.why}"


@pytest.mark.parametrize(
    "broken", [broken for broken, _ in SAFEGUARDS], ids=[broken.name for broken, _ in SAFEGUARDS]
)
def test_search_finds_a_divergence_without_the_safeguard(
    broken: BrokenRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.patch(monkeypatch)

    assert first_divergence(broken.table), f"expected drift: {broken.why}"


def test_repair_makes_up_for_what_events_cannot() -> None:
    found = first_divergence()

    assert not found, "\n".join([*found.history, found.divergence() or ""])


def test_what_happens_after_a_repair_is_applied() -> None:
    history = Simulation()
    history.lose(history.put("A"))
    assert history.verify_and_repair()

    history.handle(history.put("B"))
    assert history.divergence() is None

    history.handle(history.delete())
    assert history.divergence() is None
