"""Payloads as AWS sends them, built from their differences."""

import json
from typing import Any
from urllib.parse import quote_plus, unquote_plus

BUCKET = "reports"
TIME = "2026-11-23T08:15:30.123Z"


def native(name: str = "ObjectCreated:Put", key: str = "a.txt", **entity: Any) -> dict[str, Any]:
    """One entry of Records, as S3 writes it today (eventVersion 2.6); `key` is plain text."""
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": TIME,
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "tf-s3-lambda",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{BUCKET}",
            },
            "object": {"key": quote_plus(key, safe="/"), **entity},
        },
    }


def created(
    key: str = "a.txt", sequencer: str = "0055AED6DCD90281E5", **entity: Any
) -> dict[str, Any]:
    """An entry of Records for an upload to an unversioned bucket."""
    content = {"size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": sequencer}
    return native("ObjectCreated:Put", key, **(content | entity))


def removed(
    key: str = "a.txt", sequencer: str = "0055AED6DCD90281E6", **entity: Any
) -> dict[str, Any]:
    """An entry of Records for a delete that names no version."""
    return native("ObjectRemoved:Delete", key, sequencer=sequencer, **entity)


def s3_document(*records: dict[str, Any]) -> dict[str, Any]:
    """Return the document that S3 sends."""
    return {"Records": list(records)}


def eventbridge(
    detail_type: str = "Object Created",
    key: str = "a.txt",
    *,
    reason: str = "PutObject",
    **entity: Any,
) -> dict[str, Any]:
    """An EventBridge event; `detail.object` takes `size`, `etag`, `sequencer`, …"""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-23T08:15:30Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, **entity},
            "request-id": "C3D13FE58DE4C810",
            "requester": "123456789012",
            "source-ip-address": "192.0.2.1",
            "reason": reason,
        },
    }


_BY_EVENTBRIDGE = {
    "ObjectCreated:Put": ("Object Created", "PutObject"),
    "ObjectCreated:CompleteMultipartUpload": ("Object Created", "CompleteMultipartUpload"),
    "ObjectRemoved:Delete": ("Object Deleted", "DeleteObject"),
    "ObjectRemoved:DeleteMarkerCreated": ("Object Deleted", "DeleteObject"),
    "LifecycleExpiration:Delete": ("Object Deleted", "Lifecycle Expiration"),
    "LifecycleExpiration:DeleteMarkerCreated": ("Object Deleted", "Lifecycle Expiration"),
    "ObjectTagging:Put": ("Object Tags Added", ""),
    "ObjectTagging:Delete": ("Object Tags Deleted", ""),
}


def by_eventbridge(record: dict[str, Any]) -> dict[str, Any]:
    """The EventBridge event about the change that an entry of Records is about.

    Its sequencer is in the form of AWS's samples: lower case, without the leading 00.
    """
    name, told = record["eventName"], record["s3"]["object"]
    detail_type, reason = _BY_EVENTBRIDGE[name]
    fields = {"size": "size", "eTag": "etag", "versionId": "version-id"}
    entity = {fields[field]: value for field, value in told.items() if field in fields}
    if "sequencer" in told:
        entity["sequencer"] = told["sequencer"].removeprefix("00").lower()
    event = eventbridge(detail_type, unquote_plus(told["key"]), reason=reason, **entity)
    if detail_type == "Object Deleted":
        marker = name.endswith("DeleteMarkerCreated")
        event["detail"]["deletion-type"] = (
            "Delete Marker Created" if marker else "Permanently Deleted"
        )
    return event | {"time": record["eventTime"][: len("2026-11-23T08:15:30")] + "Z"}


def sqs(*bodies: Any) -> dict[str, Any]:
    """A batch of SQS messages with ids m0, m1, …; a body that is not a string is sent as JSON."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:events",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def sns(document: Any) -> dict[str, Any]:
    """An SNS notification, as Lambda gets it."""
    return {
        "Records": [
            {
                "EventVersion": "1.0",
                "EventSource": "aws:sns",
                "EventSubscriptionArn": "arn:aws:sns:eu-central-1:123456789012:t:1",
                "Sns": sns_body(document),
            }
        ]
    }


def sns_body(document: Any) -> dict[str, Any]:
    """An SNS notification, as it stands in an SQS body without raw delivery."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:t",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(document),
    }


def failure_record(payload: Any) -> dict[str, Any]:
    """The record that Lambda sends to its on-failure destination."""
    return {
        "version": "1.0",
        "timestamp": "2026-11-23T08:20:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:file-index:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"errorMessage": "…", "errorType": "ObjectEventsFailedError"},
    }


TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-11-23T08:00:00.000Z",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
}
