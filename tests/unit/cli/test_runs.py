"""`backfill` and `verify` as a whole, on a small bucket: their output and counts."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from cli import backfill, verify
from cli.address import Address
from cli.backfill import Counts, write_counts
from cli.checkpoint import Checkpoint, Left, identity
from cli.chosen import filters_of
from cli.connection import Connection
from cli.errors import CommandError
from cli.function.errors import ContentionError, UnreadableRecordError
from cli.function.listed import Listed, Page
from cli.function.listing import EVERYTHING, Listing
from cli.function.ranges import Range
from cli.function.reconciliation.comparison import Kind
from cli.function.reconciliation.failures import Failure
from cli.function.reconciliation.filling import Filled
from cli.function.reconciliation.findings import Drift, Findings
from cli.function.record import FileRecord, ObjectMetadata, ObjectState, Unreadable
from cli.progress import Work
from cli.target import Target
from local.waiting import HANG_SECONDS
from tests.unit.cli import killed
from tests.unit.cli.deployments import table
from tests.unit.cli.killed import KEYS

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
DENIED = (
    "me is not authorized to perform: s3:GetObject or s3:ListBucket"
    " on resource: object b/{0}, or bucket b."
    " Your credentials must allow it; docs/file-index.md#permissions lists what each command needs."
)


class Run:
    """Runs a command on a bucket of seven objects."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.code = -1

    def __call__(
        self, command: str, *, refused: str = "", resume: bool = False, report: Path | None = None
    ) -> list[dict[str, Any]]:
        (self._home / "messages").unlink(missing_ok=True)
        self.code = killed.run(command, self._home, tuple(refused), resume=resume, report=report)
        return [json.loads(line) for line in (self._home / "answer").read_text().splitlines()]

    @property
    def messages(self) -> list[str]:
        return (self._home / "messages").read_text().splitlines()

    @property
    def noted(self) -> dict[str, Any]:
        (path,) = (self._home / "file-index").glob("*.json")
        return dict(json.loads(path.read_text()))

    @property
    def written(self) -> list[str]:
        """The keys of all writes so far."""
        return (self._home / "table").read_text().split()

    @property
    def files(self) -> list[str]:
        return [path.suffix for path in (self._home / "file-index").glob("*")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_backfill_counts_what_it_did(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report"
    assert run("backfill") == [{"objects": 7, "refreshed": 7}]
    assert (run.code, run.messages, run.files) == (0, [], [])

    (counted,) = run("backfill", refused="bdg", report=report)

    assert counted == {"objects": 7, "refreshed": 4, "failed": 3}
    assert run.code == 2
    assert run.messages == [
        "3 keys failed; --resume retries them:",
        *(f"  s3://b/{key}: {DENIED.format(key)}" for key in "bdg"),
    ]
    failed = [
        {"kind": "failed", "bucket": "b", "key": key, "cause": DENIED.format(key)} for key in "bdg"
    ]
    assert [json.loads(line) for line in report.read_text().splitlines()] == failed
    assert run.noted["ranges"] == []
    assert run.noted["counts"] == {"objects": 7, "written": 4, "contended": 0, "failed": 3}
    assert run.noted["backfill"] == [
        *("table", "eu-west-1", "b", "", "*"),
        repr(killed.DiskTarget.settings),
    ]

    assert run("backfill", refused="d", resume=True, report=report) == [
        {"objects": 7, "refreshed": 6, "failed": 1}
    ]
    assert [json.loads(line) for line in report.read_text().splitlines()] == [*failed, failed[1]]
    assert sorted(run.written[-2:]) == ["b", "g"]  # in two threads
    assert run("backfill", resume=True) == [{"objects": 7, "refreshed": 7}]
    assert (run.code, run.messages) == (0, ["Retrying 1 failed key first."])
    assert run.written[-1] == "d"


def test_records_that_others_keep_writing_are_counted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = killed.Disk.refresh

    def contended(disk: killed.Disk, event: Any, settled_at: Any = None) -> None:
        assert (event.bucket, event.name) == ("b", "Backfill")
        if event.key in "abf":
            raise ContentionError("others write it")
        refresh(disk, event, settled_at)

    monkeypatch.setattr(killed.Disk, "refresh", contended)

    assert run("backfill", refused="g") == [{"objects": 7, "refreshed": 3, "failed": 1}]
    assert run.noted["counts"]["contended"] == 3


def test_a_repair_counts_what_it_did(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report"
    *found, counted = run("verify", refused="bg", report=report)

    drift = {"phantom": 0, "orphan": 7, "mismatch": 0, "filtered out": 0}
    summary = {"compared": 7, "drift": drift, "repaired": 5, "unsettled": 0}
    assert counted == summary | {"failed": 2}
    assert [line["key"] for line in found] == list(KEYS)
    assert [json.loads(line) for line in report.read_text().splitlines()] == found
    assert {line["key"]: line.get("cause") for line in found if not line["repaired"]} == {
        key: DENIED.format(key) for key in "bg"
    }
    assert run.code == 2
    assert run.messages[0] == "2 keys failed; --resume retries them:"
    assert run.noted["verify"][-2:] == [repr(killed.DiskTarget.settings), "True False"]
    assert run.noted["counts"]["unrepaired"] == 2

    *found, counted = run("verify", resume=True, report=report)

    assert [line["key"] for line in found] == ["b", "g"]
    assert counted == summary | {"repaired": 7}
    assert (run.code, run.messages) == (1, ["Retrying 2 failed keys first."])
    assert len(report.read_text().splitlines()) == 9
    assert run.files == []

    assert run("verify")[-1] == summary | {"repaired": 0, "drift": drift | {"orphan": 0}}
    assert run.code == 0


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_with_only_denials_leaves_nothing_behind(run: Run, command: str) -> None:
    with pytest.raises(Exception, match=r"^me is not authorized .* on resource: object b/a,"):
        run(command, refused="".join(KEYS))

    assert (run.files, run.messages) == ([], [])


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_that_stops_says_where(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = killed.Disk.refresh

    def stops(disk: killed.Disk, event: Any, settled: Any = None) -> None:
        if event.key == "e":
            raise KeyboardInterrupt
        refresh(disk, event, settled)

    with monkeypatch.context() as patched:
        patched.setattr(killed.Disk, "refresh", stops)
        # It stops before its first checkpoint is due.
        patched.setattr(Checkpoint, "is_due", False)
        with pytest.raises(KeyboardInterrupt):
            run(command, refused="b")

    # Batches of a backfill have two keys, here, at the end of a page one.
    assert run.noted["ranges"] == [{"after": "c" if command == "backfill" else "d", "up_to": None}]
    if command == "backfill":
        assert run.messages == ["Stopped after c, 3 objects done: continue with --resume."]
    else:
        assert run.messages[:3] == [
            "Stopped after d, 4 keys compared: continue with --resume.",
            "Stopped before the end. So far:",
            "s3://b/: 4 keys compared, 4 drift, 3 of it repaired, 1 failed.",
        ]
    counted = run(command, resume=True)[-1]
    assert counted["objects" if command == "backfill" else "compared"] == 7
    after = "c" if command == "backfill" else "d"
    assert run.messages == ["Retrying 1 failed key first.", f"Continuing after {after}."]


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_no_checkpoint_is_written_after_lines_that_a_full_disk_lost(run: Run, command: str) -> None:
    with pytest.raises(CommandError, match="--report /dev/full: No space left on device"):
        run(command, refused="abc", report=Path("/dev/full"))

    assert list(run.files) == []


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_that_stops_before_any_work_says_nothing(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(killed.Disk, "refresh", stops)
    with pytest.raises(KeyboardInterrupt):
        run(command)

    assert (run.messages, run.files) == ([], [])


def test_runs_are_told_apart_by_their_work() -> None:
    target = table("t")
    address = Address("b", "in/")
    settings = target.settings
    others = [
        (replace(target, settings=replace(settings, table_name="u")), address),
        (replace(target, settings=replace(settings, object_metadata=True)), address),
        (
            replace(target, settings=replace(settings, object_metadata=True, object_tags=True)),
            address,
        ),
        (replace(target, settings=replace(settings, derived_bucket="d")), address),
        (replace(target, settings=replace(settings, derived_max_bytes=1)), address),
        (replace(target, filters=filters_of(["in/"])), address),
        (target, Address("c", "in/")),
        (target, Address("b", "in")),
    ]

    known = {identity(target, address), *(identity(*other) for other in others)}
    elsewhere = replace(target, connection=Connection.open(region="eu-west-2"))

    assert len(known | {identity(elsewhere, address)}) == 2 + len(others)


def test_a_drift_is_reported_with_what_both_sides_know() -> None:
    listed = Listed("k", "e", 1, NOW, version_id="v", storage_class="GLACIER")
    record = FileRecord(
        bucket="b",
        key="k",
        indexed_at=NOW + timedelta(seconds=2),
        revision="r",
        state=ObjectState(
            etag="old",
            size=0,
            version_id="w",
            last_modified=NOW + timedelta(seconds=1),
            metadata=ObjectMetadata(storage_class="STANDARD"),
        ),
        event_name="ObjectCreated:Put",
        sequencer="0055",
    )
    drift = Drift(Kind.MISMATCH, "b", "k", listed, record, repaired=True)

    assert json.loads(drift.as_json()) == {
        "kind": "mismatch",
        "bucket": "b",
        "key": "k",
        "object": {
            "etag": "e",
            "size": 1,
            "last_modified": "2026-11-23T08:15:30.000Z",
            "storage_class": "GLACIER",
            "version_id": "v",
        },
        "record": {
            "etag": "old",
            "size": 0,
            "version_id": "w",
            "event_name": "ObjectCreated:Put",
            "sequencer": "0055",
            "last_modified": "2026-11-23T08:15:31.000Z",
            "storage_class": "STANDARD",
            "indexed_at": "2026-11-23T08:15:32.000Z",
        },
        "repaired": True,
    }
    bare = FileRecord(
        bucket="b", key="k", indexed_at=NOW, revision="r", state=ObjectState(etag="e")
    )
    assert json.loads(Drift(Kind.PHANTOM, "b", "k", None, bare).as_json())["record"] == {
        "etag": "e",
        "indexed_at": "2026-11-23T08:15:30.000Z",
    }


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(Failure("k", "c"), "failed"), (Failure("k", "c", "unsettled"), "unsettled")],
)
def test_a_failure_is_reported_with_its_cause(failure: Failure, kind: str) -> None:
    assert json.loads(verify.line_of(failure, Address("b", ""))) == {
        "kind": kind,
        "bucket": "b",
        "key": "k",
        "repaired": False,
        "cause": "c",
    }


@pytest.mark.parametrize(
    ("prefix", "key", "directory"),
    [
        ("", "a", ""),
        ("", "a/b/c", "a/"),
        ("", "/a", "/"),
        ("a/", "a/b", "a/"),
        ("a/", "a/b/c/d", "a/b/"),
        ("a", "ab/c", "ab/"),
    ],
)
def test_drift_is_counted_by_directory_below_the_prefix(
    prefix: str, key: str, directory: str
) -> None:
    assert verify.directory_of(key, Address("b", prefix), Findings()) == directory


def test_directories_beyond_a_number_are_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_MOST_DIRECTORIES", 2)
    findings = Findings()
    address = Address("b", "")

    counted = []
    for key in ("a/1", "b/1", "c/1", "a/2", "d/1"):
        place = verify.directory_of(key, address, findings)
        findings.add(Drift(Kind.PHANTOM, "b", key, None, None), place)
        counted.append(place)

    assert counted == ["a/", "b/", "(elsewhere)", "a/", "(elsewhere)"]


@pytest.mark.parametrize(
    ("counts", "refreshes", "said"),
    [
        (Counts(1000, 1000), False, "1,000 objects: 1,000 inserted; 7 objects per second.\n"),
        (Counts(1, 1), False, "1 object: 1 inserted; 7 objects per second.\n"),
        (
            Counts(9, written=3, failed=2),
            False,
            "9 objects: 3 inserted, 4 had a record or a tombstone, 2 failed;"
            " 7 objects per second.\n",
        ),
        (
            Counts(9, written=6, contended=2, failed=1),
            True,
            "9 objects: 6 refreshed, 2 kept being changed by other writers, 1 failed;"
            " 7 objects per second.\n",
        ),
    ],
)
def test_the_result_of_a_backfill_is_printed(
    counts: Counts, refreshes: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = table("t", object_metadata=refreshes)

    write_counts(target, counts, rate=7.2, as_json=False)

    assert capsys.readouterr().out == said


def test_retried_keys_are_counted_once() -> None:
    counts = Counts(objects=10, written=7, failed=3)

    # Of three keys one has no object any more, and one fails again.
    counts.take_back(3)
    counts.add(Filled(None, objects=2, written=1, failures=[Failure("b", "c")]))

    assert counts == Counts(objects=9, written=8, failed=1)


class Index:
    """Has records of `b` and `x`, a tombstone of `c`, and an item that is not a record."""

    def list_range(self, bucket: str, of: Range, prefix: str) -> Iterator[FileRecord | Unreadable]:
        assert (bucket, of, prefix) == ("b", Range(), "p")
        for key, state in (("b", ObjectState()), ("c", None), ("x", ObjectState())):
            yield FileRecord(bucket=bucket, key=key, indexed_at=NOW, revision="r", state=state)
        yield Unreadable("y", UnreadableRecordError("not a record"))


class Pages:
    """A listing in pages of two objects."""

    def __init__(self, keys: str) -> None:
        self._keys = keys
        self.listed: list[str] = []

    def pages(self, prefix: str, of: Range = EVERYTHING) -> Iterator[Page]:
        assert prefix == "p"
        left = [key for key in self._keys if key in of]
        for first in range(0, len(left), 2):
            page = left[first : first + 2]
            self.listed += page
            yield Page([Listed(key, "e", 1, NOW) for key in page], NOW)


@pytest.mark.parametrize(
    ("keys", "refreshes", "as_json", "code", "answer"),
    [
        ("abcd", False, False, 0, "4 objects; without a record: 3."),
        ("abcd", True, False, 0, "4 objects: all would be refreshed; without a record: 3."),
        ("b", False, False, 0, "1 object; without a record: 0."),
        ("abcd", False, True, 0, '{"objects": 4, "without_record": 3}'),
        ("", False, False, 1, "0 objects; without a record: 0."),
    ],
)
def test_a_dry_run_counts_objects_and_those_without_a_record(
    keys: str,
    refreshes: bool,
    as_json: bool,
    code: int,
    answer: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    advanced: list[int] = []
    monkeypatch.setattr(Target, "reader", lambda _: Index())
    monkeypatch.setattr("cli.backfill.Work.advance", lambda *_: advanced.append(1))
    target = table("t", object_metadata=refreshes)
    listing = cast(Listing, Pages(keys))

    assert backfill._dry_run(target, Address("b", "p"), listing, as_json=as_json) == code

    said = capsys.readouterr()
    assert said.out == f"{answer}\n"
    assert said.err == ("" if keys else "No watched object begins with s3://b/p.\n")
    assert len(advanced) == len(keys)


class Totals:
    """Work that records its totals."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.known = threading.Event()

    def set_total(self, total: int) -> None:
        self.totals.append(total)
        if total == 5:
            self.known.set()


class Terminal:
    """Standard error, as a terminal or not."""

    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal


def counting(listing: Any, work: Totals, left: Left) -> Any:
    return backfill._counting(cast(Listing, listing), "p", left, cast(Work, work))


def test_the_total_is_counted_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Totals()
    left = Left((Range("a", "d"), Range("f")))
    monkeypatch.setattr(backfill, "stderr_console", Terminal(is_terminal=True))

    with counting(Pages("abcdefgh"), work, left):
        assert work.known.wait(HANG_SECONDS)

    assert work.totals[-1] == 5
    assert work.totals == sorted(work.totals)

    monkeypatch.setattr(backfill, "stderr_console", Terminal(is_terminal=False))
    unseen = Pages("abc")
    with counting(unseen, Totals(), left):
        pass
    assert unseen.listed == []


def test_counting_ends_with_the_backfill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "stderr_console", Terminal(is_terminal=True))
    began = threading.Event()

    class Endless:
        def pages(self, _: str, __: Range) -> Iterator[Page]:
            while True:
                began.set()
                yield Page([Listed("b", "e", 1, NOW)], NOW)

    before = threading.active_count()
    with counting(Endless(), Totals(), Left()):
        assert began.wait(HANG_SECONDS)

    assert threading.active_count() == before


@pytest.mark.parametrize(
    "error", [CommandError("no bucket"), EndpointConnectionError(endpoint_url="e")]
)
def test_a_backfill_needs_no_total(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "stderr_console", Terminal(is_terminal=True))
    unexpected: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", unexpected.append)

    class Broken:
        def pages(self, _: str, __: Range) -> Iterator[Page]:
            raise error

    with counting(Broken(), Totals(), Left()):
        pass

    assert unexpected == []
