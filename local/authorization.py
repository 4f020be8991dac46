"""The actions that IAM checks for a call, if the emulator's differ from AWS's.

The actions, resources and condition keys are those of the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/
The actions that IAM users need are written to the file of local/decisions.py.
"""

import contextvars
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam, lambda_svc

from local.decisions import Decision, write

_ACTIONS_BY_OPERATION = {
    "Invoke": "InvokeFunction",
    "InvokeAsync": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
}

# Only the statements of file-index: others keep the emulator's action.
_INSERT = re.compile(r'INSERT INTO "(?P<table>[^"]+)" ')


@dataclass(frozen=True, slots=True)
class _Check:
    action: str
    resource: str
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Call:
    action: str
    resource: str
    """In the emulator's spelling."""
    path: str
    body: Mapping[str, Any]
    """The JSON document, or the parameters of a call in the query protocol."""
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


_Pending = tuple[Mapping[str, str], tuple[_Check, ...]]
_NOTHING_PENDING: _Pending = ({}, ())

# State of the call being authorized: condition keys, further checks, and denied actions.
_pending: contextvars.ContextVar[_Pending] = contextvars.ContextVar(
    "pending", default=_NOTHING_PENDING
)
_refused: contextvars.ContextVar[str | None] = contextvars.ContextVar("refused", default=None)


def authorize_calls_as_aws_does() -> None:
    """A call needs the actions that AWS documents, on the resources that it documents.

    https://docs.aws.amazon.com/service-authorization/latest/reference/
    The emulator mistakes some of Lambda's operations for others, and batches of PartiQL statements
    for an action of their own. It names no resource, or a wrong one, for tags, dashboards and roles
    with a path. It never checks iam:PassRole, the tagging of new resources, or the use of a table's
    key.
    """
    find_action = iam_actions.extract_iam_action
    find_resource = iam_actions.extract_resource_arn
    enforce = iam_evaluator.enforce
    deny = iam_actions.access_denied_response
    home = Path(os.environ["HOME"])
    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]

    def action(service: str, method: str, path: str, headers: Any, *rest: Any) -> str | None:
        found: str | None = find_action(service, method, path, headers, *rest)
        if service == "lambda":
            return _action_of_lambda(method, path, rest[-1]) or found
        return _action_of_partiql(found, _parameters(*rest))

    def resource(*request: Any) -> str:
        *call, region, account = request
        found = str(find_resource(*request))
        asked = action(*call)
        if asked is None:
            return found
        service, _, path, _, body, query = call
        if service == "s3":
            _pending.set(({}, tuple(_versions(path, body, query))))
            return found
        described = _Call(asked, found, path, _parameters(body, query), region, account)
        _pending.set((_conditions(described), tuple(_further(described))))
        return _resource(described)

    def corrected(
        access_key: str,
        asked: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        **about: Any,
    ) -> Any:
        conditions, further = _pending.get()
        _pending.set(_NOTHING_PENDING)
        _refused.set(None)
        known = about.get("service_context") or {}
        for check in (_Check(asked, resource_arn, conditions), *further):
            context = {**known, **check.conditions}
            denied = enforce(access_key, check.action, service, region, check.resource, context)
            write(home, Decision(access_key, check.action, check.resource, denied is None))
            if denied:
                _refused.set(check.action)
                return denied
        return None

    def denial(service: str, asked: str, *others: Any, **named: Any) -> Any:
        return deny(service, _refused.get() or asked, *others, **named)

    iam_actions.extract_iam_action = action
    iam_actions.extract_resource_arn = resource
    iam_actions.access_denied_response = denial
    iam_evaluator.enforce = corrected


def _action_of_lambda(method: str, path: str, query: Any) -> str | None:
    operation = iam_actions._match_rest_action("lambda", method, path, query)
    return f"lambda:{_ACTIONS_BY_OPERATION.get(operation, operation)}" if operation else None


def _action_of_partiql(found: str | None, body: Mapping[str, Any]) -> str | None:
    inserts = found == "dynamodb:BatchExecuteStatement" and _inserted(body)
    return "dynamodb:PartiQLInsert" if inserts else found


def _inserted(body: Mapping[str, Any]) -> str | None:
    """Return the table of a batch that only inserts; None for any other call."""
    statements = [_INSERT.match(each["Statement"]) for each in body.get("Statements", ())]
    tables = {statement and statement["table"] for statement in statements}
    return tables.pop() if len(tables) == 1 else None


def _parameters(body: bytes, query: Mapping[str, Any]) -> Mapping[str, Any]:
    if body.startswith(b"{"):
        try:
            document: dict[str, Any] = json.loads(body)
        except ValueError:
            return {}
        return document
    return {name: value[0] if isinstance(value, list) else value for name, value in query.items()}


def _resource(call: _Call) -> str:
    if call.action.startswith("iam:") and "RoleName" in call.body:
        return _role(call)
    find = _RESOURCES.get(call.action)
    return (find(call) if find else None) or call.resource


def _resource_in(*names: str) -> Callable[[_Call], str | None]:
    return lambda call: next((call.body[name] for name in names if name in call.body), None)


def _alarm(call: _Call) -> str | None:
    name = call.body.get("AlarmName") or call.body.get("AlarmNames.member.1")
    return call.arn("cloudwatch", f"alarm:{name}")


def _dashboard(call: _Call) -> str | None:
    name = call.body.get("DashboardName") or call.body.get("DashboardNames.member.1")
    return f"arn:aws:cloudwatch::{call.account}:dashboard/{name}"


def _role(call: _Call) -> str:
    name = call.body["RoleName"]
    existing = iam._roles.get(name) if call.action != "iam:CreateRole" else None
    path = call.body.get("Path", "/")
    return str(existing["Arn"]) if existing else f"arn:aws:iam::{call.account}:role{path}{name}"


def _rule(call: _Call) -> str | None:
    name = call.body.get("Rule") or call.body.get("Name")
    bus = call.body.get("EventBusName", "default")
    rule = name if bus == "default" else f"{bus}/{name}"
    return call.body.get("ResourceARN") or call.arn("events", f"rule/{rule}")


_RESOURCES: dict[str, Callable[[_Call], str | None]] = {
    "cloudwatch:DeleteAlarms": _alarm,
    "cloudwatch:DeleteDashboards": _dashboard,
    "cloudwatch:DescribeAlarms": lambda call: call.arn("cloudwatch", "alarm:*"),
    "cloudwatch:GetDashboard": _dashboard,
    "cloudwatch:ListTagsForResource": _resource_in("ResourceARN"),
    "cloudwatch:PutDashboard": _dashboard,
    "cloudwatch:TagResource": _resource_in("ResourceARN"),
    "cloudwatch:UntagResource": _resource_in("ResourceARN"),
    "dynamodb:ListTagsOfResource": _resource_in("ResourceArn"),
    "dynamodb:PartiQLInsert": lambda call: call.arn("dynamodb", f"table/{_inserted(call.body)}"),
    "dynamodb:TagResource": _resource_in("ResourceArn"),
    "dynamodb:UntagResource": _resource_in("ResourceArn"),
    "events:DeleteRule": _rule,
    "events:DescribeRule": _rule,
    "events:ListTagsForResource": _rule,
    "events:ListTargetsByRule": _rule,
    "events:PutRule": _rule,
    "events:PutTargets": _rule,
    "events:RemoveTargets": _rule,
    "events:TagResource": _rule,
    "events:UntagResource": _rule,
    "lambda:CreateFunction": lambda call: call.arn(
        "lambda", f"function:{call.body.get('FunctionName')}"
    ),
    "states:ListTagsForResource": _resource_in("resourceArn"),
    "states:TagResource": _resource_in("resourceArn"),
    "states:UntagResource": _resource_in("resourceArn"),
}


def _conditions(call: _Call) -> dict[str, str]:
    """Return the condition keys of a call that the emulator does not know."""
    if call.action == "lambda:CreateEventSourceMapping":
        name = call.body.get("FunctionName", "").rpartition(":")[2]
        return {"lambda:FunctionArn": call.arn("lambda", f"function:{name}")}
    if call.action.endswith("EventSourceMapping"):
        mapping = lambda_svc._esms.get(call.path.rstrip("/").rpartition("/")[2])
        return {"lambda:FunctionArn": mapping["FunctionArn"]} if mapping else {}
    return {}


def _further(call: _Call) -> Iterator[_Check]:
    """Return the actions that AWS checks besides the call's own."""
    body = call.body
    tagging = _TAGGING.get(call.action)
    if tagging and any(name.lower().split(".")[0] == "tags" and body[name] for name in body):
        yield _Check(tagging, _tagged(call))
    if call.action in ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration") and (
        role := body.get("Role")
    ):
        yield _Check("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
    if call.action in ("states:CreateStateMachine", "states:UpdateStateMachine") and (
        role := body.get("roleArn")
    ):
        yield _Check("iam:PassRole", role, {"iam:PassedToService": "states.amazonaws.com"})
    if call.action in ("scheduler:CreateSchedule", "scheduler:UpdateSchedule") and (
        target := body.get("Target")
    ):
        passed = {"iam:PassedToService": "scheduler.amazonaws.com"}
        yield _Check("iam:PassRole", target["RoleArn"], passed)
    if call.action in ("dynamodb:CreateTable", "dynamodb:UpdateTable") and (
        key := (body.get("SSESpecification") or {}).get("KMSMasterKeyId")
    ):
        through = {"kms:ViaService": f"dynamodb.{call.region}.amazonaws.com"}
        yield _Check("kms:DescribeKey", key, through)
        yield _Check("kms:CreateGrant", key, {**through, "kms:GrantIsForAWSResource": "true"})


def _versions(path: str, body: bytes, query: Mapping[str, Any]) -> Iterator[_Check]:
    """The emulator checks the version of every object in a DeleteObjects except the first."""
    if "delete" in query:
        bucket = path.strip("/")
        for arn, version in iam_actions._s3_batch_delete_targets(bucket, body)[:1]:
            if version:
                yield _Check("s3:DeleteObjectVersion", arn)


def _tagged(call: _Call) -> str:
    if call.action == "lambda:CreateEventSourceMapping":
        return call.arn("lambda", "event-source-mapping:new")  # its UUID is not known before
    return _resource(call)


_TAGGING = {
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "events:PutRule": "events:TagResource",
    "iam:CreateRole": "iam:TagRole",
    "lambda:CreateEventSourceMapping": "lambda:TagResource",
    "lambda:CreateFunction": "lambda:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
    "states:CreateStateMachine": "states:TagResource",
}
"""The additional actions that AWS checks if a call creates something with tags."""
