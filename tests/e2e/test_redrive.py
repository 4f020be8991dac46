"""Replaying dead letters with `file-index redrive`, whichever way they came."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from local.deployment import without_events
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Answer, Call, Proxy, dynamodb_error
from tests.e2e.stack import Stack
from tests.payloads import eventbridge as eventbridge_event

FILES = 3
MORE_THAN_AT_ONCE = 12
"""Dead letters; `file-index redrive` replays eight at once."""


@contextmanager
def outage(stack: Stack) -> Iterator[None]:
    """Let DynamoDB reject the deployment's writes."""
    refusal = dynamodb_error(400, "ResourceNotFoundException", "Requested resource not found")

    def refuse(_: Any) -> Answer:
        return refusal

    with Proxy(stack.emulator) as proxy, proxy.before(stack), proxy.injecting(refuse):
        yield


def dead_letters(stack: Stack, name: str) -> list[str]:
    """Upload files, which must fail; return the keys once their events are dead letters."""
    keys = [f"{PREFIX}{name} {number}.csv" for number in range(FILES)]
    for key in keys:
        stack.put(key)
    wait_for(lambda: stack.dead_letters() == FILES, stack.dead_letters)
    return keys


def test_without_a_queue_dead_letters_are_sent_to_the_function(external: Stack) -> None:
    stack = external
    code, said = stack.file_index("redrive")
    assert (code, "0 in the dead-letter queue." in said) == (0, True), said
    with outage(stack):
        keys = dead_letters(stack, "invoked again")

        code, said = stack.file_index("redrive", "--dry-run")
        assert (code, stack.dead_letters()) == (0, FILES)
        assert f"{FILES} in the dead-letter queue." in said
        assert f"{FILES} messages: TableMissingError" in said

        code, said = stack.file_index("redrive")
        assert (code, stack.dead_letters()) == (1, FILES)
        assert f"0 replayed, {FILES} failed again, about {FILES} left" in said
        assert f"{FILES} messages: TableMissingError" in said

    code, said = stack.file_index("redrive")
    assert (code, stack.dead_letters()) == (0, 0)
    assert f"{FILES} replayed, 0 failed again, about 0 left" in said
    for key in keys:
        stack.wait_until_indexed(key)


def test_an_interrupted_redrive_loses_nothing(external: Stack) -> None:
    stack = external
    keys = [f"{PREFIX}interrupted {number}.csv" for number in range(MORE_THAN_AT_ONCE)]
    with without_events(stack.s3, stack.bucket):
        for key in keys:
            event = stack.upload_event(key)
            event["Records"][0]["s3"]["object"] |= {
                "eTag": stack.put(key)["ETag"].strip('"'),
                "size": 1,
            }
            stack.emulator.client("sqs").send_message(
                QueueUrl=stack.outputs["dead_letter_queue"]["url"],
                MessageBody=json.dumps(failure_record(event)),
            )
    replaying, ending = Event(), Event()

    def hold(call: Call) -> None:
        """Hold the calls under way until the command has handled the interrupt."""
        if call.operation == "PutItem":
            replaying.set()
            ending.wait(HANG_SECONDS)

    def notice(call: Call) -> None:
        # The command now receives no more. It also makes this call at the end of its first look.
        if call.operation == "ChangeMessageVisibilityBatch" and replaying.is_set():
            ending.set()

    with (
        Proxy(stack.emulator) as of_function,
        of_function.before(stack),
        of_function.injecting(hold),
        Proxy(stack.emulator) as of_command,
        of_command.injecting(notice),
        stack.start("redrive", environment=of_command.environment("SQS")) as process,
    ):
        assert replaying.wait(HANG_SECONDS)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()

    left = stack.dead_letters()
    assert 0 < left < MORE_THAN_AT_ONCE, said
    assert process.returncode == 130
    replayed = MORE_THAN_AT_ONCE - left
    assert (
        f"{replayed} replayed, 0 failed again, the rest is still in the dead-letter queue" in said
    )
    assert said.endswith("Interrupted.\n")
    assert f"{left} replayed, 0 failed again, about 0 left" in stack.file_index("redrive")[1]
    for key in keys:
        stack.wait_until_indexed(key)


def failure_record(payload: Any) -> dict[str, Any]:
    """Return what Lambda sends to the failure destination, as far as the command reads it."""
    return {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": payload,
        "responsePayload": {"errorMessage": "1 of 1 object events failed"},
    }


def test_with_a_queue_dead_letters_are_sent_to_the_queue(external_queued: Stack) -> None:
    stack = external_queued
    # A short visibility timeout may redeliver a message that is still being processed, so it
    # applies only while every attempt fails.
    with stack.redelivering_after(2), outage(stack):
        keys = dead_letters(stack, "sent again")

    code, said = stack.file_index("redrive", "--dry-run")
    assert (code, stack.dead_letters()) == (0, FILES)
    assert f"{FILES} messages: the message does not say why: see the function's log" in said

    code, said = stack.file_index("redrive")
    assert (
        code,
        f"{FILES} sent to the queue again, 0 could not be sent, about 0 left" in said,
    ) == (
        0,
        True,
    ), said
    for key in keys:
        stack.wait_until_indexed(key)
    assert stack.dead_letters() == 0


def test_an_event_that_eventbridge_could_not_deliver_is_replayed(eventbridge: Stack) -> None:
    stack = eventbridge
    key = f"{PREFIX}undelivered+.csv"
    stack.put(key)
    record = stack.wait_until_indexed(key)
    stack.emulator.client("dynamodb").delete_item(
        TableName=stack.outputs["table"]["name"],
        Key={"partition": {"S": stack.bucket}, "key": {"S": key}},
    )
    event = eventbridge_event(key=key, size=1, sequencer=record.sequencer)
    event["detail"]["bucket"]["name"] = stack.bucket
    event["detail"]["object"]["version-id"] = record.known.version_id
    stack.emulator.client("sqs").send_message(
        QueueUrl=stack.outputs["dead_letter_queue"]["url"],
        MessageBody=json.dumps(event),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in {
                "ERROR_CODE": "NO_PERMISSIONS",
                "ERROR_MESSAGE": "not authorized to perform: lambda:InvokeFunction",
                "RULE_ARN": "arn:aws:events:us-east-1:000000000000:rule/eventbridge",
            }.items()
        },
    )

    _, said = stack.file_index("redrive", "--dry-run")
    assert "1 message: EventBridge could not deliver it: NO_PERMISSIONS not authorized" in said
    code, said = stack.file_index("redrive")

    assert (code, "1 replayed, 0 failed again, about 0 left" in said) == (0, True), said
    stack.wait_until_indexed(key)


@pytest.mark.parametrize("stack", ["external"], indirect=True)
def test_a_message_that_lambda_rejects_stays(stack: Stack) -> None:
    stack.emulator.client("sqs").send_message(
        QueueUrl=stack.outputs["dead_letter_queue"]["url"], MessageBody="not JSON"
    )

    code, said = stack.file_index("redrive")

    assert (code, "0 replayed, 1 failed again, about 1 left" in said) == (1, True), said
    assert stack.take_dead_letters() == ["not JSON"]
