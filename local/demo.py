"""`make demo`: applies the module to a local AWS, shows what it does, and destroys it.

python -m local.demo [--keep]
"""

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote_plus

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli.function.reader import IndexReader
from cli.function.record import FileRecord, format_time
from local.deployment import Deployment, DeploymentError, without_events, without_policy
from local.emulator import Emulator, EmulatorError
from local.provider import KeptProvider, ProviderError, provider_binary
from local.waiting import wait_for
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import TerraformError

PREFIX = "reports/2026/"

console = Console(highlight=False)


class Demo:
    """The parts of the demo, in order."""

    def __init__(self, emulator: Emulator, deployment: Deployment) -> None:
        outputs = deployment.outputs()
        self.deployment = deployment
        self.s3 = emulator.client("s3")
        self.iam = emulator.client("iam")
        self.awslambda = emulator.client("lambda")
        self.logs = emulator.client("logs")
        self.sqs = emulator.client("sqs")
        self.bucket: str = outputs["bucket"]["name"]
        self.dead_letter_url: str = outputs["dead_letter_queue"]["url"]
        self.role: str = outputs["role"]["name"]
        self.function: str = outputs["function"]["name"]
        self.log_group: str = outputs["log_group"]["name"]
        self.table: str = outputs["table"]["name"]
        self.index = IndexReader(emulator.client("dynamodb"), self.table)

    def run(self) -> None:
        """Use the bucket as an application would, then look at the index."""
        self.upload()
        self.wait_until_caught_up()
        self.show_records()
        self.show_prefix()
        self.show_duplicate()
        self.show_log()
        self.show_failure()
        self.show_repair()

    def upload(self) -> None:
        """Put, overwrite and delete files, some with keys that other tools get wrong."""
        steps: list[tuple[str, str, bytes | None]] = [
            ("put", "hello.txt", b"hello"),
            ("put", "with space + plus.csv", b"a;b\n1;2\n"),
            ("put", "ünïcode/日本語.txt", "こんにちは".encode()),
            ("put", f"{PREFIX}q1.json", b"{}"),
            ("put", f"{PREFIX}q2/details.json", b'{"total": 1}'),
            ("overwrite", "hello.txt", b"hello again"),
            ("put", "draft.tmp", b"not for long"),
            ("delete", "draft.tmp", None),
        ]
        heading(f"1. Files go into the bucket {self.bucket}")
        table = Table("what", "key", "bytes")
        for what, key, body in steps:
            if body is None:
                self.s3.delete_object(Bucket=self.bucket, Key=key)
            else:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
            table.add_row(what, key, "" if body is None else str(len(body)))
        console.print(table)

    def wait_until_caught_up(self) -> None:
        """Wait until the index equals the bucket."""
        started = time.monotonic()
        wait_for(
            lambda: self.objects() == [(r.key, r.known.size, r.known.etag) for r in self.records()],
            lambda: f"bucket {self.objects()}, index {self.records()}",
        )
        # A deleted file may also be absent because its events have not arrived yet.
        wait_for(
            lambda: self.tombstone("draft.tmp"),
            lambda: f"draft.tmp is {self.index.read(self.bucket, 'draft.tmp')}",
        )
        console.print(
            f"Index and bucket are equal {time.monotonic() - started:.1f} s after the last call."
        )

    def show_records(self) -> None:
        """Show the items in DynamoDB."""
        heading(f"2. The records in the table {self.table}")
        table = Table(Column("key", overflow="fold"), "size", "event", "sequencer")
        for record in self.records():
            table.add_row(
                escape(record.key), str(record.known.size), record.event_name, record.sequencer
            )
        console.print(table)
        console.print(
            "The deleted file is gone; its tombstone keeps late events from undoing that:"
        )
        tombstone = self.record("draft.tmp").to_item()
        console.print_json(
            json.dumps({name: next(iter(value.values())) for name, value in tombstone.items()}),
            indent=None,
        )

    def show_prefix(self) -> None:
        """List a prefix with one DynamoDB query."""
        heading(f"3. A prefix listing: one Query, no scan, no call to S3 ({PREFIX})")
        started = time.monotonic()
        listed = list(self.index.list_prefix(self.bucket, PREFIX))
        elapsed = (time.monotonic() - started) * 1000
        for record in listed:
            console.print(f"  {escape(record.key)}  {record.known.size} bytes")
        console.print(f"{len(listed)} records in {elapsed:.0f} ms")

    def show_duplicate(self) -> None:
        """Deliver events twice and late, as S3 may."""
        heading("4. S3 delivers at least once, and not always in order")
        for what, key in (
            ("the overwrite of hello.txt, delivered twice", "hello.txt"),
            ("the upload of draft.tmp, delivered after its delete", "draft.tmp"),
        ):
            record = self.record(key)
            payload = json.dumps(upload_event(record, self.upload_sequencer(key)))
            response = self.awslambda.invoke(FunctionName=self.function, Payload=payload)
            outcomes = json.load(response["Payload"])
            same = self.record(key) == record
            said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
            console.print(f"  {what}: {said}; the record is {'unchanged' if same else 'CHANGED'}")

    def show_log(self) -> None:
        """Show the lines that the function wrote to CloudWatch Logs."""
        heading(f"5. What the function wrote to CloudWatch Logs ({self.log_group})")
        lines = sorted(self.log_lines(), key=lambda line: str(line["timestamp"]))
        for line in lines:
            if line["message"] != "summary":
                shown = ("level", "outcome", "key", "event", "sequencer", "lag_ms")
                console.print_json(
                    json.dumps({name: line[name] for name in shown if name in line}),
                    indent=None,
                )
        lags = [line["lag_ms"] for line in lines if line.get("outcome") in ("indexed", "removed")]
        console.print(
            f"From S3's event to the record: median {median(lags):.0f} ms, "
            f"longest {max(lags):.0f} ms (cold starts of a local emulator included)."
        )

    def show_failure(self) -> None:
        """Remove a permission, watch an upload fail, restore it, and replay."""
        heading("6. A failed event is explained and kept, and can be replayed")
        key = "late report.csv"
        with without_policy(self.iam, self.role, "table"):
            console.print(f"  Removed the role's permission to write to the table. Uploading {key}")
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"a;b")

            def failures() -> list[dict[str, Any]]:
                lines = list(self.log_lines())
                return [line for line in lines if line.get("errorType") and line.get("key") == key]

            line = wait_for(failures, lambda: f"no failure of {key}")[0]
            # file-index shows the cause below.
            console.print_json(
                json.dumps({name: line[name] for name in ("outcome", "key", "errorType")}),
                indent=None,
            )
            console.print(
                "  Lambda tries three times, then sends the event to the dead-letter queue."
            )
            wait_for(self.dead_letters, lambda: "no dead letter")
        console.print("  The role is allowed to write to the table again.")
        self.show_command("redrive")
        console.print(f"  {key} is in the index: {self.record(key).known.size} bytes")

    def show_repair(self) -> None:
        """Lose events, then fill, verify and repair the index."""
        heading("7. Differences that no event reports are found and repaired")
        with without_events(self.s3, self.bucket):
            for key in ("before the index.csv", "hello.txt"):
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"nobody was told")
            self.s3.delete_object(Bucket=self.bucket, Key="with space + plus.csv")
        console.print(
            "  While S3 sent no events, one file was uploaded, one changed and one deleted."
        )
        url = f"s3://{self.bucket}"
        self.show_command("backfill", url)
        self.show_command("verify", url, "--grace", "1", "--repair")
        self.show_command("verify", url, "--grace", "1")

    def dead_letters(self) -> int:
        """Return the approximate number of messages in the dead-letter queue."""
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.dead_letter_url, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def show_command(self, *arguments: str) -> None:
        """Run `file-index` and show its output."""
        console.print(f"[bold]$ file-index {escape(shlex.join(arguments))}")
        console.print(escape(self.file_index(*arguments)), end="", soft_wrap=True)

    def file_index(self, *arguments: str) -> str:
        """Return the output of `file-index`."""
        with self.deployment.file_index(*arguments) as process:
            return process.communicate()[0]

    def record(self, key: str) -> FileRecord:
        """Return the record or tombstone of a key. Raises LookupError."""
        record = self.index.read(self.bucket, key)
        if record is None:
            raise LookupError(f"the index has no record of {key}")
        return record

    def tombstone(self, key: str) -> FileRecord | None:
        """Return the tombstone of a key, or None if there is none yet."""
        record = self.index.read(self.bucket, key)
        return record if record and record.deleted else None

    def upload_sequencer(self, key: str) -> str:
        """Return the sequencer of a key's latest upload, once the function's log has it."""

        def logged() -> list[str]:
            return [
                line["sequencer"]
                for line in self.log_lines()
                if line.get("key") == key and line["event"].startswith("ObjectCreated")
            ]

        return max(wait_for(logged, lambda: f"no line about {key}"))

    def objects(self) -> list[tuple[str, int, str]]:
        """Return the objects that the bucket lists."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [(found["Key"], found["Size"], found["ETag"].strip('"')) for found in listed]

    def records(self) -> list[FileRecord]:
        """Return the records that the index lists."""
        return list(self.index.list_prefix(self.bucket))

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """Return the function's own log lines, without the runtime's START, END and REPORT."""
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=self.log_group)
        for page in pages:
            for entry in page["events"]:
                if entry["message"].startswith("{"):
                    yield json.loads(entry["message"])


def upload_event(record: FileRecord, sequencer: str) -> dict[str, Any]:
    """Return the event that S3 sends for the upload that a record describes."""
    return {
        "Records": [
            {
                "eventVersion": "2.6",
                "eventSource": "aws:s3",
                "eventTime": format_time(datetime.now(UTC)),
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": record.bucket},
                    "object": {
                        "key": quote_plus(record.key, safe="/"),
                        "size": record.known.size,
                        "eTag": record.known.etag,
                        "sequencer": sequencer,
                    },
                },
            }
        ]
    }


def heading(text: str) -> None:
    """Print the heading of a part."""
    console.print()
    console.rule(f"[bold]{escape(text)}", align="left")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    started = time.monotonic()
    console.print(f"[bold]{what}[/bold] …")
    yield
    console.print(f"[bold]{what}[/bold]: done in {time.monotonic() - started:.1f} s")


def step(line: str) -> None:
    """Print one step of Terraform."""
    console.print(f"  {escape(line)}")


def keep(deployment: Deployment) -> None:
    """Leave everything running until Ctrl-C."""
    heading("Left running. Paste this into another terminal to use it:")
    for line in instructions(deployment):
        print(line)
    console.print("\nCtrl-C here ends the local AWS, with everything in it.")
    while True:
        time.sleep(3600)


def instructions(deployment: Deployment) -> list[str]:
    """Return the commands that another terminal needs, and some to try there."""
    bucket = shlex.quote(f"s3://{deployment.outputs()['bucket']['name']}")
    # The command runs from the checkout: `make` installs its dependencies only.
    command = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m cli"
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in deployment.environment.items()),
        f"alias file-index={shlex.quote(command)}",
        f"cd {shlex.quote(str(deployment.directory))}",
        "",
        f"aws s3 ls {bucket}",
        f"file-index ls {bucket}",
        "file-index redrive --dry-run",
        "terraform plan -var-file=environments/local.tfvars",
    ]


def main() -> int:
    """Run the demo. It leaves nothing running, whatever happens."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)  # also SIGINT: a background job is started with it ignored
    started = time.monotonic()
    console.print(
        "A local AWS starts, Terraform applies this module to it with the real AWS provider, "
        "files go into S3, and their records appear in DynamoDB. No AWS account is used.\n"
    )
    try:
        with ExitStack() as stack:
            with timed("Starting the local AWS"):
                emulator = stack.enter_context(Emulator())
            with timed("terraform init"):
                initialised = stack.enter_context(ModuleCopy({}))
            with timed("Starting the AWS provider"):
                binary = provider_binary(initialised.data_directory)
                provider = stack.enter_context(KeptProvider(binary, emulator.environment))
            deployment = Deployment(
                emulator, show=step, provider=provider.environment, initialised=initialised
            )
            run(emulator, stack.enter_context(deployment))
    except KeyboardInterrupt:
        console.print("\nInterrupted: the local AWS has ended, with everything in it.")
        return 130
    except (DeploymentError, EmulatorError, ProviderError, TerraformError, TimeoutError) as error:
        console.print(f"[red]{escape(str(error))}")
        return 1
    console.print(f"\nNothing is left. The whole demo took {time.monotonic() - started:.0f} s.")
    return 0


def stop(number: int, _frame: object) -> None:
    """Start the clean-up, without output if the terminal is gone."""
    if number == signal.SIGHUP:
        console.file = Path(os.devnull).open("w")  # noqa: SIM115 # for the rest of the process
    raise KeyboardInterrupt


def run(emulator: Emulator, deployment: Deployment) -> None:
    """Apply, show, destroy. An interruption ends the local AWS without a destroy."""
    with timed("terraform apply"):
        deployment.apply()
    Demo(emulator, deployment).run()
    if "--keep" in sys.argv:
        keep(deployment)
    heading("Cleaning up")
    with timed("terraform destroy"):
        deployment.destroy()


if __name__ == "__main__":
    sys.exit(main())
