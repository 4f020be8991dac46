"""The limits of the rule, each with a history that shows it: docs/decisions.md, "Limits".

Each one needs a look at the object, which the function is not allowed to take, or an event that S3
never delivers. A verification finds the drift, and its repair holds.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.rule.simulation import Simulation


def upload_that_a_delete_overtook_before_the_deployment() -> Simulation:
    history = Simulation(deployed=False)
    history.put("A")
    upload = history.begin("B")
    history.delete()
    history.deployed = True
    history.handle(history.complete(upload))
    return history


def upload_that_a_lost_delete_overtook() -> Simulation:
    history = Simulation()
    history.handle(history.put("A"))
    upload = history.begin("B")
    history.lose(history.delete())
    assert history.verify_and_repair()
    history.handle(history.complete(upload))
    return history


def upload_that_a_put_overtook_within_seconds_before_the_deployment() -> Simulation:
    history = Simulation(deployed=False)
    upload = history.begin("B")
    history.put("A")
    history.deployed = True
    history.finish(history.backfill())
    history.handle(history.complete(upload))
    return history


def upload_that_is_open_for_more_than_a_year() -> Simulation:
    history = Simulation()
    upload = history.begin("A")
    history.handle(history.delete())
    history.wait(timedelta(days=367))
    history.expire()
    history.handle(history.complete(upload))
    return history


def put_and_delete_while_a_shut_key_is_repaired() -> Simulation:
    history = Simulation()
    put = history.put("A")
    history.handle(put)
    history.handle(history.send_too_great(put))
    history.handle(history.delete())  # superseded
    settled = history.verify()
    assert settled
    late = history.put("B")
    history.handle(history.delete())  # superseded
    history.finish(history.repair_settled(settled))  # gone, as before
    history.handle(late)
    return history


History = Callable[[], Simulation]


@pytest.mark.parametrize(
    "history",
    [
        upload_that_a_delete_overtook_before_the_deployment,
        upload_that_a_lost_delete_overtook,
        upload_that_a_put_overtook_within_seconds_before_the_deployment,
        upload_that_is_open_for_more_than_a_year,
        put_and_delete_while_a_shut_key_is_repaired,
    ],
)
def test_drift_that_cannot_be_prevented_is_repaired_for_good(history: History) -> None:
    end = history()
    assert end.divergence()

    assert end.verify_and_repair()

    for event in end.sent:
        end.duplicate(event)
        end.handle(event)
    assert not end.divergence()
    end.wait(timedelta(minutes=1))
    end.handle(end.put("C"))
    assert not end.divergence()
