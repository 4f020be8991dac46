"""Object metadata and tags, and denials when the function reads them."""

import json
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.e2e.proxy import Proxy, dynamodb_error
from tests.e2e.stack import Stack
from tests.payloads import s3_document


def test_a_record_carries_what_head_says_and_the_tags(metadata: Stack) -> None:
    metadata.put(
        "rich.csv",
        b"a;b",
        ContentType="text/csv",
        ContentEncoding="gzip",
        Metadata={"owner": "ann"},
        Tagging="class=secret",
        ChecksumAlgorithm="SHA256",
    )

    record = metadata.wait_until_indexed("rich.csv")

    assert record.known.last_modified
    assert record.known.metadata
    assert (
        record.known.metadata.content_type,
        record.known.metadata.content_encoding,
        record.known.metadata.user_metadata,
        record.known.metadata.tags,
        record.known.metadata.storage_class,
        record.known.metadata.encryption,
        record.known.metadata.checksum_algorithm,
        record.known.metadata.checksum,
    ) == (
        "text/csv",
        "gzip",
        {"owner": "ann"},
        {"class": "secret"},
        "STANDARD",
        "AES256",
        "SHA256",
        b64encode(sha256(b"a;b").digest()).decode(),
    )


@pytest.mark.parametrize(
    "name", ["ObjectTagging:Put", "ObjectRestore:Completed", "LifecycleTransition"]
)
def test_tags_restore_and_storage_class_events_refresh_the_record(
    metadata: Stack, name: str
) -> None:
    key = f"touched by {name}"
    metadata.put(key)
    metadata.wait_until_indexed(key)
    metadata.s3.put_object_tagging(
        Bucket=metadata.bucket, Key=key, Tagging={"TagSet": [{"Key": "k", "Value": name}]}
    )

    # The emulator does not send such events, so the test sends what S3 would.
    event = {
        "eventVersion": "2.6",
        "eventName": name,
        "s3": {
            "bucket": {"name": metadata.bucket},
            "object": {"key": key.replace(" ", "+"), "eTag": "e"},
        },
    }
    assert metadata.invoke(s3_document(event))[1]["indexed"] == 1

    record = metadata.record(key)
    assert record
    assert record.known.metadata
    assert record.known.metadata.tags == {"k": name}


def test_a_bucket_policy_that_denies_is_explained(metadata: Stack) -> None:
    key = "denied by the bucket.csv"
    own = metadata.s3.get_bucket_policy(Bucket=metadata.bucket)["Policy"]
    denial = {
        "Effect": "Deny",
        "Principal": {"AWS": metadata.outputs["role"]["arn"]},
        "Action": "s3:GetObject",
        "Resource": f"{metadata.outputs['bucket']['arn']}/*",
    }
    policy = json.loads(own)
    policy["Statement"].append(denial)

    metadata.s3.put_bucket_policy(Bucket=metadata.bucket, Policy=json.dumps(policy))
    try:
        metadata.put(key)
        line = metadata.wait_for_line(key=key, outcome="failed")
        letter = metadata.wait_for_dead_letter(key)
    finally:
        metadata.s3.put_bucket_policy(Bucket=metadata.bucket, Policy=own)

    assert line["errorType"] == "PermissionDeniedError"
    assert (
        f"role {metadata.role} is not authorized to perform: s3:GetObject or s3:ListBucket"
        f" on resource: object "
        f"{metadata.bucket}/{key}, or bucket {metadata.bucket}. "
    ) in line["errorMessage"]
    assert "check outside the module (a bucket or key policy, " in line["errorMessage"]
    assert "PermissionDeniedError" in letter["responsePayload"]["errorMessage"]

    assert metadata.invoke(letter)[0] is None
    metadata.wait_until_indexed(key)


def test_a_kms_denial_is_explained(metadata: Stack) -> None:
    key = "denied by the key.csv"
    # The emulator does not check keys. AWS's words are from github.com/aws/aws-cdk/issues/10010
    refusal = dynamodb_error(
        400,
        "AccessDeniedException",
        "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: The "
        "ciphertext refers to a customer master key that does not exist, does not exist in this "
        "region, or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error "
        "Code: AccessDeniedException; Request ID: 0e35c348; Proxy: null)",
    )

    with (
        Proxy(metadata.emulator) as proxy,
        proxy.before(metadata),
        proxy.injecting(lambda call: None if call.to_s3 else refusal),
    ):
        failed, _ = metadata.invoke(metadata.upload_event(key))

    assert failed
    line = metadata.wait_for_line(key=key, outcome="failed")
    assert line["errorType"] == "PermissionDeniedError"
    assert line["errorMessage"].startswith(
        f"role {metadata.role} is not authorized to perform: kms:Decrypt"
        f" on resource: the key of table metadata. The module grants it if "
        "kms_key is set. If it should be granted here, check the key: its policy must allow it "
    )
