"""A queue between trigger and function: bursts, poison, lack of time, hot keys."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from local.waiting import wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Call, Fault, Proxy
from tests.e2e.stack import Stack
from tests.payloads import native, s3_document


def test_a_backlog_takes_few_invocations(external_queued: Stack) -> None:
    stack = external_queued
    prefix = f"{PREFIX}burst/"
    started = time.time()

    with stack.queue_closed():
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: stack.put(f"{prefix}{number}.csv"), range(1000)))
        wait_for(lambda: stack.waiting_messages() == 1000, stack.waiting_messages)

    def batches() -> list[int]:
        return [line["messages"] for line in stack.log_lines(started, message="summary")]

    wait_for(lambda: sum(batches()) == 1000, batches, seconds=120)
    assert max(batches()) == 100
    assert len(batches()) <= 20
    assert workload.differences(stack, prefix) == {}


def test_a_poison_message_costs_itself_alone_and_keeps_its_body(external_queued: Stack) -> None:
    stack = external_queued
    good = [f"{PREFIX}beside poison {number}.csv" for number in range(5)]
    poison = '{"Records": [{"eventName": "ObjectCreated:Put", "s3": "poison"}]}'
    sqs = stack.emulator.client("sqs")
    started = time.time()

    with stack.redelivering_after(5):
        with stack.queue_closed():
            for key in good:
                stack.put(key)
            sqs.send_message(QueueUrl=stack.queue_url, MessageBody=poison)
            wait_for(lambda: stack.waiting_messages() == 6, stack.waiting_messages)
        letters = wait_for(stack.take_dead_letters, stack.log, seconds=90)

    assert letters == [poison]
    handled = Counter(
        line["key"] for line in stack.log_lines(started, outcome="indexed") if line["key"] in good
    )
    assert handled == dict.fromkeys(good, 1)
    summaries = stack.log_lines(started, message="summary")
    assert sum(line["Failed"] for line in summaries) == 5  # as often as it may be tried
    assert any(line["messages"] > line["Failed"] == 1 for line in summaries)
    assert "s3 is a string" in stack.log_lines(started, message="malformed")[0]["errorMessage"]


def test_an_invocation_short_of_time_starts_nothing_and_the_rest_is_redelivered(
    queued: Stack,
) -> None:
    stack = queued
    prefix = f"{PREFIX}short of time/"
    keys = [f"{prefix}{number}.csv" for number in range(40)]
    started = time.time()

    def slowly(_: Call) -> None:
        # Three calls a key, 8 keys at once, 15 seconds: not all keys can be done.
        time.sleep(1.2)

    with (
        Proxy(stack.emulator) as proxy,
        proxy.before(stack),
        stack.redelivering_after(16),
        proxy.injecting(slowly),
    ):
        with stack.queue_closed():
            for key in keys:
                stack.put(key)
            wait_for(lambda: stack.waiting_messages() == len(keys), stack.waiting_messages)
        first = wait_for(
            lambda: stack.log_lines(started, message="summary"), lambda: stack.log(started)[-5:]
        )[0]
        lines = stack.log_lines(started, outcome="failed")
        proxy.decide = lambda _: None
        wait_for(
            lambda: not workload.differences(stack, prefix),
            lambda: workload.differences(stack, prefix),
            seconds=60,
        )

    assert (first["messages"], first["Indexed"] + first["Failed"]) == (40, 40)
    assert first["Indexed"] >= 8
    assert first["Failed"] >= 8
    assert {line["errorType"] for line in lines} == {"OutOfTimeError"}
    assert sum("not started" in line["errorMessage"] for line in lines) >= 8
    assert stack.dead_letters() == 0


@pytest.mark.parametrize("stack", ["external", "queued"], indirect=True)
def test_a_key_that_is_overwritten_1000_times_ends_as_its_last_upload(stack: Stack) -> None:
    key = f"{PREFIX}hot.csv"
    started = time.time()

    def handled() -> int:
        lines = stack.log_lines(started, key=key)
        return len({line["s3_request_id"] for line in lines if line["outcome"] != "failed"})

    # With a queue, events that others kept from writing come again after that time.
    again = stack.redelivering_after(16) if "queue" in stack.outputs else nullcontext()
    with again:
        for number in range(1000):
            stack.put(key, str(number).encode())
        wait_for(lambda: handled() == 1000, handled, seconds=180)

    assert workload.differences(stack, key) == {}
    assert stack.dead_letters() == 0


@pytest.mark.parametrize("stack", ["versioned", "external"], indirect=True)
def test_two_invocations_with_events_of_a_key_at_once_leave_what_the_bucket_holds(
    stack: Stack,
) -> None:
    keys = [f"{PREFIX}at once {number}.csv" for number in range(4)]

    def event(key: str, sequencer: str, stored: dict[str, Any], size: int) -> dict[str, Any]:
        entity = {"size": size, "eTag": stored["ETag"].strip('"'), "sequencer": sequencer}
        record = native("ObjectCreated:Put", key, versionId=stored.get("VersionId"), **entity)
        record["s3"]["bucket"]["name"] = stack.bucket
        return s3_document(
            record | {"eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        )

    with (
        Proxy(stack.emulator) as proxy,
        proxy.before(stack),
        proxy.injecting(lambda _: Fault.DELAYED),
        ThreadPoolExecutor(2) as pool,
    ):
        for key in keys:
            # Sequencers far above the emulator's own: what it delivers itself changes nothing.
            events = [
                event(key, f"FF{number}", stack.put(key, b"x" * number), number)
                for number in (1, 2)
            ]
            answers = list(pool.map(stack.invoke, events))
            assert [error for error, _ in answers] == [None, None], answers
            record = stack.wait_until_indexed(key)
            assert (record.size, record.sequencer) == (2, "FF2")
