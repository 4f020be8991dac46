"""When a difference is drift, and the order of a verification."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from cli import verify
from cli.address import Address
from cli.checkpoint import Left, Range
from cli.function.errors import ContentionError
from cli.function.events import ObjectEvent
from cli.function.filters import Filters
from cli.function.indexer import Indexer
from cli.function.listed import Listed, Page
from cli.function.listing import Listing
from cli.function.reconciliation.comparison import Comparison, Kind
from cli.function.reconciliation.failures import Failure
from cli.function.reconciliation.findings import UNSETTLED, Drift
from cli.function.record import FileRecord, ObjectState
from cli.function.repair import Settled
from cli.progress import Work
from cli.reader import IndexReader
from cli.verify import Step, Verification, settled_at

START = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NOTHING = Left()


def listed(key: str, etag: str = "e") -> Listed:
    return Listed(key, etag, 1, START)


def record(key: str, etag: str = "e", revision: str = "r", **more: Any) -> FileRecord:
    return FileRecord(
        bucket="b",
        key=key,
        indexed_at=START,
        revision=revision,
        state=ObjectState(etag=etag, size=1),
        **more,
    )


@dataclass
class World:
    """A bucket, its index and the time, each as a test has them."""

    monkeypatch: pytest.MonkeyPatch
    objects: dict[str, list[Listed | None]] = field(default_factory=dict)
    """The results of the looks at an object, the listing first; the last one stays."""
    records: dict[str, list[FileRecord | None]] = field(default_factory=dict)
    seconds: float = 0.0
    reading: float = 0.0
    """How many seconds it takes to read a record."""
    looks: list[tuple[float, str]] = field(default_factory=list)
    repairs: list[tuple[str, Settled]] = field(default_factory=list)
    contended: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr("time.monotonic", lambda: self.seconds)
        self.monkeypatch.setattr("time.sleep", self._sleep)
        # One thread, so that the looks are in order.
        self.monkeypatch.setattr(verify, "WORKERS", 1)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds + 0.001  # a clock that is read later is later

    @property
    def now(self) -> datetime:
        return START + self.seconds * SECOND

    def put(self, key: str, *states: tuple[Listed | None, FileRecord | None]) -> None:
        """Set what the listing finds for a key, and then each look."""
        self.objects[key] = [one for one, _ in states]
        self.records[key] = [other for _, other in states]

    def reach(self, prefix: str) -> None:
        pass

    def pages(self, _: str, after: str = "") -> Iterator[Page]:
        for key in sorted(self.objects):
            if key > after:
                found = _next(self.objects[key])
                yield Page([found] if found else [], self.now)

    def list_prefix(self, _: str, __: str, after: str = "") -> Iterator[FileRecord]:
        for key in sorted(self.records):
            if key > after:
                found = _next(self.records[key])
                if found and not found.deleted:
                    yield found

    def find(self, key: str) -> tuple[Listed | None, datetime]:
        self.looks.append((round(self.seconds, 1), key))
        return _next(self.objects[key]), self.now

    def read(self, bucket: str, key: str) -> FileRecord | None:
        assert bucket == "b"
        self.seconds += self.reading
        if key in self.unreadable:
            raise ReadTimeoutError(endpoint_url="https://table")
        found: FileRecord | None = _next(self.records[key])
        return found

    def refresh(self, event: ObjectEvent, settled: Settled) -> None:
        assert (event.bucket, event.name) == ("b", "Repair")
        if event.key in self.contended:
            raise ContentionError("others write it")
        self.repairs.append((event.key, settled))

    def verification(self, grace: float = 60, *, repair: bool = True) -> Verification:
        return Verification(
            listing=cast(Listing, self),
            reader=cast(IndexReader, self),
            indexer=cast(Indexer, self) if repair else None,
            comparison=Comparison(Filters(), versions=False),
            grace=grace,
        )

    def steps(
        self,
        left: Left = NOTHING,
        failed: list[tuple[Failure, int]] | None = None,
        **more: Any,
    ) -> list[Step]:
        verification = self.verification(**more)
        return list(verification.steps(Address("b", ""), left, failed or [], Work("Verifying")))


def _next(states: list[Any]) -> Any:
    return states.pop(0) if len(states) > 1 else states[0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(
    ("between", "before_now"), [(0, 5), (4, 5), (10, 5), (12, 6), (120, 60), (600, 300)]
)
def test_the_settled_time_is_well_between_both_looks(between: int, before_now: int) -> None:
    now = START + between * SECOND

    assert settled_at(START, now) == now - before_now * SECOND


def test_a_repair_settles_what_happened_between_its_two_looks(world: World) -> None:
    world.put("a", (listed("a"), None))

    (step,) = world.steps(grace=60)

    assert isinstance(step.found, Drift)
    assert step.found.repaired
    ((key, settled),) = world.repairs
    assert key == "a"
    assert abs(settled.at - (START + 30 * SECOND)) < SECOND
    ((at, _),) = world.looks
    assert 60 <= at < 61


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ((listed("a"), None), ("e", START, None)),
        ((listed("a"), record("a", "old")), ("e", START, "r")),
        ((None, record("a")), (None, None, "r")),
        # A tombstone may block the key.
        ((listed("a"), replace(record("a"), state=None)), ("e", START, "r")),
    ],
)
def test_a_repair_knows_what_was_seen_and_when(
    world: World,
    state: tuple[Listed | None, FileRecord | None],
    seen: tuple[str | None, datetime | None, str | None],
) -> None:
    world.put("a", state)
    world.reading = 3.0

    list(world.steps(grace=60))

    ((_, settled),) = world.repairs
    assert (settled.etag, settled.last_modified, settled.revision) == seen
    # The record's sequencer is no later than this, however long it took to read it.
    assert settled.clock == world.now


@pytest.mark.parametrize(
    "states",
    [
        # The record is rewritten with the same content.
        [(listed("a"), record("a", "old", "1")), (listed("a"), record("a", "old", "2"))],
        # It comes, or goes.
        [(listed("a"), None), (listed("a"), record("a", "old", "2"))],
        [(listed("a"), record("a", "old", "1")), (listed("a"), None)],
        # The object changes.
        [(listed("a", "1"), None), (listed("a", "2"), None)],
        [(None, record("a")), (listed("a", "2"), record("a"))],
        [(listed("a", "2"), record("a")), (None, record("a"))],
    ],
)
def test_a_key_that_changed_between_two_looks_is_looked_at_again(
    world: World, states: list[tuple[Listed | None, FileRecord | None]]
) -> None:
    world.put("a", *states)

    (step,) = world.steps(grace=60)

    assert isinstance(step.found, Drift)
    assert [key for _, key in world.looks] == ["a", "a"]
    # The settled time is between the looks with the same result.
    ((_, settled),) = world.repairs
    assert abs(settled.at - (START + 90 * SECOND)) < SECOND


def test_a_drift_is_reported_as_of_the_second_look(world: World) -> None:
    world.put("a", (listed("a"), record("a", "old")))

    (step,) = world.steps(repair=False)

    assert step.found == Drift(Kind.MISMATCH, "b", "a", listed("a"), record("a", "old"))


def test_an_unreadable_key_is_a_failure_of_that_key(world: World) -> None:
    for key in ("a", "b"):
        world.put(key, (listed(key), None))
    world.unreadable.add("a")

    first, second = world.steps()

    cause = 'Read timeout on endpoint URL: "https://table"'
    assert first.found == Failure("a", cause)
    assert isinstance(second.found, Drift)
    # In a resumed run, it still is.
    (again,) = world.steps(Left(()), [(Failure("a", "earlier"), 10)])
    assert again.found == Failure("a", cause)


def test_s3_is_asked_for_its_time_if_the_listing_did_not_have_it(world: World) -> None:
    world.put("a", (None, record("a")))
    world.pages = lambda *_: iter(())  # type: ignore[method-assign]

    (step,) = world.steps(grace=60)

    assert isinstance(step.found, Drift)
    assert [key for _, key in world.looks] == ["a", "a"]
    assert abs(world.repairs[0][1].at - (START + 30 * SECOND)) < SECOND


def test_a_key_that_became_equal_is_not_drift(world: World) -> None:
    world.put("a", (listed("a"), None), (listed("a"), record("a")))

    (step,) = world.steps()

    assert (step.found, step.keys, world.repairs) == (None, 1, [])


def test_a_rewritten_tombstone_is_not_a_change_of_the_record(world: World) -> None:
    gone = replace(record("a"), state=None)
    world.put("a", (listed("a"), gone), (listed("a"), replace(gone, revision="other")))

    (step,) = world.steps()

    assert isinstance(step.found, Drift)
    assert step.found.kind is Kind.ORPHAN
    assert len(world.looks) == 1


def test_a_key_that_keeps_changing_is_given_up_after_five_looks(world: World) -> None:
    world.put("a", *((listed("a", str(number)), None) for number in range(9)))

    (step,) = world.steps(grace=10)

    assert step.found == Failure("a", "it kept changing: not compared", kind=UNSETTLED)
    assert [round(at / 10) for at, _ in world.looks] == [1, 2, 3, 4, 5]


def test_a_record_that_others_keep_writing_is_given_up_after_five_looks(world: World) -> None:
    world.put("a", (listed("a"), None))
    world.contended.add("a")

    (step,) = world.steps(grace=10)

    assert isinstance(step.found, Failure)
    assert step.found.kind == UNSETTLED
    assert len(world.looks) == 5


def test_keys_are_finished_in_order_each_with_the_rest(world: World) -> None:
    world.put("a", (listed("a"), record("a")))
    world.put("b", (listed("b", "1"), None), (listed("b", "2"), None))
    world.put("c", (listed("c"), record("c")))
    world.put("d", (listed("d"), None))
    world.put("e", (listed("e"), record("e")))

    steps = world.steps(repair=False)

    assert [(step.ranges, step.keys, step.found and step.found.key) for step in steps] == [
        ((Range("a"),), 1, None),
        ((Range("c"),), 2, "b"),
        ((Range("e"),), 2, "d"),
    ]
    # Though d was judged before b was.
    assert [key for _, key in world.looks] == ["b", "d", "b"]
    assert world.repairs == []


def test_the_remaining_ranges_are_compared_in_turn(world: World) -> None:
    for key in "abcdef":
        world.put(key, (listed(key), record(key)))
    left = Left((Range("a", "c"), Range("d", None)), retried=7)

    steps = world.steps(left)

    assert [(step.ranges, step.retried) for step in steps] == [
        ((Range("b", "c"), Range("d")), 7),
        ((Range("c", "c"), Range("d")), 7),
        ((Range("e"),), 7),
        ((Range("f"),), 7),
    ]


def test_keys_that_failed_in_an_earlier_run_are_tried_first(world: World) -> None:
    for key in ("a", "b", "c", "d"):
        world.put(key, (listed(key), None))
    world.put("b", (listed("b"), record("b")))
    earlier = [(Failure("c", "cause", kind="orphan"), 10), (Failure("b", "cause"), 20)]

    steps = world.steps(Left((Range("c"),)), earlier, grace=60)

    assert [
        (step.ranges, step.retried, step.keys, step.earlier, step.found and step.found.key)
        for step in steps
    ] == [
        ((Range("c"),), 10, 0, earlier[0][0], "c"),
        ((Range("c"),), 20, 0, earlier[1][0], None),
        ((Range("d"),), 20, 1, None, "d"),
    ]
    # It is looked at twice, as every other suspect.
    assert [key for _, key in world.looks] == ["c", "b", "c", "d"]
    assert abs(world.repairs[0][1].at - (START + 30 * SECOND)) < SECOND


def test_suspects_beyond_a_number_wait_for_the_oldest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_MOST_WAITING", 2)
    for number in range(6):
        world.put(str(number), (listed(str(number)), None))

    steps = world.steps(grace=60)

    assert [step.found and step.found.key for step in steps] == list("012345")
    assert [key for _, key in world.looks] == list("012345")
    # The first three were looked at again before the others were listed.
    assert [at for at, _ in world.looks][:3] == [world.looks[0][0]] * 3
    assert world.looks[3][0] > world.looks[0][0] + 30
