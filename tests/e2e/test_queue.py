"""A queue between trigger and function: bursts, poison messages, lack of time, hot keys."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from function.handler import RESERVED_MS, WORKERS
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e import workload
from tests.e2e.deployments import PREFIX, QUICK
from tests.e2e.proxy import Call, Fault, Proxy
from tests.e2e.stack import Stack
from tests.payloads import native, s3_document

POISON = '{"Records": [{"eventName": "ObjectCreated:Put", "s3": "poison"}]}'
MOST_HELD_SECONDS = 4
"""Less than the function's read timeout (5 s), so that it does not retry the call."""


@pytest.mark.parametrize("number", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_a_backlog_takes_few_invocations(external_queued: Stack, number: int) -> None:
    stack = external_queued
    prefix = f"{PREFIX}burst of {number}/"
    started = time.time()

    with stack.queue_closed():
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: stack.put(f"{prefix}{one}.csv"), range(number)))
        wait_for(lambda: stack.waiting_messages() == number, stack.waiting_messages)

    def batches() -> list[int]:
        return [counts["Indexed"] for counts in stack.counts(started) if counts["Indexed"]]

    wait_for(lambda: sum(batches()) == number, batches)
    assert max(batches()) == 100
    assert len(batches()) <= number / 50
    assert workload.differences(stack, prefix) == {}


def test_a_poison_message_fails_alone(external_queued: Stack) -> None:
    stack = external_queued
    good = [f"{PREFIX}beside poison {number}.csv" for number in range(5)]
    sqs = stack.emulator.client("sqs")
    started = time.time()

    def indexed() -> Counter[str]:
        lines = stack.log_lines(started, outcome="indexed")
        return Counter(line["key"] for line in lines if line["key"] in good)

    # Nothing is redelivered, however long the batch takes.
    with stack.redelivering_after(HANG_SECONDS):
        with stack.queue_closed():
            for key in good:
                stack.put(key)
            sqs.send_message(QueueUrl=stack.queue_url, MessageBody=POISON)
            wait_for(lambda: stack.waiting_messages() == 6, stack.waiting_messages)
        # Only the poison message is left.
        wait_for(lambda: stack.waiting_messages() == 1, stack.waiting_messages)
        sqs.purge_queue(QueueUrl=stack.queue_url)

    assert indexed() == dict.fromkeys(good, 1)
    assert any(counts["messages"] > counts["Failed"] == 1 for counts in stack.counts(started))


def test_a_poison_message_is_tried_five_times_and_keeps_its_body(external_queued: Stack) -> None:
    stack = external_queued
    started = time.time()

    def failed() -> int:
        return sum(counts["Failed"] for counts in stack.counts(started))

    with stack.redelivering_after(1):
        stack.emulator.client("sqs").send_message(QueueUrl=stack.queue_url, MessageBody=POISON)
        letters = wait_for(stack.take_dead_letters, stack.log)

    assert letters == [POISON]
    # More, if an attempt took longer than the second after which the message is received again.
    wait_for(lambda: failed() >= 5, failed)
    assert "s3 is a string" in stack.log_lines(started, message="malformed")[0]["errorMessage"]


def test_an_invocation_short_of_time_starts_no_key_and_the_rest_is_redelivered(
    queued: Stack,
) -> None:
    stack = queued
    prefix = f"{PREFIX}short of time/"
    keys = [f"{prefix}{number}.csv" for number in range(40)]
    started = time.time()
    time_out = QUICK["timeout_seconds"]
    written: list[Call] = []
    too_late = None

    def hold(call: Call) -> None:
        """Hold all calls after the first records until the invocation starts no more keys."""
        nonlocal too_late
        if too_late is None:
            # The invocation began before its first call, so it starts no key after this.
            too_late = time.monotonic() + time_out - RESERVED_MS / 1000
        if call.operation == "PutItem":
            written.append(call)
        if len(written) > WORKERS:
            time.sleep(max(0, min(too_late - time.monotonic(), MOST_HELD_SECONDS)))

    with (
        Proxy(stack.emulator) as proxy,
        proxy.before(stack),
        stack.redelivering_after(time_out + 1),
    ):
        stack.invoke({"Event": "s3:TestEvent"})  # a cold start would use up some of its time
        with proxy.injecting(hold):
            with stack.queue_closed():
                for key in keys:
                    stack.put(key)
                wait_for(lambda: stack.waiting_messages() == len(keys), stack.waiting_messages)
            first = wait_for(
                lambda: [
                    counts for counts in stack.counts(started) if counts["messages"] == len(keys)
                ],
                lambda: stack.log(started)[-5:],
            )[0]
        lines = stack.log_lines(started, outcome="failed")
        wait_for(
            lambda: not workload.differences(stack, prefix),
            lambda: workload.differences(stack, prefix),
        )

    assert first["Indexed"] + first["Failed"] == len(keys)
    assert first["Indexed"] >= WORKERS
    assert first["Failed"] >= WORKERS
    assert {line["errorType"] for line in lines} == {"OutOfTimeError"}
    assert sum("not started" in line["errorMessage"] for line in lines) >= WORKERS
    assert stack.dead_letters() == 0


@pytest.mark.parametrize("stack", ["external", "queued"], indirect=True)
@pytest.mark.parametrize("times", [150, pytest.param(1000, marks=pytest.mark.long)])
def test_a_key_that_is_overwritten_many_times_ends_as_its_last_upload(
    stack: Stack, times: int
) -> None:
    key = f"{PREFIX}hot {times}.csv"
    started = time.time()

    def handled() -> int:
        lines = stack.log_lines(started, key=key)
        return len({line["s3_request_id"] for line in lines if line["outcome"] != "failed"})

    # With a queue, events that lost to other writers are redelivered after that time.
    again = stack.redelivering_after(16) if "queue" in stack.outputs else nullcontext()
    with again:
        for number in range(times):
            stack.put(key, str(number).encode())
        wait_for(lambda: handled() == times, handled)

    assert workload.differences(stack, key) == {}
    assert stack.dead_letters() == 0


@pytest.mark.parametrize("stack", ["versioned", "external"], indirect=True)
def test_two_invocations_with_events_of_a_key_at_once_leave_what_the_bucket_holds(
    stack: Stack,
) -> None:
    keys = [f"{PREFIX}at once {number}.csv" for number in range(3)]

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
        ThreadPoolExecutor(2 * len(keys)) as pool,
    ):
        # Sequencers far above the emulator's own: what it delivers itself changes nothing.
        events = [
            event(key, f"FF{number}", stack.put(key, b"x" * number), number)
            for key in keys
            for number in (1, 2)
        ]
        answers = list(pool.map(stack.invoke, events))

    assert [error for error, _ in answers] == [None] * len(events), answers
    for key in keys:
        record = stack.wait_until_indexed(key)
        assert (record.known.size, record.sequencer) == (2, "FF2")
