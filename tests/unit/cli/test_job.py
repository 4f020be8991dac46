"""Jobs of S3 Batch Operations: requests and results."""

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from cli import job
from cli.address import Address
from cli.errors import CommandError
from cli.function.filters import Filter
from cli.job import backfill
from cli.target import Target
from tests.unit.cli.deployments import ACCOUNT, OUTPUT, deployed

FUNCTION = OUTPUT["function"]["arn"]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/files-backfill"
JOBS = {"role_arn": ROLE, "reports_bucket": "reports-of-jobs"}
JOB = "job-1"
PREFIX = Address("files", "in/")
REPORT = (
    'files,in%2Fa,,failed,200,PermanentFailure,"PermissionDeniedError: role files may not"\n'
    'files,in%2Fb,,failed,200,PermanentFailure,"PermissionDeniedError: role files may not"\n'
)


@pytest.fixture(scope="module")
def clients() -> dict[str, Any]:
    """Clients, which take time to create; a stubber leaves nothing behind in them."""
    session = boto3.Session("a", "b", region_name="eu-west-1")
    return {name: session.client(name) for name in ("s3", "s3control")}


class Stubs:
    """AWS, with a response to each expected request."""

    def __init__(self, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3, self.s3control = Stubber(clients["s3"]), Stubber(clients["s3control"])
        monkeypatch.setattr(Target, "client", lambda _, name, **__: clients[name])

    def create(self, **filters: list[str]) -> None:
        """Expect the request for a job."""
        generator = {
            "ExpectedBucketOwner": ACCOUNT,
            "SourceBucket": "arn:aws:s3:::files",
            "EnableManifestOutput": False,
        } | ({"Filter": {"KeyNameConstraint": filters}} if filters else {})
        self.s3control.add_response(
            "create_job",
            {"JobId": JOB},
            {
                "AccountId": ACCOUNT,
                "ConfirmationRequired": False,
                "ClientRequestToken": ANY,
                "Description": "file-index backfill of files",
                "Operation": {
                    "LambdaInvoke": {"FunctionArn": FUNCTION, "InvocationSchemaVersion": "2.0"}
                },
                "ManifestGenerator": {"S3JobManifestGenerator": generator},
                "Priority": 10,
                "Report": {
                    "Bucket": "arn:aws:s3:::reports-of-jobs",
                    "Enabled": True,
                    "Format": "Report_CSV_20180820",
                    "ReportScope": "FailedTasksOnly",
                },
                "RoleArn": ROLE,
            },
        )

    def describe(self, status: str, succeeded: int = 0, failed: int = 0, **more: Any) -> None:
        """Expect a request for the job's state, and respond to it."""
        job = {
            "JobId": JOB,
            "Status": status,
            "ProgressSummary": {
                "TotalNumberOfTasks": 5,
                "NumberOfTasksSucceeded": succeeded,
                "NumberOfTasksFailed": failed,
            },
        }
        self.s3control.add_response(
            "describe_job", {"Job": job | more}, {"AccountId": ACCOUNT, "JobId": JOB}
        )

    def report(self) -> None:
        """Expect a read of the report."""
        place = {"Bucket": "reports-of-jobs", "Key": "job-job-1/results/r.csv"}
        manifest = json.dumps({"Format": "Report_CSV_20180820", "Results": [place]})
        for key, text in (("job-job-1/manifest.json", manifest), (place["Key"], REPORT)):
            body = StreamingBody(io.BytesIO(text.encode()), len(text))
            self.s3.add_response("get_object", {"Body": body}, place | {"Key": key})


@pytest.fixture
def aws(clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubs]:
    stubs = Stubs(clients, monkeypatch)
    with stubs.s3, stubs.s3control:
        yield stubs
        stubs.s3.assert_no_pending_responses()
        stubs.s3control.assert_no_pending_responses()


def target(*filters: Filter, jobs: dict[str, str] | None = JOBS) -> Target:
    watched = [{"prefix": one.prefix, "suffix": one.suffix} for one in filters]
    bucket = {"name": "files", "versioned": True}
    return deployed(backfill=jobs, bucket=bucket, filters=watched)


def run(where: Target, address: Address = PREFIX, *, as_json: bool = False) -> int:
    return backfill(where, address, as_json=as_json, pause=lambda _: None)


def test_a_job_is_created_and_waited_for(aws: Stubs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.create(MatchAnyPrefix=["in/"])
    aws.describe("Preparing")
    aws.describe("Active", succeeded=3)
    aws.describe("Complete", succeeded=5)

    assert run(target()) == 0
    assert capsys.readouterr().out == "5 objects: 5 refreshed, 0 failed.\n"


def test_the_whole_bucket_needs_no_filter(aws: Stubs) -> None:
    aws.create()
    aws.describe("Complete", succeeded=5)

    assert run(target(), Address("files", "")) == 0


def test_failures_are_grouped_by_cause(aws: Stubs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.create(MatchAnyPrefix=["in/"], MatchAnySuffix=[".csv"])
    aws.describe("Complete", succeeded=3, failed=2)
    aws.report()

    assert run(target(Filter("", ".csv")), as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "job": JOB,
        "status": "Complete",
        "objects": 5,
        "failed": 2,
        "causes": {"PermissionDeniedError: role files may not": 2},
    }


def test_a_job_that_fails_says_why(aws: Stubs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.create(MatchAnyPrefix=["in/"])
    reason = {"FailureCode": "AccessDenied", "FailureReason": "no s3:PutInventoryConfiguration"}
    aws.describe("Failed", FailureReasons=[reason])

    assert run(target()) == 2
    assert "ended as Failed. AccessDenied: no s3:PutInv" in capsys.readouterr().err


def test_a_job_that_somebody_stopped_is_not_waited_for(
    aws: Stubs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.create(MatchAnyPrefix=["in/"])
    aws.describe("Paused", StatusUpdateReason="too dear")

    assert run(target()) == 2
    assert "job job-1 is paused: too dear" in capsys.readouterr().err


def test_without_a_role_no_job_is_requested(aws: Stubs) -> None:  # noqa: ARG001 # no answer
    with pytest.raises(CommandError, match="set backfill_role = true, apply"):
        run(target(jobs=None))


def test_each_filter_has_a_job_of_its_own(aws: Stubs) -> None:
    aws.create(MatchAnyPrefix=["in/a"], MatchAnySuffix=[".csv"])
    aws.describe("Complete", succeeded=5)
    aws.create(MatchAnyPrefix=["in/"])
    aws.describe("Complete", succeeded=5)

    assert run(target(Filter("in/a", ".csv"), Filter("in/"), Filter("out/"))) == 0


def test_a_job_that_fails_does_not_stop_those_of_other_filters(aws: Stubs) -> None:
    aws.create(MatchAnyPrefix=["in/a"])
    aws.describe("Failed")
    aws.create(MatchAnyPrefix=["in/b"])
    aws.describe("Complete", succeeded=5)

    assert run(target(Filter("in/a"), Filter("in/b"))) == 2


def test_a_missing_report_is_reported(aws: Stubs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.create(MatchAnyPrefix=["in/"])
    aws.describe("Complete", failed=5)
    aws.s3.add_client_error("get_object", "NoSuchKey")

    assert run(target()) == 1
    assert (
        "report s3://reports-of-jobs/job-job-1/manifest.json cannot be read"
        in capsys.readouterr().err
    )


def test_the_job_is_polled_with_pauses(aws: Stubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "POLL_SECONDS", 7)
    paused: list[float] = []
    aws.create(MatchAnyPrefix=["in/"])
    aws.describe("Active")
    aws.describe("Complete", succeeded=5)

    backfill(target(), PREFIX, as_json=False, pause=paused.append)

    assert paused == [7]
