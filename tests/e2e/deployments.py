"""The deployments of the end-to-end tests."""

from typing import Any

BUCKET = {"create": True, "force_destroy": True, "abort_uploads": False}
UNVERSIONED = {**BUCKET, "versioned": False}
VERSIONED = {**BUCKET, "versioned": True}

# The function's timeout decides how long a message waits in the queue before a retry.
QUICK = {"timeout_seconds": 15}

REPAIRING = {"repair": True, "grace_seconds": 1}

# By fixture name, on top of environments/local.tfvars. Events take every possible way here.
# Those with the longest tests come first.
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "external": {
        "bucket": {"name": "somebody-elses", "versioned": False},
        "filters": [{"prefix": "in box/"}],
        "reconciliation": {"grace_seconds": 1},
        "trigger": "external",
    },
    "external_queued": {
        "bucket": {"name": "somebody-elses-bursts", "versioned": False},
        "filters": [{"prefix": "in box/"}],
        "queue": {},
        "function": QUICK,
        "trigger": "external",
    },
    "queued": {
        "bucket": VERSIONED,
        "function": QUICK,
        "queue": {},
    },
    "versioned": {"bucket": VERSIONED, "reconciliation": REPAIRING},
    "unversioned": {
        "bucket": UNVERSIONED,
        "filters": [{"prefix": "in box/ü+/", "suffix": ".csv"}],
        "reconciliation": REPAIRING,
    },
    "metadata": {
        "bucket": UNVERSIONED,
        "object_metadata": {"enabled": True, "tags": True},
        "reconciliation": REPAIRING,
        "table": {"partitions": 3, "deletion_protection": False},
    },
    "eventbridge": {
        "bucket": VERSIONED,
        "filters": [
            {"prefix": "in box/ü+/", "suffix": ".csv"},
            {"prefix": "in box/ü+/a"},
            {"prefix": "over/", "suffix": "/lap"},
        ],
        "trigger": "eventbridge",
    },
    "eventbridge_queued": {
        "bucket": {"name": "with-eventbridge", "versioned": False},
        "queue": {},
        "function": QUICK,
        "trigger": "eventbridge",
    },
    "derived": {
        "bucket": {"name": "somebody-elses-with-manifests", "versioned": False},
        "filters": [{"prefix": "in box/"}],
        "trigger": "external",
        "derived_files": {
            "bucket_name": "somebody-elses-with-manifests",
            "prefix": "manifests/",
            "max_mb": 1,
        },
        "reconciliation": REPAIRING,
    },
    "short_lived": {
        "bucket": {"name": "outlives-its-index", "versioned": False},
        "filters": [{"prefix": "in box/"}],
        "object_metadata": {"enabled": True},
        "trigger": "external",
    },
}

WAYS = {
    "versioned": "notification",
    "queued": "notification, queue",
    "eventbridge": "eventbridge",
    "eventbridge_queued": "eventbridge, queue",
    "external": "external",
    "external_queued": "external, queue",
}
"""Every combination of trigger and queue, by the deployment that has it."""

PREFIX = "in box/ü+/"
"""All of them watch keys that begin with this and end with `.csv`."""
