"""How long the function waits, without AWS; tests/integration/test_handler.py has the rest."""

from collections.abc import Collection, Iterator
from concurrent.futures import Future, as_completed
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from function import handler
from function.handler import Function, create_function
from function.indexer import Indexer
from function.settings import Settings
from tests.payloads import created, s3_document, sqs
from tests.unit.rule.model_table import ModelTable

TIMEOUT_SECONDS = 60
"""The function's, unless function.timeout_seconds is set."""
LONGEST_BACKOFFS = 1 + 2 + 4
"""https://docs.aws.amazon.com/boto3/latest/guide/retries.html, "standard": up to 2 ** n seconds."""


class Endless:
    """A pool of threads whose work never ends."""

    def __init__(self, workers: int) -> None:
        del workers
        self.work: list[Future[None]] = []

    def submit(self, *_: Any) -> Future[None]:
        self.work.append(Future())
        return self.work[-1]


class Invocation:
    def __init__(self, remaining_ms: int) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


@pytest.mark.parametrize(("remaining_ms", "seconds"), [(6000, 5), (1000, 0), (999, 0)])
def test_a_second_is_left_to_report_unfinished_events(
    monkeypatch: pytest.MonkeyPatch, remaining_ms: int, seconds: float
) -> None:
    pools: list[Endless] = []
    waited: list[float] = []

    def pool(workers: int) -> Endless:
        pools.append(Endless(workers))
        return pools[-1]

    def none_completed(work: Collection[Future[None]], timeout: float) -> Iterator[Future[None]]:
        waited.append(timeout)
        return as_completed(work, 0)

    monkeypatch.setattr(handler, "ThreadPoolExecutor", pool)
    monkeypatch.setattr(handler, "as_completed", none_completed)
    function = Function(
        Indexer(
            index=ModelTable(),
            objects=None,  # type: ignore[arg-type] # nothing is looked at
            settings=Settings(table_name="files"),
            now=lambda: datetime(2026, 11, 23, tzinfo=UTC),
            pause=lambda _seconds: None,
        )
    )
    payload = sqs(*(s3_document(created(key)) for key in ("a", "b", "c")))

    answer = function.handle(payload, Invocation(remaining_ms))

    assert len(answer["batchItemFailures"]) == 3
    (work,) = pools
    assert waited == [seconds]
    assert [future.cancelled() for future in work.work] == [True] * 3


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_a_call_without_a_response_ends_before_the_function_does(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: dict[str, Config] = {}
    create_client = Session.create_client

    def client(session: Session, name: str, **settings: Any) -> Any:
        made: Any = create_client(session, name, **settings)
        configs[name] = made.meta.config
        return made

    monkeypatch.setattr(Session, "create_client", client)
    objects: Any = create_function(Settings(table_name="files"))._indexer.objects
    objects.client()

    config: Any = configs[service]
    attempts = config.retries["total_max_attempts"]
    assert config.retries["mode"] == "standard"
    assert attempts > 1
    longest = attempts * (config.connect_timeout + config.read_timeout) + LONGEST_BACKOFFS
    assert longest < TIMEOUT_SECONDS - handler.RESERVED_MS / 1000
