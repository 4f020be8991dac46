"""A versioned bucket, the default: markers, versions, undelete."""

from tests.e2e.stack import Stack


def test_the_current_version_is_indexed(versioned: Stack) -> None:
    versioned.put("current", b"1")
    latest = versioned.put("current", b"22")

    record = versioned.wait_until_indexed("current")

    assert (record.known.size, record.known.version_id, record.observed) == (
        2,
        latest["VersionId"],
        True,
    )


def test_a_delete_marker_removes_the_record_and_its_removal_restores_it(versioned: Stack) -> None:
    versioned.put("undeleted", b"1")
    versioned.wait_until_indexed("undeleted")

    marker = versioned.delete("undeleted")
    assert versioned.wait_until_removed("undeleted").known.etag is None

    versioned.delete("undeleted", VersionId=marker["VersionId"])
    assert versioned.wait_until_indexed("undeleted").known.size == 1


def test_a_permanent_delete_of_the_current_version_uncovers_the_previous_one(
    versioned: Stack,
) -> None:
    versioned.put("uncovered", b"1")
    latest = versioned.put("uncovered", b"22")
    assert versioned.wait_until_indexed("uncovered").known.size == 2

    versioned.delete("uncovered", VersionId=latest["VersionId"])

    assert versioned.wait_until_indexed("uncovered").known.size == 1


def test_a_permanent_delete_of_an_older_version_changes_nothing(versioned: Stack) -> None:
    first = versioned.put("kept", b"1")
    versioned.put("kept", b"22")
    versioned.wait_until_indexed("kept")

    versioned.delete("kept", VersionId=first["VersionId"])

    versioned.wait_for_line(key="kept", event="ObjectRemoved:Delete")
    assert versioned.wait_until_indexed("kept").known.size == 2


def test_deleting_every_version_removes_the_record(versioned: Stack) -> None:
    only = versioned.put("gone", b"1")
    versioned.wait_until_indexed("gone")

    versioned.delete("gone", VersionId=only["VersionId"])

    versioned.wait_until_removed("gone")


def test_late_and_repeated_events_leave_what_the_bucket_holds(versioned: Stack) -> None:
    version = versioned.put("late", b"1")
    versioned.wait_until_indexed("late")
    versioned.delete("late")
    versioned.wait_until_removed("late")

    late = {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": versioned.bucket},
            "object": {"key": "late", "versionId": version["VersionId"], "sequencer": "FF"},
        },
    }
    error, answer = versioned.invoke({"Records": [late, late]})

    assert error is None
    assert answer["removed"] == 2
    record = versioned.record("late")
    assert record
    assert record.deleted
