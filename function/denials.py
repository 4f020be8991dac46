"""Why AWS refused a call, in words that lead to the policy to change."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from function.errors import PermissionDeniedError

# "User: arn:aws:sts::1:assumed-role/ROLE/SESSION is not authorized to perform: ACTION
#  on resource: ARN because no identity-based policy allows the ACTION action"
_DENIAL = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>[\w:]+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+))?"
)

_CODES = {"AccessDenied", "AccessDeniedException", "403"}

_GRANTED_BY = {  # action: the variables of the module that grant it
    "dynamodb:GetItem": "bucket.versioned or object_metadata.enabled",
    "s3:GetObject": "bucket.versioned or object_metadata.enabled",
    "s3:ListBucket": "bucket.versioned or object_metadata.enabled",
    "s3:GetObjectTagging": "object_metadata.tags",
    "kms:Decrypt": "kms_key",
    "kms:GenerateDataKey": "kms_key",
}


@contextmanager
def explained(action: str, resource: str) -> Iterator[None]:
    """Raise PermissionDeniedError where AWS refuses the call made inside.

    `action` and `resource` are what is asked for; where AWS names them itself, its words count.
    """
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _CODES:
            raise
        raise PermissionDeniedError(_explanation(error, action, resource)) from error


def _explanation(error: ClientError, action: str, resource: str) -> str:
    text = error.response["Error"].get("Message", "")
    denial = _DENIAL.search(text)
    user = denial["user"] if denial else _caller()
    action = denial["action"] if denial else action
    resource = (denial["resource"] if denial else None) or resource
    explanation = f"{_role(user)} may not {action} on {resource}. {_where_to_look(action, text)}"
    return f"{explanation} AWS says: {text}" if denial else explanation


def _where_to_look(action: str, text: str) -> str:
    outside = "a bucket or key policy, a permissions boundary, a service control policy"
    if "explicit deny" in text:
        return f"A policy denies it explicitly: look outside the module ({outside})."
    variable = _GRANTED_BY.get(action.partition(" or ")[0])
    granted = f"where {variable} is set" if variable else "always"
    return f"The module grants it {granted}; if so here, look outside the module ({outside})."


def _role(user: str | None) -> str:
    if user is None:
        return f"the role of function {os.environ.get('AWS_LAMBDA_FUNCTION_NAME', '(unknown)')}"
    assumed = re.fullmatch(r"arn:[\w-]+:sts::\d+:assumed-role/([^/]+)/.+", user)
    return f"role {assumed[1]}" if assumed else user


@cache
def _caller() -> str | None:
    """Who the function is, for refusals without a text, as HEAD's. Needs no permission."""
    quick = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
    with suppress(ClientError, BotoCoreError):  # the function's name then says nearly as much
        return str(boto3.Session().client("sts", config=quick).get_caller_identity()["Arn"])
    return None
