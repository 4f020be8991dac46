"""The function of examples/on-change, on batches as Lambda delivers them."""

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import on_change
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.record import FileRecord, ObjectState

RETRIES = 3
NOW = datetime(2026, 11, 26, 8, 15, 30, tzinfo=UTC)
Images = tuple[FileRecord | None, FileRecord | None]
_numbers = itertools.count(1)


def written(etag: str | None, key: str = "a.csv", **more: Any) -> FileRecord:
    """Return a record as a write leaves it, with a revision of its own; a tombstone for None."""
    state = {name: more.pop(name) for name in ("last_modified", "version_id") if name in more}
    return FileRecord(
        bucket="orders",
        key=key,
        indexed_at=NOW,
        revision=f"{next(_numbers):016x}",
        state=ObjectState(etag=etag, size=7, **state) if etag else None,
        expires_at=None if etag else 1_800_000_000,
        **more,
    )


def of_stream(
    old: FileRecord | None, new: FileRecord | None, view: str = "NEW_AND_OLD_IMAGES"
) -> dict[str, Any]:
    """Return the stream's record of a write or, without a new image, of a removal."""
    images = {"OldImage": old, "NewImage": new}
    found: dict[str, Any] = {
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "dynamodb": {
            **{name: record.to_item() for name, record in images.items() if record},
            "Keys": {"partition": {"S": "orders"}, "key": {"S": (old or new or written("e")).key}},
            "SequenceNumber": f"{next(_numbers):021}",
            "StreamViewType": view,
        },
    }
    if new is None:
        found["userIdentity"] = {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    return found


def poison() -> dict[str, Any]:
    """Return the stream's record of an item that is not a record of the index."""
    found = of_stream(None, written("e", "poison"))
    del found["dynamodb"]["NewImage"]["revision"]
    return found


class Shard:
    """Lambda's side of a stream: what it delivers again, how it splits batches, when it gives up.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    The local AWS takes a batch for processed if the function reports some of it as failed.
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self._batches = [list(records)]
        self._failures = 0
        self.given_up: list[list[dict[str, Any]]] = []

    def deliver(self) -> None:
        while self._batches:
            batch = self._batches.pop(0)
            try:
                failed = on_change.handler({"Records": batch}, None)["batchItemFailures"]
            except Exception:  # noqa: BLE001 # an invocation fails with any error
                self._invocation_failed(batch)
                continue
            self._failures = 0
            numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
            if failed:
                checkpoint = min(numbers.index(one["itemIdentifier"]) for one in failed)
                assert checkpoint > 0, "it is not said how Lambda splits such a batch"
                self._batches.insert(0, batch[checkpoint:])

    def _invocation_failed(self, batch: list[dict[str, Any]]) -> None:
        middle = len(batch) // 2
        if middle:
            self._batches[:0] = [batch[:middle], batch[middle:]]
        elif self._failures < RETRIES:
            self._failures += 1
            self._batches.insert(0, batch)
        else:
            self._failures = 0
            self.given_up.append(batch)


class Queue:
    """An SQS FIFO queue, as far as the function knows it, which fails when it is told to."""

    def __init__(self, failures: Sequence[bool] = ()) -> None:
        self._failures = list(failures)
        self._tokens: set[str] = set()
        self.jobs: list[dict[str, Any]] = []

    def send_message(self, **message: str) -> None:
        if self._failures and self._failures.pop(0):
            raise TimeoutError("no answer")
        if message["MessageDeduplicationId"] not in self._tokens:
            self._tokens.add(message["MessageDeduplicationId"])
            self.jobs.append(json.loads(message["MessageBody"]))


@pytest.fixture(autouse=True)
def _url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_QUEUE_URL", "https://queue")


# --- What is a real change ---


@pytest.mark.parametrize(
    ("change", "images"),
    [
        ("created", (None, written("e1"))),
        ("created", (written(None), written("e1"))),
        ("replaced", (written("e1"), written("e2"))),
        ("deleted", (written("e1"), written(None))),
    ],
)
def test_a_real_change_starts_a_job(change: str, images: Images) -> None:
    job = on_change.job_of(of_stream(*images))

    new = images[1]
    assert job
    assert new
    assert (job.change, job.bucket, job.key) == (change, "orders", "a.csv")
    assert job.revision == new.revision
    expected = None if new.deleted else on_change.Content(etag=str(new.known.etag), size=7)
    assert job.content == expected


@pytest.mark.parametrize(
    "images",
    [
        pytest.param((written("e1"), written("e1")), id="only the revision was renewed"),
        pytest.param(
            (written("e1", sequencer="00A1"), written("e1", sequencer="00A2", event_time=NOW)),
            id="the same content was uploaded again",
        ),
        pytest.param(
            (written("e1"), written("e1", last_modified=NOW, version_id="v", settled_at=NOW)),
            id="a repair added what the event did not carry",
        ),
        pytest.param((None, written(None)), id="a file was deleted that the index did not have"),
        pytest.param((written(None), written(None)), id="a tombstone was renewed"),
        pytest.param((written(None), None), id="a tombstone expired"),
    ],
)
def test_other_writes_start_none(images: Images) -> None:
    assert on_change.job_of(of_stream(*images)) is None


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_without_both_images_is_refused(view: str) -> None:
    with pytest.raises(on_change.StreamError, match=r'table\.stream = "NEW_AND_OLD_IMAGES"'):
        on_change.job_of(of_stream(None, written("e"), view))


def test_each_write_of_a_key_has_its_own_token_and_the_keys_group() -> None:
    first, second = written("e1"), written("e2")
    record = of_stream(None, first)
    job, again = (on_change.job_of(record) for _ in range(2))
    later = on_change.job_of(of_stream(first, second))
    other = on_change.job_of(of_stream(None, written("e1", "b.csv")))

    assert job
    assert again
    assert later
    assert other
    assert job.token == again.token
    assert len({one.token for one in (job, later, other)}) == 3
    groups = [one.message["MessageGroupId"] for one in (job, later, other)]
    assert groups[0] == groups[1] != groups[2]


# --- At least once, in order, and a bad record alone ---


def test_a_repeated_batch_starts_each_job_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("sqs")
    url = client.create_queue(QueueName="jobs.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    monkeypatch.setenv("JOBS_QUEUE_URL", url)
    monkeypatch.setattr(on_change, "sqs", lambda: client)
    longest = "ü" * 512
    first, second = written("e1", longest), written("e2", longest)
    last = written(None, longest)
    batch = [of_stream(None, first), of_stream(first, second), of_stream(second, last)]

    answers = [on_change.handler({"Records": batch}, None) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    jobs = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            jobs.append(json.loads(message["Body"]))
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert [(job["change"], job["key"]) for job in jobs] == [
        ("created", longest),
        ("replaced", longest),
        ("deleted", longest),
    ]


def test_a_failure_ends_the_batch_at_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    monkeypatch.setattr(on_change, "sqs", lambda: queue)
    batch = [of_stream(None, written("e", "a")), poison(), of_stream(None, written("e", "c"))]

    answer = on_change.handler({"Records": batch}, None)

    failed = batch[1]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert [job["key"] for job in queue.jobs] == ["a"]


def test_a_failure_at_the_first_record_fails_the_invocation() -> None:
    with pytest.raises(on_change.StreamError, match=r"'key': \{'S': 'poison'\}.*'revision'"):
        on_change.handler({"Records": [poison(), of_stream(None, written("e"))]}, None)


@given(
    batch=st.lists(st.sampled_from(["a", "b", "poison"]), min_size=1, max_size=12),
    failures=st.lists(st.booleans(), max_size=RETRIES),
)
def test_only_bad_records_are_given_up_and_jobs_stay_in_order(
    batch: list[str], failures: list[bool]
) -> None:
    standing: dict[str, FileRecord] = {}
    records, bad, expected = [], [], []
    for number, key in enumerate(batch):
        if key == "poison":
            bad.append(poison())
            records.append(bad[-1])
            continue
        new = written(f"e{number}", key)
        records.append(of_stream(standing.get(key), new))
        standing[key] = new
        expected.append((key, new.revision))
    queue, shard = Queue(failures), Shard(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBS_QUEUE_URL", "https://queue")
        patch.setattr(on_change, "sqs", lambda: queue)
        shard.deliver()

    assert [(job["key"], job["revision"]) for job in queue.jobs] == expected
    assert shard.given_up == [[record] for record in bad]
