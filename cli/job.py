"""`file-index backfill --engine batch-operations`: S3 invokes the function for every object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html
"""

import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from .address import Address
from .errors import FAILED, NO, OK, CommandError, as_command_errors
from .function.filters import Filter
from .progress import Work
from .target import Target
from .terminal import write_causes, write_stderr, write_stdout

POLL_SECONDS = 30
_ENDED = {"Cancelled", "Complete", "Failed"}
_WAITING = {"Suspended", "Paused"}
_REPORT_FORMAT = "Report_CSV_20180820"
_MESSAGE = 6
"""The column of the report with the function's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the jobs of a backfill have in common."""

    account: str
    bucket: str
    function_arn: str
    role_arn: str
    reports_bucket: str

    @classmethod
    def of(cls, target: Target, address: Address) -> "Plan":
        """Return the plan. Raises CommandError if the deployment has no role for jobs."""
        deployment = target.deployment
        if deployment is None or deployment.backfill is None:
            raise CommandError(
                "S3 Batch Operations needs a role and a bucket for reports: set backfill_role ="
                " true, apply, and leave --table out"
            )
        jobs = deployment.backfill
        return cls(
            account=jobs.role_arn.split(":")[4],
            bucket=address.bucket,
            function_arn=deployment.function_arn,
            role_arn=jobs.role_arn,
            reports_bucket=jobs.reports_bucket,
        )

    def request(self, watched: Filter) -> dict[str, Any]:
        """CreateJob for the keys that the filter matches."""
        # Each is a list, of which S3 takes a single text:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_KeyNameConstraint.html
        names = {
            name: [text]
            for name, text in (
                ("MatchAnyPrefix", watched.prefix),
                ("MatchAnySuffix", watched.suffix),
            )
            if text
        }
        manifest = {
            "ExpectedBucketOwner": self.account,
            "SourceBucket": self._arn(self.bucket),
            "EnableManifestOutput": False,
        } | ({"Filter": {"KeyNameConstraint": names}} if names else {})
        return {
            "AccountId": self.account,
            "ConfirmationRequired": False,
            "ClientRequestToken": uuid4().hex,
            "Description": f"file-index backfill of {self.bucket}",
            "Operation": {
                "LambdaInvoke": {
                    "FunctionArn": self.function_arn,
                    "InvocationSchemaVersion": "2.0",
                }
            },
            "ManifestGenerator": {"S3JobManifestGenerator": manifest},
            "Priority": 10,
            "Report": {
                "Enabled": True,
                "Bucket": self._arn(self.reports_bucket),
                "Format": _REPORT_FORMAT,
                "ReportScope": "FailedTasksOnly",
            },
            "RoleArn": self.role_arn,
        }

    def _arn(self, bucket: str) -> str:
        return f"arn:{self.function_arn.split(':')[1]}:s3:::{bucket}"


def backfill(
    target: Target,
    address: Address,
    *,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Let S3 refresh the record of every object; wait, and show the report."""
    plan = Plan.of(target, address)
    s3control = target.client("s3control")
    code = OK
    for watched in dict.fromkeys(target.filters.within(address.path)):
        request = plan.request(watched)
        try:
            with as_command_errors():
                ended = _run(target, s3control, plan, request, as_json=as_json, pause=pause)
        except CommandError as error:  # what other filters match does not depend on it
            write_stderr("file-index: {}", str(error))
            ended = FAILED
        code = max(code, ended)
    return code


def _run(
    target: Target,
    s3control: Any,
    plan: Plan,
    request: Mapping[str, Any],
    *,
    as_json: bool,
    pause: Callable[[float], None],
) -> int:
    job_id = s3control.create_job(**request)["JobId"]
    write_stderr(
        "Job {} of S3 Batch Operations was created. It continues if this command is interrupted.",
        job_id,
    )
    job = _wait(s3control, plan.account, job_id, pause)
    progress = job.get("ProgressSummary", {})
    tasks, failed = (
        progress.get(name, 0) for name in ("TotalNumberOfTasks", "NumberOfTasksFailed")
    )
    status = job["Status"]
    causes = _report(target, job, plan) if failed else Counter()
    if as_json:
        line = {"job": job_id, "status": status, "objects": tasks, "failed": failed}
        write_stdout(json.dumps(line | {"causes": dict(causes)}))
    else:
        write_stdout(f"{tasks:,} objects: {tasks - failed:,} refreshed, {failed:,} failed.")
        write_causes(causes, "object")
    if status != "Complete":
        reasons = "; ".join(
            f"{reason.get('FailureCode')}: {reason.get('FailureReason')}"
            for reason in job.get("FailureReasons", [])
        )
        raise CommandError(f"job {job_id} ended as {status}. {reasons}")
    return NO if failed else OK


def _wait(
    s3control: Any, account: str, job_id: str, pause: Callable[[float], None]
) -> dict[str, Any]:
    done = 0
    with Work("Backfilling") as work:
        while True:
            job: dict[str, Any] = s3control.describe_job(AccountId=account, JobId=job_id)["Job"]
            progress = job.get("ProgressSummary", {})
            if progress.get("TotalNumberOfTasks"):
                work.set_total(progress["TotalNumberOfTasks"])
            so_far = sum(
                progress.get(f"NumberOfTasks{what}", 0) for what in ("Succeeded", "Failed")
            )
            work.advance(so_far - done)
            done = so_far
            if job["Status"] in _ENDED:
                return job
            if job["Status"] in _WAITING:
                reason = job.get("StatusUpdateReason") or job.get("SuspendedCause", "")
                raise CommandError(f"job {job_id} is {job['Status'].lower()}: {reason}")
            work.note(job["Status"].lower())
            pause(POLL_SECONDS)


def _report(target: Target, job: Mapping[str, Any], plan: Plan) -> Counter[str]:
    """Return the number of failed tasks, by the message in the job's report.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
    """
    s3 = target.s3()
    key = f"job-{job['JobId']}/manifest.json"
    causes: Counter[str] = Counter()
    try:
        manifest = s3.get_object(Bucket=plan.reports_bucket, Key=key)["Body"]
        for result in json.load(manifest)["Results"]:
            body = s3.get_object(Bucket=result["Bucket"], Key=result["Key"])["Body"]
            for row in csv.reader(line.decode() for line in body.iter_lines()):
                causes[row[_MESSAGE]] += 1
    except ClientError as error:  # the job's result is known without it
        write_stderr(
            "The report s3://{}/{} cannot be read: {}", plan.reports_bucket, key, str(error)
        )
    return causes
