"""The local AWS itself: it is isolated, and its corrections are right and still needed."""

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode
from uuid import uuid4
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from local.cloudwatch import values
from local.emulator import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    Emulator,
    EmulatorError,
    _free_port,
)
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e.calls import recorded_calls

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

Call = tuple[str, str, dict[str, Any]]
"""Service, operation and arguments."""

CREATED, REMOVED = "s3:ObjectCreated:*", "s3:ObjectRemoved:*"
FUNCTIONS: Final = "arn:aws:lambda:us-east-1:000000000000:function"
KEY: Final = "arn:aws:kms:us-east-1:000000000000:key/none"
OTHER_ACCOUNT: Final = "444455556666"  # also the access key of its root
STATE_MACHINE: Final = "arn:aws:states:us-east-1:000000000000:stateMachine:none"
TABLE: Final = "arn:aws:dynamodb:us-east-1:000000000000:table/none"


def new_name() -> str:
    return f"probe-{uuid4().hex[:12]}"


def create_role(emulator: Emulator, service: str, statements: list[dict[str, Any]]) -> str:
    """Create a role that the service, or the account's root, may assume; return its ARN."""
    iam = emulator.client("iam")
    name = new_name()
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service, "AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy([trust]))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(statements))
    arn: str = role["Role"]["Arn"]
    return arn


def policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def create_bucket_with_queue(emulator: Emulator, prefix: str) -> tuple[str, str]:
    """Create a bucket that reports uploads under the (encoded) prefix to a queue."""
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    name = new_name()
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy([allowed])})
    s3.create_bucket(Bucket=name)
    rules = [{"Name": "prefix", "Value": prefix}]
    notification = {
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [notification]}
    )
    return name, url


def keys_let_through_by_an_encoded_filter(emulator: Emulator) -> object:
    bucket, queue = create_bucket_with_queue(emulator, prefix="a+b%2B%C3%BC/")
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    uploaded = ("a b+ü/1", "a+b%2B%C3%BC/2")
    for key in uploaded:
        s3.put_object(Bucket=bucket, Key=key)
    seen: set[str] = set()

    def event_seen() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            for record in json.loads(message["Body"]).get("Records", []):
                seen.add(record["s3"]["object"]["key"])
        return bool(seen)

    wait_for(event_seen, lambda: seen)
    return seen


def statuses_of_an_absent_key(emulator: Emulator, *, may_list: bool) -> list[object]:
    """Return the status codes of HEAD and GET."""
    bucket = new_name()
    emulator.client("s3").create_bucket(Bucket=bucket)
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    ]
    if may_list:
        arn = f"arn:aws:s3:::{bucket}"
        statements.append({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn})
    s3 = s3_as(emulator, create_role(emulator, "lambda.amazonaws.com", statements))
    answers: list[object] = []
    for look in (s3.head_object, s3.get_object):
        try:
            answers.append(look(Bucket=bucket, Key="absent"))
        except ClientError as error:
            answers.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return answers


def s3_as(emulator: Emulator, role: str) -> "S3Client":
    """Return a client with the credentials of a role's session."""
    given = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    client: S3Client = emulator.client_as(
        "s3", given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    )
    return client


def code_of_a_read(emulator: Emulator, owner: str, *, named: bool) -> str | None:
    """Let a role read an object of another account, or of its own; return the error's code.

    The bucket's policy names the role, or else another one, in a condition.
    """
    bucket = new_name()
    theirs = emulator.client_as("s3", owner, SECRET_KEY)
    theirs.create_bucket(Bucket=bucket)
    theirs.put_object(Bucket=bucket, Key="a")
    objects = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    role = create_role(emulator, "lambda.amazonaws.com", [objects])
    among = {"AWS": "arn:aws:iam::000000000000:root"}
    arns = {"aws:PrincipalArn": role if named else f"{role}-of-others"}
    statements: list[dict[str, Any]] = [
        objects | {"Principal": among, "Condition": {"ArnEquals": arns}}
    ]
    if owner == ACCESS_KEY:  # in the role's own account, only a Deny makes a difference
        statements = [
            objects | {"Effect": "Deny", "Principal": among, "Condition": {"ArnNotEquals": arns}}
        ]
    theirs.put_bucket_policy(Bucket=bucket, Policy=policy(statements))
    try:
        s3_as(emulator, role).get_object(Bucket=bucket, Key="a")
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def notify_function_of_another_account(emulator: Emulator, source_account: str) -> object:
    """Notify a function whose permission names an account; return what it said, or the error."""
    function = create_function(emulator, COUNTING_FUNCTION, [])
    bucket = new_name()
    emulator.client("lambda").add_permission(
        FunctionName=function,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
        SourceAccount=source_account,
    )
    theirs = emulator.client_as("s3", OTHER_ACCOUNT, SECRET_KEY)
    theirs.create_bucket(Bucket=bucket)
    notification = {"LambdaFunctionArn": f"{FUNCTIONS}:{function}", "Events": [CREATED]}
    try:
        theirs.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={"LambdaFunctionConfigurations": [notification]},
        )
    except ClientError as error:
        return error.response["Error"]["Message"].partition(":")[0]
    theirs.put_object(Bucket=bucket, Key="a")
    return wait_for(lambda: said(emulator, function), lambda: None)


SAY = """
def say(what):
    with open({file!r}, "a") as said:
        said.write(f"{{what}}\\n")
"""

HELD_FUNCTION = """
import os, time
from pathlib import Path

def handler(event, context):
    meeting = Path(event)
    (meeting / str(os.getpid())).touch()
    while not (meeting / "released").exists():
        time.sleep(0.01)
    say(os.getpid())
"""

FAILING_FUNCTION = """
def handler(event, context):
    say("tried")
    raise ValueError("as always")
"""

COUNTING_FUNCTION = """
def handler(event, context):
    say(len(event["Records"]))
"""

TALKATIVE_FUNCTION = """
def handler(event, context):
    print("\\n" * 400_000)
    print("last")
"""


def create_function(emulator: Emulator, code: str, statements: list[dict[str, Any]]) -> str:
    """Create a function that runs the code; return its name.

    The code reports with `say`, because an uncorrected emulator may lose printed lines.
    """
    awslambda = emulator.client("lambda")
    name = new_name()
    package = BytesIO()
    with ZipFile(package, "w") as archive:
        archive.writestr("program.py", SAY.format(file=str(said_file(emulator, name))) + code)
    awslambda.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="program.handler",
        Role=create_role(emulator, "lambda.amazonaws.com", statements),
        Code={"ZipFile": package.getvalue()},
        Timeout=HANG_SECONDS,
    )
    awslambda.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


def said_file(emulator: Emulator, function: str) -> Path:
    return Path(emulator.whereabouts["directory"], f"said-{function}")


def said(emulator: Emulator, function: str) -> list[str]:
    """Return what the function has said so far."""
    file = said_file(emulator, function)
    return file.read_text().splitlines() if file.exists() else []


def start_burst(emulator: Emulator, meeting: Path, held: int) -> str:
    """Invoke a function 20 times and return its name once `held` processes run at the same time.

    Every process writes its number into `meeting` and ends when there is a file `released`.
    """
    function = create_function(emulator, HELD_FUNCTION, [])
    meeting.mkdir()
    for _ in range(20):
        emulator.client("lambda").invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(str(meeting))
        )
    wait_for(lambda: len(list(meeting.iterdir())) >= held, lambda: list(meeting.iterdir()))
    (meeting / "released").touch()
    return function


def last_line_of_a_long_log(emulator: Emulator) -> list[str]:
    """Return what the log has of a function's last line when the function has responded."""
    function = create_function(emulator, TALKATIVE_FUNCTION, [])
    emulator.client("lambda").invoke(FunctionName=function)
    found = emulator.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{function}", filterPattern="last"
    )
    return [event["message"].strip() for event in found["events"]]


def largest_batch(emulator: Emulator) -> int:
    """Return the most of 25 messages that a mapping with batches of 100 gives to one invocation."""
    sqs, awslambda = emulator.client("sqs"), emulator.client("lambda")
    queue = new_name()
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    function = create_function(
        emulator,
        COUNTING_FUNCTION,
        [{"Effect": "Allow", "Action": actions, "Resource": arn}],
    )
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    awslambda.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=function,
        BatchSize=100,
        MaximumBatchingWindowInSeconds=1,
    )

    wait_for(
        lambda: sum(map(int, said(emulator, function))) == 25, lambda: said(emulator, function)
    )
    return max(map(int, said(emulator, function)))


def send_uploads_by_eventbridge(emulator: Emulator, target: str) -> str:
    """Create a versioned bucket whose uploads a rule sends to the target; return its name."""
    s3, events = emulator.client("s3"), emulator.client("events")
    bucket = new_name()
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bucket, Targets=[{"Id": "target", "Arn": target}])
    return bucket


def version_in_an_eventbridge_event(emulator: Emulator) -> tuple[object, object]:
    """Return the version that S3 returned for an upload, and the one that its event names."""
    sqs = emulator.client("sqs")
    queue = new_name()
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    bucket = send_uploads_by_eventbridge(emulator, f"arn:aws:sqs:us-east-1:000000000000:{queue}")

    stored = emulator.client("s3").put_object(Bucket=bucket, Key="a")
    (message,) = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), lambda: None
    )
    return stored["VersionId"], json.loads(message["Body"])["detail"]["object"].get("version-id")


def tries_of_a_failing_target(emulator: Emulator, least: int) -> int:
    """Return how often a function that fails is invoked for one event from EventBridge."""
    function = create_function(emulator, FAILING_FUNCTION, [])
    bucket = send_uploads_by_eventbridge(
        emulator, f"arn:aws:lambda:us-east-1:000000000000:function:{function}"
    )

    emulator.client("s3").put_object(Bucket=bucket, Key="a")
    wait_for(lambda: len(said(emulator, function)) >= least, lambda: said(emulator, function))
    # When a later invocation has been tried three times, this one must have been too.
    errors_counted(emulator)
    return len(said(emulator, function))


def alarm_in_xml(emulator: Emulator) -> dict[str, str | None]:
    """Return the description of an alarm on a percentile in XML, which the provider uses."""
    name = new_name()
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="N",
        MetricName="M",
        ExtendedStatistic="p90",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        EvaluateLowSampleCountPercentile="evaluate",
    )
    query = {"Action": "DescribeAlarms", "AlarmNames.member.1": name}
    elements = ElementTree.fromstring(query_cloudwatch(emulator, query)).iter()  # noqa: S314 # our own emulator's
    return {element.tag.partition("}")[2]: element.text for element in elements}


def query_cloudwatch(emulator: Emulator, query: dict[str, str]) -> str:
    """Call CloudWatch in AWS's query protocol, as the provider does; return its XML."""
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest(
        "POST",
        f"{emulator.endpoint}/",
        content_type,
        urlencode({"Version": "2010-08-01", **query}),
    )
    SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "monitoring", REGION).add_auth(request)
    session = URLLib3Session(verify=str(emulator.ca_bundle))  # type: ignore[arg-type] # a path too
    text: str = session.send(request.prepare()).text
    return text


def alarm_on_metric_math(emulator: Emulator, by: str) -> dict[str, Any]:
    """Put an alarm on an expression, as JSON or as a query as the provider does; return it."""
    name = new_name()
    if by == "json":
        emulator.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Metrics=[{"Id": "zero", "Expression": "TIME_SERIES(0)", "ReturnData": True}],
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    else:
        query_cloudwatch(
            emulator,
            {
                "Action": "PutMetricAlarm",
                "AlarmName": name,
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": "1",
                "Metrics.member.1.Expression": "TIME_SERIES(0)",
                "Metrics.member.1.Id": "zero",
                "Metrics.member.1.ReturnData": "true",
                "Threshold": "1",
            },
        )
    found = emulator.client("cloudwatch").describe_alarms(AlarmNames=[name])
    alarm: dict[str, Any] = found["MetricAlarms"][0]
    return {key: alarm[key] for key in ("Metrics", "Period", "Statistic") if key in alarm}


def key_of_a_log_group(emulator: Emulator, key: str | None) -> object:
    """Return a log group's key after it got one, and after it lost it (null)."""
    logs = emulator.client("logs")
    name = new_name()
    logs.create_log_group(logGroupName=name)
    try:
        logs.associate_kms_key(logGroupName=name, kmsKeyId="arn:aws:kms:us-east-1:0:key/k")
        if key is None:
            logs.disassociate_kms_key(logGroupName=name)
    except ClientError as error:
        return error.response["Error"]["Code"]
    (described,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return described.get("kmsKeyId")


def refusal_of_notifications(
    emulator: Emulator, *notifications: tuple[str, str, str]
) -> str | None:
    """Return S3's error for notifications with these event types, prefixes and suffixes, if any."""
    sqs, s3 = emulator.client("sqs"), emulator.client("s3")
    bucket, url = create_bucket_with_queue(emulator, prefix="a/")
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    try:
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": arn["QueueArn"],
                        "Events": [event],
                        "Filter": {
                            "Key": {
                                "FilterRules": [
                                    {"Name": "prefix", "Value": prefix},
                                    {"Name": "suffix", "Value": suffix},
                                ]
                            }
                        },
                    }
                    for event, prefix, suffix in notifications
                ]
            },
        )
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def actions_recorded(emulator: Emulator) -> list[str]:
    """Return what CloudTrail has of one call in each of two protocols."""
    with recorded_calls(emulator, ["ListTables", "ListRoles"]) as calls:
        emulator.client("dynamodb").list_tables()
        emulator.client("iam").list_roles(PathPrefix="/recorded/")
    return [
        name
        for name, asked in calls
        if name == "ListTables" or asked.get("PathPrefix") == "/recorded/"
    ]


def query_definitions(emulator: Emulator) -> list[str]:
    logs = emulator.client("logs")
    name = new_name()
    try:
        made = logs.put_query_definition(name=name, queryString="fields key")
        found = logs.describe_query_definitions(queryDefinitionNamePrefix=name)
        logs.delete_query_definition(queryDefinitionId=made["queryDefinitionId"])
    except ClientError as error:
        return [error.response["Error"]["Code"]]
    return [one["queryString"] for one in found["queryDefinitions"]]


MEASURING_FUNCTION = """
import json

def handler(event, context):
    metrics = [{"Name": "Lag", "Unit": "Milliseconds"}]
    directive = {"Namespace": event, "Dimensions": [["D"]], "Metrics": metrics}
    print(json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, "D": "d", "Lag": [1, 5]}))
"""


def measured_today(
    emulator: Emulator, metric: tuple[str, str, str, str], statistic: str
) -> list[float]:
    since = datetime.now(UTC) - timedelta(hours=1)
    found = values(emulator.client("cloudwatch"), metric, statistic, 86400, since)
    return list(found.values())


def longest_lag(emulator: Emulator) -> list[float]:
    namespace = new_name()
    function = create_function(emulator, MEASURING_FUNCTION, [])
    emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(namespace))
    return measured_today(emulator, (namespace, "Lag", "D", "d"), "Maximum")


def errors_counted(emulator: Emulator) -> float:
    """Return the errors counted for an asynchronous invocation that fails three times."""
    function = create_function(emulator, FAILING_FUNCTION, [])
    awslambda = emulator.client("lambda")
    awslambda.invoke(FunctionName=function, InvocationType="Event", Payload="{}")
    wait_for(lambda: len(said(emulator, function)) == 3, lambda: said(emulator, function))
    return sum(measured_today(emulator, ("AWS/Lambda", "Errors", "FunctionName", function), "Sum"))


def both(emulator: Emulator, uncorrected: Emulator, probe: Callable[[Emulator], T]) -> tuple[T, T]:
    """Return what the probe finds on each emulator; both run at once, because they only wait."""
    with ThreadPoolExecutor(2) as pool:
        corrected, alone = pool.map(probe, (emulator, uncorrected))
    return corrected, alone


def test_notification_filters_are_compared_decoded(
    emulator: Emulator, uncorrected: Emulator
) -> None:
    assert keys_let_through_by_an_encoded_filter(emulator) == {"a+b%2B%C3%BC/1"}
    assert keys_let_through_by_an_encoded_filter(uncorrected) != {"a+b%2B%C3%BC/1"}


def test_an_absent_object_is_forbidden_without_list_bucket(
    emulator: Emulator, uncorrected: Emulator
) -> None:
    assert statuses_of_an_absent_key(emulator, may_list=False) == [403, 403]
    assert statuses_of_an_absent_key(emulator, may_list=True) == [404, 404]
    assert statuses_of_an_absent_key(uncorrected, may_list=False) == [404, 404]


@pytest.mark.parametrize("owner", [OTHER_ACCOUNT, ACCESS_KEY])
def test_a_condition_on_the_caller_names_its_role(
    emulator: Emulator, uncorrected: Emulator, owner: str
) -> None:
    assert code_of_a_read(emulator, owner, named=True) is None
    assert code_of_a_read(emulator, owner, named=False) == "AccessDenied"
    assert code_of_a_read(uncorrected, owner, named=True) == "AccessDenied"


def test_a_function_of_another_account_is_notified_if_its_policy_allows_it(
    emulator: Emulator, uncorrected: Emulator
) -> None:
    assert notify_function_of_another_account(emulator, OTHER_ACCOUNT) == ["1"]
    assert (
        notify_function_of_another_account(emulator, "000000000000")
        == "Unable to validate the following destination configurations"
    )
    assert (
        notify_function_of_another_account(uncorrected, OTHER_ACCOUNT)
        == "Unable to validate destination configuration"
    )


def test_alarms_are_described_as_they_were_put(emulator: Emulator, uncorrected: Emulator) -> None:
    described = alarm_in_xml(emulator)
    assert (described["ExtendedStatistic"], described["TreatMissingData"]) == ("p90", "ignore")
    assert described["EvaluateLowSampleCountPercentile"] == "evaluate"
    assert "Statistic" not in described
    alone = alarm_in_xml(uncorrected)
    assert not {"EvaluateLowSampleCountPercentile", "TreatMissingData"} & alone.keys()


@pytest.mark.parametrize("by", ["json", "query"])
def test_an_alarm_on_metric_math_has_metrics_and_no_statistic(
    emulator: Emulator, uncorrected: Emulator, by: str
) -> None:
    metrics = [{"Id": "zero", "Expression": "TIME_SERIES(0)", "ReturnData": True}]
    assert alarm_on_metric_math(emulator, by) == {"Metrics": metrics}
    assert "Metrics" not in alarm_on_metric_math(uncorrected, by)


def test_a_log_group_gets_a_key_and_loses_it(emulator: Emulator, uncorrected: Emulator) -> None:
    key = "arn:aws:kms:us-east-1:0:key/k"
    assert key_of_a_log_group(emulator, key) == key
    assert key_of_a_log_group(emulator, None) is None
    assert key_of_a_log_group(uncorrected, key) != key
    assert key_of_a_log_group(uncorrected, None) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((CREATED, "", ""), (CREATED, "in/", ".csv")),
        ((CREATED, "in/", ""), (CREATED, "in/a", "")),
        ((CREATED, "in/", ""), (CREATED, "", ".csv")),
        ((CREATED, "", "a.csv"), ("s3:ObjectCreated:Put", "", ".csv")),
    ],
)
def test_notifications_that_overlap_are_rejected(
    emulator: Emulator,
    uncorrected: Emulator,
    one: tuple[str, str, str],
    other: tuple[str, str, str],
) -> None:
    assert refusal_of_notifications(emulator, one, other) == "InvalidArgument"
    assert refusal_of_notifications(emulator, other, one) == "InvalidArgument"
    assert refusal_of_notifications(uncorrected, one, other) is None


def test_notifications_that_do_not_overlap_are_accepted(emulator: Emulator) -> None:
    assert (
        refusal_of_notifications(
            emulator,
            (CREATED, "in/", ".csv"),
            (CREATED, "in/", ".txt"),
            (CREATED, "out/", ".csv"),
            (REMOVED, "in/", ".csv"),
        )
        is None
    )


def test_cloudtrail_names_every_action(emulator: Emulator, uncorrected: Emulator) -> None:
    # Other tests list tables meanwhile.
    assert set(actions_recorded(emulator)) == {"ListTables", "ListRoles"}
    assert actions_recorded(uncorrected) == ["ListTables"]


def test_query_definitions_are_kept(emulator: Emulator, uncorrected: Emulator) -> None:
    assert query_definitions(emulator) == ["fields key"]
    assert query_definitions(uncorrected) != ["fields key"]


def test_every_invocation_is_measured(emulator: Emulator, uncorrected: Emulator) -> None:
    corrected, alone = both(emulator, uncorrected, errors_counted)
    assert corrected == 3
    assert alone < 3


def test_metrics_are_extracted_from_logs(emulator: Emulator, uncorrected: Emulator) -> None:
    assert longest_lag(emulator) == [5]
    assert longest_lag(uncorrected) == []


def test_the_log_has_all_that_was_printed(emulator: Emulator, uncorrected: Emulator) -> None:
    assert last_line_of_a_long_log(emulator) == ["last"]
    assert last_line_of_a_long_log(uncorrected) == []


def test_events_wait_for_a_free_worker(
    emulator: Emulator, uncorrected: Emulator, tmp_path: Path
) -> None:
    function = start_burst(emulator, tmp_path / "corrected", held=4)
    wait_for(lambda: len(said(emulator, function)) == 20, lambda: said(emulator, function))
    assert len(set(said(emulator, function))) == 4

    start_burst(uncorrected, tmp_path / "alone", held=5)


def test_batches_have_more_than_ten_messages(emulator: Emulator, uncorrected: Emulator) -> None:
    corrected, alone = both(emulator, uncorrected, largest_batch)
    assert corrected > 10
    assert alone <= 10


def test_eventbridge_events_name_the_version(emulator: Emulator, uncorrected: Emulator) -> None:
    stored, named = version_in_an_eventbridge_event(emulator)
    assert stored == named
    stored, named = version_in_an_eventbridge_event(uncorrected)
    assert stored != named


def test_a_target_of_eventbridge_is_tried_three_times(
    emulator: Emulator, uncorrected: Emulator
) -> None:
    assert tries_of_a_failing_target(emulator, least=3) == 3
    assert tries_of_a_failing_target(uncorrected, least=1) == 1


def refused_action(emulator: Emulator, allowed: tuple[str, str], call: Call) -> str | None:
    """Return the action that a call lacks if a policy allows one action on one resource."""
    iam = emulator.client("iam")
    user = new_name()
    iam.create_user(UserName=user)
    action, resource = allowed
    document = policy([{"Effect": "Allow", "Action": action, "Resource": resource}])
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    service, operation, arguments = call
    client = emulator.client_as(service, key["AccessKeyId"], key["SecretAccessKey"])
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        found = re.search(r"not authorized to perform: (\S+)", str(error))
        return found[1] if found else None
    return None


@pytest.mark.parametrize(
    ("allowed", "call"),
    [
        (
            ("cloudwatch:GetDashboard", "arn:aws:cloudwatch::000000000000:dashboard/none"),
            ("cloudwatch", "get_dashboard", {"DashboardName": "none"}),
        ),
        (
            ("dynamodb:ListTagsOfResource", TABLE),
            ("dynamodb", "list_tags_of_resource", {"ResourceArn": TABLE}),
        ),
        (
            ("dynamodb:PartiQLInsert", TABLE),
            (
                "dynamodb",
                "batch_execute_statement",
                {"Statements": [{"Statement": "INSERT INTO \"none\" VALUE {'key': 'a'}"}]},
            ),
        ),
        (
            ("events:ListTargetsByRule", "arn:aws:events:us-east-1:000000000000:rule/none"),
            ("events", "list_targets_by_rule", {"Rule": "none"}),
        ),
        (
            ("iam:CreateRole", "arn:aws:iam::000000000000:role/apps/*"),
            (
                "iam",
                "create_role",
                {"Path": "/apps/", "RoleName": "with-path", "AssumeRolePolicyDocument": "{}"},
            ),
        ),
        (
            ("lambda:DeleteFunctionEventInvokeConfig", f"{FUNCTIONS}:none"),
            ("lambda", "delete_function_event_invoke_config", {"FunctionName": "none"}),
        ),
        (
            ("states:ListTagsForResource", STATE_MACHINE),
            ("stepfunctions", "list_tags_for_resource", {"resourceArn": STATE_MACHINE}),
        ),
    ],
)
def test_a_call_is_authorized_by_its_action_on_its_resource(
    emulator: Emulator, uncorrected: Emulator, allowed: tuple[str, str], call: Call
) -> None:
    assert refused_action(emulator, allowed, call) is None
    assert refused_action(uncorrected, allowed, call) is not None


@pytest.mark.parametrize(
    ("allowed", "call", "further"),
    [
        (
            ("lambda:CreateFunction", "*"),
            (
                "lambda",
                "create_function",
                {
                    "FunctionName": "probe",
                    "Role": "arn:aws:iam::000000000000:role/none",
                    "Runtime": "python3.13",
                    "Handler": "handler",
                    "Code": {"ZipFile": b""},
                },
            ),
            "iam:PassRole",
        ),
        (
            ("sqs:CreateQueue", "*"),
            ("sqs", "create_queue", {"QueueName": "probe", "tags": {"team": "files"}}),
            "sqs:TagQueue",
        ),
        (
            ("states:CreateStateMachine", "*"),
            (
                "stepfunctions",
                "create_state_machine",
                {
                    "name": "probe",
                    "roleArn": "arn:aws:iam::000000000000:role/none",
                    "definition": json.dumps(
                        {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
                    ),
                },
            ),
            "iam:PassRole",
        ),
        (
            ("scheduler:CreateSchedule", "*"),
            (
                "scheduler",
                "create_schedule",
                {
                    "Name": "probe",
                    "FlexibleTimeWindow": {"Mode": "OFF"},
                    "ScheduleExpression": "rate(1 day)",
                    "Target": {
                        "Arn": STATE_MACHINE,
                        "RoleArn": "arn:aws:iam::000000000000:role/none",
                    },
                },
            ),
            "iam:PassRole",
        ),
        (
            ("s3:DeleteObject", "*"),
            (
                "s3",
                "delete_objects",
                {"Bucket": "none", "Delete": {"Objects": [{"Key": "a", "VersionId": "null"}]}},
            ),
            "s3:DeleteObjectVersion",
        ),
        (
            ("dynamodb:CreateTable", "*"),
            (
                "dynamodb",
                "create_table",
                {
                    "TableName": "probe",
                    "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
                    "BillingMode": "PAY_PER_REQUEST",
                    "SSESpecification": {"Enabled": True, "KMSMasterKeyId": KEY},
                },
            ),
            "kms:DescribeKey",
        ),
    ],
)
def test_a_call_needs_all_actions_that_aws_checks(
    emulator: Emulator,
    uncorrected: Emulator,
    allowed: tuple[str, str],
    call: Call,
    further: str,
) -> None:
    assert refused_action(emulator, allowed, call) == further
    assert refused_action(uncorrected, allowed, call) is None


def test_a_second_emulator_is_independent_and_leaves_nothing_behind(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    emulator.client("s3").create_bucket(Bucket=new_name())
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\ns3 =\n  addressing_style = virtual\n")
    users_own = {
        "AWS_ACCESS_KEY_ID": "AKIAUSER",
        "AWS_CA_BUNDLE": "/nowhere.pem",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL_S3": "https://example.invalid",
        "AWS_PROFILE": "absent",
        "AWS_SESSION_TOKEN": "token",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    for name, value in users_own.items():
        monkeypatch.setenv(name, value)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    # Another process takes the first port between its choice and its use.
    ports = iter([emulator._port, _free_port()])
    monkeypatch.setattr("local.emulator._free_port", lambda: next(ports))

    with Emulator() as another:
        process = another._process
        s3 = another.client("s3")
        s3.create_bucket(Bucket="files")
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        account = another.client("sts").get_caller_identity()["Account"]

    assert next(ports, None) is None
    assert buckets == ["files"]
    assert account == "000000000000"
    assert {name: os.environ[name] for name in users_own} == users_own
    # A client's connection was still open.
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


def test_a_failed_start_shows_the_log_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("local.emulator._free_port", lambda: "none")

    with pytest.raises(EmulatorError, match="invalid literal for int"), Emulator():
        pass

    assert list(tmp_path.iterdir()) == []
