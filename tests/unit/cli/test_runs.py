"""`backfill` and `verify` as a whole, on a small bucket: what they say and count."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import verify
from cli.address import Address, Filters
from cli.drift import Kind
from cli.failures import Failure
from cli.findings import Drift
from cli.listing import Listed
from cli.place import identity
from cli.settings import settings_of
from cli.target import Target
from function.record import FileRecord, ObjectMetadata
from tests.unit.cli import killed
from tests.unit.cli.killed import KEYS

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
DENIED = (
    "me may not s3:GetObject or s3:ListBucket on object b/{0}, or on bucket b."
    " The policy of whoever runs this must allow it."
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
    def files(self) -> list[str]:
        return [path.suffix for path in (self._home / "file-index").glob("*")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_backfill_counts_what_it_did(run: Run) -> None:
    assert run("backfill") == [{"objects": 7, "refreshed": 7}]
    assert (run.code, run.messages, run.files) == (0, [], [])

    (counted,) = run("backfill", refused="bg")

    assert counted == {"objects": 7, "refreshed": 5, "failed": 2}
    assert run.code == 2
    assert run.messages == [
        "2 keys failed; --resume tries them again:",
        f"  s3://b/b: {DENIED.format('b')}",
        f"  s3://b/g: {DENIED.format('g')}",
    ]
    assert run.noted["ranges"] == []
    assert run.noted["counts"] == {"objects": 7, "written": 5, "contended": 0, "failed": 2}
    assert run.noted["backfill"] == ["table", "eu-west-1", "b", "", "*", "True False None"]

    assert run("backfill", resume=True) == [{"objects": 7, "refreshed": 7}]
    assert (run.code, run.messages) == (0, ["Trying again first: 2 failed."])


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
    assert run.messages[0] == "2 keys failed; --resume tries them again:"
    assert run.noted["verify"][-2:] == ["True False None", "True False"]
    assert run.noted["counts"]["unrepaired"] == 2

    *found, counted = run("verify", resume=True, report=report)

    assert [line["key"] for line in found] == ["b", "g"]
    assert counted == summary | {"repaired": 7}
    assert (run.code, run.messages) == (1, ["Trying again first: 2 failed."])
    assert len(report.read_text().splitlines()) == 9
    assert run.files == []

    assert run("verify")[-1] == summary | {"repaired": 0, "drift": drift | {"orphan": 0}}
    assert run.code == 0


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_of_refusals_alone_leaves_nothing_behind(run: Run, command: str) -> None:
    with pytest.raises(Exception, match=r"^me may not s3:GetObject .* on object b/a,"):
        run(command, refused="".join(KEYS))

    assert (run.files, run.messages) == ([], [])


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_that_stops_says_where(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = killed.Disk.refresh

    def stops(disk: killed.Disk, event: Any, settled_at: Any = None) -> None:
        if event.key == "e":
            raise KeyboardInterrupt
        refresh(disk, event, settled_at)

    with monkeypatch.context() as patched:
        patched.setattr(killed.Disk, "refresh", stops)
        with pytest.raises(KeyboardInterrupt):
            run(command, refused="b")

    # Batches of a backfill have two keys, here, at the end of a page one.
    assert run.noted["ranges"] == [{"after": "c" if command == "backfill" else "d", "up_to": None}]
    if command == "backfill":
        assert run.messages == ["Stopped after c, 3 objects done: go on with --resume."]
    else:
        assert run.messages[:3] == [
            "Stopped after d, 4 keys compared: go on with --resume.",
            "Stopped before the end. So far:",
            "s3://b/: 4 keys compared, 4 drift, 3 of it repaired, 1 failed.",
        ]
    counted = run(command, resume=True)[-1]
    assert counted["objects" if command == "backfill" else "compared"] == 7
    after = "c" if command == "backfill" else "d"
    assert run.messages == ["Trying again first: 1 failed.", f"Going on after {after}."]


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_a_run_that_stops_before_anything_is_done_says_nothing(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(killed.Disk, "refresh", stops)
    with pytest.raises(KeyboardInterrupt):
        run(command)

    assert (run.messages, run.files) == ([], [])


def test_runs_are_told_from_one_another_by_what_they_work_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    target = Target(settings=settings_of("t"), filters=Filters())
    address = Address("b", "in/")
    settings = target.settings
    others = [
        (replace(target, settings=replace(settings, table_name="u")), address),
        (replace(target, settings=replace(settings, object_metadata=True)), address),
        (replace(target, settings=replace(settings, object_tags=True)), address),
        (replace(target, settings=replace(settings, derived_bucket="d")), address),
        (replace(target, filters=Filters.parse(["in/"])), address),
        (target, Address("c", "in/")),
        (target, Address("b", "in")),
    ]

    known = {identity(target, address), *(identity(*other) for other in others)}
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")

    assert len(known | {identity(target, address)}) == 2 + len(others)


def test_a_drift_is_reported_with_what_both_sides_know() -> None:
    listed = Listed("k", "e", 1, NOW, version_id="v", storage_class="GLACIER")
    record = FileRecord(
        bucket="b",
        key="k",
        indexed_at=NOW + timedelta(seconds=2),
        revision="r",
        etag="old",
        size=0,
        version_id="w",
        event_name="ObjectCreated:Put",
        sequencer="0055",
        last_modified=NOW + timedelta(seconds=1),
        metadata=ObjectMetadata(storage_class="STANDARD"),
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
    bare = FileRecord(bucket="b", key="k", indexed_at=NOW, revision="r", etag="e")
    assert json.loads(Drift(Kind.PHANTOM, "b", "k", None, bare).as_json())["record"] == {
        "etag": "e",
        "indexed_at": "2026-11-23T08:15:30.000Z",
    }


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(Failure("k", "c"), "failed"), (Failure("k", "c", "unsettled"), "unsettled")],
)
def test_a_failure_is_reported_with_its_cause(failure: Failure, kind: str) -> None:
    assert json.loads(verify._line(failure, Address("b", ""))) == {
        "kind": kind,
        "bucket": "b",
        "key": "k",
        "repaired": False,
        "cause": "c",
    }
