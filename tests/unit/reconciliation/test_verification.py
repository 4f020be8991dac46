"""When a difference is drift."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from function.errors import ContentionError, UnreadableRecordError
from function.events import ObjectEvent
from function.filters import Filters
from function.indexer import Indexer
from function.listed import Listed, Page
from function.listing import Listing
from function.ranges import Range
from function.reader import IndexReader
from function.reconciliation.comparison import Comparison, Kind
from function.reconciliation.failures import Failure
from function.reconciliation.findings import UNSETTLED, Drift
from function.reconciliation.verification import Compared, Verification, settled_at
from function.record import FileRecord, ObjectState, Unreadable
from function.repair import Settled

START = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


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
class Result:
    """What a verification found."""

    keys: int
    found: list[Drift | Failure]


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
    """Keys whose record cannot be read alone."""
    damaged: set[str] = field(default_factory=set)
    """Keys whose item is not a record."""
    reported: list[Drift] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr("time.monotonic", lambda: self.seconds)
        self.monkeypatch.setattr("time.sleep", self._sleep)
        # One thread, so that the looks are in order.
        self.monkeypatch.setattr("function.reconciliation.workers.WORKERS", 1)

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

    def pages(self, _: str, of: Range) -> Iterator[Page]:
        for key in sorted(self.objects):
            if key in of:
                found = _next(self.objects[key])
                yield Page([found] if found else [], self.now, key if found else None)

    def list_range(self, _: str, of: Range, __: str) -> Iterator[FileRecord | Unreadable]:
        for key in sorted(self.records):
            if key in of:
                found = _next(self.records[key])
                if key in self.damaged:
                    yield Unreadable(key, UnreadableRecordError("not a record"))
                elif found:
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
            bucket="b",
            prefix="",
            grace=grace,
        )

    def judged(self, grace: float = 60, *, repair: bool = True) -> Result:
        """Compare everything, and judge each suspect when it is due."""
        verification = self.verification(grace, repair=repair)
        compared = verification.compare(Range(), lambda _: False)
        result = Result(compared.keys, list(compared.failures))
        waiting = compared.suspects
        while waiting:
            self.seconds = max(self.seconds, waiting[0].due)
            due = [one for one in waiting if one.due <= self.seconds]
            judged = verification.judge(due, self.reported.append)
            result.keys += judged.keys
            result.found += judged.found
            waiting = [one for one in waiting if one not in due] + judged.again
        return result


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

    (found,) = world.judged(grace=60).found

    assert isinstance(found, Drift)
    assert found.repaired
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

    world.judged(grace=60)

    ((_, settled),) = world.repairs
    assert (settled.etag, settled.last_modified, settled.revision) == seen
    # However slow the read was, the record's sequencer is not later than this.
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

    (found,) = world.judged(grace=60).found

    assert isinstance(found, Drift)
    assert [key for _, key in world.looks] == ["a", "a"]
    # The settled time is between the looks with the same result.
    ((_, settled),) = world.repairs
    assert abs(settled.at - (START + 90 * SECOND)) < SECOND


def test_a_drift_is_reported_as_of_the_second_look(world: World) -> None:
    world.put("a", (listed("a"), record("a", "old")))

    (found,) = world.judged(repair=False).found

    assert world.reported == [found]
    assert found == Drift(Kind.MISMATCH, "b", "a", listed("a"), record("a", "old"))


def test_an_unreadable_key_is_a_failure_of_that_key(world: World) -> None:
    for key in ("a", "b"):
        world.put(key, (listed(key), None))
    world.unreadable.add("a")

    first, second = world.judged().found

    cause = 'Read timeout on endpoint URL: "https://table"'
    assert first == Failure("a", cause)
    assert isinstance(second, Drift)
    # Alone, it still is.
    assert world.verification().look(Range(up_to="a")).failures == [Failure("a", cause)]


def test_s3_is_asked_for_its_time_if_the_listing_did_not_have_it(world: World) -> None:
    world.put("a", (None, record("a")))
    world.pages = lambda *_: iter(())  # type: ignore[method-assign]

    (found,) = world.judged(grace=60).found

    assert isinstance(found, Drift)
    assert [key for _, key in world.looks] == ["a", "a"]
    assert abs(world.repairs[0][1].at - (START + 30 * SECOND)) < SECOND


def test_a_key_that_became_equal_is_not_drift(world: World) -> None:
    world.put("a", (listed("a"), None), (listed("a"), record("a")))

    assert world.judged() == Result(1, [])
    assert world.repairs == []


def test_a_rewritten_tombstone_is_not_a_change_of_the_record(world: World) -> None:
    gone = replace(record("a"), state=None)
    world.put("a", (listed("a"), gone), (listed("a"), replace(gone, revision="other")))

    (found,) = world.judged().found

    assert isinstance(found, Drift)
    assert found.kind is Kind.ORPHAN
    assert len(world.looks) == 1


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        # The record follows the object.
        ([(listed("a", str(n)), record("a", "old", str(n))) for n in range(9)], UNSETTLED),
        # It does not: no event comes, or it is not applied.
        ([(listed("a", str(n)), None) for n in range(9)], None),
        ([(listed("a", str(n)), record("a", "old")) for n in range(9)], None),
        # Only the last two looks count.
        (
            [
                *((listed("a", str(n)), record("a", "old", str(n))) for n in range(5)),
                (listed("a", "5"), record("a", "old", "4")),
            ],
            None,
        ),
    ],
)
def test_a_key_that_keeps_changing_is_given_up_after_five_looks(
    world: World, states: list[Any], kind: str | None
) -> None:
    world.put("a", *states)

    result = world.judged(grace=10)

    ((key, given),) = [(one.key, one.kind) for one in result.found if isinstance(one, Failure)]
    assert (key, given, result.keys) == ("a", kind, 1)
    assert [round(at / 10) for at, _ in world.looks] == [1, 2, 3, 4, 5]
    assert world.repairs == []


def test_a_record_that_others_keep_writing_is_given_up_after_five_looks(world: World) -> None:
    world.put("a", (listed("a"), None))
    world.contended.add("a")

    (found,) = world.judged(grace=10).found

    assert found == Failure("a", "it kept changing: not compared", kind=UNSETTLED)
    assert len(world.looks) == 5


def test_an_item_that_is_not_a_record_fails_alone(world: World) -> None:
    for key in "abc":
        world.put(key, (listed(key), record(key)))
    world.put("c", (listed("c"), None))
    world.damaged.add("b")

    compared = world.verification().compare(Range(), lambda _: False)

    assert compared.failures == [Failure("b", "not a record")]
    assert (compared.keys, [one.key for one in compared.suspects]) == (2, ["c"])


def test_a_drift_is_reported_before_it_is_repaired(world: World) -> None:
    world.put("a", (listed("a"), None))
    repairs: list[int] = []

    verification = world.verification(grace=0)
    (suspect,) = verification.compare(Range(), lambda _: False).suspects
    verification.judge([suspect], lambda _: repairs.append(len(world.repairs)))

    assert (repairs, len(world.repairs)) == ([0], 1)


def test_a_spent_budget_leaves_the_rest(world: World) -> None:
    for key in "abcdef":
        world.put(key, (listed(key), None if key in "bd" else record(key)))
    asked: list[int] = []

    def is_spent(suspects: int) -> bool:
        asked.append(suspects)
        return suspects == 2

    compared = world.verification().compare(Range("", "e"), is_spent)

    assert (compared.rest, compared.keys) == (Range("d", "e"), 2)
    assert [one.of for one in compared.suspects] == [Range("a", "b", 1), Range("c", "d", 1)]
    # Once a key, and at the end of each page.
    assert asked == [0, 0, 1, 1, 1, 1, 2]


def test_tombstones_use_the_budget_but_are_not_keys(world: World) -> None:
    for key in "abc":
        world.put(key, (None, replace(record(key), state=None)))

    compared = world.verification().compare(Range(), lambda _: True)

    assert compared == Compared(Range("a"))


def test_a_hot_key_is_looked_at_alone_and_once_more(world: World) -> None:
    world.put("a", (listed("a"), None))
    world.put("b", (listed("b"), None))
    world.put("c", (listed("c"), record("c")))

    hot = world.verification().compare(Range("a", "b", looks=3), lambda _: True)
    settled = world.verification().compare(Range("b", "c", looks=3), lambda _: True)

    ((rest, suspect),) = [(hot.rest, one) for one in hot.suspects]
    assert (rest, suspect.of, hot.keys) == (None, Range("a", "b", looks=4), 0)
    assert settled == Compared(None, keys=1)


def test_a_suspect_goes_to_another_process(world: World) -> None:
    world.put("a", (listed("a"), record("a", "old")))

    (suspect,) = world.verification().compare(Range(), lambda _: False).suspects

    assert pickle.loads(pickle.dumps(suspect)) == suspect  # noqa: S301 # its own


class Static:
    """A bucket and a table that do not change: ranges are all that matters."""

    def __init__(self, objects: dict[str, bool], records: set[str], page: int) -> None:
        self.objects = objects
        """Whether the record agrees."""
        self.records = records
        self.page = page

    def pages(self, _: str, of: Range) -> Iterator[Page]:
        keys = sorted(key for key in self.objects if key in of)
        for first in range(0, max(1, len(keys)), self.page):
            page = keys[first : first + self.page]
            yield Page([listed(key) for key in page], START, page[-1] if page else None)

    def list_range(self, _: str, of: Range, __: str) -> Iterator[FileRecord]:
        for key in sorted(self.records):
            if key in of:
                yield record(key, "e" if self.objects.get(key, True) else "old")

    def differing(self) -> set[str]:
        both = self.objects.keys() & self.records
        differ = {key for key in both if not self.objects[key]}
        return (self.objects.keys() ^ self.records) | differ


names = st.text("ab\x00\U0010ffff", min_size=1, max_size=3)


@given(
    objects=st.dictionaries(names, st.booleans(), max_size=12),
    records=st.sets(names, max_size=12),
    page=st.integers(1, 4),
    budgets=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    cuts=st.lists(names, max_size=20),
)
def test_any_budgets_and_cuts_compare_every_key_once(
    objects: dict[str, bool], records: set[str], page: int, budgets: list[int], cuts: list[str]
) -> None:
    static = Static(objects, records, page)
    verification = Verification(
        cast(Listing, static),
        cast(IndexReader, static),
        None,
        Comparison(Filters(), versions=False),
        bucket="b",
        prefix="",
        grace=0,
    )

    def is_over(budget: Iterator[int], _: int) -> bool:
        return next(budget, None) is None

    left, keys, suspects, left_cuts = [Range()], 0, [], list(cuts)
    for step in count():
        if not left:
            break
        assert step <= 2 * (len(objects) + len(records) + len(cuts)) + 2
        of = left.pop()
        budget = iter(range(budgets[step % len(budgets)]))
        compared = verification.compare(of, partial(is_over, budget))
        keys += compared.keys
        suspects += compared.suspects
        if compared.rest is None:
            continue
        assert of.after < compared.rest.after
        assert compared.rest.up_to == of.up_to
        cut = left_cuts.pop() if left_cuts else ""
        if cut in compared.rest and cut != compared.rest.up_to:
            left += [Range(compared.rest.after, cut), Range(cut, compared.rest.up_to)]
        else:
            left.append(compared.rest)

    found = [one.key for one in suspects]
    assert sorted(found) == sorted(static.differing())
    assert keys + len(found) == len(objects.keys() | records)
    for one in suspects:
        others = (objects.keys() | records) - {one.key}
        assert not [key for key in others if key in one.of]
