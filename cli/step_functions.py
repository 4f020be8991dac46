"""`--engine step-functions`: starts a run of the deployment's state machine, and shows its result.

The run continues if the command ends. Only the worker uses bucket and table, so the caller needs
permissions for the state machine alone.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .address import Address
from .backfill import Counts, nothing_backfilled, write_counts
from .deployment import Reconciliation
from .errors import FAILED, OK, CommandError
from .function.ranges import from_json
from .function.reconciliation.findings import Findings
from .function.reconciliation.rounds import kind_in, kind_of, name_of
from .progress import Work
from .target import Target
from .terminal import write_stderr
from .verify import exit_code, nothing_compared, write_findings

POLL_SECONDS = 2.0
_MOST_NAMED = 3
_RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run does."""

    mode: str
    """`verify` or `backfill`."""
    prefix: str
    repair: bool

    @property
    def name(self) -> str:
        """A new name for such a run."""
        return name_of(self.mode, self.prefix)

    @property
    def kind(self) -> str:
        """The kind of such runs."""
        return kind_of(self.mode, self.prefix)

    def as_json(self) -> str:
        """Return the input of the execution."""
        return json.dumps({"mode": self.mode, "prefix": self.prefix, "repair": self.repair})


class Runs:
    """The runs of one state machine."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, request: Request) -> str:
        """Start a run; return its ARN."""
        started = self._client.start_execution(
            stateMachineArn=self._arn, name=request.name, input=request.as_json()
        )
        return str(started["executionArn"])

    def all(self) -> Iterator[Mapping[str, Any]]:
        """Yield the runs of the last 90 days, newest first, as Step Functions lists them."""
        pages = self._client.get_paginator("list_executions").paginate(stateMachineArn=self._arn)
        for page in pages:
            yield from page["executions"]

    def last(self, request: Request) -> str:
        """Return the ARN of the run of this kind that is under way, or else of the last one.

        A run that was skipped did nothing, so it does not count. Raises CommandError.
        """
        runs = [run for run in self.all() if kind_in(run["name"]) == request.kind]
        under_way = [run for run in runs if run["status"] == _RUNNING]
        for run in under_way or runs:
            arn = str(run["executionArn"])
            if under_way or not _is_skipped(self.describe(arn)):
                return arn
        raise CommandError("no run was found: leave --resume out to start one")

    def describe(self, run: str) -> Mapping[str, Any]:
        """Return the run, as Step Functions describes it."""
        described: Mapping[str, Any] = self._client.describe_execution(executionArn=run)
        return described

    def counts(self, run: str, after: int) -> Iterator[tuple[int, Mapping[str, int]]]:
        """Yield the id of each event after one, newest first, and what a worker has counted."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=run, reverseOrder=True
        )
        for page in pages:
            for event in page["events"]:
                if event["id"] <= after:
                    return
                yield event["id"], _counts(event)


def _is_skipped(described: Mapping[str, Any]) -> bool:
    return bool(json.loads(described.get("output") or "{}").get("outcome") == "skipped")


def _counts(event: Mapping[str, Any]) -> Mapping[str, int]:
    """Return what a worker has counted, if the event is the end of one."""
    succeeded = event.get("taskSucceededEventDetails")
    answer = json.loads(succeeded["output"]).get("Payload", {}) if succeeded else {}
    # Other steps return the state of the run, with the counts of all.
    is_result = "attempt" in answer
    counts: Mapping[str, int] = answer["counts"] if is_result else {}
    return counts


def verify(
    target: Target,
    address: Address,
    *,
    repair: bool,
    resume: bool,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Let the deployment's workers compare the keys below a prefix, and repair them if asked."""
    request = Request(mode="verify", prefix=address.path, repair=repair)
    result = _finished(target, request, resume=resume, pause=pause)
    findings = Findings.of(result["counts"])
    write_findings(findings, address, as_json=as_json)
    _say_rest(target, address, result)
    if result["outcome"] != "complete":
        return FAILED
    return exit_code(findings) if findings.compared else nothing_compared(address)


def backfill(
    target: Target,
    address: Address,
    *,
    resume: bool,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Let the deployment's workers fill the index below a prefix."""
    request = Request(mode="backfill", prefix=address.path, repair=True)
    result = _finished(target, request, resume=resume, pause=pause)
    counts = Counts(**result["counts"])
    write_counts(target, counts, as_json=as_json)
    _say_rest(target, address, result)
    if result["outcome"] != "complete":
        return FAILED
    return OK if counts.objects else nothing_backfilled(address)


def _finished(
    target: Target, request: Request, *, resume: bool, pause: Callable[[float], None]
) -> Mapping[str, Any]:
    """Start a run, or find the last one; return its result when it has ended.

    Raises CommandError if it has none.
    """
    reconciliation = _of(target, request)
    runs = Runs(target.client("stepfunctions"), reconciliation.state_machine_arn)
    run = runs.last(request) if resume else runs.start(request)
    name = run.rpartition(":")[2]
    if not resume:
        write_stderr(
            "Run {} was started. It continues if this command is interrupted: --resume shows it"
            " again.",
            name,
        )
    return _result(_wait(runs, run, request, pause), name)


def _of(target: Target, request: Request) -> Reconciliation:
    """Return what the deployment has for runs. Raises CommandError if it cannot do this one."""
    deployment = target.deployment
    if deployment is None:
        raise CommandError("--engine step-functions needs a deployment: leave --table out")
    if deployment.reconciliation is None:
        raise CommandError(
            "the deployment has no state machine: set reconciliation = {} and apply, or use"
            " --engine local"
        )
    if request.repair and not deployment.reconciliation.repair:
        raise CommandError(
            "the deployment's workers may not write: set reconciliation = { repair = true } and"
            " apply, or use --engine local"
        )
    return deployment.reconciliation


def _wait(
    runs: Runs, run: str, request: Request, pause: Callable[[float], None]
) -> Mapping[str, Any]:
    """Show the progress of the run until it ends; return its description."""
    what, counted = {
        "backfill": ("Backfilling", "objects"),
        "verify": ("Verifying", "compared"),
    }[request.mode]
    seen = 0
    with Work(what) as work:
        while True:
            described = runs.describe(run)
            since = seen
            for number, counts in runs.counts(run, since):
                seen = max(seen, number)
                work.advance(counts.get(counted, 0))
            if described["status"] != _RUNNING:
                return described
            pause(POLL_SECONDS)


def _result(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    status = described["status"]
    if status != "SUCCEEDED":
        why = ": ".join(filter(None, (described.get("error"), described.get("cause"))))
        raise CommandError(f"run {name} ended as {status}{why and f', {why}'}")
    result: Mapping[str, Any] = json.loads(described["output"])
    if result["outcome"] in ("skipped", "failed", "never filled"):
        raise CommandError(f"run {name} did nothing: {result['reason']}")
    return result


def _say_rest(target: Target, address: Address, result: Mapping[str, Any]) -> None:
    """Tell the user what the numbers do not say."""
    if result["at_least"]:
        write_stderr("A worker was started again, so the counts are lower bounds.")
    for one in result["keys"]:
        cause = f": {one['cause']}" if "cause" in one else ""
        write_stderr("  {} {}{}", one["kind"], f"s3://{address.bucket}/{one['key']}", cause)
    if result["outcome"] == "incomplete":
        write_stderr("The result is incomplete{}.", result["reason"] and f": {result['reason']}")
    elif result["reason"]:
        write_stderr("{}.", result["reason"])
    for cause in result["causes"]:
        write_stderr("  {}", cause)
    ranges = from_json(result["left"])
    for left in ranges[:_MOST_NAMED]:
        begin = f" after {left.after}" if left.after else ""
        end = f" up to {left.up_to}" if left.up_to else ""
        write_stderr("  not done: the keys{}{}", begin, end)
    if len(ranges) > _MOST_NAMED:
        write_stderr("  … and {:,} more ranges", len(ranges) - _MOST_NAMED)
    deployment = target.deployment
    if result["keys"] and deployment and deployment.reconciliation:
        write_stderr("The log group {} has a line for each.", deployment.reconciliation.log_group)
