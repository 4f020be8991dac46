"""The worker on moto, in a run as the state machine drives it; tests/e2e has the real one."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from moto.s3.responses import S3Response

from cli.function.reader import IndexReader
from function.errors import SettingsError, WorkerFailedError
from function.indexer import Indexer
from function.listing import Listing
from function.ranges import size
from function.reconciliation import worker as worker_module
from function.reconciliation.rounds import kind_of, name_of
from function.reconciliation.worker import Worker, WorkerSettings, create_worker
from function.record import FileRecord, ObjectState
from function.repository import FileIndex
from function.settings import Settings
from tests.integration.cli.faults import Faults
from tests.integration.conftest import BUCKET, TABLE
from tests.integration.test_handler import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

MOST_ROUNDS = 60
NOW = datetime.now(UTC)
EVERYTHING = {
    "ranges": [{"keys": [None, None]}],
    "budget_seconds": 20,
    "pieces": 2,
    "room": 9999,
    "repairs": None,
}

Result = dict[str, Any]


class Killed(BaseException):
    """The worker's process ended."""


@dataclass
class Invocation:
    """Lambda's context."""

    seconds: float
    aws_request_id: str = "id"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


AT_MOST = 3
"""Repairs of a run that nobody asked to repair."""


@dataclass
class Machine:
    """Drives a worker as the state machine does."""

    worker: Worker
    filters: Sequence[Mapping[str, str]] = ()
    concurrency: int = 2
    budget_seconds: int | None = None
    """Replaces the budget of each item."""
    seconds: float = 900
    """How long an invocation may take."""
    repair: bool = True
    """Whether runs that do not say so are asked to repair."""
    results: list[Result] = field(default_factory=list)
    """Of all iterations."""

    def run(self, name: str = "run", **given: Any) -> Result:
        """Return the result of a run with this input."""
        state = self.worker.handle(
            {
                "step": "begin",
                "input": {"repair": self.repair} | given,
                "execution": f"arn:{name}",
                "name": name,
                "started": datetime.now(UTC).isoformat(),
                "running": [],
                "concurrency": self.concurrency,
                "filters": self.filters,
            },
            Invocation(self.seconds),
        )
        while state["next"] == "work":
            assert state["round"] <= MOST_ROUNDS
            results = [self._iteration(item, state["run"]) for item in state["work"]]
            self.results += results
            before = state | {"work": results}
            assert size(before) < 200_000
            state = self.worker.handle({"step": "total", "state": before}, Invocation(self.seconds))
            assert size(state) < 200_000
        result: Result = state["result"]
        return result

    def work(self, item: Mapping[str, Any], attempt: int = 0, **run: Any) -> Result:
        """Return what the worker returns for one item."""
        return self.worker.handle(
            {
                "step": "work",
                "item": item,
                "run": {"mode": "verify", "prefix": "", "repair": False, "name": "run"} | run,
                "attempt": attempt,
                "filters": self.filters,
            },
            Invocation(self.seconds),
        )

    def _iteration(self, item: Mapping[str, Any], run: Mapping[str, Any]) -> Result:
        if self.budget_seconds is not None:
            item = {**item, "budget_seconds": self.budget_seconds}
        cause = ""
        for attempt in range(4):
            try:
                return self.work(item, attempt, **run)
            except (WorkerFailedError, Killed) as error:
                cause = str(error)
        return {**item, "error": {"Error": "States.TaskFailed", "Cause": cause}}


@pytest.fixture(autouse=True)
def start_after_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 does; moto writes it as it is, and not every character may stand in XML."""
    serialized = S3Response.serialized

    def corrected(response: S3Response, result: Any) -> Any:
        if "StartAfter" in result.result:
            result.result["StartAfter"] = quote(result.result["StartAfter"])
        return serialized(response, result)

    monkeypatch.setattr(S3Response, "serialized", corrected)


Made = Callable[..., Machine]


@pytest.fixture
def machine(s3: "S3Client", dynamodb: "DynamoDBClient") -> Made:
    """Makes a machine with a worker that may write, or may not."""
    clients = {"s3": s3, "dynamodb": dynamodb}

    def made(*, may_write: bool = True, own: Settings | None = None, **more: Any) -> Machine:
        worker = Worker(
            own or settings(bucket_name=BUCKET),
            WorkerSettings(
                grace_seconds=0, may_write=may_write, versioned=False, repair_at_most=AT_MOST
            ),
            connect=clients.__getitem__,
            now=lambda: datetime.now(UTC),
        )
        return Machine(worker, repair=may_write, **more)

    return made


Lines = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The worker's lines with this message."""
    caplog.set_level(logging.INFO, "file_index")

    def found(message: str) -> list[dict[str, Any]]:
        return [vars(one) for one in caplog.records if one.message == message]

    return found


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


Store = Callable[..., None]


@pytest.fixture
def store(index: FileIndex, s3: "S3Client") -> Store:
    """Stores a record: of an object as it is, or with this etag."""

    def stored(key: str, etag: str | None = None, into: FileIndex = index) -> None:
        etag = etag or s3.head_object(Bucket=BUCKET, Key=key)["ETag"].strip('"')
        state = ObjectState(etag=etag, size=1)
        record = FileRecord(
            bucket=BUCKET, key=key, indexed_at=NOW, revision=f"of {etag}", state=state
        )
        into.replace(record, into.read(BUCKET, key))

    return stored


def put(s3: "S3Client", *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")


def drift(s3: "S3Client", store: Store, prefix: str = "") -> None:
    """Cause one drift of each kind, beside an equal key."""
    put(s3, *(f"{prefix}{name}" for name in ("equal", "mismatch", "orphan")))
    store(f"{prefix}equal")
    store(f"{prefix}mismatch", "old")
    store(f"{prefix}phantom", "e")


def live(reader: IndexReader) -> list[str]:
    return [record.key for record in reader.list_prefix(BUCKET)]


def tombstones(dynamodb: "DynamoDBClient") -> list[str]:
    items = dynamodb.scan(TableName=TABLE)["Items"]
    return [item["key"]["S"] for item in items if "expires_at" in item]


def differences(result: Result) -> Counter[str]:
    kinds = ("phantom", "orphan", "mismatch", "filtered out")
    return Counter({kind: result["counts"].get(kind, 0) for kind in kinds})


def test_a_run_that_may_not_write_finds_each_difference_and_changes_nothing(
    machine: Made, s3: "S3Client", dynamodb: "DynamoDBClient", store: Store, lines: Lines
) -> None:
    drift(s3, store)
    before = dynamodb.scan(TableName=TABLE)["Items"]

    result = machine(may_write=False).run()

    assert (result["outcome"], result["repair"], result["at_least"]) == ("complete", False, False)
    assert differences(result) == Counter(phantom=1, orphan=1, mismatch=1)
    assert (result["counts"]["compared"], result["counts"]["repaired"]) == (4, 0)
    assert sorted(key["key"] for key in result["keys"]) == ["mismatch", "orphan", "phantom"]
    assert dynamodb.scan(TableName=TABLE)["Items"] == before
    found = {line["key"]: line for line in lines("difference")}
    assert {key: line["kind"] for key, line in found.items()} == {
        key: key for key in ("mismatch", "orphan", "phantom")
    }
    mismatch = found["mismatch"]
    assert (mismatch["object"]["size"], mismatch["record"]["etag"]) == (1, "old")
    assert (mismatch["Mismatches"], mismatch["Deployment"], mismatch["run"]) == (1, TABLE, "run")
    metrics = mismatch["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    assert metrics == [{"Name": "Mismatches", "Unit": "Count"}]


def test_a_repair_mends_each_difference_and_a_second_run_is_clean(
    machine: Made,
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
    reader: IndexReader,
    store: Store,
    lines: Lines,
) -> None:
    drift(s3, store, "in/")
    put(s3, "out/there")
    store("out/there")

    first, second = (machine(filters=[{"prefix": "in/"}]).run() for _ in range(2))

    assert first["outcome"] == "complete"
    assert differences(first) == Counter(
        {"phantom": 1, "orphan": 1, "mismatch": 1, "filtered out": 1}
    )
    assert first["counts"]["repaired"] == 4
    assert live(reader) == ["in/equal", "in/mismatch", "in/orphan"]
    assert sorted(tombstones(dynamodb)) == ["in/phantom", "out/there"]
    assert sorted(line["key"] for line in lines("repaired")) == sorted(
        line["key"] for line in lines("difference")
    )
    assert (second["outcome"], differences(second).total()) == ("complete", 0)
    assert second["counts"]["compared"] == 3


def test_only_keys_below_the_prefix_are_compared_and_repaired(
    machine: Made, s3: "S3Client", reader: IndexReader, store: Store
) -> None:
    drift(s3, store, "a/")
    drift(s3, store, "b/")
    result = machine().run(name_of("verify", "b/"), prefix="b/")

    assert (result["outcome"], result["counts"]["repaired"]) == ("complete", 3)
    assert live(reader) == [
        *("a/equal", "a/mismatch", "a/phantom"),
        *("b/equal", "b/mismatch", "b/orphan"),
    ]


@pytest.mark.no_cover  # long when traced
def test_a_spent_budget_still_makes_progress_and_every_key_is_compared_once(
    machine: Made, s3: "S3Client", dynamodb: "DynamoDBClient", store: Store
) -> None:
    index = FileIndex(dynamodb, TABLE, 3)
    own = settings(bucket_name=BUCKET, table_partitions=3)
    keys = [f"{number:02}" for number in range(8)]
    put(s3, *keys[:5])
    for key in keys[2:]:
        store(key, None if key in keys[:5] else "e", index)

    spent = machine(own=own, budget_seconds=0)
    first, second = spent.run(), machine(own=own).run()

    assert differences(first) == Counter(orphan=2, phantom=3)
    assert (first["outcome"], first["counts"]["compared"], first["counts"]["repaired"]) == (
        *("complete", 8),
        5,
    )
    assert all(result["counts"]["compared"] <= 1 for result in spent.results)
    assert first["rounds"] > 2
    assert (differences(second).total(), second["counts"]["compared"]) == (0, 5)


@pytest.mark.no_cover  # long when traced
def test_any_key_is_compared_whatever_its_characters(
    machine: Made, s3: "S3Client", reader: IndexReader
) -> None:
    keys = ["a b+%25.csv", "line\nbreak", "\x1b[31m", "\uffff", "\U0001f600", "x" * 1024]
    put(s3, *keys)

    first, second = machine(budget_seconds=0).run(), machine().run()

    assert (first["outcome"], first["counts"]["repaired"]) == ("complete", len(keys))
    assert live(reader) == sorted(keys)
    assert (differences(second).total(), second["counts"]["compared"]) == (0, len(keys))


def test_only_keys_that_match_a_filter_belong_in_the_index(
    machine: Made, s3: "S3Client", reader: IndexReader, store: Store
) -> None:
    watched = ["a/1.csv", "a/2.txt", "b/c/3.json", "z.csv"]
    unwatched = ["a/4.json", "b/5.json", "b/c/6.csv", "c/7.csv", "z.txt"]
    put(s3, *watched, *unwatched)
    for key in (watched[0], *unwatched):
        store(key)
    filters = [
        {"prefix": "a/", "suffix": ".csv"},
        {"prefix": "a/", "suffix": ".txt"},
        {"prefix": "b/c/", "suffix": ".json"},
        {"prefix": "z", "suffix": ".csv"},
    ]

    first = machine(filters=filters).run()
    second = machine(filters=filters, budget_seconds=0, concurrency=1).run()

    assert differences(first) == Counter({"orphan": 3, "filtered out": len(unwatched)})
    assert (second["outcome"], differences(second).total()) == ("complete", 0)
    assert second["counts"]["compared"] == len(watched)
    assert live(reader) == watched


def test_a_backfill_refreshes_records_that_hold_metadata(
    machine: Made, s3: "S3Client", reader: IndexReader, store: Store
) -> None:
    keys = [f"{number:02}" for number in range(60)]
    put(s3, *keys, "out/1")
    store(keys[3], "old")
    own = settings(bucket_name=BUCKET, object_metadata=True)

    spent = machine(own=own, filters=[{"prefix": "0"}, {"prefix": "5"}], budget_seconds=0)
    result = spent.run(name_of("backfill", ""), mode="backfill")

    watched = [*keys[:10], *keys[50:]]
    assert (result["outcome"], result["counts"]["written"]) == ("complete", 20)
    assert live(reader) == watched
    records = list(reader.list_prefix(BUCKET))
    assert all(one.known.metadata and one.event_name == "Backfill" for one in records)


NOT_ALLOWED = "the worker may not write: set reconciliation.repair = true and apply"


@pytest.mark.parametrize(
    ("name", "given"),
    [("run", {"repair": True}), ("backfill-all-1", {"mode": "backfill"})],
)
def test_a_worker_that_may_not_write_refuses_to(
    machine: Made, s3: "S3Client", reader: IndexReader, name: str, given: dict[str, Any]
) -> None:
    put(s3, "a")

    result = machine(may_write=False).run(name, **given)

    assert (result["outcome"], result["reason"]) == ("failed", NOT_ALLOWED)
    assert live(reader) == []


@pytest.mark.no_cover  # long when traced
@pytest.mark.parametrize(
    ("listing", "head", "cause"),
    [
        ("NoSuchBucket", "404", "bucket reports does not exist"),
        ("AccessDenied", "403", "is not authorized to perform: s3:"),
    ],
)
def test_nothing_becomes_a_tombstone_when_the_bucket_or_a_permission_disappears(
    machine: Made,
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
    store: Store,
    faults: Faults,
    listing: str,
    head: str,
    cause: str,
) -> None:
    """At any call: the loop ends when no call is left that could fail."""
    keys = ("a/equal", "a/mismatch", "b/equal", "b/mismatch")
    put(s3, *keys, "b/orphan")
    filters = [{"prefix": "a/"}, {"prefix": "b/"}]
    outcomes = list[str]()
    while outcomes[-1:] != ["complete"]:
        for key in keys:
            store(key, "old" if key.endswith("mismatch") else None)
        orphan = {"partition": {"S": BUCKET}, "key": {"S": "b/orphan"}}
        dynamodb.delete_item(TableName=TABLE, Key=orphan)
        faults.spared = len(outcomes)
        faults.fail("ListObjectsV2", listing)
        faults.fail("HeadObject", head)

        result = machine(filters=filters).run()

        faults.end()
        outcomes.append(result["outcome"])
        assert tombstones(dynamodb) == []
        if result["outcome"] != "complete":
            assert result["outcome"] == "incomplete"
            said = result["causes"] + [key.get("cause", "") for key in result["keys"]]
            assert any(cause in one for one in said)
            # What the worker had found before the error is in the log, but is not counted.
            assert result["at_least"] is bool(result["causes"])

    assert len(outcomes) == 9  # two pages, then a look and a HEAD for each of three keys


def test_an_unreadable_item_and_a_denied_key_fail_alone(
    machine: Made,
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
    reader: IndexReader,
    faults: Faults,
    lines: Lines,
) -> None:
    put(s3, "a", "b", "c")
    item = {"partition": {"S": BUCKET}, "key": {"S": "bad"}, "size": {"S": "not a number"}}
    dynamodb.put_item(TableName=TABLE, Item=item)
    faults.fail("HeadObject", "403", "b")

    result = machine().run()

    assert (result["outcome"], result["causes"], result["left"]) == ("incomplete", [], [])
    counts = result["counts"]
    assert (counts["compared"], counts["orphan"], counts["repaired"]) == (4, 3, 2)
    assert (counts["unrepaired"], counts["unread"]) == (1, 1)
    named = {key["key"]: key for key in result["keys"]}
    assert (named["b"]["kind"], named["bad"]["kind"]) == ("orphan", "unread")
    assert "is not authorized to perform: s3:GetObject" in named["b"]["cause"]
    assert "bad" in named["bad"]["cause"]
    causes = {line["key"]: line["cause"] for line in lines("failed")}
    assert all(causes.pop(key).startswith(named[key]["cause"]) for key in ("b", "bad"))
    assert causes == {}
    faults.end()
    assert [record.key for record in map(reader.read, [BUCKET] * 2, ["a", "c"]) if record] == [
        *("a", "c")
    ]


def test_a_difference_is_logged_before_it_is_repaired(
    machine: Made,
    s3: "S3Client",
    reader: IndexReader,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
) -> None:
    put(s3, "a")
    refresh = Indexer.refresh

    def killed_once(indexer: Indexer, *arguments: Any) -> Any:
        refresh(indexer, *arguments)
        monkeypatch.setattr(Indexer, "refresh", refresh)
        raise Killed

    monkeypatch.setattr(Indexer, "refresh", killed_once)

    result = machine().run()

    assert live(reader) == ["a"]
    assert [(line["key"], line["Orphans"]) for line in lines("difference")] == [("a", 1)]
    assert (result["outcome"], result["counts"]["orphan"]) == ("complete", 0)
    assert result["at_least"]


def test_a_worker_with_too_many_suspects_leaves_the_rest(
    machine: Made, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MOST_SUSPECTS", 3)
    put(s3, *(f"{number:02}" for number in range(10)))

    patient = machine()
    result = patient.run()

    assert (result["outcome"], result["counts"]["repaired"]) == ("complete", 10)
    assert patient.results[0]["counts"]["orphan"] == 3
    assert max(one["counts"]["orphan"] for one in patient.results) == 3


@pytest.mark.no_cover  # long when traced
def test_a_retried_worker_has_half_the_budget_and_half_the_suspects(
    machine: Made, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MOST_SUSPECTS", 8)
    put(s3, *(f"{number:02}" for number in range(10)))
    seconds = list[float]()

    class Recorded(worker_module.Budget):
        def __init__(self, **given: Any) -> None:
            seconds.append(given["seconds"])
            super().__init__(**given)

    monkeypatch.setattr(worker_module, "Budget", Recorded)

    results = [machine().work(EVERYTHING, attempt) for attempt in range(3)]

    assert seconds == [20, 10, 5]
    assert [result["counts"]["orphan"] for result in results] == [8, 4, 2]
    assert [result["attempt"] for result in results] == [0, 1, 2]


@pytest.mark.parametrize(
    ("seconds", "suspects", "spent"),
    [(330, 0, False), (330, 999, False), (330, 1500, True), (299, 0, True), (3000, 5000, True)],
)
def test_a_worker_stops_while_it_still_can_wait_and_judge_its_suspects(
    seconds: float, suspects: int, spent: bool
) -> None:
    budget = worker_module.Budget(
        seconds=600, deadline=time.monotonic() + seconds, suspects=5000, grace=300
    )

    assert budget.is_spent(suspects) is spent


def test_a_worker_that_runs_out_of_time_fails_and_its_range_is_left(
    machine: Made, s3: "S3Client", lines: Lines
) -> None:
    put(s3, "a")

    result = machine(seconds=worker_module.RESERVED_SECONDS - 1).run()

    assert (result["outcome"], result["at_least"]) == ("incomplete", True)
    assert result["left"] == [{"keys": [None, None]}]
    assert "OutOfTimeError" in result["causes"][0]
    assert len(lines("worker failed")) == 4


@pytest.mark.parametrize(
    ("record_changes", "outcome", "kind"),
    [(True, "complete", "unsettled"), (False, "incomplete", "unread")],
)
def test_a_key_that_keeps_changing_is_given_up_after_five_looks(
    machine: Made,
    s3: "S3Client",
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    record_changes: bool,
    outcome: str,
    kind: str,
) -> None:
    put(s3, "a", "hot", "z")
    looks, find = list[str](), Listing.find
    store("hot", "old")

    def changing(listing: Listing, key: str) -> Any:
        if key == "hot":
            looks.append(key)
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * len(looks) * 2)
            if record_changes:
                store(key, f"old {len(looks)}")
        return find(listing, key)

    monkeypatch.setattr(Listing, "find", changing)

    hot = machine()
    result = hot.run()

    assert (result["outcome"], result["counts"][kind]) == (outcome, 1)
    assert (result["counts"]["compared"], result["counts"]["orphan"]) == (3, 2)
    assert len(looks) == 5
    assert [one["changing"][0]["looks"] for one in hot.results if one["changing"]] == [2, 4]


def test_a_missing_table_or_setting_is_explained(
    machine: Made, s3: "S3Client", dynamodb: "DynamoDBClient"
) -> None:
    put(s3, "a")
    dynamodb.delete_table(TableName=TABLE)

    result = machine().run()

    assert result["outcome"] == "incomplete"
    assert "table files does not exist" in result["causes"][0]


@pytest.mark.usefixtures("dynamodb")
def test_a_worker_is_made_from_its_environment(s3: "S3Client") -> None:
    put(s3, "a")
    environment = {"TABLE_NAME": TABLE, "BUCKET_NAME": BUCKET, "GRACE_SECONDS": "1"}

    result = Machine(create_worker(environment | {"REPAIR": "true"})).run()

    assert (result["outcome"], result["counts"]["repaired"]) == ("complete", 1)
    for wrong in ({"GRACE_SECONDS": "0"}, {"GRACE_SECONDS": "301"}, {"REPAIR": "yes"}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            create_worker(environment | wrong)


def test_botocore_parses_neither_the_bucket_nor_the_table(
    s3: "S3Client", store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, "a", "b")
    for key in ("a", "b"):
        store(key)
    worker = Machine(create_worker({"TABLE_NAME": TABLE, "BUCKET_NAME": BUCKET}))
    monkeypatch.setattr("botocore.parsers.ResponseParser._handle_list", None)

    result = worker.work(EVERYTHING)

    assert (result["counts"]["compared"], result["keys"]) == (2, [])


# --- Runs that nobody asked to repair ---


def test_such_a_run_repairs_up_to_its_limit_and_says_how_to_repair_the_rest(
    machine: Made, s3: "S3Client", store: Store, reader: IndexReader, lines: Lines
) -> None:
    put(s3, "there", *(f"new{number}" for number in range(AT_MOST + 2)))
    store("there")

    result = machine(concurrency=1).run(repair=None)

    assert (result["outcome"], result["repair"]) == ("complete", True)
    assert (result["counts"]["orphan"], result["counts"]["repaired"]) == (AT_MOST + 2, AT_MOST)
    assert len(live(reader)) == 1 + AT_MOST
    assert result["reason"] == ("2 differences were not repaired: run file-index verify --repair")
    assert len(lines("repaired")) == AT_MOST
    asked = machine().run(repair=True)
    assert (asked["counts"]["repaired"], asked["reason"]) == (2, "")


def test_such_a_run_removes_no_record_because_the_filters_changed(
    machine: Made, s3: "S3Client", store: Store, reader: IndexReader, lines: Lines
) -> None:
    put(s3, "in/a", "out/b")
    store("in/a")
    store("out/b")
    store("out/c", "e")

    result = machine(filters=[{"prefix": "in/"}]).run(repair=None)

    assert (result["outcome"], result["counts"]["filtered out"]) == ("complete", 2)
    assert live(reader) == ["in/a", "out/b", "out/c"]
    (line,) = lines("result")
    assert (line["Proved"], line["Orphans"], "FilteredOut" in line) == (1, 0, False)


def test_an_index_that_was_never_filled_is_left_alone(
    machine: Made, s3: "S3Client", reader: IndexReader, lines: Lines
) -> None:
    put(s3, "a", "b")

    result = machine().run(repair=None)

    assert result["outcome"] == "never filled"
    assert "run file-index backfill" in result["reason"]
    assert live(reader) == []
    (line,) = lines("result")
    assert "Proved" not in line


def test_a_run_that_may_not_read_the_index_is_incomplete(
    machine: Made, s3: "S3Client", faults: Faults, lines: Lines
) -> None:
    put(s3, "a")
    faults.fail("Query", "AccessDeniedException")

    result = machine().run(repair=None)

    assert result["outcome"] == "incomplete"
    assert "is not authorized to perform: dynamodb:Query" in result["causes"][0]
    (line,) = lines("result")
    assert line["Proved"] == 0


def test_an_empty_bucket_with_an_empty_index_is_proved(machine: Made, lines: Lines) -> None:
    assert machine().run(repair=None)["outcome"] == "complete"
    (line,) = lines("result")
    assert (line["Proved"], line["Compared"]) == (1, 0)


# --- Results in the log ---


def test_a_result_has_the_metrics_of_a_proof(
    machine: Made, s3: "S3Client", store: Store, lines: Lines
) -> None:
    drift(s3, store)

    machine().run()
    machine().run()

    first, second = lines("result")
    assert (first["outcome"], first["Proved"], first["Compared"]) == ("complete", 1, 4)
    # The lines of the differences have their metrics, and a zero would end the alarm.
    assert not {"Phantoms", "Orphans", "Mismatches", "Repaired"} & first.keys()
    zeros = ("Phantoms", "Orphans", "Mismatches", "FilteredOut", "Repaired", "Unread", "Unsettled")
    assert {name: second[name] for name in zeros} == dict.fromkeys(zeros, 0)
    metrics = second["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    assert {metric["Name"] for metric in metrics} == {*zeros, "Compared", "Proved"}


def test_an_incomplete_result_is_no_proof(
    machine: Made, s3: "S3Client", faults: Faults, store: Store, lines: Lines
) -> None:
    drift(s3, store)
    faults.fail("ListObjectsV2", "AccessDenied")

    assert machine().run()["outcome"] == "incomplete"

    (line,) = lines("result")
    assert line["Proved"] == 0
    assert "Orphans" not in line


def test_a_run_for_a_prefix_or_a_backfill_proves_nothing(
    machine: Made, s3: "S3Client", lines: Lines
) -> None:
    put(s3, "a/1")

    machine().run(f"{kind_of('verify', 'a/')}-1", prefix="a/")

    (line,) = lines("result")
    assert (line["outcome"], line["counts"]["orphan"]) == ("complete", 1)
    assert not {"Proved", "Orphans", "_aws"} & line.keys()
