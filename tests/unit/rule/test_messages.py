"""Messages that come in batches, fail in part, and are redelivered until none is left.

These tests simulate whole invocations of the function, one after the other. test_convergence.py
covers what may happen between the steps of one.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from random import Random
from typing import Any

import pytest

from function.errors import ObjectEventsFailedError, PermissionDeniedError
from function.events import ObjectEvent
from function.groups import Group
from function.handler import Function
from function.indexer import Indexer
from function.insert_first import InsertFirst
from function.record import FileRecord, InsertResult, ObjectState
from function.settings import Settings
from tests.payloads import s3_document, sqs
from tests.unit.rule.model_bucket import ModelBucket, Versioning
from tests.unit.rule.model_table import ModelTable
from tests.unit.rule.simulation import TOMBSTONE_LIFE, Clock, divergence
from tests.unit.rule.test_convergence import SOAK

KEYS = ("a.txt", "b c.txt", "ä+.txt")
HISTORIES = 600 * SOAK
"""Reporting half a group fails in 21 to 26 of 600 histories."""

ENOUGH_MS = 60_000

Body = dict[str, Any]
"""The body of a message: a document as S3 sends it."""


class ReportsHalfAGroup(Function):
    """Reports only one of the messages that gave an event to a failed group."""

    def _group(self, events: Iterable[tuple[int, ObjectEvent]]) -> list[Group]:
        groups = super()._group(events)
        for group in groups:
            group.messages.intersection_update({min(group.messages)})
        return groups


REFUSALS = (
    InsertResult.THROTTLED,
    PermissionDeniedError("denied by the model"),
    ValueError("the model does not like it"),
)


class FailingTable(ModelTable):
    """A table in which writes of some keys fail, as if DynamoDB throttled them."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.refusal: InsertResult | Exception = InsertResult.THROTTLED
        """The result of an INSERT that fails."""
        self.answers_lost_after: int | None = None
        """How many of its INSERTs a request makes before it is broken off; None: all, and it ends.
        """

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        results = super().insert(records[: self.answers_lost_after])
        if self.answers_lost_after is not None:
            raise TimeoutError("no answer to the INSERTs")
        return results

    def _insert(self, record: FileRecord) -> InsertResult | Exception:
        return self.refusal if record.key in self.failing else super()._insert(record)

    def _store(self, record: FileRecord) -> None:
        if record.key in self.failing:
            raise TimeoutError(f"no answer for {record.key}")
        super()._store(record)


class FailsTheBatch(FailingTable):
    """A table whose request fails if one of its statements does."""

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        results = super().insert(records)
        return next(([one] * len(results) for one in results if one is self.refusal), results)


class Deployment:
    """A bucket whose events wait in a queue, the function, and the table."""

    def __init__(
        self,
        function: type[Function],
        versioning: Versioning,
        table: type[FailingTable] = FailingTable,
        *,
        insert_first: bool = True,
    ) -> None:
        self._clock = Clock()
        self._remaining_ms = ENOUGH_MS
        self.bucket = ModelBucket(self._clock.now, versioning)
        self.table = table()
        self.queue: list[Body] = []
        indexer = Indexer(
            index=self.table,
            objects=self,
            settings=Settings(table_name="files", tombstone_life=TOMBSTONE_LIFE),
            now=self._clock.now,
            pause=lambda _seconds: None,
        )
        first = InsertFirst(indexer, self.table) if insert_first else None
        self._function = function(indexer, insert_first=first)

    def head(self, _bucket: str, key: str) -> ObjectState | None:
        return self.bucket.head(key, metadata=False)

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms

    def send(self, *records: Body) -> None:
        self.queue.append(s3_document(*records))

    def receive(self, *bodies: Body, remaining_ms: int = ENOUGH_MS) -> None:
        """Invoke the function with a batch; messages reported as failed stay in the queue."""
        self._remaining_ms = remaining_ms
        for body in bodies:
            self.queue.remove(body)
        answer = self._function.handle(sqs(*bodies), self)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self.queue += [body for number, body in enumerate(bodies) if f"m{number}" in failed]

    def invoke(self, body: Body) -> None:
        """Invoke the function directly; if it raises, the event is redelivered."""
        self._remaining_ms = ENOUGH_MS
        self.queue.remove(body)
        try:
            self._function.handle(body, self)
        except ObjectEventsFailedError:
            self.queue.append(body)

    def divergence(self) -> str | None:
        found = (divergence(self.table, self.bucket, key, metadata=False) for key in KEYS)
        return next(filter(None, found), None)


def two_puts_of_a_key_fail_together(function: type[Function]) -> Deployment:
    deployment = Deployment(function, Versioning.NEVER)
    deployment.send(deployment.bucket.put(KEYS[0], "A"))
    deployment.send(deployment.bucket.put(KEYS[0], "B"))
    deployment.table.failing = {KEYS[0]}
    deployment.receive(*deployment.queue)
    deployment.table.failing = set()
    deployment.receive(*deployment.queue)
    return deployment


def first_divergence(seeds: Iterable[int], function: type[Function]) -> str | None:
    found = (_divergence(seed, function) for seed in seeds)
    return next(filter(None, found), None)


def _divergence(seed: int, function: type[Function]) -> str | None:
    random = Random(seed)  # noqa: S311 # no secret
    deployment = Deployment(
        function, random.choice(list(Versioning)), insert_first=random.random() < 0.7
    )
    for _ in range(random.randint(2, 6)):
        deployment.send(*(_change(deployment, random) for _ in range(random.randint(1, 2))))
    for _ in range(random.randint(0, 2)):
        deployment.queue.append(random.choice(deployment.queue))
    attempts = random.randint(0, 4)
    while deployment.queue:
        deployment.table.failing = set(
            random.sample(KEYS, random.randint(0, 2)) if attempts else ()
        )
        deployment.table.refusal = random.choice(REFUSALS)
        deployment.table.answers_lost_after = random.choice((None, None, 0, 1, 2))
        attempts = max(0, attempts - 1)
        if random.random() < 0.2:
            deployment.invoke(random.choice(deployment.queue))
            continue
        size = min(random.randint(1, 4), len(deployment.queue))
        late = attempts and random.random() < 0.1
        deployment.receive(
            *random.sample(deployment.queue, size), remaining_ms=0 if late else ENOUGH_MS
        )
    found = deployment.divergence()
    return f"seed {seed}: {found}" if found else None


def _change(deployment: Deployment, random: Random) -> Body:
    key = random.choice(KEYS)
    versions = deployment.bucket.versions(key)
    kind = random.choice(("put", "put", "delete", "delete version"))
    if (
        kind == "delete version"
        and versions
        and deployment.bucket.versioning is not Versioning.NEVER
    ):
        return deployment.bucket.delete_version(key, random.choice(versions))
    if kind == "delete":
        return deployment.bucket.delete(key)
    return deployment.bucket.put(key, random.choice("AB"))


class AtOnce(Executor):
    """A thread pool without threads: starting eight takes longer than a history."""

    def __init__(self, _workers: int) -> None:
        pass

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments, **named))
        except Exception as error:  # noqa: BLE001 # as a thread of the pool does
            future.set_exception(error)
        return future


@pytest.fixture(autouse=True)
def silent_and_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("file_index"), "disabled", True)
    monkeypatch.setattr("function.handler.ThreadPoolExecutor", AtOnce)


def test_a_failed_group_is_redelivered_as_a_whole() -> None:
    end = two_puts_of_a_key_fail_together(Function)

    assert not end.queue
    assert not end.divergence()


def test_a_half_reported_group_loses_its_newest_event() -> None:
    end = two_puts_of_a_key_fail_together(ReportsHalfAGroup)

    assert not end.queue
    assert end.divergence()


@pytest.mark.parametrize(("table", "left"), [(FailingTable, 1), (FailsTheBatch, 3)])
@pytest.mark.parametrize("refusal", REFUSALS[1:], ids=str)
def test_an_insert_that_fails_fails_its_key_alone(
    refusal: Exception, table: type[FailingTable], left: int
) -> None:
    deployment = Deployment(Function, Versioning.NEVER, table)
    for key in KEYS:
        deployment.send(deployment.bucket.put(key, "A"))
    deployment.table.failing = {KEYS[1]}
    deployment.table.refusal = refusal

    deployment.receive(*deployment.queue)

    assert len(deployment.queue) == left  # the broken table fails all of them
    deployment.table.failing = set()
    deployment.receive(*deployment.queue)
    assert not deployment.queue
    assert not deployment.divergence()


def test_messages_converge() -> None:
    assert not first_divergence(range(HISTORIES), Function)


def test_the_search_finds_the_half_reported_group() -> None:
    assert first_divergence(range(HISTORIES), ReportsHalfAGroup)
