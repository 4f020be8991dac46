"""Runs a handler on payloads and prints what it used, as JSON.

python worker.py MODULE.FUNCTION < PAYLOADS

It runs in the environment of the handler, so it imports only the standard library.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any


class Context:
    """Lambda's context of an invocation that has enough time."""

    function_name = "file-index"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:file-index"
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Return a minute."""
        return 60_000


def main() -> None:
    """Warm up, and measure."""
    payloads = json.load(sys.stdin)
    # Every handler's log lines are written one by one, and nobody reads them.
    with (
        open(os.devnull, "w", buffering=1) as lines,
        redirect_stdout(lines),
        redirect_stderr(lines),
    ):
        module, _, name = sys.argv[1].rpartition(".")
        handler = getattr(import_module(module), name)
        _run(handler, payloads["warm_up"])
        cpu, wall = _cpu(), time.perf_counter()
        answers = _run(handler, payloads["measured"])
        used = {"cpu_ms": (_cpu() - cpu) * 1000, "wall_ms": (time.perf_counter() - wall) * 1000}
    json.dump(used | {"answers": answers}, sys.stdout)


def _run(handler: Callable[[Any, Any], Any], payloads: Sequence[Any]) -> list[Any]:
    return [handler(payload, Context) for payload in payloads]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
