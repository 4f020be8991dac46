"""The calls to the local AWS, in order, as CloudTrail has them."""

import json
import ssl
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from local.emulator import Emulator

Call = tuple[str, dict[str, Any]]
"""The action's name and its parameters."""


@contextmanager
def recorded_calls(emulator: Emulator, actions: Sequence[str]) -> Iterator[list[Call]]:
    """Record the calls of these actions while the block runs; the list is filled at the end.

    CloudTrail looks up 50 calls of an action at most.
    """
    _switch_on(emulator)
    began = time.time()
    calls: list[Call] = []
    yield calls
    cloudtrail = emulator.client("cloudtrail")
    found = [
        event
        for action in actions
        for event in cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": action}]
        )["Events"]
        if event["EventTime"].timestamp() >= began
    ]
    for event in sorted(found, key=lambda event: event["EventTime"]):
        asked = json.loads(event["CloudTrailEvent"])["requestParameters"]
        calls.append((event["EventName"], asked))


def _switch_on(emulator: Emulator) -> None:
    trust = ssl.create_default_context(cafile=str(emulator.ca_bundle))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    opener.open(
        f"{emulator.endpoint}/_ministack/config",
        json.dumps({"cloudtrail._recording_enabled": "true"}).encode(),
    ).close()
