"""`file-index verify`: whether the index is the watched part of the bucket, and makes it so.

Bucket and index are read side by side while both change, so a difference alone means nothing: its
event may be under way. A suspect is looked at again, by itself, after a grace period. Where object
and record are then what they were, nothing is under way any more: that is drift. Where either has
changed, its time starts anew.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from function.errors import ContentionError
from function.event_parser import ObjectEvent
from function.indexer import REPAIR, Indexer, Settled
from function.record import FileRecord, format_time
from function.repository import FileIndex
from function.sequencer import CLOCKS_DIFFER

from .address import Address
from .drift import Comparison, Kind, merged
from .errors import FAILED, NO, OK, CommandError
from .listing import Listed, Listing
from .picture import show
from .progress import Work
from .target import WORKERS, Target
from .text import answer, messages, say

_MOST_WAITING = 50_000
"""Suspects held in memory; with more the comparison waits for the oldest."""
_MOST_PLACES = 10_000
_ELSEWHERE = "(elsewhere)"
_MOST_LOOKS = 5
"""A key that has changed before each of them is left unsettled."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key whose object and record differ, or differed when last looked at."""

    key: str
    listed: Listed | None
    revision: str | None
    """The record's; None without a record."""
    seen_at: datetime
    """By S3's clock."""
    due: float
    """When to look again, by the monotonic clock."""
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Drift:
    """A key whose object and record stayed different."""

    kind: Kind
    bucket: str
    key: str
    listed: Listed | None
    record: FileRecord | None
    repaired: bool

    def as_json(self) -> str:
        """One line."""
        line: dict[str, Any] = {"kind": self.kind, "bucket": self.bucket, "key": self.key}
        if self.listed:
            line["object"] = {
                "etag": self.listed.etag,
                "size": self.listed.size,
                "last_modified": format_time(self.listed.last_modified),
            } | ({"version_id": self.listed.version_id} if self.listed.version_id else {})
        if self.record:
            names = ("etag", "size", "version_id", "event_name", "sequencer")
            known = ((name, getattr(self.record, name)) for name in names)
            line["record"] = {name: value for name, value in known if value is not None} | {
                "indexed_at": format_time(self.record.indexed_at)
            }
        return json.dumps(line | {"repaired": self.repaired})


@dataclass(slots=True)
class Findings:
    """What a verification found."""

    compared: int = 0
    """Keys."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    repaired: int = 0
    unsettled: int = 0
    """Keys that kept changing, and of which nothing is known."""
    places: Counter[str] = field(default_factory=Counter)
    """Drift by directory below the prefix."""

    def count(self, place: str) -> None:
        """Count a key in its directory, as far as there are not too many of these."""
        known = place in self.places or len(self.places) < _MOST_PLACES
        self.places[place if known else _ELSEWHERE] += 1

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self.kinds:
            return NO
        return FAILED if self.unsettled else OK

    def as_json(self) -> str:
        """The summary, one line."""
        return json.dumps(
            {
                "compared": self.compared,
                "drift": {kind: self.kinds[kind] for kind in Kind},
                "repaired": self.repaired,
                "unsettled": self.unsettled,
            }
        )


class Verification:
    """Compares what is below one prefix."""

    def __init__(
        self,
        listing: Listing,
        index: FileIndex,
        indexer: Indexer | None,
        comparison: Comparison,
        grace: float,
    ) -> None:
        """With an indexer drift is repaired; `grace` is in seconds."""
        self._listing = listing
        self._index = index
        self._indexer = indexer
        self._comparison = comparison
        self._grace = grace

    def drifts(self, address: Address, findings: Findings, work: Work) -> Iterator[Drift]:
        """The drift below the prefix, as it is found; counts it in `findings`."""
        waiting: deque[Suspect] = deque()
        pairs = merged(
            self._listing.pages(address.key),
            self._index.list_prefix(address.bucket, address.key),
        )
        with ThreadPoolExecutor(WORKERS) as pool:
            for seen_at, listed, record in pairs:
                findings.compared += 1
                work.advance()
                key = listed.key if listed else record.key if record else ""
                if self._comparison.kind(key, listed, record) is not None:
                    waiting.append(self._suspect(key, listed, record, seen_at))
                while waiting and (
                    waiting[0].due < time.monotonic() or len(waiting) > _MOST_WAITING
                ):
                    yield from self._look_again(pool, address, waiting, findings, work)
            while waiting:
                yield from self._look_again(pool, address, waiting, findings, work)

    def _suspect(
        self,
        key: str,
        listed: Listed | None,
        record: FileRecord | None,
        seen_at: datetime | None,
        looks: int = 1,
    ) -> Suspect:
        alive = record is not None and not record.deleted
        return Suspect(
            key=key,
            listed=listed,
            revision=record.revision if record and alive else None,
            seen_at=seen_at or self._listing.look(key)[1],
            due=time.monotonic() + self._grace,
            looks=looks,
        )

    def _look_again(
        self,
        pool: ThreadPoolExecutor,
        address: Address,
        waiting: deque[Suspect],
        findings: Findings,
        work: Work,
    ) -> Iterator[Drift]:
        """Wait for the oldest suspect, and look at all that are due by then."""
        while (seconds := waiting[0].due - time.monotonic()) > 0:
            work.note(f"{len(waiting):,} suspected, looked at again in {seconds:.0f} s")
            time.sleep(min(seconds, 1))
        work.note("")
        due: list[Suspect] = []
        while waiting and waiting[0].due <= time.monotonic() and len(due) < 2 * WORKERS:
            due.append(waiting.popleft())
        for found in pool.map(lambda suspect: self._judge(address.bucket, suspect), due):
            if isinstance(found, Drift):
                findings.kinds[found.kind] += 1
                findings.repaired += found.repaired
                yield found
            elif found is not None and found.looks <= _MOST_LOOKS:
                waiting.append(found)
            elif found is not None:
                findings.unsettled += 1

    def _judge(self, bucket: str, suspect: Suspect) -> Drift | Suspect | None:
        started = time.monotonic()
        listed, now = self._listing.look(suspect.key)
        record = self._index.read(bucket, suspect.key)
        clock = now + timedelta(seconds=time.monotonic() - started)
        kind = self._comparison.kind(suspect.key, listed, record)
        if kind is None:
            return None
        again = self._suspect(suspect.key, listed, record, now, suspect.looks + 1)
        if (listed, again.revision) != (suspect.listed, suspect.revision):
            return again
        repaired = self._indexer is not None
        if self._indexer:
            event = ObjectEvent(bucket=bucket, key=suspect.key, name=REPAIR)
            settled = Settled(
                # The object was so from the first look to this one: the middle is clear of both
                # by half the grace period. An event after this look must not seem older, whatever
                # the clocks of S3.
                at=now - max((now - suspect.seen_at) / 2, CLOCKS_DIFFER),
                clock=clock,
                revision=record.revision if record else None,
                etag=listed.etag if listed else None,
                last_modified=listed.last_modified if listed else None,
            )
            try:
                self._indexer.refresh(event, settled)
            except ContentionError:
                return again
        return Drift(kind, bucket, suspect.key, listed, record, repaired)


def verify(
    target: Target,
    address: Address,
    *,
    repair: bool,
    versions: bool,
    grace: float,
    report: Path | None,
    as_json: bool,
) -> int:
    """Show how the index differs from the bucket; repair it, if asked."""
    verification = Verification(
        listing=Listing(target.s3(), address.bucket, target.filters, versions=versions),
        index=target.index(),
        indexer=target.indexer() if repair else None,
        comparison=Comparison(target.filters, versions),
        grace=grace,
    )
    findings = Findings()
    ended = False
    with ExitStack() as context:
        file = _opened(report, context)
        work = context.enter_context(Work("Verifying"))
        try:
            for drift in verification.drifts(address, findings, work):
                findings.count(_place(drift.key, address))
                line = drift.as_json()
                if file:
                    file.write(f"{line}\n")
                if as_json:
                    answer(line)
            ended = True
        finally:
            if findings.kinds and not ended:
                say("Stopped before the end. So far:")
                show(findings, address, messages)
    if as_json:
        answer(findings.as_json())
    else:
        show(findings, address)
    if not findings.compared:
        say("Neither bucket nor index has a watched key that begins with {}.", str(address))
        return NO if address.key else OK
    return findings.exit_code


def _opened(report: Path | None, context: ExitStack) -> TextIO | None:
    if report is None:
        return None
    try:
        return context.enter_context(report.open("w", encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--report {report}: {error.strerror}") from error


def _place(key: str, address: Address) -> str:
    """The directory below the prefix that the key is in."""
    slash = key.find("/", len(address.key))
    return address.key if slash < 0 else key[: slash + 1]
