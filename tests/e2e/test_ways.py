"""Every way that events can take: notification, EventBridge or external, with and without queue."""

import pytest

from tests.e2e.deployments import DEPLOYMENTS, PREFIX, WAYS
from tests.e2e.stack import Stack

ALL = pytest.mark.parametrize("stack", WAYS, indirect=True)


@ALL
def test_a_file_is_followed_from_upload_to_delete(stack: Stack) -> None:
    key = f"{PREFIX}a b+c%20{{}}.csv"

    stored = stack.put(key, b"1")
    record = stack.wait_until_indexed(key)
    assert (record.known.size, record.known.version_id) == (1, stored.get("VersionId"))

    stack.put(key, b"22")
    assert stack.wait_until_indexed(key).known.size == 2

    stack.delete(key)
    assert stack.wait_until_removed(key).expires_at

    assert stack.dead_letters() == 0


@pytest.mark.parametrize("stack", DEPLOYMENTS, indirect=True)
def test_a_second_plan_is_empty(stack: Stack) -> None:
    assert stack.second_plan == []


def test_a_rule_passes_only_events_that_match_its_filters(eventbridge: Stack) -> None:
    watched = [f"{PREFIX}a", f"{PREFIX}x.csv", "over/lap", "over/a/lap"]
    others = [f"{PREFIX}x.txt", "elsewhere.csv", "over/lap/", "over", "xover/lap"]
    for key in (*others, *watched):
        eventbridge.put(key)

    for key in watched:
        eventbridge.wait_until_indexed(key)

    assert not any(eventbridge.record(key) for key in others)


@pytest.mark.parametrize("stack", ["eventbridge", "queued"], indirect=True)
def test_versions_are_told_apart_in_every_way(stack: Stack) -> None:
    key = f"{PREFIX}undeleted.csv"
    first = stack.put(key, b"1")
    stack.put(key, b"22")
    stack.wait_until_indexed(key)

    marker = stack.delete(key)
    stack.wait_until_removed(key)
    stack.delete(key, VersionId=marker["VersionId"])
    assert stack.wait_until_indexed(key).known.size == 2

    stack.delete(key, VersionId=first["VersionId"])
    stack.wait_for_line(key=key, version_id=first["VersionId"], outcome="indexed")
    assert stack.wait_until_indexed(key).known.size == 2
