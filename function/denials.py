"""Why AWS denied a call, in words that lead to the policy to change."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .errors import PermissionDeniedError

# "User: arn:aws:sts::1:assumed-role/ROLE/SESSION is not authorized to perform: ACTION
#  on resource: ARN because no identity-based policy allows the ACTION action"
_DENIAL = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>[\w:]+)"
    r"(?: on resource: (?:\"(?P<quoted>[^\"]+)\"|(?P<bare>\S+)))?"
)

# KMS denies DynamoDB, which calls it for the function, often without naming anybody: "KMS key
#  access denied error: …AWSKMSException: The ciphertext refers to a customer master key that does
#  not exist, does not exist in this region, or you are not allowed to access. …"
_KMS = "KMS key access denied"

_CODES = {"AccessDenied", "AccessDeniedException", "403"}

_READS = "if bucket.versioned, object_metadata.enabled or derived_files is set"
_GRANTS = {  # action: how the module grants it to the function, or to readers of the index
    "dynamodb:GetItem": "if bucket.versioned or object_metadata.enabled is set",
    "dynamodb:PartiQLInsert": (
        "if queue is set without bucket.versioned, object_metadata.enabled or derived_files"
    ),
    "dynamodb:PutItem": "always",
    "dynamodb:Query": "to roles that are given its output index_read_policy",
    "kms:Decrypt": "if kms_key is set",
    "kms:GenerateDataKey": "if kms_key is set",
    "s3:GetObject": _READS,
    "s3:GetObjectTagging": "if object_metadata.tags is set",
    "s3:ListBucket": _READS,
    "s3:PutObject": "if derived_files is set",
}

_REPAIR = "if reconciliation.repair is set"
_GRANTS_TO_WORKERS = {
    "dynamodb:GetItem": "always",
    "dynamodb:PartiQLInsert": _REPAIR,
    "dynamodb:PutItem": _REPAIR,
    "dynamodb:Query": "always",
    "kms:Decrypt": "if kms_key is set",
    "kms:GenerateDataKey": _REPAIR,
    "s3:GetObject": _REPAIR,
    "s3:GetObjectTagging": _REPAIR,
    "s3:ListBucket": "always",
    "s3:PutObject": _REPAIR,
}
_WORKERS_SETTING = "REPAIR"
"""An environment variable that only workers of reconciliation have."""

_OWNERS_SETTING = "BUCKET_ACCOUNT"
"""An environment variable that is set if the watched bucket belongs to another account."""

# Action: the end of its statement's name in the output `bucket_owner_adds`.
_OWNERS_STATEMENTS = {
    "kms:Decrypt": "decrypt",
    "s3:GetObject": "get",
    "s3:GetObjectTagging": "get",
    "s3:ListBucket": "list",
}
_DECRYPTS = "if object_metadata.enabled or derived_files is set"

# How AWS ends: "because no REASON allows the … action", or "with an explicit deny in a REASON".
_REASON = re.compile(
    r"(?:because no|explicit deny in an?) "
    r"((?:identity-based|resource-based|service control|session) policy|permissions boundary)"
)

_OUTSIDE = (
    "check outside the module (a bucket or key policy, a permissions boundary, a service control "
    "policy)"
)
_KEY = "check the key: its policy must allow it or leave it to IAM, and it must be enabled"
_ADVICE = {
    "identity-based policy": "apply the module again (the role's policies were changed)",
    "permissions boundary": "check the role's permissions boundary",
    "resource-based policy": "check the policy of the bucket",
    "service control policy": "check the organization's service control policies",
}


def is_denied(error: ClientError) -> bool:
    """Return whether AWS denied the call."""
    return error.response["Error"]["Code"] in _CODES


@contextmanager
def explained_denial(action: str, resource: str) -> Iterator[None]:
    """Raise PermissionDeniedError if AWS denies the call made inside.

    `action` and `resource` name the call. If AWS's message names others, those are reported.
    """
    try:
        yield
    except ClientError as error:
        if not is_denied(error):
            raise
        raise _denied(error, action, resource) from error


def explained_read_denial(bucket: str, key: str) -> AbstractContextManager[None]:
    """Do as `explained_denial` for a call that reads an object.

    S3 need not say which permission is missing: without ListBucket, HEAD of a missing object fails
    with 403.
    """
    return explained_denial(
        "s3:GetObject or s3:ListBucket", f"object {bucket}/{key}, or bucket {bucket}"
    )


def _denied(error: ClientError, action: str, resource: str) -> PermissionDeniedError:
    message = error.response["Error"].get("Message", "")
    denial = _DENIAL.search(message)
    by_kms = _KMS in message
    user = denial["user"] if denial else _caller()
    if denial or by_kms:
        action = denial["action"] if denial else "kms:Decrypt"
    if action.startswith("kms:"):
        resource = f"the key of {resource}"
    resource = (denial and (denial["quoted"] or denial["bare"])) or resource
    return PermissionDeniedError(
        f"{_role(user)} is not authorized to perform: {action} on resource: {resource}.",
        _advice(action, resource, message),
        f"AWS says: {message}" if denial or by_kms else "",
    )


def _advice(action: str, resource: str, message: str) -> str:
    found = _REASON.search(message)
    reason = found[1] if found else ""
    advice = _KEY if action.startswith("kms:") else _ADVICE.get(reason, _OUTSIDE)
    if "explicit deny" in message:
        return f"A policy denies it explicitly: {advice}."
    by_worker = _WORKERS_SETTING in os.environ
    granted = (_GRANTS_TO_WORKERS if by_worker else _GRANTS).get(action.partition(" or ")[0])
    owner = _owner_of(action, resource)
    if owner and action.startswith("kms:"):
        granted = _REPAIR if by_worker else _DECRYPTS
    # Of other keys, the module grants permissions on the table's only.
    elif granted is None or resource.startswith("the key of object"):
        return f"The module does not grant it: {_OUTSIDE}."
    if owner and reason in ("", "resource-based policy"):
        advice = _advice_to(owner, action)
    return f"The module grants it {granted}. If it should be granted here, {advice}."


def _owner_of(action: str, resource: str) -> str | None:
    """Return the other account that must allow the action too; None if there is none."""
    account = os.environ.get(_OWNERS_SETTING)
    if action.startswith("kms:"):
        of_object = f"the key of object {os.environ.get('BUCKET_NAME')}/"
        is_owners = resource.startswith(of_object) or f":{account}:key/" in resource
        return account if is_owners else None
    return account if action.partition(" or ")[0] in _OWNERS_STATEMENTS else None


def _advice_to(owner: str, action: str) -> str:
    role = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")  # the role has the function's name
    names = [f"{role}-{_OWNERS_STATEMENTS[one]}" for one in action.split(" or ")]
    whose = "KMS key" if action.startswith("kms:") else "bucket"
    return (
        f"check the policy of the {whose} in account {owner}: it needs the statement"
        f"{'s' if names[1:] else ''} {' and '.join(names)} of the output bucket_owner_adds"
    )


def _role(user: str | None) -> str:
    if user is None:
        function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        return f"the role of function {function}" if function else "the caller"
    assumed = re.fullmatch(r"arn:[\w-]+:sts::\d+:assumed-role/([^/]+)/.+", user)
    return f"role {assumed[1]}" if assumed else user


@dataclass(slots=True)
class _Identity:
    connect: Callable[[Config], Any]
    """Makes the STS client that identifies the caller."""


def _sts(config: Config) -> Any:
    import boto3  # noqa: PLC0415 # slow to import, and only a denial needs it

    return boto3.Session().client("sts", config=config)


_identity = _Identity(_sts)


def ask_who_with(connect: Callable[[Config], Any]) -> None:
    """Identify the caller with this STS client instead of the default session's."""
    _identity.connect = connect
    _caller.cache_clear()


@cache
def _caller() -> str | None:
    """Return the caller, for denials without a message, such as HEAD's. Needs no permission."""
    quick = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
    with suppress(ClientError, BotoCoreError):  # the function's name says nearly as much
        return str(_identity.connect(quick).get_caller_identity()["Arn"])
    return None
