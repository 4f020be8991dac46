"""Changes of a deployed index: each is applied while files arrive, and its result is kept."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from cli.function.reader import IndexReader
from local.deployment import Deployment, DeploymentError
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e.stack import Stack
from tests.frame import Shared

_SECONDS_BETWEEN_FILES = 1

# Resources that hold data, and resources whose replacement loses permissions or events.
_HOLDERS = {
    "aws_cloudwatch_event_rule.bucket[0]": "rule",
    "aws_cloudwatch_log_group.function": "log group",
    "aws_dynamodb_table.table": "table",
    "aws_iam_role.function": "role",
    "aws_lambda_function.function": "function",
    "aws_s3_bucket.watched[0]": "bucket",
    "aws_s3_bucket_notification.bucket[0]": "notification",
    "aws_sqs_queue.dead_letter": "dead-letter queue",
    "aws_sqs_queue.queue[0]": "queue",
}

EVERYTHING = frozenset(_HOLDERS.values()) - {"rule", "queue"}
"""The resources that replacing a whole deployment without a queue destroys."""


class During(Enum):
    """The fate of the files that arrive while a change is applied."""

    INDEXED = "each is in the index"
    INDEXED_OR_KEPT = "each is in the index or in the dead-letter queue"
    UNKNOWN = "some may be missing until file-index verify --repair"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a deployment's inputs, and what it may do."""

    name: str
    deployment: str
    """Changes of one deployment are applied one after another, in the order of the table."""
    after: Mapping[str, Any] | Callable[[Stack], Mapping[str, Any]] = field(default_factory=dict)
    """The inputs that change, or how to find them."""
    destroys: frozenset[str] = frozenset()
    during: During = During.INDEXED
    refused: str | None = None
    """The plan's error, if it refuses the change."""
    around: Callable[[Stack], Any] | None = None
    """A context manager that acts right before the apply, and checks after it."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a change."""

    destroyed: frozenset[str]
    lost_files: frozenset[str]
    """Files that arrived meanwhile and are neither in the index nor in the dead-letter queue."""
    kept_files: frozenset[str]
    """Files in the dead-letter queue."""
    refusal: str | None
    second_plan: Sequence[str]


class Changes:
    """Applies changes in threads, one for each deployment; a context manager around them."""

    def __init__(
        self, shared: Shared, bases: Mapping[str, Mapping[str, Any]], changes: Sequence[Change]
    ) -> None:
        self._shared = shared
        self._bases = bases
        self._changes = changes
        self._results: dict[str, Future[Result]] = {change.name: Future() for change in changes}
        self._entered: list[Deployment] = []
        self._pool = ThreadPoolExecutor(max_workers=len(bases))

    def __enter__(self) -> "Changes":
        for name in {change.deployment: None for change in self._changes}:
            self._pool.submit(self._apply_all, name)
        return self

    def __exit__(self, *_: object) -> None:
        for deployment in self._entered:
            deployment.interrupt()
        self._pool.shutdown(cancel_futures=True)

    def result(self, change: Change) -> Result:
        """Wait until the change is applied, or raise what went wrong."""
        return self._results[change.name].result()

    def _apply_all(self, name: str) -> None:
        changes = [change for change in self._changes if change.deployment == name]
        try:
            shown: list[str] = []
            with Deployment(
                self._shared.emulator,
                {"name": name, **self._bases[name]},
                shown.append,
                provider=self._shared.provider,
                initialised=self._shared.module,
            ) as deployment:
                self._entered.append(deployment)
                deployment.apply()
                stack = self._stack(deployment)
                for change in changes:
                    future = self._results[change.name]
                    try:
                        stack, result = self._apply(stack, change, shown)
                        future.set_result(result)
                    except Exception as error:  # noqa: BLE001 # raised in the change's test
                        future.set_exception(error)
        except BaseException as error:
            for change in changes:
                if not self._results[change.name].done():
                    self._results[change.name].set_exception(error)
            raise

    def _stack(self, deployment: Deployment) -> Stack:
        """Return the deployed stack."""
        stack = Stack(self._shared.emulator, deployment)
        stack.configure_bucket_as_its_owner()
        table = stack.outputs["table"]
        stack.index = IndexReader(
            self._shared.emulator.client("dynamodb"), table["name"], table["partitions"]
        )
        return stack

    def _apply(self, stack: Stack, change: Change, shown: list[str]) -> tuple[Stack, Result]:
        """Apply a change; return the stack after it, and the result."""
        prefix = f"in/{uuid4().hex[:8]}"
        marker = _leave_a_dead_letter(stack)
        stack.put(f"{prefix}/before")
        stack.wait_until_indexed(f"{prefix}/before")
        shown.clear()

        refusal, before = None, dict(stack.deployment._variables)
        around = change.around or _nothing
        with around(stack):
            with _files_arriving(stack, f"{prefix}/during") as arrived:
                try:
                    after = change.after(stack) if callable(change.after) else change.after
                    stack.deployment.apply(after)
                except DeploymentError as error:
                    if change.refused is None:
                        raise
                    refusal = str(error)
                    stack.deployment._variables = before
            stack = self._stack(stack.deployment)

        destroyed = {
            _HOLDERS[address]
            for line in shown
            if line.startswith("destroyed ") and (address := line.split()[1]) in _HOLDERS
        }
        if "bucket" not in destroyed:
            stack.s3.head_object(Bucket=stack.bucket, Key=f"{prefix}/before")
        if not destroyed & {"bucket", "table"}:
            assert stack.record(f"{prefix}/before"), "the record from before is gone"
        stack.put(f"{prefix}/after")
        stack.wait_until_indexed(f"{prefix}/after")

        missing = (
            frozenset() if destroyed & {"bucket", "table"} else _missing(stack, change, arrived)
        )
        letters = "\n".join(stack.take_dead_letters())
        if "dead-letter queue" not in destroyed:
            assert marker in letters, "the dead letter from before is gone"
        kept = frozenset(key for key in missing if key in letters)
        second_plan = tuple(stack.deployment.plan())
        return stack, Result(frozenset(destroyed), missing - kept, kept, refusal, second_plan)


def _missing(stack: Stack, change: Change, arrived: list[str]) -> frozenset[str]:
    """Return the files that are not indexed, after waiting for those that must be."""
    missing = set(arrived)

    def all_indexed() -> bool:
        missing.difference_update([key for key in missing if stack.record(key)])
        return not missing

    limit = 0 if change.during is During.UNKNOWN else HANG_SECONDS
    with suppress(TimeoutError):
        wait_for(all_indexed, lambda: missing, seconds=limit)
    return frozenset(missing)


def _leave_a_dead_letter(stack: Stack) -> str:
    marker = uuid4().hex
    stack.emulator.client("sqs").send_message(
        QueueUrl=stack.outputs["dead_letter_queue"]["url"], MessageBody=json.dumps(marker)
    )
    return marker


@contextmanager
def _files_arriving(stack: Stack, prefix: str) -> Iterator[list[str]]:
    """Put files into the bucket while the block runs; yield their keys."""
    arrived: list[str] = []
    ended = threading.Event()

    def put() -> None:
        while True:
            key = f"{prefix}-{len(arrived):03}"
            try:
                stack.put(key)
            except ClientError:  # the change replaces the bucket
                return
            arrived.append(key)
            if ended.wait(_SECONDS_BETWEEN_FILES):
                return

    thread = threading.Thread(target=put)
    thread.start()
    try:
        yield arrived
    finally:
        ended.set()
        thread.join()


@contextmanager
def _nothing(_: Stack) -> Iterator[None]:
    yield
