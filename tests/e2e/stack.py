"""A deployed module, used as its users do: through S3, DynamoDB, Lambda and CloudWatch Logs."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import quote_plus

from cli.function.reader import IndexReader
from cli.function.record import FileRecord, format_time
from local.deployment import Deployment
from local.emulator import Emulator
from local.waiting import wait_for
from tests.e2e.bare import FILE_INDEX
from tests.payloads import created, s3_document
from tools.module_copy import ROOT

_LOG_EVENTS = 10_000  # the most that one FilterLogEvents returns


def messages_in(sqs: Any, url: str) -> int:
    """Return how many messages a queue holds, in flight or not."""
    counts = sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return sum(map(int, counts.values()))


class Stack:
    """A deployment's resources, and what a user does with them."""

    def __init__(
        self, emulator: Emulator, deployment: Deployment, second_plan: Sequence[str] = ()
    ) -> None:
        self.emulator = emulator
        self.deployment = deployment
        self.second_plan = second_plan
        """The changes that Terraform planned right after the apply."""

    @property
    def name(self) -> str:
        """The function's; the table's and the deployment's too."""
        name: str = self.outputs["function"]["name"]
        return name

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return self.deployment.outputs()

    @cached_property
    def s3(self) -> Any:
        return self.emulator.client("s3")

    @cached_property
    def index(self) -> IndexReader:
        table = self.outputs["table"]
        return IndexReader(self.emulator.client("dynamodb"), table["name"], table["partitions"])

    @property
    def bucket(self) -> str:
        name: str = self.outputs["bucket"]["name"]
        return name

    @property
    def role(self) -> str:
        name: str = self.outputs["role"]["name"]
        return name

    @property
    def log_group(self) -> str:
        """The function's."""
        name: str = self.outputs["log_group"]["name"]
        return name

    @cached_property
    def queue_url(self) -> str:
        """The queue between trigger and function."""
        url: str = self.outputs["queue"]["url"]
        return url

    def configure_bucket_as_its_owner(self) -> None:
        """Configure the bucket with the output `notification`."""
        told = self.outputs.get("notification")
        if told is None:
            return
        receiver = "Queue" if told["queue_arn"] else "LambdaFunction"
        rules = [
            [{"Name": name, "Value": value} for name, value in rule.items() if value is not None]
            for rule in told["filters"]
        ]
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={
                f"{receiver}Configurations": [
                    {
                        f"{receiver}Arn": told["queue_arn"] or told["function_arn"],
                        "Events": told["events"],
                        "Filter": {"Key": {"FilterRules": filter_rules}},
                    }
                    for filter_rules in rules
                ]
            }
            | ({"EventBridgeConfiguration": {}} if told["eventbridge"] else {}),
        )

    def environment(self) -> dict[str, str]:
        """The function's environment variables."""
        described = self.emulator.client("lambda").get_function_configuration(
            FunctionName=self.name
        )
        variables: dict[str, str] = described["Environment"]["Variables"]
        return variables

    def set_environment(self, variables: dict[str, str]) -> None:
        """Restart the function with these environment variables."""
        awslambda = self.emulator.client("lambda")
        awslambda.update_function_configuration(
            FunctionName=self.name, Environment={"Variables": variables}
        )
        awslambda.get_waiter("function_updated_v2").wait(FunctionName=self.name)

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
        """Wait until the record agrees with HeadObject."""

        def equal() -> FileRecord | None:
            head = self.s3.head_object(Bucket=self.bucket, Key=key)
            record = self.index.get(self.bucket, key)
            same = record and (record.known.etag, record.known.size) == (
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
        """Invoke the function directly; return the kind of error, if any, and the response."""
        answer = self.emulator.client("lambda").invoke(
            FunctionName=self.name, Payload=json.dumps(payload)
        )
        return answer.get("FunctionError"), json.load(answer["Payload"])

    def policies(self) -> dict[str, dict[str, Any]]:
        """The documents of the role, by name."""
        iam = self.emulator.client("iam")
        names = iam.list_role_policies(RoleName=self.role)["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName=self.role, PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def granted(self) -> set[str]:
        """The actions on table and buckets that the role has."""
        return {
            action
            for document in self.policies().values()
            for statement in document["Statement"]
            for action in _actions(statement)
            if action.startswith(("dynamodb:", "s3:"))
        }

    @contextmanager
    def without(self, action: str) -> Iterator[None]:
        """The same deployment with one action taken out of the role."""
        iam = self.emulator.client("iam")
        for name, document in self.policies().items():
            policy = {"RoleName": self.role, "PolicyName": name}
            if action in json.dumps(document):
                break
        else:
            raise LookupError(f"{action} is not granted")
        reduced = {
            "Version": document["Version"],
            "Statement": [
                statement | {"Action": kept}
                for statement in document["Statement"]
                if (kept := [a for a in _actions(statement) if a != action])
            ],
        }
        if reduced["Statement"]:
            iam.put_role_policy(**policy, PolicyDocument=json.dumps(reduced))
        else:
            iam.delete_role_policy(**policy)
        try:
            yield
        finally:
            iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))

    def upload_event(self, key: str, age: timedelta = timedelta(), **entity: Any) -> dict[str, Any]:
        """Return S3's event for an upload that long ago; `entity` adds fields of the object."""
        event = created(key, sequencer=f"{time.time_ns():X}", **entity)
        event["s3"]["bucket"]["name"] = self.bucket
        return s3_document(event | {"eventTime": format_time(datetime.now(UTC) - age)})

    def dead_letters(self) -> int:
        """Return how many messages are in the dead-letter queue."""
        return messages_in(self.emulator.client("sqs"), self.outputs["dead_letter_queue"]["url"])

    def waiting_messages(self) -> int:
        """Return how many messages the queue holds, in flight or not; 0 without a queue."""
        if "queue" not in self.outputs:
            return 0
        return messages_in(self.emulator.client("sqs"), self.queue_url)

    @contextmanager
    def redelivering_after(self, seconds: int) -> Iterator[None]:
        """Redeliver failed messages from the queue sooner than a deployment should."""
        sqs = self.emulator.client("sqs")
        names = ["VisibilityTimeout"]
        own = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        sqs.set_queue_attributes(
            QueueUrl=self.queue_url, Attributes={"VisibilityTimeout": str(seconds)}
        )
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes=own)

    @contextmanager
    def queue_closed(self) -> Iterator[None]:
        """Let messages gather in the queue, empty at first, while the block runs."""
        # S3 sends a test event when it is configured.
        wait_for(lambda: not self.waiting_messages(), self.waiting_messages)
        awslambda = self.emulator.client("lambda")
        (mapping,) = awslambda.list_event_source_mappings(FunctionName=self.name)[
            "EventSourceMappings"
        ]
        awslambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            awslambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def start(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.Popen[str]:
        """Start `file-index` in the module's directory, with both outputs in one stream."""
        return subprocess.Popen(
            [*FILE_INDEX, *arguments],
            cwd=self.deployment.directory,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                **self.deployment.environment,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def file_index(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str]:
        """Run `file-index`; return its exit code and its output."""
        with self.start(*arguments, environment=environment) as process:
            said, _ = process.communicate()
        return process.returncode, said

    def log(self, since: float = 0) -> list[str]:
        """Return all lines since that Unix time, including the runtime's own, oldest first."""
        logs = self.emulator.client("logs")
        start = int(since * 1000)
        events: list[dict[str, Any]] = []
        while True:
            page = logs.filter_log_events(logGroupName=self.log_group, startTime=start)["events"]
            events += page
            if len(page) < _LOG_EVENTS:
                return [event["message"] for event in events]
            # The emulator stops here and returns no token for the rest.
            start = page[-1]["timestamp"]
            events = [event for event in events if event["timestamp"] < start]

    def log_lines(self, since: float = 0, **fields: Any) -> list[dict[str, Any]]:
        """The function's own lines that have these fields, oldest first."""
        lines = [json.loads(line) for line in self.log(since) if line.startswith("{")]
        return [line for line in lines if fields.items() <= line.items()]

    def counts(self, since: float = 0) -> list[Counter[str]]:
        """What the lines with metrics count, an invocation each, oldest first."""
        return [
            Counter({name: value for name, value in line.items() if isinstance(value, int)})
            for line in self.log_lines(since)
            if "_aws" in line
        ]

    def wait_for_line(self, **fields: Any) -> dict[str, Any]:
        """Wait until the log has a line with these fields; the latest of them."""
        return wait_for(lambda: self.log_lines(**fields), lambda: self.log_lines()[-5:])[-1]

    def wait_for_dead_letter(self, key: str) -> dict[str, Any]:
        """Wait until an event about the key is in the dead-letter queue, and take it."""
        sqs = self.emulator.client("sqs")
        url = self.outputs["dead_letter_queue"]["url"]
        encoded = quote_plus(key, safe="/")

        def found() -> dict[str, Any] | None:
            # Other tests' messages stay; they are hidden for a second.
            messages = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1
            ).get("Messages", [])
            for message in messages:
                if encoded in message["Body"]:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    letter: dict[str, Any] = json.loads(message["Body"])
                    return letter
            return None

        return wait_for(found, lambda: (self.dead_letters(), self.log_lines()[-3:]))

    def take_dead_letters(self) -> list[str]:
        """Take all messages out of the dead-letter queue; return their bodies."""
        sqs = self.emulator.client("sqs")
        url = self.outputs["dead_letter_queue"]["url"]
        bodies = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies


def _actions(statement: dict[str, Any]) -> list[str]:
    """The actions of a policy's statement."""
    action: str | list[str] = statement["Action"]
    return [action] if isinstance(action, str) else action
