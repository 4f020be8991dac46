"""An INSERT before the write: whatever it meets, the end is that of the write alone."""

from datetime import timedelta

import pytest

from function.errors import PermissionDeniedError
from function.events import ObjectEvent, Outcome
from tests.payloads import BUCKET
from tests.unit.rule.broken_rules import put_with_another_revision_after_an_insert
from tests.unit.rule.model_bucket import Versioning
from tests.unit.rule.simulation import KEY, TOMBSTONE_LIFE, Handler, Simulation


def inserting(history: Simulation, event: ObjectEvent) -> Handler:
    """Start a handler that inserts first."""
    handler = history.deliver(event)
    assert handler.steps.pending == "insert"
    return handler


def lose_the_response(history: Simulation, *, gives_up: bool) -> Handler:
    """Let an INSERT happen but lose its response; it is sent again unless the handler gives up."""
    handler = inserting(history, history.put())
    history.lose_answer(handler)
    if gives_up:
        history.give_up(handler)
    history.finish(handler)
    return handler


def test_a_new_object_needs_one_call() -> None:
    history = Simulation(insert_first=True)

    handler = inserting(history, history.put())
    history.advance(handler)

    assert handler.outcomes == [Outcome.INDEXED]
    assert not history.divergence()


def test_the_newest_event_of_a_group_is_inserted_for_all() -> None:
    history = Simulation(insert_first=True)
    older, newer = history.put("A"), history.put("B")

    handler = history.deliver(newer, older)
    history.advance(handler)

    assert handler.outcomes == [Outcome.INDEXED, Outcome.SUPERSEDED]
    assert not history.divergence()


@pytest.mark.parametrize("tombstones", ["young", "expired", "removed"])
def test_a_put_that_comes_late_does_not_bring_the_object_back(tombstones: str) -> None:
    history = Simulation(insert_first=True)
    put = history.put()
    history.handle(put)
    history.handle(history.delete())
    history.duplicate(put)
    if tombstones != "young":
        history.wait(TOMBSTONE_LIFE + timedelta(days=1))
    if tombstones == "removed":
        history.expire()

    handler = history.deliver(put)

    assert handler.steps.pending == ("insert" if tombstones == "young" else "read")
    history.finish(handler)
    assert not history.divergence()


def test_a_put_replaces_a_tombstone_that_has_not_expired() -> None:
    history = Simulation(insert_first=True)
    history.handle(history.delete())

    handler = inserting(history, history.put())
    history.advance(handler)
    assert handler.steps.pending == "write"
    history.finish(handler)

    assert handler.outcomes == [Outcome.INDEXED]
    assert not history.divergence()


def test_the_key_of_an_observed_record_is_looked_at() -> None:
    history = Simulation(insert_first=True)
    unversioned = history.put("A")
    history.switch_versioning()
    history.handle(history.put("B"))
    record = history.table.read(BUCKET, KEY)
    assert record
    assert record.observed

    handler = inserting(history, unversioned)
    history.advance(handler)
    history.advance(handler)

    assert handler.steps.pending == "read"
    history.finish(handler)
    assert not history.divergence()


def test_a_put_from_before_a_repair_is_superseded() -> None:
    history = Simulation(insert_first=True)
    history.handle(history.put("A"))
    between = history.put("B")
    history.lose(history.delete())
    assert history.verify_and_repair()

    handler = inserting(history, between)
    history.finish(handler)

    assert handler.outcomes == [Outcome.SUPERSEDED]
    assert not history.divergence()


def test_a_throttled_insert_is_followed_by_a_put() -> None:
    history = Simulation(insert_first=True)
    handler = inserting(history, history.put())

    history.throttle(handler)

    assert handler.steps.pending == "write"
    history.finish(handler)
    assert handler.outcomes == [Outcome.INDEXED]
    assert not history.divergence()


def test_a_denied_insert_fails_and_its_event_is_redelivered() -> None:
    history = Simulation(insert_first=True)
    event = history.put()

    history.deny(inserting(history, event))

    assert [type(failure) for failure in history.failures] == [PermissionDeniedError]
    assert history.pending == [event]
    history.handle(event)
    assert not history.divergence()


@pytest.mark.parametrize("gives_up", [False, True], ids=["sent again", "given up"])
def test_an_insert_whose_response_was_lost_has_indexed_the_object(*, gives_up: bool) -> None:
    history = Simulation(insert_first=True)

    handler = lose_the_response(history, gives_up=gives_up)

    assert handler.outcomes == [Outcome.INDEXED]
    assert not history.divergence()


def test_another_revision_would_count_it_as_superseded(monkeypatch: pytest.MonkeyPatch) -> None:
    put_with_another_revision_after_an_insert(monkeypatch)

    handler = lose_the_response(Simulation(insert_first=True), gives_up=True)

    assert handler.outcomes == [Outcome.SUPERSEDED]


def test_an_insert_that_arrives_after_the_put_in_its_place_changes_nothing() -> None:
    history = Simulation(insert_first=True)
    handler = inserting(history, history.put("A"))
    history.send_again(handler)
    history.give_up(handler)
    history.finish(handler)
    history.handle(history.delete())

    history.arrive()

    assert not history.divergence()


def test_an_insert_that_arrives_after_a_newer_event_changes_nothing() -> None:
    history = Simulation(insert_first=True)
    handler = inserting(history, history.put("A"))
    history.send_again(handler)
    history.handle(history.put("B"))
    history.arrive()
    history.finish(handler)

    assert handler.outcomes == [Outcome.SUPERSEDED]
    assert not history.divergence()


@pytest.mark.parametrize(
    "history",
    [
        Simulation(insert_first=True, object_metadata=True),
        Simulation(insert_first=True, derived_files=True),
        Simulation(insert_first=True, versioning=Versioning.ENABLED),
    ],
    ids=["object metadata", "derived files", "versions"],
)
def test_an_object_that_must_be_looked_at_is_not_inserted(history: Simulation) -> None:
    handler = history.deliver(history.put())

    assert handler.steps.pending in ("read", "make")


def test_a_delete_is_not_inserted() -> None:
    history = Simulation(insert_first=True)

    assert history.deliver(history.put(), history.delete()).steps.pending == "write"
