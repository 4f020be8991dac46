"""`file-index verify`: compares the index with the watched part of the bucket, and repairs it.

`function/reconciliation/verification.py` explains when a difference is drift.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from .address import Address
from .checkpoint import Checkpoint, Left, identity, in_order
from .crew import Job
from .engine import Engine
from .errors import FAILED, NO, OK, CommandError
from .failures import Failures
from .function.ranges import Range
from .function.reconciliation.failures import Failure
from .function.reconciliation.findings import UNSETTLED, Drift, Findings
from .function.reconciliation.reconciler import Reconciler
from .function.reconciliation.sides import BucketAndTable
from .function.reconciliation.verification import Compared, Verification
from .function.reconciliation.workers import each
from .interruption import Interruption, deferred
from .progress import Work
from .report_file import ReportFile, opened
from .summary import show
from .target import Target
from .terminal import counted, stderr_console, write_stderr, write_stdout
from .waiting import Retry, Waiting

_MOST_DIRECTORIES = 10_000
_ELSEWHERE = "(elsewhere)"


@dataclass(frozen=True, slots=True)
class _Request:
    """What the user asked for. Can be pickled, so that other processes work on it too."""

    target: Target
    address: Address
    repair: bool
    versions: bool
    grace: float

    def reconciler(self) -> Reconciler:
        return self.target.reconciler(self.address, compare_versions=self.versions)

    def verification(self) -> Verification:
        return self.reconciler().verification(grace=self.grace, repair=self.repair)

    def work(self) -> Callable[[Range, Callable[[int], bool]], Iterator[Compared]]:
        return self.verification().comparing

    def sides(self) -> BucketAndTable:
        return self.reconciler().sides()


@dataclass(slots=True)
class Run:
    """A run: its counts, its checkpoint and its report."""

    address: Address
    checkpoint: Checkpoint
    verification: Verification
    engine: Engine[Compared]
    interruption: Interruption
    lines: ReportFile
    work: Work
    left: Left
    findings: Findings
    failures: Failures
    waiting: Waiting
    as_json: bool
    retries: deque[Retry] = field(default_factory=deque)
    """In the order of their offsets."""
    has_begun: bool = False

    def finish(self, failed: Iterable[tuple[Failure, int]]) -> None:
        """Retry an earlier run's failed keys, and compare what is left."""
        tried = each(lambda one: self.verification.look(Range(up_to=one[0].key)), failed)
        for (earlier, offset), compared in tried:
            self._retry(Retry(earlier, offset), compared)
            self._judge_if_due()
        with closing(self.engine.run()) as parts:
            for part in parts:
                if part:
                    self._add(part)
                self._judge_if_due()
        while self.waiting:
            self._wait_and_judge()

    def state(self) -> Left:
        """Return what is left, with the counts so far."""
        ranges = in_order([*self.engine.left, *self.waiting.ranges])
        return Left(ranges, self.left.retried, self.findings.counts)

    def stop(self) -> None:
        """Keep what is left, and tell the user what was found so far."""
        if self.has_begun:
            left = self.state()
            self.checkpoint.write(left)
            done = f"{counted(self.findings.compared, 'key')} compared"
            self.checkpoint.say_stopped(left, done)
        if self.findings.kinds.total():
            write_stderr("Stopped before the end. So far:")
            show(self.findings, self.address, stderr_console)

    def _retry(self, retry: Retry, compared: Compared) -> None:
        self.retries.append(retry)
        for suspect in compared.suspects:
            self.waiting.add(suspect, retry)
        if not compared.suspects:
            retry.found = next(iter(compared.failures), None)
            retry.is_open = False
        self._end_retries()

    def _add(self, part: Compared) -> None:
        self.has_begun |= part.keys > 0
        self.work.advance(part.keys + len(part.suspects))
        self.findings.compared += part.keys
        for suspect in part.suspects:
            self.waiting.add(suspect)
        for failure in part.failures:
            self._note(failure)
        self._write_if_due()

    def _judge_if_due(self) -> None:
        self.interruption.check()
        while self.waiting.must_be_judged:
            self._wait_and_judge()

    def _wait_and_judge(self) -> None:
        """Wait for the oldest suspect, and judge all that are due by then."""
        while (seconds := self.waiting.seconds) > 0:
            self.interruption.check()
            self.work.note(f"{len(self.waiting):,} suspects, checked again in {seconds:.0f} s")
            time.sleep(min(seconds, 1))
        self.work.note("")
        for found, retry in self.waiting.judged():
            self.has_begun = True
            if retry:
                retry.found, retry.is_open = found, False
                self._end_retries()
            else:
                self.findings.compared += 1
                if found:
                    self._note(found)
            self._write_if_due()
        self.interruption.check()

    def _end_retries(self) -> None:
        """Count the retried keys that are judged, in order, because the offset counts them all."""
        while self.retries and not self.retries[0].is_open:
            retry = self.retries.popleft()
            self.has_begun = True
            self.findings.take_back(retry.earlier)
            self.left = Left(retried=retry.offset)
            if retry.found:
                self._note(retry.found)
            self._write_if_due()

    def _note(self, found: Drift | Failure) -> None:
        """Count a key that differs or failed, and report it."""
        self.findings.add(found, directory_of(found.key, self.address, self.findings))
        line = line_of(found, self.address)
        self.lines.write(line)
        if self.as_json and isinstance(found, Drift):
            write_stdout(line)
        failure = found if isinstance(found, Failure) else found.failure
        if failure and failure.kind == UNSETTLED:
            return
        if failure:
            self.checkpoint.add(failure)
        is_repaired = isinstance(found, Drift) and found.repaired
        self.failures.add([failure] if failure else [], is_any_done=is_repaired)

    def _write_if_due(self) -> None:
        if self.has_begun and self.checkpoint.is_due:
            self.lines.flush()
            self.checkpoint.write(self.state())


def verify(
    target: Target,
    address: Address,
    *,
    repair: bool,
    versions: bool,
    grace: float,
    resume: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Show how the index differs from the bucket, and repair it if asked."""
    request = _Request(target, address, repair, versions, grace)
    verification = request.verification()
    verification.reach()
    checkpoint = Checkpoint("verify", *identity(target, address), f"{repair} {versions}")
    earlier = checkpoint.begin(resume=resume)
    resumed = earlier is not None
    left = earlier or Left()
    with ExitStack() as context:
        lines = context.enter_context(opened(report, resumed=resumed))
        work = context.enter_context(Work("Verifying"))
        interruption = context.enter_context(deferred())
        run = Run(
            address,
            checkpoint,
            verification,
            Engine(
                Job(target.connection, request.work),
                verification.comparing,
                request.sides,
                left.ranges,
                interruption,
            ),
            interruption,
            lines,
            work,
            left,
            Findings.of(left.counts),
            Failures(is_resumed=resumed),
            Waiting(verification),
            as_json,
        )
        try:
            run.finish(checkpoint.failures(left))
        except BaseException:
            lines.flush()  # the checkpoint must not count lines that are not in the file
            if not interruption.is_forced:
                run.stop()
            raise
    return _ended(run)


def _ended(run: Run) -> int:
    findings, failures, address = run.findings, run.failures, run.address
    if denial := failures.denial(findings.compared):
        run.checkpoint.forget()
        raise CommandError(denial)
    run.checkpoint.end(run.state(), is_done=not failures.count)
    write_findings(findings, address, as_json=run.as_json)
    failures.say(address.bucket, is_kept=run.checkpoint.is_kept)
    return exit_code(findings) if findings.compared else nothing_compared(address)


def write_findings(findings: Findings, address: Address, *, as_json: bool) -> None:
    """Write the numbers of a run to standard output."""
    if as_json:
        write_stdout(findings.as_json())
    else:
        show(findings, address)


def nothing_compared(address: Address) -> int:
    """Tell the user that there was nothing to compare; return the exit code."""
    write_stderr("Neither bucket nor index has a watched key that begins with {}.", str(address))
    return NO if address.path else OK


def exit_code(findings: Findings) -> int:
    """Return the exit code of the command. An unsettled key counts as an equal one."""
    if findings.failed:
        return FAILED
    return NO if findings.kinds.total() else OK


def line_of(found: Drift | Failure, address: Address) -> str:
    """Return a line of the report."""
    if isinstance(found, Drift):
        return found.as_json()
    line = {"kind": found.kind or "failed", "bucket": address.bucket, "key": found.key}
    return json.dumps(line | {"repaired": False, "cause": found.cause})


def directory_of(key: str, address: Address, findings: Findings) -> str:
    """Return the key's directory below the prefix, or one name for all if there are too many."""
    slash = key.find("/", len(address.path))
    directory = address.path if slash < 0 else key[: slash + 1]
    known = directory in findings.directories or len(findings.directories) < _MOST_DIRECTORIES
    return directory if known else _ELSEWHERE
