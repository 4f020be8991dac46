"""Where a run resumes, and which keys it retries."""

import json
import os
from pathlib import Path

import pytest

from cli.checkpoint import Checkpoint, Left, in_order
from cli.errors import CommandError
from cli.function.ranges import Range
from cli.function.reconciliation.failures import Failure

AFTER_A = Left((Range("a\n\U0001f600"),), counts={"objects": 3})


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def files(state: Path) -> list[str]:
    return sorted(path.suffix for path in (state / "file-index").iterdir())


def failed(checkpoint: Checkpoint, left: Left) -> list[str]:
    return [failure.key for failure, _ in checkpoint.failures(left)]


def resumed() -> tuple[Checkpoint, Left]:
    checkpoint = Checkpoint("backfill", "table")
    left = checkpoint.begin(resume=True)
    assert left
    return checkpoint, left


def test_it_is_kept_until_there_is_nothing_left_to_do(state: Path) -> None:
    checkpoint = Checkpoint("backfill", "table", "bucket", "prefix")
    assert checkpoint.read() is None

    checkpoint.write(AFTER_A)
    assert Checkpoint("backfill", "table", "bucket", "prefix").read() == AFTER_A

    checkpoint.forget()
    checkpoint.forget()
    assert checkpoint.read() is None
    assert files(state) == []


def test_it_holds_several_ranges() -> None:
    left = Left((Range("a", "c"), Range("m", None), Range("", "\U0001f600")), counts={})

    Checkpoint("backfill", "table").write(left)

    assert Checkpoint("backfill", "table").read() == left


def test_ranges_are_kept_in_key_order_and_joined_where_they_touch() -> None:
    ranges = [
        Range("m"),
        Range("c", "d"),
        Range("a", "b", looks=3),
        Range("b", "c"),
        Range("e", "f"),
    ]

    assert in_order(ranges) == (Range("a", "d"), Range("e", "f"), Range("m"))
    assert in_order([]) == ()


def test_a_checkpoint_that_takes_long_is_written_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 5.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoint = Checkpoint("backfill", "table")

    def takes_a_tenth_of_a_second(_: int) -> None:
        nonlocal now
        now += 0.1

    monkeypatch.setattr(os, "fsync", takes_a_tenth_of_a_second)
    checkpoint.write(AFTER_A)
    now += 1.9
    assert not checkpoint.is_due
    now += 0.2
    assert checkpoint.is_due


def test_every_run_has_its_own() -> None:
    Checkpoint("backfill", "table", "bucket", "a").write(AFTER_A)

    assert Checkpoint("backfill", "table", "bucket", "").read() is None
    assert Checkpoint("backfill", "table", "bucketa", "").read() is None
    assert Checkpoint("verify", "table", "bucket", "a").read() is None


def test_it_is_due_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoint = Checkpoint("backfill", "table")
    assert checkpoint.is_due

    checkpoint.write(AFTER_A)
    now += 0.9
    assert not checkpoint.is_due
    now += 0.1
    assert checkpoint.is_due


def test_failed_keys_are_returned_in_the_order_in_which_they_failed() -> None:
    checkpoint = Checkpoint("backfill", "table")
    for key in ("b", "a", "\ud7ff\n"):
        checkpoint.add(Failure(key, "cause", kind="mismatch" if key == "b" else None))
    checkpoint.write(AFTER_A)

    again, left = resumed()

    found = [failure for failure, _ in again.failures(left)]
    assert [(one.key, one.kind) for one in found] == [
        ("b", "mismatch"),
        ("a", None),
        ("\ud7ff\n", None),
    ]
    assert again.failed_size == checkpoint.failed_size > 0


def test_a_retried_key_is_not_retried_again(state: Path) -> None:
    checkpoint = Checkpoint("backfill", "table")
    for key in ("a", "b", "c"):
        checkpoint.add(Failure(key, "cause"))
    checkpoint.write(AFTER_A)
    again, left = resumed()
    (_, first), *_ = again.failures(left)
    again.add(Failure("a", "again"))
    again.write(Left(left.ranges, first))
    # A key that fails again waits for the next run.
    assert failed(again, left) == ["a", "b", "c"]

    third, left = resumed()

    assert failed(third, left) == ["b", "c", "a"]
    third.end(left, is_done=True)
    assert files(state) == []


def test_keys_that_failed_after_the_checkpoint_are_in_a_range_that_is_left(state: Path) -> None:
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.add(Failure("a", "cause"))
    checkpoint.write(AFTER_A)
    (path,) = state.rglob("*.failed")
    with path.open("a") as file:
        file.write('{"key": "b", "cause": "c"}\n{"key": "c", "ca')

    again, left = resumed()
    again.add(Failure("d", "cause"))
    again.write(left)

    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "d"]


def test_failed_keys_that_are_gone_leave_nothing_to_resume(state: Path) -> None:
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.add(Failure("a", "cause"))
    checkpoint.write(AFTER_A)
    (path,) = state.rglob("*.failed")
    os.truncate(path, path.stat().st_size - 1)
    assert Checkpoint("backfill", "table").read() is None

    path.unlink()

    assert Checkpoint("backfill", "table").read() is None


def test_a_new_run_replaces_the_checkpoint_of_an_earlier_one(state: Path) -> None:
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.add(Failure("a", "cause"))
    checkpoint.write(AFTER_A)

    new = Checkpoint("backfill", "table")
    assert new.begin(resume=False) is None
    # Until it has a checkpoint of its own, the earlier run can still be resumed.
    assert failed(*resumed()) == ["a"]
    new.write(Left((Range("b"),)))

    assert Checkpoint("backfill", "table").read() == Left((Range("b"),))
    assert files(state) == [".json"]


def test_a_run_killed_before_its_first_checkpoint_keeps_the_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.add(Failure("a", "cause"))
    checkpoint.write(AFTER_A)
    new = Checkpoint("backfill", "table")
    new.begin(resume=False)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        new.write(Left((Range("b"),)))

    assert failed(*resumed()) == ["a"]


@pytest.mark.parametrize(
    ("left", "resume", "said"),
    [
        (None, True, "There is nothing to resume: starting from the beginning.\n"),
        (None, False, ""),
        (Left((Range("k"),)), True, "Retrying 2 failed keys first.\nContinuing after k.\n"),
        (
            Left((Range("k"),)),
            False,
            "An earlier verify stopped after k: --resume would continue there.\n",
        ),
        (Left(()), True, "Retrying 2 failed keys first.\n"),
        (Left(()), False, "An earlier verify left 2 failed keys: --resume would retry them.\n"),
    ],
)
def test_the_checkpoint_of_an_earlier_run_is_reported(
    capsys: pytest.CaptureFixture[str], left: Left | None, resume: bool, said: str
) -> None:
    if left:
        checkpoint = Checkpoint("verify", "table")
        checkpoint.add(Failure("a", "cause"))
        checkpoint.add(Failure("b", "cause"))
        checkpoint.write(left)

    begun = Checkpoint("verify", "table").begin(resume=resume)

    assert begun == (left if resume else None)
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Left((Range("k"),)), "Stopped after k, 3 objects done: continue with --resume.\n"),
        (Left((), retried=1), "Stopped, 3 objects done: continue with --resume.\n"),
    ],
)
def test_the_key_at_which_it_stopped_is_reported(
    capsys: pytest.CaptureFixture[str], left: Left, said: str
) -> None:
    Checkpoint("backfill", "table").say_stopped(left, "3 objects done")

    assert capsys.readouterr().err == said


def test_an_unwritable_checkpoint_is_reported_once(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "file-index").write_text("no directory")
    checkpoint = Checkpoint("backfill", "table")

    for _ in range(2):
        checkpoint.add(Failure("a", "cause"))
        checkpoint.write(AFTER_A)
        assert not checkpoint.is_due
    checkpoint.forget()
    checkpoint.say_stopped(AFTER_A, "3 objects done")

    assert not checkpoint.is_kept
    said = capsys.readouterr().err
    assert said.startswith("This run cannot be resumed: [Errno 17] ")
    assert said.count("cannot be resumed") == 1
    assert said.endswith("Stopped after a\\n\U0001f600, 3 objects done.\n")


def test_a_user_without_a_home_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**30)

    with pytest.raises(CommandError, match="no home directory"):
        Checkpoint("backfill", "table")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"ranges": [{"after": null, "up_to": null}], "counts": {},'
        ' "failed": {"file": "f", "size": 0, "retried": 0}}',
        '{"start_after": "a"}',
    ],
)
def test_a_damaged_file_is_not_a_checkpoint(text: str) -> None:
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.write(AFTER_A)
    checkpoint.path.write_text(text)

    assert checkpoint.read() is None


def test_a_file_elsewhere_is_never_mistaken_for_the_failed_keys(state: Path) -> None:
    mine = state / "mine"
    mine.write_text("x" * 100)
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.write(AFTER_A)
    noted = json.loads(checkpoint.path.read_text())
    noted["failed"] |= {"file": "../mine", "size": 10}
    checkpoint.path.write_text(json.dumps(noted))

    assert Checkpoint("backfill", "table").begin(resume=True) is None
    assert len(mine.read_text()) == 100


def test_the_checkpoint_reaches_the_disk_before_it_replaces_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(file: int) -> None:
        done.append("fsync")
        fsync(file)

    def noted_replace(path: Path, to: Path) -> Path:
        done.append("replace")
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    checkpoint = Checkpoint("backfill", "table")
    checkpoint.add(Failure("a", "cause"))

    checkpoint.write(AFTER_A)

    assert done == ["fsync", "fsync", "replace"]
