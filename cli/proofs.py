"""The proofs of an index: what the runs of its state machine say about bucket and index.

A proof is a complete verification of everything. Step Functions keeps the runs of 90 days.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from .errors import CommandError
from .function.denials import explained_denial
from .function.reconciliation.findings import Findings
from .function.reconciliation.rounds import kind_in, kind_of
from .step_functions import Runs
from .terminal import counted

MOST_DESCRIBED = 100
"""So many runs are asked for their result before the search for a proof ends."""
_EVERYTHING = kind_of("verify", "")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A run that compared every key."""

    run: str
    """Its name."""
    ended: datetime
    findings: Findings
    at_least: bool
    """Whether a worker died, so that there may have been more differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproved:
    """A run that ended without having compared every key."""

    run: str
    """Its name."""
    ended: datetime
    outcome: str
    """That of its result, or the status of its execution."""
    reason: str
    causes: tuple[str, ...]
    """Why keys or ranges failed, the first ones."""

    @classmethod
    def of(cls, listed: Mapping[str, Any], result: Mapping[str, Any]) -> Self:
        """Return a run that ended by itself."""
        keys = [f"{one['key']}: {one['cause']}" for one in result["keys"] if "cause" in one]
        failed = Findings.of(result["counts"]).failed
        return cls(
            run=listed["name"],
            ended=listed["stopDate"],
            outcome=result["outcome"],
            reason=result["reason"] or (f"{counted(failed, 'key')} failed" if failed else ""),
            causes=tuple([*result["causes"], *keys][:_MOST_NAMED]),
        )

    @classmethod
    def stopped(cls, listed: Mapping[str, Any], described: Mapping[str, Any]) -> Self:
        """Return a run that failed, or that somebody or a time-out ended."""
        why = (described.get("error"), described.get("cause"))
        return cls(
            run=listed["name"],
            ended=listed["stopDate"],
            outcome=listed["status"].lower().replace("_", " "),
            reason=": ".join(filter(None, why)),
            causes=(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known from the runs that verify everything."""

    proof: Proof | None
    """The last one."""
    unproved: Unproved | None
    """The last run, if it ended after the proof and was not skipped."""
    running_since: datetime | None
    """When the run began that is under way."""
    is_cut: bool
    """Whether there may be a proof further back."""


def history(client: Any, state_machine_arn: str) -> History:
    """Return what the runs of a state machine say, back to the last proof. Raises CommandError."""
    runs = Runs(client, state_machine_arn)
    unproved: Unproved | None = None
    running_since: datetime | None = None
    described = 0

    def found(proof: Proof | None, *, is_cut: bool = False) -> History:
        return History(proof=proof, unproved=unproved, running_since=running_since, is_cut=is_cut)

    with explained_denial("states:ListExecutions", state_machine_arn):
        for listed in runs.all():
            if kind_in(listed["name"]) != _EVERYTHING:
                continue
            if listed["status"] == "RUNNING":
                # A second one is about to be skipped.
                running_since = listed["startDate"]
                continue
            is_stopped = listed["status"] != "SUCCEEDED"
            if is_stopped and unproved:
                continue
            if described == MOST_DESCRIBED:
                return found(None, is_cut=True)
            described += 1
            run = _described(runs, listed["executionArn"])
            if is_stopped:
                unproved = Unproved.stopped(listed, run)
                continue
            result = _result(listed, run)
            if isinstance(result, Proof):
                return found(result)
            unproved = unproved or result
    return found(None)


def _described(runs: Runs, arn: str) -> Mapping[str, Any]:
    with explained_denial("states:DescribeExecution", arn):
        return runs.describe(arn)


def _result(listed: Mapping[str, Any], described: Mapping[str, Any]) -> Proof | Unproved | None:
    """Return what a run proved, or why it did not; None if it was skipped."""
    try:
        result = json.loads(described["output"])
        match result["outcome"]:
            case "skipped":
                return None
            case "complete":
                return Proof(
                    run=listed["name"],
                    ended=listed["stopDate"],
                    findings=Findings.of(result["counts"]),
                    at_least=result["at_least"],
                )
            case _:
                return Unproved.of(listed, result)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CommandError(
            f"the result of run {listed['name']} is not of the same release as file-index"
            f" ({error!r})"
        ) from error
