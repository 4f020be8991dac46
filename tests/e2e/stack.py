"""A deployed module, used as its users do: through S3, DynamoDB, Lambda and CloudWatch Logs."""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus

from function.record import FileRecord
from function.repository import FileIndex
from local.deployment import Deployment
from local.emulator import Emulator
from local.waiting import wait_for


class Stack:
    """What a deployment made, and what a user does with it."""

    def __init__(self, emulator: Emulator, deployment: Deployment) -> None:
        self.emulator = emulator
        self.deployment = deployment
        self._letters: list[dict[str, Any]] = []

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return self.deployment.outputs()

    @cached_property
    def s3(self) -> Any:
        return self.emulator.client("s3")

    @cached_property
    def index(self) -> FileIndex:
        return FileIndex(self.emulator.client("dynamodb"), self.outputs["table"]["name"])

    @property
    def bucket(self) -> str:
        name: str = self.outputs["bucket"]["name"]
        return name

    @property
    def role(self) -> str:
        name: str = self.outputs["role"]["name"]
        return name

    def put(self, key: str, body: bytes = b"x", **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.put_object(
            Bucket=self.bucket, Key=key, Body=body, **arguments
        )
        return answer

    def delete(self, key: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.delete_object(Bucket=self.bucket, Key=key, **arguments)
        return answer

    def record(self, key: str) -> FileRecord | None:
        """The key's record, or its tombstone."""
        return self.index.read(self.bucket, key)

    def wait_until_indexed(self, key: str) -> FileRecord:
        """Wait until the record says what HeadObject says."""

        def equal() -> FileRecord | None:
            head = self.s3.head_object(Bucket=self.bucket, Key=key)
            record = self.index.get(self.bucket, key)
            same = record and (record.etag, record.size) == (
                head["ETag"].strip('"'),
                head["ContentLength"],
            )
            return record if same else None

        return wait_for(equal, lambda: (self.record(key), self.log_lines()[-3:]))

    def wait_until_removed(self, key: str) -> FileRecord:
        """Wait for the key's tombstone."""

        def tombstone() -> FileRecord | None:
            record = self.record(key)
            return record if record and record.deleted else None

        return wait_for(tombstone, lambda: (self.record(key), self.log_lines()[-3:]))

    def invoke(self, payload: Any) -> tuple[str | None, Any]:
        """Invoke the function directly: the kind of its error, if it failed, and its answer."""
        answer = self.emulator.client("lambda").invoke(
            FunctionName=self.outputs["function"]["name"], Payload=json.dumps(payload)
        )
        return answer.get("FunctionError"), json.load(answer["Payload"])

    def log_lines(self, **fields: Any) -> list[dict[str, Any]]:
        """The function's own lines that have these fields, oldest first."""
        pages = (
            self.emulator.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=self.outputs["log_group"]["name"])
        )
        events = (event for page in pages for event in page["events"])
        lines = [
            json.loads(event["message"])
            for event in sorted(events, key=lambda event: int(event["timestamp"]))
            if event["message"].startswith("{")
        ]
        return [line for line in lines if fields.items() <= line.items()]

    def wait_for_line(self, **fields: Any) -> dict[str, Any]:
        """Wait until the log has a line with these fields; the latest of them."""
        return wait_for(lambda: self.log_lines(**fields), lambda: self.log_lines()[-5:])[-1]

    def wait_for_dead_letter(self, key: str) -> dict[str, Any]:
        """Wait until an event about the key lies in the dead-letter queue, and take it."""
        encoded = quote_plus(key, safe="/")

        def found() -> dict[str, Any] | None:
            self._letters += self._take_dead_letters()
            return next((letter for letter in self._letters if encoded in json.dumps(letter)), None)

        letter = wait_for(found, lambda: self._letters)
        self._letters.remove(letter)
        return letter

    def _take_dead_letters(self) -> Iterator[dict[str, Any]]:
        sqs = self.emulator.client("sqs")
        url = self.outputs["dead_letter_queue"]["url"]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                yield json.loads(message["Body"])
