"""Runs of a deployment's state machine, and what its workers log."""

import json
import time
from collections.abc import Mapping
from typing import Any

from function.report import metric_fields
from local.waiting import wait_for
from tests.e2e.monitoring import now
from tests.e2e.stack import Stack

DRIFT = ("Phantoms", "Orphans", "Mismatches")
"""The metrics of the kinds of drift."""
PROOF = (*DRIFT, "FilteredOut", "Repaired", "Compared", "Unread", "Unsettled", "Proved")
"""The metrics of the result of a proof."""


class Runs:
    """The runs of a deployment's state machine."""

    def __init__(self, stack: Stack) -> None:
        self._sfn = stack.emulator.client("stepfunctions")
        self._machine = stack.outputs["reconciliation"]["state_machine"]["arn"]

    def arns(self) -> set[str]:
        listed = self._sfn.list_executions(stateMachineArn=self._machine)["executions"]
        return {each["executionArn"] for each in listed}

    def start(self) -> str:
        """Start what the schedule starts."""
        arn: str = self._sfn.start_execution(stateMachineArn=self._machine, input="{}")[
            "executionArn"
        ]
        return arn

    def described(self, arn: str) -> dict[str, Any]:
        """Wait until the run has ended."""

        def found() -> dict[str, Any]:
            described: dict[str, Any] = self._sfn.describe_execution(executionArn=arn)
            return described

        return wait_for(
            lambda: None if (run := found())["status"] == "RUNNING" else run,
            found,
        )

    def result(self, arn: str) -> dict[str, Any]:
        run = self.described(arn)
        assert run["status"] == "SUCCEEDED", run
        result: dict[str, Any] = json.loads(run["output"])
        return result


def worker_lines(stack: Stack, **fields: Any) -> list[dict[str, Any]]:
    """The lines of the workers that have these fields."""
    found = stack.emulator.client("logs").filter_log_events(
        logGroupName=stack.outputs["reconciliation"]["log_group"]["name"]
    )["events"]
    lines = [json.loads(each["message"]) for each in found if each["message"].startswith("{")]
    return [line for line in lines if fields.items() <= line.items()]


def write_result(stack: Stack, metrics: Mapping[str, int], outcome: str = "complete") -> None:
    """Write the line with which the workers report the result of a run."""
    logs, stream = stack.emulator.client("logs"), f"proofs-{time.time_ns()}"
    group = stack.outputs["reconciliation"]["log_group"]["name"]
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    line = {"message": "result", "run": stream, "outcome": outcome, "reason": ""}
    line |= metric_fields(now(), stack.name, metrics)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": int(time.time() * 1000), "message": json.dumps(line)}],
    )
