"""The story that the demo tells: a deployment of the module, used as an application would."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any
from urllib.parse import quote_plus

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table

from cli.function.reader import IndexReader
from cli.function.record import FileRecord, format_time
from local.deployment import Deployment, without_events, without_policy
from local.emulator import Emulator
from local.waiting import wait_for

PREFIX = "reports/2026/"
_READS = 20
"""How often a read is timed."""


class StoryError(Exception):
    """The module did not do what the story says; the message names what happened instead."""


class Story:
    """The parts of the story, in order. Each fits on one screen."""

    def __init__(self, console: Console, emulator: Emulator, deployment: Deployment) -> None:
        outputs = deployment.outputs()
        self._console = console
        self._deployment = deployment
        self._s3 = emulator.client("s3")
        self._iam = emulator.client("iam")
        self._lambda = emulator.client("lambda")
        self._logs = emulator.client("logs")
        self._sqs = emulator.client("sqs")
        self._bucket: str = outputs["bucket"]["name"]
        self._dead_letter_url: str = outputs["dead_letter_queue"]["url"]
        self._role: str = outputs["role"]["name"]
        self._function: str = outputs["function"]["name"]
        self._log_group: str = outputs["log_group"]["name"]
        self._index = IndexReader(emulator.client("dynamodb"), outputs["table"]["name"])

    def tell(self) -> None:
        """Use the bucket, look at the index, and let things go wrong. Raises StoryError."""
        self._fill()
        self._read()
        self._repeat_events()
        self._fail_and_replay()
        self._lose_events_and_repair()

    def _fill(self) -> None:
        """Put, overwrite and delete files, some with keys that other tools get wrong."""
        self._begin(
            "1. Files go into the bucket, and records appear in the index",
            "An application puts, overwrites and deletes files:",
        )
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
        table = Table.grid("", "", Column(justify="right"), padding=(0, 3, 0, 0))
        for what, key, body in steps:
            if body is None:
                self._s3.delete_object(Bucket=self._bucket, Key=key)
            else:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
            table.add_row(what, escape(key), "" if body is None else f"{len(body)} bytes")
        self._console.print(table)
        self._say(
            f"The index equals the bucket {self._seconds_until_equal():.1f} s after the last call,"
            " cold starts of the function included. For the next file it is warm, and logs:"
        )
        key = f"{PREFIX}q3.json"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=b'{"total": 3}')
        line = self._wait_for_lines(key=key)[0]
        self._show_line(line, "outcome", "key", "event", "lag_ms")
        self._say(f"Its record was written {line['lag_ms']} ms after S3 took the file.")

    def _read(self) -> None:
        """Read the records with the command line, and time the reads of an application."""
        self._begin(
            "2. The index says what is in the bucket",
            "The command line reads the DynamoDB table, not S3:",
        )
        self._run("ls", self._address(), "--recursive")
        self._console.print()
        self._run("get", self._address(f"{PREFIX}q1.json"))
        record = _median_ms(lambda: self._index.get(self._bucket, f"{PREFIX}q1.json"))
        prefix = _median_ms(lambda: list(self._index.list_prefix(self._bucket, PREFIX)))
        self._say(
            f"An application reads a record with one GetItem ({record:.0f} ms here) and lists a"
            f" prefix with one Query ({prefix:.0f} ms). Neither scans the table."
        )

    def _repeat_events(self) -> None:
        """Deliver events twice and late, as S3 may."""
        self._begin(
            "3. Duplicate and late events change nothing",
            "S3 delivers at least once, and not always in order. The demo sends the function two"
            " old events again:",
        )
        table = Table.grid("", "", "", padding=(0, 3, 0, 0))
        for what, key in (
            ("the overwrite of hello.txt, a second time", "hello.txt"),
            ("the upload of draft.tmp, after its deletion", "draft.tmp"),
        ):
            record = self._record(key)
            payload = json.dumps(upload_event(record, self._upload_sequencer(key)))
            response = self._lambda.invoke(FunctionName=self._function, Payload=payload)
            outcomes = {name: n for name, n in json.load(response["Payload"]).items() if n}
            if outcomes != {"superseded": 1} or self._record(key) != record:
                raise StoryError(f"{what}: {outcomes}, and the record is {self._record(key)}")
            table.add_row(what, "superseded", "the record is unchanged")
        self._console.print(table)
        self._say(
            "Every event carries a sequencer, which orders the events of a key. One conditional"
            " PutItem writes the record only if the event is newer. A deleted file leaves a"
            " tombstone, so the late upload does not bring it back:"
        )
        self._run("get", self._address("draft.tmp"), exit_code=1)

    def _fail_and_replay(self) -> None:
        """Remove a permission, watch an upload fail, restore it, and replay."""
        key = "late report.csv"
        with without_policy(self._iam, self._role, "table"):
            self._begin(
                "4. A failed event is explained, kept and replayed",
                "The demo removes the function's permission to write to the table, and uploads"
                f" {key!r}. The function logs:",
            )
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"a;b")
            line = self._wait_for_lines(key=key, outcome="failed")[0]
            self._show_line(line, "outcome", "key", "errorType")
            self._say("Lambda retries twice and sends the event to the dead-letter queue.")
            wait_for(self._dead_letters, lambda: "no dead letter")
        self._say("The demo restores the permission, and replays the event:")
        self._run("redrive")
        self._console.print()
        self._run("ls", self._address(key))

    def _lose_events_and_repair(self) -> None:
        """Lose events, then repair the index and verify it."""
        with without_events(self._s3, self._bucket):
            for key in ("nobody was told.csv", "hello.txt"):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"without an event")
            self._s3.delete_object(Bucket=self._bucket, Key="with space + plus.csv")
        self._begin(
            "5. Lost events are found and repaired",
            "The demo removes the bucket's notification for a moment. Meanwhile it uploads a file,"
            " overwrites one and deletes one. S3 sends no event for them:",
        )
        # The default grace period is for late events; here, none is under way.
        verify = ("verify", self._address(), "--grace", "1")
        self._run(*verify, "--repair", exit_code=1)
        self._console.print()
        self._run(*verify)
        self._say(
            "With the module's input reconciliation, the same comparison runs on AWS every day, and"
            " an alarm fires if it finds a difference."
        )

    def _seconds_until_equal(self) -> float:
        """Wait until the index equals the bucket; return how long that took."""
        started = time.monotonic()
        wait_for(
            lambda: (
                self._objects() == [(r.key, r.known.size, r.known.etag) for r in self._records()]
            ),
            lambda: f"bucket {self._objects()}, index {self._records()}",
        )
        # A deleted file may also be absent because its events have not arrived yet.
        wait_for(
            lambda: (found := self._index.read(self._bucket, "draft.tmp")) and found.deleted,
            lambda: f"draft.tmp is {self._index.read(self._bucket, 'draft.tmp')}",
        )
        return time.monotonic() - started

    def _objects(self) -> list[tuple[str, int, str]]:
        """Return the objects that the bucket lists."""
        listed = self._s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        return [(found["Key"], found["Size"], found["ETag"].strip('"')) for found in listed]

    def _records(self) -> list[FileRecord]:
        """Return the records that the index lists."""
        return list(self._index.list_prefix(self._bucket))

    def _record(self, key: str) -> FileRecord:
        """Return the record or tombstone of a key."""
        record = self._index.read(self._bucket, key)
        if record is None:
            raise StoryError(f"the index has no record of {key}")
        return record

    def _dead_letters(self) -> int:
        """Return the approximate number of messages in the dead-letter queue."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._dead_letter_url, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def _upload_sequencer(self, key: str) -> str:
        """Return the sequencer of a key's latest upload, once the function's log has it."""
        lines = self._wait_for_lines(key=key, event="ObjectCreated:Put")
        return max(str(line["sequencer"]) for line in lines)

    def _wait_for_lines(self, **fields: str) -> list[dict[str, Any]]:
        """Return the function's log lines with these fields, once there are any."""
        return wait_for(
            lambda: [line for line in self._log_lines() if fields.items() <= line.items()],
            lambda: f"no log line with {fields}",
        )

    def _log_lines(self) -> Iterator[dict[str, Any]]:
        """Yield the function's own log lines, without the runtime's START, END and REPORT."""
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=self._log_group)
        for page in pages:
            for entry in page["events"]:
                if entry["message"].startswith("{"):
                    yield json.loads(entry["message"])

    def _address(self, key: str = "") -> str:
        return f"s3://{self._bucket}/{key}"

    def _run(self, *arguments: str, exit_code: int = 0) -> None:
        """Run `file-index` and show its output. Raises StoryError at another exit code."""
        self._console.print(f"[bold]$ file-index {escape(shlex.join(arguments))}")
        with self._deployment.file_index(*arguments) as process:
            said = process.communicate()[0]
        for line in said.splitlines():
            self._console.print(escape(line.rstrip()))
        if process.returncode != exit_code:
            raise StoryError(
                f"file-index {arguments[0]} exited with {process.returncode}, not {exit_code}"
            )

    def _show_line(self, line: dict[str, Any], *fields: str) -> None:
        """Show some fields of a log line."""
        shown = {name: line[name] for name in fields}
        text = escape(json.dumps(shown, ensure_ascii=False))
        self._console.print(Padding(text, (0, 0, 0, 2)))

    def _begin(self, title: str, text: str) -> None:
        heading(self._console, title)
        self._console.print(escape(text))

    def _say(self, text: str) -> None:
        self._console.print(f"\n{escape(text)}")


def heading(console: Console, text: str) -> None:
    """Print the heading of a part."""
    console.print()
    console.rule(f"[bold]{escape(text)}", align="left")


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


def _median_ms(read: Callable[[], object]) -> float:
    """Return how many milliseconds a read takes."""
    times = []
    for _ in range(_READS):
        started = time.perf_counter()
        read()
        times.append(time.perf_counter() - started)
    return median(times) * 1000
