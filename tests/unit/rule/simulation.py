"""A bucket, a table, and handlers between them that run one step at a time in any order.

A step is one call to the table or to the bucket: read, look, write. Anything may happen between two
steps of a handler. No thread is needed: the code under test depends only on the responses it gets.
So a handler is run again from its start with the responses so far, up to the first call without
one. That call is made when the handler is advanced.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from function.allowance import Allowance
from function.errors import FileIndexError, PermissionDeniedError
from function.event_parser import parse
from function.events import BACKFILL, REPAIR, ObjectEvent, Outcome
from function.groups import Group
from function.indexer import Indexer
from function.insert_first import InsertFirst
from function.record import (
    DerivedFile,
    FileRecord,
    InsertResult,
    ObjectState,
    Source,
    WriteRefusedError,
)
from function.repair import Settled
from function.sequencer import CLOCKS_DIFFER
from function.settings import Settings
from tests.payloads import BUCKET, by_eventbridge, s3_document
from tests.unit.rule.model_bucket import ModelBucket, Upload, Version, Versioning
from tests.unit.rule.model_table import ModelTable

KEY = "a.txt"
TOMBSTONE_LIFE = timedelta(days=30)
LONGEST_INVOCATION = timedelta(minutes=15)
LONGEST_FREEZE = timedelta(hours=12)
"""Lambda freezes unfinished work at the end of an invocation, and the next one resumes it."""
GRACE = timedelta(minutes=2)
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TOO_GREAT = "00FFFF0001"
"""A sequencer that S3 would give in 2106."""


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


class _Suspended(BaseException):
    """The code under test has made a call that has no response yet."""


@dataclass(slots=True)  # not frozen, because that doubles the time to create one
class _Answer:
    value: Any = None
    error: Exception | None = None


class Steps:
    """The table and the bucket as one handler sees them, and the handler's progress."""

    def __init__(
        self, table: ModelTable, bucket: ModelBucket, clock: Clock, *, metadata: bool
    ) -> None:
        self._table = table
        self._bucket = bucket
        self._clock = clock
        self._metadata = metadata
        self._answers: list[_Answer] = []
        self._position = 0
        self._call: Callable[[], Any] = lambda: None
        self._revision: str | None = None
        self._inserted: FileRecord | None = None
        self.pending = ""
        """The name of the call to be answered next."""

    def read(self, bucket: str, key: str) -> FileRecord | None:
        found: FileRecord | None = self._step("read", lambda: self._table.read(bucket, key))
        return found

    def head(self, _bucket: str, key: str) -> ObjectState | None:
        seen: ObjectState | None = self._step(
            "head", lambda: self._bucket.head(key, metadata=self._metadata)
        )
        return seen

    def make(self, source: Source, size: int | None) -> DerivedFile:
        del size
        made: DerivedFile = self._step("make", lambda: self._made(source))
        return made

    def _made(self, source: Source) -> DerivedFile:
        state = self._bucket.head(source.key, metadata=False)
        if state and state.etag == source.etag:
            return DerivedFile(key=source.etag)
        return DerivedFile(reason="changed meanwhile")

    def name(self, source: Source) -> str:
        return source.etag

    def insert(self, records: Sequence[FileRecord]) -> list[InsertResult | Exception]:
        (self._inserted,) = records
        # Each run of the code makes the record again. The one that counts is the first.
        self._revision = self._revision or self._inserted.revision
        results: list[InsertResult | Exception] = self._step(
            "insert", lambda: self._table.insert(records)
        )
        return results

    def put_newer(self, record: FileRecord) -> None:
        if self._inserted and self._revision and record.revision == self._inserted.revision:
            record = replace(record, revision=self._revision)
        self._step("write", lambda: self._table.put_newer(record))

    def replace(self, record: FileRecord, standing: FileRecord | None) -> None:
        self._step("write", lambda: self._table.replace(record, standing))

    def now(self) -> datetime:
        if self._position == len(self._answers):
            self._answers.append(_Answer(self._clock.now()))
        time: datetime = self._next_answer()
        return time

    def run(self, code: Callable[[], Sequence[Outcome]]) -> Sequence[Outcome] | None:
        """Run the code until its next open call; return its result if it ends."""
        self._position = 0
        self.pending = ""
        try:
            return code()
        except _Suspended:
            return None

    def answer(self) -> None:
        """Make the open call."""
        try:
            self._answers.append(_Answer(self._call()))
        except WriteRefusedError as refused:
            self._answers.append(_Answer(error=refused))

    def answer_with(self, value: Any) -> None:
        """Answer the open call without making it."""
        self._answers.append(_Answer(value))

    def lose_answer(self) -> None:
        """Make the open call, but lose the response: botocore will send it again."""
        with suppress(WriteRefusedError):
            self._call()

    def open_request(self) -> Callable[[], None]:
        """Return the open call, to be made whenever it arrives; nobody gets its response."""
        call = self._call

        def arrive() -> None:
            with suppress(WriteRefusedError):
                call()

        return arrive

    def fail(self, error: Exception) -> None:
        """Let the open call fail with an error."""
        self._answers.append(_Answer(error=error))

    def _step(self, name: str, call: Callable[[], Any]) -> Any:
        if self._position == len(self._answers):
            self.pending = name
            self._call = call
            raise _Suspended
        return self._next_answer()

    def _next_answer(self) -> Any:
        answer = self._answers[self._position]
        self._position += 1
        if answer.error:
            raise answer.error
        return answer.value


_Work = Callable[[Steps], Callable[[], Sequence[Outcome]]]
"""Makes the code of a handler."""

_FATES = (*["made"] * 6, "throttled", "denied", "response lost", "late")
"""What happens to an INSERT."""

_NO_EVENT = ObjectEvent(bucket=BUCKET, key=KEY, name=REPAIR)


@dataclass(eq=False, slots=True, kw_only=True)
class Handler:
    """An invocation under way, or a backfill's work on one key."""

    steps: Steps
    code: Callable[[], Sequence[Outcome]]
    """Calls the steps."""
    name: str
    started: datetime
    object_metadata: bool
    """The setting it was started with."""
    events: Sequence[ObjectEvent] = ()
    """Delivered again if the handler fails."""
    backfills: bool = False
    redelivered: bool = field(init=False, default=False)
    """Its events have already been redelivered."""
    outcomes: Sequence[Outcome] = field(init=False, default=())
    """The outcomes of the events."""


class _Fixed(Allowance):
    """The same answer each time, because the code of a handler runs once for each of its steps."""

    def __init__(self, covers: bool) -> None:
        super().__init__(at_start=0)
        self._covers = covers

    def covers(self, writes: int) -> bool:
        del writes
        return self._covers


@dataclass(slots=True, kw_only=True)
class Simulation:
    """One history. Every method is an event that may happen at any time."""

    table: ModelTable = field(default_factory=ModelTable)
    versioning: Versioning = Versioning.NEVER
    object_metadata: bool = False
    derived_files: bool = False
    insert_first: bool = False
    expects_no_record: bool = False
    """Whether a refresh after an upload leaves out the read of the record."""
    deployed: bool = True
    """Before the deployment, no events of the bucket are received."""

    clock: Clock = field(init=False, default_factory=Clock)
    bucket: ModelBucket = field(init=False)
    pending: list[ObjectEvent] = field(init=False, default_factory=list)
    """Events that S3 has still to deliver."""
    sent: list[ObjectEvent] = field(init=False, default_factory=list)
    """All events so far: any of them may be delivered again."""
    uploads: list[Upload] = field(init=False, default_factory=list)
    """Multipart uploads that are open."""
    handlers: list[Handler] = field(init=False, default_factory=list)
    late_requests: list[tuple[datetime, Callable[[], None]]] = field(
        init=False, default_factory=list
    )
    """Writes that were resent before they arrived, and when they were sent."""
    failures: list[FileIndexError] = field(init=False, default_factory=list)
    backfill_owed: bool = field(init=False, default=False)
    steps: int = field(init=False, default=0)
    history: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = ModelBucket(self.clock.now, self.versioning)
        self._note(
            f"{self.versioning.value} {self.object_metadata=} {self.derived_files=}"
            f" {self.insert_first=} {self.expects_no_record=} {self.deployed=}"
        )

    # Changes of the bucket.

    def put(self, content: str = "A") -> ObjectEvent:
        self._note(f"put {content}")
        return self._send(self.bucket.put(KEY, content))

    def begin(self, content: str = "A") -> Upload:
        """Begin a multipart upload, which may be open for weeks."""
        self._note(f"begin {content}")
        upload = self.bucket.begin(KEY, content)
        self.uploads.append(upload)
        self._tick()
        return upload

    def complete(self, upload: Upload) -> ObjectEvent:
        overtaken = " (overtaken)" if self.bucket.is_overtaken(upload) else ""
        self._note(f"complete {upload.content}{overtaken}")
        self.uploads.remove(upload)
        return self._send(self.bucket.complete(upload))

    def abort(self, upload: Upload) -> None:
        self._note(f"abort {upload.content}")
        self.uploads.remove(upload)

    def delete(self, family: str = "ObjectRemoved") -> ObjectEvent:
        self._note("delete")
        return self._send(self.bucket.delete(KEY, family=family))

    def delete_version(self, version: Version, family: str = "ObjectRemoved") -> ObjectEvent:
        self._note(f"delete {'marker' if version.marker else 'version'} {version.id}")
        return self._send(self.bucket.delete_version(KEY, version, family=family))

    def tag(self, version: Version, tag: str | None) -> None:
        self._note(f"tag {version.id} {tag}")
        record = self.bucket.tag(KEY, version, tag)
        if self.object_metadata:  # else nobody has subscribed to it
            self._send(record)

    def versions(self) -> list[Version]:
        return self.bucket.versions(KEY)

    @property
    def current(self) -> Version:
        return self.versions()[-1]

    def objects(self) -> list[Version]:
        return [version for version in self.versions() if not version.marker]

    # Actions of the bucket's owner.

    def switch_versioning(self) -> None:
        enabled = self.bucket.versioning is Versioning.ENABLED
        self.bucket.versioning = Versioning.SUSPENDED if enabled else Versioning.ENABLED
        self._note(f"versioning {self.bucket.versioning.value}")

    def switch_object_metadata(self) -> None:
        """Switch it. Running handlers keep the setting; a backfill adds metadata to old records."""
        self.object_metadata = not self.object_metadata
        self.backfill_owed = self.backfill_owed or self.object_metadata
        self._note(f"{self.object_metadata=}")

    def deploy(self) -> None:
        """Deploy; the first backfill is for objects that exist already."""
        self.abort_what_cannot_be_told()
        self.deployed = True
        self.backfill_owed = True
        self._note("deploy")

    def backfill(self) -> Handler:
        """List the key and insert a missing record; with metadata, refresh it."""
        self._note("backfill")
        looks = self.object_metadata or self.derived_files
        versioned = self.bucket.versioning is not Versioning.NEVER
        work = self._refresh() if looks else _insertion(observed=versioned)
        return self._start(work, backfills=True)

    def repair(self) -> Handler:
        """Refresh the key without an event."""
        self._note("repair")
        return self._start(self._refresh())

    def lose(self, event: ObjectEvent) -> None:
        """S3 does not deliver an event."""
        self._note(f"lose {_shown(event)}")
        self.pending.remove(event)

    def send_too_great(self, event: ObjectEvent) -> ObjectEvent:
        """Send the event again, with a sequencer that cannot be S3's."""
        self._note(f"too great a sequencer for {_shown(event)}")
        too_great = replace(event, sequencer=TOO_GREAT)
        self.pending.append(too_great)
        return too_great

    def verify(self) -> Settled | None:
        """Look at the key twice without a change in between; return what was seen if it differs."""
        self._note("verify")
        seen_at = self.bucket.time()
        self.wait(GRACE)
        now = self.bucket.time()
        if not self.divergence():
            return None
        state = self.bucket.head(KEY, metadata=False)
        record = self.table.read(BUCKET, KEY)
        return Settled(
            at=now - max((now - seen_at) / 2, CLOCKS_DIFFER),
            clock=now,
            revision=record.revision if record else None,
            etag=state.etag if state else None,
            last_modified=state.last_modified if state else None,
        )

    def repair_settled(self, settled: Settled) -> Handler:
        """Repair what a verification has seen."""
        self._note("repair what was verified")
        return self._start(self._refresh(settled))

    def verify_and_repair(self) -> bool:
        """Refresh the key if it differs; return whether it did. Nothing changes meanwhile."""
        settled = self.verify()
        if settled is None:
            return False
        self.finish(self.repair_settled(settled))
        return True

    def wait(self, time: timedelta) -> None:
        """Let time pass; invocations that take too long are ended, and so are requests."""
        self._note(f"wait {time}")
        self.clock.time += time
        for handler in list(self.handlers):
            longest = LONGEST_FREEZE if handler.redelivered else LONGEST_INVOCATION
            if self.clock.time - handler.started > longest:
                self.crash(handler)
        self.late_requests = [
            (sent, arrive)
            for sent, arrive in self.late_requests
            if self.clock.time - sent <= LONGEST_INVOCATION
        ]

    def expire(self) -> None:
        """DynamoDB gets around to removing expired tombstones."""
        self._note("expire")
        self.table.expire(self.clock.time)

    # Delivery of events.

    def duplicate(self, event: ObjectEvent) -> None:
        self._note(f"duplicate {_shown(event)}")
        self.pending.append(event)

    def deliver(self, *events: ObjectEvent) -> Handler:
        """Start a handler for events that come in one invocation."""
        self._note(f"deliver {_shown(*events)}")
        for event in events:
            self.pending.remove(event)
        return self._start(self._processing(events), events)

    def advance(self, handler: Handler) -> None:
        """Let a handler take its next step."""
        self._note(f"  {handler.name} {handler.steps.pending}")
        handler.steps.answer()
        self._go_on(handler)

    def advance_or_fail(self, handler: Handler, random: Random) -> None:
        """Let a handler take its next step; an INSERT often fails in one of its ways."""
        fate = random.choice(_FATES) if handler.steps.pending == "insert" else "made"
        match fate:
            case "made":
                self.advance(handler)
            case "throttled":
                self.throttle(handler)
            case "denied":
                self.deny(handler)
            case "response lost":
                self.lose_answer(handler)
                self.give_up(handler)
            case "late":
                self.send_again(handler)
                self.give_up(handler)

    def deny(self, handler: Handler) -> None:
        """A handler's next call is refused by AWS."""
        self._note(f"  {handler.name} may not {handler.steps.pending}")
        denied = PermissionDeniedError("denied by the model")
        if handler.steps.pending == "insert":
            handler.steps.answer_with([denied])
        else:
            handler.steps.fail(denied)
        self._go_on(handler)

    def throttle(self, handler: Handler) -> None:
        """A handler's INSERT is throttled; all other calls are retried by botocore."""
        self._note(f"  {handler.name} may not {handler.steps.pending} yet")
        handler.steps.answer_with([InsertResult.THROTTLED])
        self._go_on(handler)

    def give_up(self, handler: Handler) -> None:
        """A handler gets no response to its INSERT, and does without."""
        self._note(f"  {handler.name} gives up to {handler.steps.pending}")
        handler.steps.fail(TimeoutError("no response from the model"))
        self._go_on(handler)

    def lose_answer(self, handler: Handler) -> None:
        """A handler's write is done, but its response is lost."""
        self._note(f"  {handler.name} {handler.steps.pending}, answer lost")
        handler.steps.lose_answer()

    def send_again(self, handler: Handler) -> None:
        """A handler's write is sent again before it arrives: the first may arrive much later."""
        self._note(f"  {handler.name} {handler.steps.pending}, sent again")
        self.late_requests.append((self.clock.time, handler.steps.open_request()))

    def arrive(self) -> None:
        """A request arrives after the one that was sent in its place."""
        self._note("  a late request arrives")
        _, arrive = self.late_requests.pop(0)
        arrive()

    def redeliver(self, handler: Handler) -> None:
        """A handler's events are redelivered while it continues."""
        self._note(f"  {handler.name} goes on, its events come again")
        handler.redelivered = True
        self.pending.extend(handler.events)

    def crash(self, handler: Handler) -> None:
        """End a handler before its next step."""
        self._note(f"  {handler.name} crashes before {handler.steps.pending}")
        self._failed(handler)

    def finish(self, handler: Handler) -> None:
        """Let a handler take all its steps."""
        while handler in self.handlers:
            self.advance(handler)

    def handle(self, *events: ObjectEvent) -> None:
        """Deliver events and let nothing else happen until they are done."""
        self.finish(self.deliver(*events))

    # The end.

    def is_shut(self) -> bool:
        """Return whether a sequencer that is too great supersedes every event."""
        record = self.table.read(BUCKET, KEY)
        return record is not None and record.sequencer == TOO_GREAT

    def abort_what_cannot_be_told(self) -> None:
        """Abort uploads whose completion would be mistaken for the newest: see test_limits.py."""
        record = self.table.read(BUCKET, KEY)
        for upload in list(self.uploads):
            told = record is not None and (
                (record.sequencer or "") >= f"{upload.number:018X}"
                or (record.known.last_modified or upload.began) > upload.began + 2 * CLOCKS_DIFFER
                or record.observed
            )
            if self.bucket.is_overtaken(upload) and not told:
                self.abort(upload)

    def settle(self, random: Random) -> None:
        """Deliver everything and finish all work, in any order."""
        # Now and then a handler that began early writes after all others.
        overtakes = random.random() < 0.5
        if not self.deployed:
            self.deploy()
        while self.pending or self.handlers or self.late_requests or self.backfill_owed:
            if self.backfill_owed and not self._old_handlers() and random.random() < 0.3:
                self.backfill_owed = False
                self.backfill()
            elif self.pending and (not self.handlers or random.random() < 0.3):
                size = min(random.choice((1, 1, 1, 2, 3)), len(self.pending))
                self.deliver(*random.sample(self.pending, size))
            elif self.late_requests and (not self.handlers or random.random() < 0.2):
                self.arrive()
            elif self.handlers:
                chosen = self.handlers[-1] if overtakes else random.choice(self.handlers)
                self.advance_or_fail(chosen, random)

    def _old_handlers(self) -> list[Handler]:
        return [h for h in self.handlers if h.object_metadata is not self.object_metadata]

    def divergence(self) -> str | None:
        """Return how the index differs from the bucket, if it does."""
        return divergence(
            self.table,
            self.bucket,
            KEY,
            metadata=self.object_metadata,
            derived_files=self.derived_files,
        )

    def _tick(self) -> None:
        self.clock.time += timedelta(seconds=1)

    def _send(self, record: dict[str, Any]) -> ObjectEvent:
        self._tick()
        # A bucket may send its events in both forms: here by turns.
        natively = len(self.sent) % 2 == 0
        (message,) = parse(s3_document(record) if natively else by_eventbridge(record))
        (event,) = message.events
        if self.deployed:
            self.pending.append(event)
            self.sent.append(event)
        return event

    def _refresh(self, settled: Settled | None = None) -> _Work:
        def work(steps: Steps) -> Callable[[], Sequence[Outcome]]:
            indexer = self._indexer(steps)
            return lambda: [indexer.refresh(_NO_EVENT, settled)]

        return work

    def _processing(self, events: Sequence[ObjectEvent]) -> _Work:
        def work(steps: Steps) -> Callable[[], Sequence[Outcome]]:
            indexer = self._indexer(steps)
            if not self.insert_first:
                return lambda: indexer.process(events)
            return lambda: _insert_first(steps, indexer, events)

        return work

    def _indexer(self, steps: Steps) -> Indexer:
        return Indexer(
            index=steps,
            objects=steps,
            settings=Settings(
                table_name="files",
                tombstone_life=TOMBSTONE_LIFE,
                object_metadata=self.object_metadata,
            ),
            now=steps.now,
            pause=lambda _seconds: None,
            derived_files=steps if self.derived_files else None,
            allowance=_Fixed(self.expects_no_record),
        )

    def _start(
        self, work: _Work, events: Sequence[ObjectEvent] = (), *, backfills: bool = False
    ) -> Handler:
        steps = Steps(self.table, self.bucket, self.clock, metadata=self.object_metadata)
        handler = Handler(
            steps=steps,
            code=work(steps),
            name=f"handler of {_shown(*events) or 'no event'}",
            started=self.clock.time,
            object_metadata=self.object_metadata,
            events=events,
            backfills=backfills,
        )
        self.handlers.append(handler)
        self._go_on(handler)
        return handler

    def _go_on(self, handler: Handler) -> None:
        self.steps += 1
        try:
            outcomes = handler.steps.run(handler.code)
        except FileIndexError as error:
            self._note(f"  {handler.name} fails: {type(error).__name__}")
            self.failures.append(error)
            self._failed(handler)
            return
        if outcomes is not None:
            self._note(f"  {handler.name} is done: {', '.join(outcomes)}")
            handler.outcomes = outcomes
            self.handlers.remove(handler)

    def _failed(self, handler: Handler) -> None:
        self.handlers.remove(handler)
        if not handler.redelivered:
            self.pending.extend(handler.events)
        self.backfill_owed = self.backfill_owed or handler.backfills

    def _note(self, line: str) -> None:
        self.history.append(line)


def divergence(
    table: ModelTable,
    bucket: ModelBucket,
    key: str,
    *,
    metadata: bool,
    derived_files: bool = False,
) -> str | None:
    """Return how the key's record differs from the object, if it does."""
    record = table.read(BUCKET, key)
    state = bucket.head(key, metadata=metadata)
    if state is None:
        return None if record is None or record.deleted else f"phantom: {record}"
    if record is None or record.deleted:
        return f"orphan: {state}, {record}"
    equal = (
        (record.known.etag, record.known.size) == (state.etag, state.size)
        and record.known.version_id in (None, state.version_id)
        and record.known.last_modified in (None, state.last_modified)
        and (record.known.metadata == state.metadata or not metadata)
        and record.known.derived.key == (state.etag if derived_files else None)
    )
    return None if equal else f"mismatch: {state}, {record}"


def _insert_first(
    steps: Steps, indexer: Indexer, events: Sequence[ObjectEvent]
) -> Sequence[Outcome]:
    """Do what `function.handler` does with a group of events among others."""
    group = Group(list(events))
    first = InsertFirst(indexer, steps)
    first.insert(first.candidates([group]), lambda: True)
    if group.error:
        raise group.error
    return group.outcomes or indexer.process(group.events, group.record)


def _insertion(*, observed: bool) -> _Work:
    return lambda steps: partial(_insert, steps, observed=observed)


def _insert(steps: Steps, *, observed: bool) -> Sequence[Outcome]:
    """Do what a backfill does with a listed key: see `cli.backfill`."""
    state = steps.head(BUCKET, KEY)
    if state is None:
        return ()
    record = FileRecord.of(
        ObjectEvent(bucket=BUCKET, key=KEY, name=BACKFILL),
        ObjectState(etag=state.etag, size=state.size, last_modified=state.last_modified),
        now=steps.now(),
        tombstone_life=TOMBSTONE_LIFE,
        observed=observed,
    )
    with suppress(WriteRefusedError):
        steps.replace(record, None)
    return ()


def _shown(*events: ObjectEvent) -> str:
    return ", ".join(
        f"{event.name.partition(':')[2]}({event.version_id or '-'}, {event.sequencer or '-'})"
        for event in events
    )
