"""The order of a verification, its suspects and its retries."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from cli import verify, waiting
from cli.address import Address
from cli.checkpoint import Checkpoint, Left
from cli.engine import Engine
from cli.failures import Failures
from cli.function.listed import Listed
from cli.function.ranges import Range
from cli.function.reconciliation.comparison import Kind
from cli.function.reconciliation.failures import Failure
from cli.function.reconciliation.findings import UNSETTLED, Drift, Findings
from cli.function.reconciliation.verification import Compared, Suspect, Verification
from cli.interruption import Interruption
from cli.progress import Work
from cli.report_file import ReportFile
from cli.verify import Run
from cli.waiting import Waiting

NOW = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
FAILURE = Failure("k", "cause")
UNSETTLED_KEY = Failure("k", "cause", kind=UNSETTLED)


def suspect(key: str, due: float, after: str = "") -> Suspect:
    return Suspect(Range(after, key, 1), Listed(key, "e", 1, NOW), None, NOW, due)


def drift(key: str) -> Drift:
    return Drift(Kind.ORPHAN, "b", key, None, None)


@dataclass
class Judge:
    """Judges keys as a test has them, at a time of its own."""

    monkeypatch: pytest.MonkeyPatch
    seconds: float = 0.0
    judged: list[tuple[int, str]] = field(default_factory=list)
    """Second and key."""
    again: dict[str, list[float]] = field(default_factory=dict)
    """When a key that changed is due again."""

    def __post_init__(self) -> None:
        self.monkeypatch.setattr("time.monotonic", lambda: self.seconds)
        self.monkeypatch.setattr("time.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds + 0.001

    def judging(self, due: list[Suspect]) -> Iterator[tuple[Suspect, Any]]:
        for one in due:
            self.judged.append((int(self.seconds), one.key))
            times = self.again.get(one.key)
            yield one, suspect(one.key, times.pop(0)) if times else drift(one.key)

    def look(self, of: Range) -> Compared:
        key = of.up_to or ""
        if key == "equal":
            return Compared(None, keys=1)
        return Compared(None, suspects=[suspect(key, self.seconds + 10)])


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Judge(monkeypatch)


class Parts:
    """An engine whose parts a test has."""

    def __init__(self, *parts: Compared | None) -> None:
        self._parts = parts
        self.left: list[Range] = [Range()]

    def run(self) -> Iterator[Compared | None]:
        for part in self._parts:
            if part:
                self.left = [part.rest] if part.rest else []
            yield part


def run_of(judge: Judge, engine: Parts, left: Left | None = None) -> Run:
    verification = cast(Verification, judge)
    return Run(
        Address("b", ""),
        Checkpoint("verify", "table"),
        verification,
        cast(Engine[Compared], engine),
        Interruption(),
        ReportFile(None, None),
        Work("Verifying"),
        left or Left(),
        Findings(),
        Failures(is_resumed=False),
        Waiting(verification),
        as_json=False,
    )


def test_a_suspect_is_judged_when_it_is_due_while_others_are_compared(judge: Judge) -> None:
    def part(rest: str, *suspects: Suspect, seconds: float = 0) -> Compared:
        judge.seconds += seconds
        return Compared(Range(rest), keys=2, suspects=list(suspects))

    class Slow(Parts):
        def run(self) -> Iterator[Compared | None]:
            yield part("b", suspect("b", 10))
            yield part("d", suspect("d", 20), seconds=15)
            assert [key for _, key in judge.judged] == ["b"]
            yield None
            yield part("f", seconds=6)

    run = run_of(judge, Slow())
    judge.again["b"] = [40]
    run.finish([])

    assert judge.judged == [(15, "b"), (21, "d"), (40, "b")]
    assert (run.findings.compared, run.findings.kinds.total()) == (8, 2)


def test_what_is_not_judged_is_left(judge: Judge) -> None:
    engine = Parts(Compared(Range("e"), 3, [suspect("b", 10, "a"), suspect("e", 10, "d")]))
    run = run_of(judge, engine)
    run._add(Compared(Range("e"), 3, [suspect("b", 10, "a"), suspect("e", 10, "d")]))
    engine.left = [Range("e")]

    assert run.state() == Left((Range("a", "b"), Range("d")), 0, Findings(compared=3).counts)

    outcomes = run.waiting.judged()
    judge.seconds = 10
    found, _ = next(outcomes)
    # The other one is under way, and is not lost if the run stops here.
    assert found == drift("b")
    assert run.state().ranges == (Range("d"),)


def test_too_many_suspects_wait_for_the_oldest(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 2)
    most = 0

    class Counting(Parts):
        def run(self) -> Iterator[Compared | None]:
            nonlocal most
            for number in range(6):
                most = max(most, len(run.waiting))
                yield Compared(Range(str(number)), 0, [suspect(str(number), 10 + number)])

    run = run_of(judge, Counting())
    run.finish([])

    assert [key for _, key in judge.judged] == list("012345")
    assert most == 2
    assert run.findings.compared == 6


def test_retried_keys_are_counted_in_the_order_of_their_file(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Left((), retried=5, counts={"compared": 9, "unread": 3})
    run = run_of(judge, Parts(), left)
    run.findings = Findings.of(left.counts)
    noted: list[int] = []
    monkeypatch.setattr(Run, "_write_if_due", lambda run: noted.append(run.left.retried))
    judge.again["a"] = [30]

    run.finish([(Failure(key, "c"), offset) for key, offset in (("a", 7), ("equal", 8), ("b", 9))])

    # `a` is judged last, and holds back the others: its offset must not be passed before.
    assert judge.judged == [(10, "a"), (10, "b"), (30, "a")]
    assert sorted(set(noted)) == [5, 7, 8, 9]
    assert (run.findings.unread, run.findings.kinds[Kind.ORPHAN]) == (0, 2)
    # They were compared by the earlier run already.
    assert run.findings.compared == 9


def test_an_interruption_ends_the_wait(judge: Judge) -> None:
    run = run_of(judge, Parts(Compared(None, 0, [suspect("a", 100)])))

    class Asked(Interruption):
        def check(self) -> None:
            self.is_asked = judge.seconds > 50
            super().check()

    run.interruption = Asked()
    with pytest.raises(KeyboardInterrupt):
        run.finish([])

    assert judge.judged == []
    assert 50 < judge.seconds < 60


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        ([], 0),
        ([Drift(Kind.PHANTOM, "b", "k", None, None)], 1),
        ([Drift(Kind.PHANTOM, "b", "k", None, None, repaired=True)], 1),
        ([Drift(Kind.PHANTOM, "b", "k", None, None, failure=FAILURE)], 2),
        ([Drift(Kind.PHANTOM, "b", "k", None, None), FAILURE], 2),
        ([Drift(Kind.PHANTOM, "b", "k", None, None), UNSETTLED_KEY], 1),
        ([UNSETTLED_KEY], 0),
        ([FAILURE], 2),
    ],
)
def test_failures_take_precedence_over_drift(kept: list[Drift | Failure], code: int) -> None:
    findings = Findings(compared=10)
    for one in kept:
        findings.add(one, "")

    assert verify.exit_code(findings) == code
