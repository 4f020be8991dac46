"""A deployment's worker and state machine, used as their users do: by runs and by their log."""

import json
from typing import Any

from function.reconciliation.rounds import name_of
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e.stack import Stack

MOST_BYTES = 200_000
"""Of a state's input or output."""


class Worker(Stack):
    """A deployment with the worker, its role and its log in place of the function's."""

    @classmethod
    def of(cls, stack: Stack) -> "Worker":
        return cls(stack.emulator, stack.deployment, stack.second_plan)

    @property
    def name(self) -> str:
        name: str = self.outputs["reconciliation"]["worker"]["name"]
        return name

    @property
    def role(self) -> str:
        return self.name

    @property
    def log_group(self) -> str:
        name: str = self.outputs["reconciliation"]["log_group"]["name"]
        return name

    @property
    def function(self) -> Stack:
        """The same deployment with the function, its role and its log."""
        return Stack(self.emulator, self.deployment, self.second_plan)

    @property
    def state_machine(self) -> str:
        """The ARN."""
        arn: str = self.outputs["reconciliation"]["state_machine"]["arn"]
        return arn

    @property
    def _sfn(self) -> Any:
        return self.emulator.client("stepfunctions")

    def start_run(self, name: str | None = None, **given: Any) -> str:
        """Start a run with this input; return its ARN."""
        name = name or name_of(given.get("mode", "verify"), given.get("prefix", ""))
        started = self._sfn.start_execution(
            stateMachineArn=self.state_machine, name=name, input=json.dumps(given)
        )
        arn: str = started["executionArn"]
        return arn

    def result(self, run: str, seconds: float = HANG_SECONDS) -> dict[str, Any]:
        """Wait until the run has ended; return its result."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self._sfn.describe_execution(executionArn=run)
            return None if found["status"] == "RUNNING" else found

        execution = wait_for(ended, lambda: self.log_lines()[-5:], seconds)
        assert execution["status"] == "SUCCEEDED", execution
        for text in self.states(run):
            assert len(text.encode()) < MOST_BYTES
        result: dict[str, Any] = json.loads(execution["output"])
        return result

    def run(self, seconds: float = HANG_SECONDS, **given: Any) -> dict[str, Any]:
        """Run with this input; return the result."""
        return self.result(self.start_run(**given), seconds)

    def stop(self, run: str) -> None:
        self._sfn.stop_execution(executionArn=run)

    def states(self, run: str) -> list[str]:
        """Return the input and output of each state so far, as JSON."""
        pages = self._sfn.get_paginator("get_execution_history").paginate(executionArn=run)
        return [
            details[name]
            for page in pages
            for event in page["events"]
            for details in event.values()
            if isinstance(details, dict)
            for name in ("input", "output")
            if name in details
        ]

    def lines_about(self, prefix: str, message: str) -> list[dict[str, Any]]:
        """Return the lines with this message about keys below the prefix."""
        lines = self.log_lines(message=message)
        return [line for line in lines if line["key"].startswith(prefix)]

    def wait_for_lines(self, prefix: str, message: str, number: int) -> list[dict[str, Any]]:
        """Wait until there are so many lines with this message about keys below the prefix."""

        def found() -> list[dict[str, Any]] | None:
            lines = self.lines_about(prefix, message)
            return lines if len(lines) == number else None

        return wait_for(found, lambda: self.log_lines()[-10:])
