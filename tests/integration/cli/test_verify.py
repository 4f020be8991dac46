"""`file-index verify`, with and without `--repair`."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from cli import verify, waiting
from cli.function.listing import Listing
from cli.function.objects import Objects
from cli.function.reader import IndexReader
from cli.function.record import DerivedFile, FileRecord, ObjectMetadata, ObjectState, format_time
from cli.function.repository import FileIndex
from function.handler import Function, create_function
from tests.integration.cli.conftest import FileIndexCommand, Said, Store
from tests.integration.cli.faults import Faults
from tests.integration.conftest import BUCKET, TABLE
from tests.integration.test_handler import Invocation, settings
from tests.payloads import created, removed, s3_document

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

URL = f"s3://{BUCKET}"
NOW = datetime.now(UTC)
HISTORIES = 12
DIVERGENT = {3, 4, 5}
"""Three of the five histories that diverge if a repair does not set `settled_at`."""
SUMMARY = {
    "compared": 0,
    "drift": {"phantom": 0, "orphan": 0, "mismatch": 0, "filtered out": 0},
    "repaired": 0,
    "unsettled": 0,
}


@pytest.fixture(autouse=True)
def bucket(s3: "S3Client", index: FileIndex) -> None:  # both exist
    pass


def record_of(s3: "S3Client", key: str, **more: Any) -> FileRecord:
    found = s3.head_object(Bucket=BUCKET, Key=key)
    values: dict[str, Any] = {
        "etag": found["ETag"].strip('"'),
        "size": found["ContentLength"],
    } | more
    state = ObjectState(**values)
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, revision=f"r {key}", state=state)


def verified(file_index: FileIndexCommand, *arguments: str, url: str = URL) -> Said:
    return file_index("verify", url, "--grace", "0", "--json", *arguments)


def drift(s3: "S3Client", store: Store) -> None:
    """Create one drift of each kind, and keys without drift."""
    odd = "in/line\nbreak ü+ "
    for key in ("in/equal", odd, "in/mismatch", "in/orphan", "out/unwatched", "in/Same", "in/same"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    for key in ("in/equal", odd, "in/Same", "in/same"):
        store(record_of(s3, key))
    store(record_of(s3, "in/mismatch", etag="old"))
    store(record_of(s3, "out/unwatched"))
    store(phantom("in/phantom"))


def phantom(key: str, **more: Any) -> FileRecord:
    values: dict[str, Any] = {"state": ObjectState(etag="e", size=1), "sequencer": "0055"} | more
    return FileRecord(bucket=BUCKET, key=key, indexed_at=NOW, revision="r", **values)


def revision(index: FileIndex, key: str) -> str | None:
    found = index.read(BUCKET, key)
    return found.revision if found else None


def test_each_kind_of_drift_is_found(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, tmp_path: Path
) -> None:
    drift(s3, store)
    report = tmp_path / "report"

    said = verified(file_index, "--filter", "in/", "--report", str(report))

    *drifts, summary = said.lines
    assert said.code == 1
    assert {(line["kind"], line["key"]) for line in drifts} == {
        ("filtered out", "out/unwatched"),
        ("mismatch", "in/mismatch"),
        ("orphan", "in/orphan"),
        ("phantom", "in/phantom"),
    }
    assert summary == SUMMARY | {
        "compared": 8,
        "drift": {"phantom": 1, "orphan": 1, "mismatch": 1, "filtered out": 1},
    }
    assert [json.loads(line) for line in report.read_text().splitlines()] == drifts
    mismatch = next(line for line in drifts if line["kind"] == "mismatch")
    assert (mismatch["object"]["size"], mismatch["record"]["etag"]) == (11, "old")


def test_a_repair_leaves_no_drift(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, index: FileIndex
) -> None:
    drift(s3, store)

    said = verified(file_index, "--filter", "in/", "--repair")
    again = verified(file_index, "--filter", "in/")

    assert (said.code, said.lines[-1]["repaired"]) == (1, 4)
    assert (again.code, again.lines) == (0, [SUMMARY | {"compared": 6}])
    for key in ("in/phantom", "out/unwatched"):
        tombstone = index.read(BUCKET, key)
        assert tombstone
        assert tombstone.deleted
        assert tombstone.event_name == "Repair"
    assert index.read(BUCKET, "in/phantom").sequencer == "0055"  # type: ignore[union-attr]


def test_botocore_parses_neither_the_bucket_nor_the_table(
    s3: "S3Client", store: Store, file_index: FileIndexCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        store(record_of(s3, key))
    monkeypatch.setattr("botocore.parsers.ResponseParser._handle_list", None)

    assert verified(file_index).lines == [SUMMARY | {"compared": 2}]


def test_only_the_prefix_is_verified(
    file_index: FileIndexCommand, s3: "S3Client", store: Store
) -> None:
    drift(s3, store)

    said = verified(file_index, url=f"{URL}/in/o")

    assert [line.get("key") for line in said.lines] == ["in/orphan", None]


def test_the_result_is_shown_as_a_table(
    file_index: FileIndexCommand, s3: "S3Client", store: Store
) -> None:
    drift(s3, store)
    for number in range(3):
        store(phantom(f"deep/\x1b[31m/{number}"))

    said = file_index("verify", URL, "--grace", "0")

    assert said.answer.startswith("s3://reports/: 11 keys compared, 6 drift.\n")
    lines = [line.split() for line in said.answer.splitlines()]
    assert ["equal", "5", "█" * 30] in lines
    assert ["phantom", "4", "█" * 24, "in", "the", "index,", "not", "in", "the", "bucket"] in lines
    assert lines[-3:] == [
        ["directories", "with", "most", "drift", "keys"],
        ["deep/", "3", "█" * 30],
        ["in/", "3", "█" * 30],
    ]
    assert "\x1b" not in said.answer


def test_an_empty_prefix_is_reported_but_an_empty_bucket_is_not(
    file_index: FileIndexCommand, s3: "S3Client"
) -> None:
    assert file_index("verify", URL, "--grace", "0").code == 0
    s3.put_object(Bucket=BUCKET, Key="a")

    said = file_index("verify", f"{URL}/b", "--grace", "0")

    assert said.code == 1
    assert "0 keys compared, no drift." in said.answer
    assert "Neither bucket nor index has a watched key" in said.messages


@pytest.mark.parametrize("arguments", [(), ("--repair",), ("--versions",)])
def test_a_missing_bucket_is_named(
    file_index: FileIndexCommand, arguments: tuple[str, ...]
) -> None:
    said = file_index("verify", "s3://absent", "--grace", "0", *arguments)

    assert (said.code, said.answer) == (2, "")
    assert said.messages == "file-index: bucket absent does not exist\n"


def test_a_repair_of_a_deleted_bucket_writes_nothing(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, index: FileIndex
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    record = record_of(s3, "a")
    store(record)
    s3.delete_object(Bucket=BUCKET, Key="a")
    s3.delete_bucket(Bucket=BUCKET)

    said = verified(file_index, "--repair")

    assert (said.code, said.messages) == (2, f"file-index: bucket {BUCKET} does not exist\n")
    assert revision(index, "a") == record.revision


def test_a_bucket_that_is_deleted_between_the_looks_stops_a_repair(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    index: FileIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = phantom("a")
    store(record)
    find = Listing.find

    def bucket_is_deleted(listing: Listing, key: str) -> Any:
        with suppress(s3.exceptions.NoSuchBucket):
            s3.delete_bucket(Bucket=BUCKET)
        return find(listing, key)

    monkeypatch.setattr(Listing, "find", bucket_is_deleted)

    assert verified(file_index, "--repair").code == 2
    assert revision(index, "a") == record.revision


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_bucket_or_a_permission_that_is_gone_when_a_repair_looks_writes_no_tombstone(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    index: FileIndex,
    monkeypatch: pytest.MonkeyPatch,
    is_deleted: bool,
) -> None:
    """HEAD answers 404, but that says nothing about the key."""
    record = phantom("a")
    store(record)
    faults = Faults(monkeypatch)
    head = Objects.head

    def is_gone(objects: Objects, bucket: str, key: str) -> Any:
        if is_deleted:
            s3.delete_bucket(Bucket=BUCKET)
        else:
            faults.fail("ListObjectsV2", "AccessDenied")
        return head(objects, bucket, key)

    monkeypatch.setattr(Objects, "head", is_gone)

    said = verified(file_index, "--repair")

    assert said.code == 2
    cause = f"bucket {BUCKET} does not exist" if is_deleted else "perform: s3:ListBucket on"
    assert cause in said.messages
    assert revision(index, "a") == record.revision


def test_an_item_that_is_not_a_record_fails_alone(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, dynamodb: "DynamoDBClient"
) -> None:
    drift(s3, store)
    item = {"partition": {"S": BUCKET}, "key": {"S": "in/n"}}
    dynamodb.put_item(TableName=TABLE, Item=item)

    said = verified(file_index, "--filter", "in/")

    assert (said.code, said.lines[-1]["compared"], said.lines[-1]["failed"]) == (2, 9, 1)
    assert sum(said.lines[-1]["drift"].values()) == 4
    assert f"  {URL}/in/n: the table holds an item that is not a record" in said.messages


TOO_GREAT = "00FFFFFF00D160712D"


@pytest.mark.parametrize("deleted", [False, True])
def test_a_repair_unblocks_a_key_with_too_great_a_sequencer(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, index: FileIndex, deleted: bool
) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["ETag"].strip('"')
    if deleted:
        store(replace(phantom("a"), sequencer=TOO_GREAT))
        s3.delete_object(Bucket=BUCKET, Key="a")
    else:
        tombstone = replace(phantom("a"), state=None)
        store(replace(tombstone, sequencer=TOO_GREAT))
    function = create_function(settings())
    late, next_put = (
        created("a", sequencer, size=1, eTag=etag)
        | {"eventTime": format_time(datetime.now(UTC) + time)}
        for sequencer, time in (
            ("00660F7986D160712D", timedelta(minutes=-1)),
            ("00660F7987D160712D", timedelta(minutes=1)),
        )
    )

    assert verified(file_index, "--repair").lines[-1]["repaired"] == 1

    repaired = index.read(BUCKET, "a")
    assert repaired
    assert repaired.sequencer is None
    assert repaired.settled_at
    assert function.handle(s3_document(late), Invocation())["superseded"] == 1
    assert function.handle(s3_document(next_put), Invocation())["indexed"] == 1


def test_a_repair_keeps_a_sequencer_of_an_object_that_changes_meanwhile(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    index: FileIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    store(replace(phantom("a"), sequencer=TOO_GREAT))
    read = FileIndex.read
    reads = []

    def is_overwritten(table: FileIndex, bucket: str, key: str) -> Any:
        reads.append(key)
        if len(reads) == 2:  # the one of the repair, after both looks
            s3.put_object(Bucket=BUCKET, Key="a", Body=b"2")
        return read(table, bucket, key)

    monkeypatch.setattr(FileIndex, "read", is_overwritten)

    assert verified(file_index, "--repair").lines[-1]["repaired"] == 1

    repaired = read(index, BUCKET, "a")
    assert repaired
    assert (repaired.known.size, repaired.sequencer) == (1, TOO_GREAT)


def test_an_unwritable_report_is_reported_before_any_work(
    file_index: FileIndexCommand, tmp_path: Path
) -> None:
    said = file_index("verify", URL, "--report", str(tmp_path))

    assert said.code == 2
    assert said.messages == f"file-index: --report {tmp_path}: Is a directory\n"


def test_versions_are_compared_on_request(
    file_index: FileIndexCommand, s3: "S3Client", store: Store
) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b", "gone"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
        version = s3.put_object(Bucket=BUCKET, Key=key, Body=b"2")["VersionId"]
        store(record_of(s3, key, version_id=version if key == "a" else "older"))
    s3.delete_object(Bucket=BUCKET, Key="gone")

    assert [line.get("key") for line in verified(file_index).lines] == ["gone", None]
    said = verified(file_index, "--versions", "--repair")
    assert [(line.get("kind"), line.get("key")) for line in said.lines] == [
        ("mismatch", "b"),
        ("phantom", "gone"),
        (None, None),
    ]
    assert verified(file_index, "--versions").code == 0


def test_a_version_that_head_cannot_read_is_not_compared(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is encrypted with a customer-provided key (SSE-C), in a versioned bucket."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    # As the function leaves it: its event was applied before the bucket had versions.
    store(replace(record_of(s3, "a"), sequencer="0055"))
    Faults(monkeypatch).fail("HeadObject", "400", "a")

    first = verified(file_index, "--versions", "--repair")
    again = verified(file_index, "--versions")

    assert (first.code, first.lines[-1]["repaired"]) == (1, 1)
    assert (again.code, again.lines) == (0, [SUMMARY | {"compared": 1}])


def test_a_copy_in_place_whose_event_was_lost_is_found(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    index: FileIndex,
    reader: IndexReader,
) -> None:
    for key in ("class", "content type", "untouched"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1", ContentType="text/plain")
    past = NOW - timedelta(seconds=30)
    for key in ("class", "content type", "untouched"):
        metadata = ObjectMetadata(storage_class="STANDARD", content_type="text/plain")
        head = s3.head_object(Bucket=BUCKET, Key=key)["LastModified"]
        seen = past if key == "content type" else head
        store(record_of(s3, key, last_modified=seen, metadata=metadata))
    s3.copy_object(
        Bucket=BUCKET,
        Key="content type",
        CopySource={"Bucket": BUCKET, "Key": "content type"},
        ContentType="text/csv",
        MetadataDirective="REPLACE",
    )
    s3.put_object(Bucket=BUCKET, Key="class", Body=b"1", StorageClass="STANDARD_IA")
    moved = index.read(BUCKET, "class")
    assert moved
    head = s3.head_object(Bucket=BUCKET, Key="class")["LastModified"]
    index.replace(replace(moved, state=replace(moved.known, last_modified=head)), moved)

    said = verified(file_index, "--object-metadata", "--repair")

    found = {line["key"]: line for line in said.lines if "key" in line}
    assert found.keys() == {"class", "content type"}
    assert found["class"]["object"]["storage_class"] == "STANDARD_IA"
    assert found["class"]["record"]["storage_class"] == "STANDARD"
    copied = found["content type"]
    assert copied["object"]["last_modified"] > copied["record"]["last_modified"]
    assert copied["object"]["etag"] == copied["record"]["etag"]
    assert verified(file_index, "--object-metadata").code == 0
    repaired = reader.get(BUCKET, "content type")
    assert repaired
    assert repaired.known.metadata
    assert repaired.known.metadata.content_type == "text/csv"


def test_an_event_without_a_size_leaves_no_drift(
    file_index: FileIndexCommand, s3: "S3Client", store: Store
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    store(record_of(s3, "a", size=None))

    assert verified(file_index).code == 0


def test_a_difference_with_an_event_in_flight_is_not_drift(
    file_index: FileIndexCommand, s3: "S3Client", index: FileIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    find = Listing.find

    def event_comes_first(listing: Listing, key: str) -> Any:
        index.replace(record_of(s3, "a"), None)
        return find(listing, key)

    monkeypatch.setattr(Listing, "find", event_comes_first)

    assert verified(file_index).code == 0


def test_a_key_that_keeps_changing_without_its_record_fails(
    file_index: FileIndexCommand, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    bodies = iter([b"1", b"2", b"3", b"4", b"5"])
    find = Listing.find

    def is_overwritten(listing: Listing, key: str) -> Any:
        s3.put_object(Bucket=BUCKET, Key="a", Body=next(bodies))
        return find(listing, key)

    monkeypatch.setattr(Listing, "find", is_overwritten)

    said = verified(file_index, "--repair")

    # Its record did not follow, so its events may be lost.
    assert (said.code, said.lines) == (2, [SUMMARY | {"compared": 1, "failed": 1}])
    assert "its object kept changing, its record did not: not compared" in said.messages


def test_many_suspects_are_held_in_bounded_memory(
    file_index: FileIndexCommand, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 5)
    monkeypatch.setattr(verify, "_MOST_DIRECTORIES", 3)
    for number in range(30):
        s3.put_object(Bucket=BUCKET, Key=f"{number}/a")

    assert verified(file_index, "--repair").lines[-1]["drift"]["orphan"] == 30
    assert verified(file_index).code == 0


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed in DIVERGENT else pytest.mark.long)
        for seed in range(HISTORIES)
    ],
)
def test_a_repair_after_lost_events_makes_index_and_bucket_equal(
    file_index: FileIndexCommand, s3: "S3Client", dynamodb: "DynamoDBClient", seed: int
) -> None:
    random = Random(seed)  # noqa: S311 # no secret
    reader = IndexReader(dynamodb, TABLE)
    function = create_function(settings())
    keys = [f"key {number}" for number in range(6)]
    events = [_change(s3, random, keys, number) for number in range(24)]
    late = _deliver_some(function, random, events)
    if random.random() < 0.5:
        late += [event for event in events if random.random() < 0.2]  # again

    repaired = {line.get("key") for line in verified(file_index, "--repair").lines}
    assert _differences(s3, reader) == []

    random.shuffle(late)
    for event in late:
        function.handle(s3_document(event), Invocation())
    # A key that did not differ is not settled, and is left for the next run.
    assert not [key for key, *_ in _differences(s3, reader) if key in repaired]
    verified(file_index, "--repair")
    assert _differences(s3, reader) == []

    # The index still follows the bucket.
    for number in range(24, 36):
        event = _change(s3, random, keys, number, after=timedelta(seconds=30))
        function.handle(s3_document(event), Invocation())
    assert _differences(s3, reader) == []


def _change(
    s3: "S3Client",
    random: Random,
    keys: list[str],
    number: int,
    after: timedelta = timedelta(seconds=-30),
) -> dict[str, Any]:
    """Upload or delete an object; return the event that S3 would send."""
    key = random.choice(keys)
    if random.random() < 0.3:
        s3.delete_object(Bucket=BUCKET, Key=key)
        event = removed(key, f"{number + 1:04X}")
    else:
        body = random.randbytes(random.randrange(8))
        etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
        event = created(key, f"{number + 1:04X}", size=len(body), eTag=etag)
    return event | {"eventTime": format_time(datetime.now(UTC) + after)}


def _deliver_some(
    function: Function, random: Random, events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Deliver some events in any order. Some of the others are lost, and some will be late."""
    late = []
    for event in random.sample(events, len(events)):
        fate = random.random()
        if fate < 0.5:
            function.handle(s3_document(event), Invocation())
        elif fate < 0.75:
            late.append(event)
    return late


def _differences(s3: "S3Client", reader: IndexReader) -> list[Any]:
    bucket = {
        (found["Key"], found["ETag"].strip('"'), found["Size"])
        for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    }
    records = {
        (record.key, record.known.etag, record.known.size) for record in reader.list_prefix(BUCKET)
    }
    return sorted(bucket ^ records)


def test_a_repair_does_not_drop_object_metadata(
    file_index: FileIndexCommand, s3: "S3Client", store: Store
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    store(record_of(s3, "a", etag="old", metadata=ObjectMetadata(storage_class="STANDARD")))

    said = verified(file_index, "--repair")

    assert said.code == 2
    assert "add --object-metadata" in said.messages
    assert verified(file_index, "--repair", "--object-metadata").lines[-1]["repaired"] == 1


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_tags_are_not_dropped(
    file_index: FileIndexCommand, s3: "S3Client", store: Store, command: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    held = ObjectMetadata(storage_class="STANDARD", tags={"k": "v"})
    store(record_of(s3, "a", etag="old", metadata=held))
    options = ["--repair", "--grace", "0"] if command == "verify" else []

    said = file_index(command, URL, "--object-metadata", *options)

    assert said.code == 2
    assert "add --object-tags" in said.messages
    options += ["--object-metadata", "--object-tags"]
    assert file_index(command, URL, *options).code == (command == "verify")


@pytest.mark.parametrize("command", ["backfill", "verify"])
@pytest.mark.parametrize("derived", [DerivedFile(key="m/z.json"), DerivedFile(reason="too large")])
def test_without_the_deployment_records_that_name_derived_files_are_not_written(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    index: FileIndex,
    command: str,
    derived: DerivedFile,
) -> None:
    for key in ("a", "z"):
        s3.put_object(Bucket=BUCKET, Key=key)
    store(record_of(s3, "z", derived=derived))
    options = ["--repair", "--grace", "0"] if command == "verify" else []

    said = file_index(command, URL, *options)

    assert said.code == 2
    assert (
        "records of table files point to derived files, which --table cannot make" in said.messages
    )
    assert "choose its deployment with --env" in said.messages
    assert index.read(BUCKET, "a") is None
    # Reading does no harm.
    assert file_index("verify", URL, "--grace", "0").code == 1


@pytest.mark.parametrize("derived", [DerivedFile(key="m/z.json"), DerivedFile(reason="too large")])
def test_a_repair_does_not_drop_the_pointer_to_a_derived_file(
    file_index: FileIndexCommand,
    s3: "S3Client",
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    derived: DerivedFile,
) -> None:
    monkeypatch.setattr("cli.target._RECORDS_CHECKED", 1)
    for key in ("a", "z"):
        s3.put_object(Bucket=BUCKET, Key=key)
    store(record_of(s3, "a"))
    store(record_of(s3, "z", derived=derived, etag="old"))

    said = verified(file_index, "--repair")

    assert said.code == 2
    assert "the record of z has attributes that these options would drop" in said.messages
    assert "choose its deployment with --env" in said.messages


def test_a_wrong_number_of_partitions_is_refused(
    file_index: FileIndexCommand, s3: "S3Client", dynamodb: "DynamoDBClient"
) -> None:
    parted = FileIndex(dynamodb, TABLE, partitions=4)
    for number in range(40):
        s3.put_object(Bucket=BUCKET, Key=f"{number}")
        parted.replace(record_of(s3, f"{number}"), None)

    for command in ("verify", "backfill"):
        for partitions in ("1", "2", "3", "8"):
            said = file_index(command, URL, "--partitions", partitions)
            assert said.code == 2
            assert f"does not have --partitions {partitions}" in said.messages
    assert file_index("verify", URL, "--partitions", "4", "--json").code == 0


def test_an_endpoint_that_is_not_a_url_is_reported(file_index: FileIndexCommand) -> None:
    said = file_index("ls", URL, "--endpoint-url", "localhost:4566")

    assert said.code == 2
    assert "Invalid endpoint: localhost:4566" in said.messages
