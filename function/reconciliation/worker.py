"""The entry point of the worker, which a state machine of AWS Step Functions invokes.

Each step of a run is an invocation: `begin` and `total` say what the workers of the next round do
(see `rounds`), and `work` is one of those workers.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import islice
from typing import Any

from botocore.config import Config

from ..clients import connector
from ..context import Context
from ..errors import FileIndexError, OutOfTimeError, WorkerFailedError
from ..filters import Filters
from ..pages import parse_pages
from ..ranges import Range
from ..report import set_up
from ..settings import Settings, boolean, whole_number
from .comparison import Kind
from .division import divide
from .failures import Failure
from .findings import Drift, Findings
from .items import LONGEST_CAUSE, Item, Result, shortened
from .log import Log
from .reconciler import Reconciler
from .rounds import begin, total
from .verification import Suspect, Verification
from .workers import WORKERS

MOST_SUSPECTS = 5_000
"""A worker that holds so many stops comparing."""
JUDGE_SECONDS = 0.02
"""How long it takes to look at a suspect again and to repair it, with all threads at work."""
RESERVED_SECONDS = 15.0
"""What a worker keeps to divide its rest and to return."""

_JUDGED_AT_ONCE = 20 * WORKERS
_EXAMPLES = 3
_MOST_HALVES = 3
_FIRST_PAGES = 10


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a deployment decides about its workers, beside the function's settings."""

    grace_seconds: int
    may_write: bool
    versioned: bool
    """Whether the bucket has versions, or ever had."""
    repair_at_most: int
    """The most keys that a run repairs that nobody asked to repair."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "WorkerSettings":
        """Read the settings. Raises SettingsError."""
        return cls(
            grace_seconds=whole_number(environment, "GRACE_SECONDS", 120, range(1, 301)),
            may_write=boolean(environment, "REPAIR"),
            versioned=boolean(environment, "VERSIONED"),
            repair_at_most=whole_number(environment, "REPAIR_AT_MOST", 10_000, range(10**9)),
        )


class Budget:
    """How long one worker may compare, and when it must have finished."""

    def __init__(self, seconds: float, deadline: float, suspects: int, grace: float) -> None:
        """`deadline` is a time of the monotonic clock; `suspects` is the most that it may hold."""
        self._until = time.monotonic() + seconds
        self._deadline = deadline
        self._suspects = suspects
        self._grace = grace

    def is_spent(self, suspects: int) -> bool:
        """Return whether a worker that holds so many suspects must stop comparing."""
        now = time.monotonic()
        judged = now + self._grace + suspects * JUDGE_SECONDS
        return now >= self._until or suspects >= self._suspects or judged >= self._deadline

    def check(self) -> None:
        """Raise OutOfTimeError if the worker must have finished."""
        if time.monotonic() >= self._deadline:
            raise OutOfTimeError("the worker is about to time out with suspects left")


class Fuse:
    """What may be repaired without anybody having asked. Safe to share between threads."""

    def __init__(self, repairs: int | None) -> None:
        """Allow so many repairs; None: every repair."""
        self._left = repairs
        self._lock = threading.Lock()

    def may_repair(self, drift: Drift) -> bool:
        """Return whether to repair the drift; a repair that is allowed counts.

        A record that is filtered out is not removed: if the filters were changed by mistake, that
        would empty the index.
        """
        if self._left is None:
            return True
        if drift.kind is Kind.FILTERED_OUT:
            return False
        with self._lock:
            self._left -= 1
            return self._left >= 0


class Worker:
    """What the handler does, independent of its environment."""

    def __init__(
        self,
        settings: Settings,
        own: WorkerSettings,
        connect: Callable[[str], Any],
        now: Callable[[], datetime],
    ) -> None:
        """`connect` makes the client of a service."""
        self._settings = settings
        self._own = own
        self._connect = connect
        self._now = now

    def handle(self, request: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Do one step of a run. Raises WorkerFailedError if another attempt may succeed."""
        match request["step"]:
            case "begin":
                state = begin(
                    request,
                    may_write=self._own.may_write,
                    repair_at_most=self._own.repair_at_most,
                    is_never_filled=lambda: self._is_never_filled(request),
                )
            case "total":
                state = total(request["state"], now=self._now())
            case _:
                return self._work(request, context.get_remaining_time_in_millis() / 1000)
        if state["result"]:
            self._log(state["run"]).ended(state["result"])
        return state

    def _log(self, run: Mapping[str, Any]) -> Log:
        bucket = self._settings.bucket_name or ""
        return Log(self._settings.table_name, bucket, run["name"], self._now)

    def _reconciler(self, request: Mapping[str, Any], prefix: str) -> Reconciler:
        return Reconciler(
            s3=self._connect("s3"),
            dynamodb=self._connect("dynamodb"),
            settings=self._settings,
            bucket=self._settings.bucket_name or "",
            prefix=prefix,
            filters=Filters.of(request["filters"]),
            versioned=self._own.versioned,
        )

    def _is_never_filled(self, request: Mapping[str, Any]) -> bool:
        """Return whether the bucket has a watched object, but the index not a single record.

        If the first pages of the bucket have none, the run finds out what there is.
        """
        reconciler = self._reconciler(request, "")
        try:
            if reconciler.sides().last_record(Range()) is not None:
                return False
            return any(page.objects for page in islice(reconciler.listing.pages(""), _FIRST_PAGES))
        except FileIndexError:
            return False  # the first worker meets the error too, and its result says so

    def _work(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        item, run, attempt = Item.of(request["item"]), request["run"], request["attempt"]
        log = self._log(run)
        # A worker that ran out of memory or time would do so again with the same budget. An attempt
        # can also mean that Lambda had no free concurrency.
        share = 0.5 ** min(attempt, _MOST_HALVES)
        budget = Budget(
            seconds=item.budget_seconds * share,
            deadline=time.monotonic() + seconds - RESERVED_SECONDS,
            suspects=int(MOST_SUSPECTS * share),
            grace=self._own.grace_seconds,
        )
        try:
            reconciler = self._reconciler(request, run["prefix"])
            if run["mode"] == "backfill":
                result = _backfilled(reconciler, item, budget, log)
            else:
                verification = reconciler.verification(
                    grace=self._own.grace_seconds, repair=run["repair"]
                )
                # An attempt that died may have repaired all that the item allows.
                fuse = Fuse(item.repairs if attempt == 0 or item.repairs is None else 0)
                result = _verified(verification, reconciler, item, budget, log, fuse)
        except FileIndexError as error:
            log.died(error)
            if isinstance(error, OutOfTimeError):
                raise _failed(error) from None
            result = Result(item=item.ranges, error=str(error))  # every attempt would meet it
        except Exception as error:  # noqa: BLE001 # the state machine learns of it
            log.died(error)
            raise _failed(error) from None
        return replace(result, attempt=attempt, repairs=item.repairs).as_json(item.room)


def _failed(error: Exception) -> WorkerFailedError:
    # Step Functions keeps the message and the stack trace in the state of the run, so it is short.
    return WorkerFailedError(shortened(f"{type(error).__name__}: {error}", LONGEST_CAUSE))


def _verified(  # noqa: PLR0913, PLR0917 # all that an invocation has
    verification: Verification,
    reconciler: Reconciler,
    item: Item,
    budget: Budget,
    log: Log,
    fuse: Fuse,
) -> Result:
    findings, found = Findings(), list[Drift | Failure]()
    suspects: list[Suspect] = []
    rest: Range | None = None
    for of in sorted(item.ranges, key=lambda of: -of.looks):
        held = len(suspects)
        compared = verification.compare(of, lambda more: budget.is_spent(held + more))  # noqa: B023 # called at once
        findings.compared += compared.keys
        found += compared.failures
        suspects += compared.suspects
        rest = compared.rest or rest
    left = divide(rest, reconciler.sides(), item.pieces) if rest else []
    changing: list[Range] = []
    if suspects:
        time.sleep(max(0.0, max(suspect.due for suspect in suspects) - time.monotonic()))
    for first in range(0, len(suspects), _JUDGED_AT_ONCE):
        budget.check()
        slice_ = suspects[first : first + _JUDGED_AT_ONCE]
        judged = verification.judge(slice_, log.difference, fuse.may_repair)
        findings.compared += judged.keys
        found += judged.found
        changing += [suspect.of for suspect in judged.again]
    for one in found:
        findings.add(one, "")
        log.found(one)
    return Result(
        item=item.ranges,
        rest=tuple(of.after for of in left),
        changing=tuple(changing),
        counts=findings.counts,
        keys=_examples(found),
    )


def _backfilled(reconciler: Reconciler, item: Item, budget: Budget, log: Log) -> Result:
    (of,) = item.ranges
    filled = reconciler.filling().fill(of, budget.is_spent)
    left = divide(filled.rest, reconciler.bucket_alone(), item.pieces) if filled.rest else []
    for failure in filled.failures:
        log.found(failure)
    return Result(
        item=item.ranges,
        rest=tuple(of.after for of in left),
        counts={
            "objects": filled.objects,
            "written": filled.written,
            "contended": filled.contended,
            "failed": len(filled.failures),
        },
        keys=_examples(filled.failures),
    )


def _examples(found: Sequence[Drift | Failure]) -> tuple[Mapping[str, str], ...]:
    # Failures first: they are why a run is incomplete.
    chosen = sorted(found, key=lambda one: isinstance(one, Drift) and one.failure is None)
    return tuple(_example(one) for one in chosen[:_EXAMPLES])


def _example(one: Drift | Failure) -> dict[str, str]:
    failure = one if isinstance(one, Failure) else one.failure
    cause = {"cause": shortened(failure.cause, LONGEST_CAUSE)} if failure else {}
    return {"kind": one.kind or "unread", "key": one.key} | cause


def _client(connect: Callable[[str], Any], service: str) -> Any:
    client = connect(service)
    parse_pages(client)
    return client


def create_worker(environment: Mapping[str, str]) -> Worker:
    """Return the worker of a deployment with these environment variables."""
    config = Config(
        connect_timeout=5,
        read_timeout=15,
        max_pool_connections=WORKERS,
        retries={"mode": "standard", "total_max_attempts": 5},
        parameter_validation=False,  # only this package builds requests
        user_agent="terraform-aws-file-index",
    )
    return Worker(
        Settings.from_environment(environment),
        WorkerSettings.from_environment(environment),
        # Later invocations of this process use the clients again.
        connect=cache(partial(_client, connector(config))),
        now=lambda: datetime.now(UTC),
    )


set_up()
handler = create_worker(os.environ).handle
