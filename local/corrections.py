"""Corrections of the emulator, where it differs from AWS and a test would prove something wrong.

Each docstring begins with what AWS does. tests/e2e/test_local_aws.py shows for each correction that
the emulator alone is still wrong. When that test fails, remove the correction.
"""

import contextvars
import dataclasses
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote_plus
from uuid import uuid4
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.iam_evaluator import EvalContext, enforce, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region, json_response, request_scope
from ministack.core.router import extract_access_key_id
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, iam, lambda_svc, s3, sqs

from local.authorization import authorize_calls_as_aws_does

_CONCURRENT_INVOCATIONS = 4
_END_OF_LOG = "end of the log of an invocation"
_SECONDS_FOR_THE_LOG = 120


def correct() -> None:
    """Apply all corrections to this process's emulator."""
    associate_keys_with_log_groups()
    authorize_calls_as_aws_does()
    compare_notification_filters_decoded()
    describe_alarms_in_full()
    fill_batches_beyond_ten()
    forbid_absent_objects_without_list_bucket()
    keep_all_lines_of_the_log()
    keep_alarms_as_they_were_put()
    keep_query_definitions()
    let_events_wait_for_a_free_worker()
    measure_every_invocation()
    name_actions_in_cloudtrail()
    name_callers_by_their_roles()
    name_versions_in_eventbridge_events()
    notify_functions_of_other_accounts()
    reject_overlapping_notifications()
    retry_what_eventbridge_invokes()
    take_metrics_from_logs()


def associate_keys_with_log_groups() -> None:
    """CloudWatch Logs accepts a key for an existing log group, and removes it again.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_AssociateKmsKey.html
    The emulator knows neither action.
    """

    def set_key(key: str | None, log_group: str) -> dict[str, Any]:
        cloudwatch_logs._log_groups[log_group]["kmsKeyId"] = key
        return {}

    _serve_in_logs(
        {
            "AssociateKmsKey": lambda asked: set_key(asked["kmsKeyId"], asked["logGroupName"]),
            "DisassociateKmsKey": lambda asked: set_key(None, asked["logGroupName"]),
        }
    )


def compare_notification_filters_decoded() -> None:
    """S3 expects prefix and suffix of a notification filter URL-encoded, with a space as `+`.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    The emulator compares them with the raw key.
    """
    matches = s3._key_matches_filter

    def corrected(key: str, prefix: str | None, suffix: str | None) -> bool:
        decoded = (text and unquote_plus(text) for text in (prefix, suffix))
        return bool(matches(key, *decoded))

    s3._key_matches_filter = corrected


def describe_alarms_in_full() -> None:
    """DescribeAlarms returns an alarm as it was put, also in XML, which the provider uses.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    The emulator leaves half of it out, so that every plan would change every alarm.
    """
    describe = cloudwatch._describe_alarms

    def corrected(
        params: Any, body: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> tuple[int, dict[str, str], bytes]:
        if is_cbor or is_json:
            response: tuple[int, dict[str, str], bytes] = describe(params, body, is_cbor, is_json)
            return response
        names = [cloudwatch._p(params, f"AlarmNames.member.{number}") for number in range(1, 101)]
        asked = {"AlarmNames": [name for name in names if name]}
        alarms = json.loads(describe({}, asked, False, True)[2])["MetricAlarms"]
        for alarm in alarms:
            if alarm.get("ExtendedStatistic"):
                del alarm["Statistic"]
        result = {"MetricAlarms": alarms}
        xml = f"<DescribeAlarmsResult>{_as_xml(result)}</DescribeAlarmsResult>"
        corrected_response: tuple[int, dict[str, str], bytes] = cloudwatch._xml(
            200, "DescribeAlarmsResponse", xml
        )
        return corrected_response

    cloudwatch._describe_alarms = corrected


def _as_xml(value: Any) -> str:
    match value:
        case dict():
            return "".join(
                f"<{name}>{_as_xml(one)}</{name}>"
                for name, one in value.items()
                if one is not None and not name.endswith("Timestamp")  # not read here
            )
        case list():
            return "".join(f"<member>{_as_xml(one)}</member>" for one in value)
        case bool():
            return str(value).lower()
        case _:
            return escape(str(value))


def fill_batches_beyond_ten() -> None:
    """Lambda gathers as many messages as the batch size allows, not just the ten of one receive.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    receive = sqs._receive_messages_for_esm

    def corrected(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        while len(batch) < batch_size:
            received = receive(queue_url, batch_size - len(batch))
            if not received:
                break
            batch += received
        return batch

    sqs._receive_messages_for_esm = corrected


def forbid_absent_objects_without_list_bucket() -> None:
    """HEAD and GET of an absent key return 403 to a caller without s3:ListBucket on the bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    The emulator responds with 404 to every caller.
    """
    head_object, get_object = s3._head_object, s3._get_object
    refused = s3._error("AccessDenied", "Access Denied", HTTPStatus.FORBIDDEN)

    def may_list(bucket: str, headers: dict[str, str] | None, query: dict[str, Any] | None) -> bool:
        caller = extract_access_key_id(headers or {}, query or {})
        arn = f"arn:aws:s3:::{bucket}"
        return enforce(caller, "s3:ListBucket", "s3", get_region(), resource_arn=arn) is None

    def corrected(look: Any, forbidden: Any) -> Any:
        def looks(
            bucket: str,
            key: str,
            headers: dict[str, str] | None = None,
            query: dict[str, Any] | None = None,
        ) -> Any:
            response = look(bucket, key, headers, query)
            if response[0] != HTTPStatus.NOT_FOUND or s3._ensure_bucket(bucket) is None:
                return response
            return response if may_list(bucket, headers, query) else forbidden

        return looks

    s3._head_object = corrected(head_object, (HTTPStatus.FORBIDDEN, {}, b""))
    s3._get_object = corrected(get_object, refused)


def keep_all_lines_of_the_log() -> None:
    """A function's log contains everything that it printed before it returned.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    The emulator gives up after 5 ms without a line. On a busy machine, the rest appears in the log
    of the next invocation, or is lost with the process.
    """
    ending = "        _real_stdout.flush()\n\nrun()"
    marked = f"        print({_END_OF_LOG!r}, file=sys.stderr, flush=True)\n{ending}"
    if lambda_runtime._PYTHON_WORKER_SCRIPT.count(ending) != 1:
        message = "this correction does not fit the emulator's worker for Python"
        raise RuntimeError(message)
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(
        ending, marked
    )

    def corrected(worker: Any, **_: float) -> str:
        lines: list[str] = []
        until = time.monotonic() + _SECONDS_FOR_THE_LOG
        while time.monotonic() < until:
            reading = worker._stderr_thread.is_alive()
            try:
                line = worker._stderr_queue.get(timeout=0.1)
            except queue.Empty:
                if not reading:
                    break
                continue
            if line == _END_OF_LOG:
                break
            lines.append(line)
        return "\n".join(lines)

    lambda_runtime.Worker._drain_stderr_bounded = corrected


def keep_alarms_as_they_were_put() -> None:
    """An alarm on an expression has metrics, and no statistic or period of its own.

    An alarm on a percentile has a setting for few samples.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    The emulator drops both, and makes up a statistic and a period.
    """
    put = cloudwatch._put_metric_alarm

    def corrected(
        params: Any, body: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> tuple[int, dict[str, str], bytes]:
        response: tuple[int, dict[str, str], bytes] = put(params, body, is_cbor, is_json)
        asked = body if is_cbor or is_json else _from_query(params)
        if response[0] != HTTPStatus.OK:
            return response
        alarm = cloudwatch._alarms[asked["AlarmName"]]
        alarm["EvaluateLowSampleCountPercentile"] = asked.get("EvaluateLowSampleCountPercentile")
        if asked.get("Metrics"):
            for name in ("Dimensions", "MetricName", "Namespace", "Period", "Statistic"):
                del alarm[name]
            alarm["Metrics"] = asked["Metrics"]
        return response

    cloudwatch._put_metric_alarm = corrected


def _from_query(params: Mapping[str, list[str]]) -> dict[str, Any]:
    """Parameters of AWS's query protocol, such as `Metrics.member.1.Id`, as JSON has them."""
    result: dict[str, Any] = {}
    for name, (text, *_) in params.items():
        *path, last = name.split(".")
        node = result
        for step in path:
            node = node.setdefault(step, {})
        node[last] = {"true": True, "false": False}.get(text, text)
    return dict(_with_lists(result))


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if "member" in node:
        return [_with_lists(node["member"][number]) for number in sorted(node["member"], key=int)]
    return {name: _with_lists(value) for name, value in node.items()}


def keep_query_definitions() -> None:
    """CloudWatch Logs keeps queries.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_QueryDefinition.html
    The emulator does not know them.
    """
    kept: dict[str, dict[str, Any]] = {}

    def put(definition: dict[str, Any]) -> dict[str, Any]:
        number = definition.get("queryDefinitionId") or str(uuid4())
        kept[number] = {**definition, "queryDefinitionId": number}
        return {"queryDefinitionId": number}

    def describe(asked: dict[str, Any]) -> dict[str, Any]:
        prefix = asked.get("queryDefinitionNamePrefix", "")
        return {
            "queryDefinitions": [one for one in kept.values() if one["name"].startswith(prefix)]
        }

    def delete(asked: dict[str, Any]) -> dict[str, Any]:
        return {"success": kept.pop(asked["queryDefinitionId"], None) is not None}

    _serve_in_logs(
        {
            "PutQueryDefinition": put,
            "DescribeQueryDefinitions": describe,
            "DeleteQueryDefinition": delete,
        }
    )


def _serve_in_logs(actions: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Serve these actions of CloudWatch Logs instead of the emulator."""
    handle = cloudwatch_logs.handle_request

    async def corrected(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        action = actions.get(headers.get("x-amz-target", "").removeprefix("Logs_20140328."))
        if action:
            return json_response(action(json.loads(body)))
        return await handle(method, path, headers, body, query)

    cloudwatch_logs.handle_request = corrected


def let_events_wait_for_a_free_worker() -> None:
    """Lambda queues asynchronous events until the account has concurrency for them.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
    The emulator starts a process of 46 MB for each concurrent event, until the memory is used up.
    Here each function has a small concurrency of its own, so that no function blocks the others.
    """
    execute = lambda_svc._execute_function
    free: dict[str, threading.BoundedSemaphore] = {}

    def corrected(function: dict[str, Any], event: Any) -> Any:
        name = (function.get("config") or function)["FunctionName"]
        with free.setdefault(name, threading.BoundedSemaphore(_CONCURRENT_INVOCATIONS)):
            return execute(function, event)

    lambda_svc._execute_function = corrected


def measure_every_invocation() -> None:
    """CloudWatch counts every invocation. A throttled call is neither an invocation nor an error.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    The emulator counts only those whose caller waits for the response.
    """
    measure, invoke = lambda_svc._emit_lambda_metrics, lambda_svc._execute_function_dispatch

    def corrected(function: dict[str, Any], config: dict[str, Any], *others: Any) -> Any:
        began = time.monotonic()
        result = invoke(function, config, *others)
        duration_ms = (time.monotonic() - began) * 1000
        measure(config["FunctionName"], duration_ms, bool(result.get("error")), False)
        return result

    def corrected_measure(name: str, *, error: bool, throttle: bool, **_: float) -> None:
        if throttle and not error:
            measure(name, 0.0, False, True)

    lambda_svc._execute_function_dispatch = corrected
    lambda_svc._emit_lambda_metrics = corrected_measure


def name_actions_in_cloudtrail() -> None:
    """CloudTrail has the name of every action, in every protocol.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    The emulator does not read the action from the body of a query-protocol call, such as IAM's.
    """
    record = app._maybe_record_cloudtrail

    def corrected(*call: Any) -> None:
        service, method, path, headers, body, query, *others = call
        if "form" in headers.get("content-type", ""):
            query = parse_qs(body.decode(errors="replace")) | query
        record(service, method, path, headers, body, query, *others)

    app._maybe_record_cloudtrail = corrected


def name_callers_by_their_roles() -> None:
    """The condition key aws:PrincipalArn is the ARN of the caller's role, in any account.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    The emulator compares it with the ARN of the role's session or, if the bucket belongs to another
    account, with that of the caller's account.
    """
    resolve, allows = iam_evaluator._resolve_condition_key, s3._foreign_bucket_allows
    evaluate = iam_evaluator.evaluate_resource_policy
    caller: contextvars.ContextVar[str | None] = contextvars.ContextVar("caller", default=None)

    def corrected_resolve(key: str, context: Any) -> Any:
        found = resolve(key, context)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in found:
            return found
        name = found.split("/")[1]
        role = iam._roles.get_scoped(context.principal_account, None, name)
        return role["Arn"] if role else found

    def corrected_allows(*call: Any) -> bool:
        token = caller.set(iam_evaluator.caller_arn())
        try:
            return bool(allows(*call))
        finally:
            caller.reset(token)

    def corrected_evaluate(document: Any, context: Any, *others: Any, **named: Any) -> Any:
        known = caller.get()
        if known and context.principal_type == "Root":
            context = dataclasses.replace(context, principal_arn=known)
        return evaluate(document, context, *others, **named)

    iam_evaluator._resolve_condition_key = corrected_resolve
    iam_evaluator.evaluate_resource_policy = corrected_evaluate
    s3._foreign_bucket_allows = corrected_allows


def name_versions_in_eventbridge_events() -> None:
    """EventBridge's events carry `version-id` if the bucket has versions.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    The emulator leaves it out.
    """
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event
    version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version", default=None)

    def corrected_fire(*arguments: Any, version_id: str | None = None, **others: Any) -> None:
        version.set(version_id)
        fire(*arguments, version_id=version_id, **others)

    def corrected_dispatch(event: dict[str, Any], *others: Any) -> None:
        version_id = version.get()
        if version_id and event["Source"] == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version_id
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, *others)

    s3._fire_s3_event = corrected_fire
    eventbridge._dispatch_event = corrected_dispatch


def notify_functions_of_other_accounts() -> None:
    """S3 notifies a function of another account whose policy allows it for bucket and owner.

    https://docs.aws.amazon.com/lambda/latest/dg/with-s3.html
    The emulator accepts no such function.
    """
    parse, validate = s3._parse_notification_target_arn, s3._validate_notification_configs
    deliver = s3._deliver_event_to_lambda

    def of_another_account(kind: str, arn: str) -> bool:
        return kind == "lambda" and arn.split(":")[4:5] != [get_account_id()]

    def corrected_parse(kind: str, arn: str, region: str) -> Any:
        if not of_another_account(kind, arn):
            return parse(kind, arn, region)
        with request_scope(arn.split(":")[4], region):
            return parse(kind, arn, region)

    def corrected_validate(
        configurations: list[dict[str, Any]], region: str, bucket: str = "", skip: bool = False
    ) -> Any:
        denied = [
            one["arn"]
            for one in configurations
            if of_another_account(one["type"], one["arn"])
            and not _function_allows_s3(one["arn"], bucket, region)
        ]
        if denied and not skip:
            message = "Unable to validate the following destination configurations: "
            return s3._invalid_notification_config(message + ", ".join(denied))
        return validate(configurations, region, bucket, skip)

    def corrected_deliver(arn: str, event: dict[str, Any], region: str) -> None:
        if not of_another_account("lambda", arn):
            deliver(arn, event, region)
        elif _function_allows_s3(arn, event["Records"][0]["s3"]["bucket"]["name"], region):
            with request_scope(arn.split(":")[4], region):
                deliver(arn, event, region)

    s3._parse_notification_target_arn = corrected_parse
    s3._validate_notification_configs = corrected_validate
    s3._deliver_event_to_lambda = corrected_deliver


def _function_allows_s3(arn: str, bucket: str, region: str) -> bool:
    """Return whether the policy of a function of another account allows S3 for the bucket."""
    context = EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=region,
        service_context={
            "aws:sourcearn": f"arn:aws:s3:::{bucket}",
            "aws:sourceaccount": get_account_id(),  # the owner's
        },
    )
    with request_scope(arn.split(":")[4], region):
        policy, _ = lambda_svc.function_policy_for_arn(arn) or (None, None)
    found = evaluate_resource_policy(policy, context, service="s3.amazonaws.com")
    return bool(found.decision == "Allow")


def reject_overlapping_notifications() -> None:
    """S3 rejects notifications for one event type if a key can match the filters of both.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    The emulator accepts them, and sends each event to both.
    """
    validate = s3._validate_notification_configs

    def corrected(configurations: list[dict[str, Any]], *others: Any) -> Any:
        for number, one in enumerate(configurations):
            for other in configurations[:number]:
                if _overlap(one, other):
                    return s3._invalid_notification_config(
                        "Configurations overlap. "
                        "Configurations on the same bucket cannot share a common event type."
                    )
        return validate(configurations, *others)

    s3._validate_notification_configs = corrected


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether an event type and a key exist that both notifications match."""
    prefix, other_prefix = one["filter_prefix"] or "", other["filter_prefix"] or ""
    suffix, other_suffix = one["filter_suffix"] or "", other["filter_suffix"] or ""
    return (
        (prefix.startswith(other_prefix) or other_prefix.startswith(prefix))
        and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix))
        and (
            any(s3._event_matches(event, other["events"]) for event in one["events"])
            or any(s3._event_matches(event, one["events"]) for event in other["events"])
        )
    )


def retry_what_eventbridge_invokes() -> None:
    """EventBridge invokes asynchronously: Lambda retries twice, then asks the failure destination.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    The emulator invokes once.
    """

    def corrected(arn: str, payload: str) -> None:
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if function:
            record = lambda_svc._execution_record_for_config(function, config)
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = corrected


def take_metrics_from_logs() -> None:
    """CloudWatch extracts metrics from log lines in the embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    The emulator only stores the lines.
    """
    append = cloudwatch_logs._append_log_events

    def corrected(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            if event["message"].startswith("{") and '"_aws"' in event["message"]:
                take(json.loads(event["message"]))

    def take(line: dict[str, Any]) -> None:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: line[name] for name in names}
                for metric in directive["Metrics"]:
                    found = line[metric["Name"]]
                    for value in found if isinstance(found, list) else [found]:
                        cloudwatch.record_metric(
                            directive["Namespace"],
                            metric["Name"],
                            value,
                            metric["Unit"],
                            dimensions,
                        )

    cloudwatch_logs._append_log_events = corrected
