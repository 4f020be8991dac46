"""`file-index status`: says whether everything is all right with a deployment.

Each question is asked on its own, so that a missing permission leaves the other answers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.config import Config

from .answers import Answer, Question, State, show
from .dead_letters import Count, attributes_of, count_of
from .deployment import Deployment, Reconciliation
from .errors import FAILED, NO, OK, CommandError
from .function.denials import explained_denial
from .function.reconciliation.comparison import Kind
from .function.record import format_time
from .proofs import MOST_DESCRIBED, History, Proof, Unproved, history
from .target import Target
from .terminal import counted, write_stderr, write_stdout

_IMPATIENT = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)
_RECENT = timedelta(minutes=15)
"""How far back the age of events is asked for. CloudWatch gets it minutes later."""
_MINUTE_SECONDS = 60
_PAGE = re.compile(r"docs/operations\.md#[\w-]+")


def status(target: Target, *, as_json: bool, now: datetime | None = None) -> int:
    """Show whether everything is all right with a deployment."""
    deployment = target.deployment
    if deployment is None:
        raise CommandError("status works on a deployment: leave --table out")
    asked = _Asked(target, deployment, now or datetime.now(UTC))
    answers = [answer for question in asked.questions() for answer in question.answers()]
    if as_json:
        for answer in answers:
            write_stdout(answer.as_json())
    else:
        show(deployment.name, answers)
    for answer in answers:
        if answer.state is State.UNKNOWN:
            write_stderr("{} {}: {}", answer.check, answer.says, " ".join(answer.more))
    states = {answer.state for answer in answers}
    if State.UNKNOWN in states:
        return FAILED
    return NO if State.WRONG in states else OK


@dataclass(frozen=True, slots=True)
class _Asked:
    """A deployment, and what can be asked about it."""

    target: Target
    deployment: Deployment
    now: datetime

    def questions(self) -> Iterator[Question]:
        yield Question("proof", self._proof)
        yield Question("dead letters", self._dead_letters)
        if self.deployment.queue_url:
            yield Question("queue", self._queue)
        yield Question("oldest event", self._oldest_event)
        yield Question("alarms", self._alarms)

    def _client(self, service: str) -> Any:
        return self.target.client(service, _IMPATIENT)

    def _proof(self) -> Iterator[Answer]:
        reconciliation = self.deployment.reconciliation
        bucket = f"s3://{self.deployment.bucket}"
        if reconciliation is None:
            yield Answer(
                "proof",
                State.UNCHECKED,
                "without reconciliation nothing compares index and bucket",
                (f"set reconciliation = {{}} and apply, or run file-index verify {bucket}",),
            )
            return
        found = history(self._client("stepfunctions"), reconciliation.state_machine_arn)
        if found.proof:
            yield self._proved(found.proof, reconciliation)
        else:
            yield _never_proved(found, reconciliation, bucket)
        if found.unproved:
            yield self._not_completed(found.unproved, reconciliation)
        if found.running_since:
            yield Answer(
                "run",
                State.RIGHT,
                f"under way since {self._when(found.running_since)}",
                values={"began": format_time(found.running_since)},
            )

    def _proved(self, proof: Proof, reconciliation: Reconciliation) -> Answer:
        findings = proof.findings
        drift, hours = findings.kinds.total(), reconciliation.proof_every_hours
        is_late = hours is not None and self.now - proof.ended > timedelta(hours=hours)
        more = list(_of_drift(proof, reconciliation, self.deployment.bucket)) if drift else []
        if hours is None:
            more.append("runs start only on request, so a proof is never late")
        elif is_late:
            more.append(f"too old: a proof is due every {counted(hours, 'hour')}")
        unsettled = f", {findings.unsettled:,} kept changing" if findings.unsettled else ""
        return Answer(
            "proof",
            State.WRONG if drift or is_late else State.RIGHT,
            f"{self._when(proof.ended)}: {counted(findings.compared, 'key')} compared,"
            f" {_differences(proof)}{unsettled}",
            more,
            {
                "run": proof.run,
                "ended": format_time(proof.ended),
                "age_seconds": int((self.now - proof.ended).total_seconds()),
                "compared": findings.compared,
                "drift": {kind: findings.kinds[kind] for kind in Kind},
                "repaired": findings.repaired,
                "unsettled": findings.unsettled,
                "at_least": proof.at_least,
            },
        )

    def _not_completed(self, run: Unproved, reconciliation: Reconciliation) -> Answer:
        reason = f": {run.reason}" if run.reason else ""
        log = f"run {run.run}; the log group {reconciliation.log_group} says more"
        return Answer(
            "last run",
            State.WRONG,
            f"{run.outcome}, {self._when(run.ended)}{reason}",
            (*run.causes, log),
            {
                "run": run.run,
                "ended": format_time(run.ended),
                "outcome": run.outcome,
                "reason": run.reason,
            },
        )

    def _dead_letters(self) -> Iterator[Answer]:
        count = self._messages(self.deployment.dead_letter_url)
        is_any = count.total > 0
        yield Answer(
            "dead letters",
            State.WRONG if is_any else State.RIGHT,
            counted(count.total, "message") if is_any else "none",
            ("file-index redrive --dry-run shows the causes",) if is_any else (),
            {"messages": count.total},
        )

    def _queue(self) -> Iterator[Answer]:
        count = self._messages(self.deployment.queue_url or "")
        yield Answer(
            "queue",
            State.RIGHT,
            f"{counted(count.visible, 'message')} waiting, {count.hidden:,} in flight",
            values={"waiting": count.visible, "in_flight": count.hidden},
        )

    def _messages(self, url: str) -> Count:
        with explained_denial("sqs:GetQueueAttributes", f"queue {_queue_name(url)}"):
            return count_of(attributes_of(self._client("sqs"), url))

    def _oldest_event(self) -> Iterator[Answer]:
        age = self._age()
        if age is None:
            yield Answer(
                "oldest event",
                State.RIGHT,
                f"CloudWatch has no data of the last {_RECENT // timedelta(minutes=1)} minutes",
                values={"age_seconds": None},
            )
            return
        limit = self.deployment.monitoring.event_age_seconds
        is_late = age > limit
        yield Answer(
            "oldest event",
            State.WRONG if is_late else State.RIGHT,
            f"waited {_duration(timedelta(seconds=age))}",
            (f"longer than {limit:,} seconds: see docs/operations.md#events-wait",)
            if is_late
            else (),
            {"age_seconds": age},
        )

    def _age(self) -> float | None:
        """Return for how many seconds the oldest event had waited, by the last value there is."""
        url = self.deployment.queue_url
        namespace, metric, dimension, name, in_a_second = (
            ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", _queue_name(url), 1)
            if url
            else (
                "AWS/Lambda",
                "AsyncEventAge",
                "FunctionName",
                self.deployment.function_name,
                1000,
            )
        )
        with explained_denial("cloudwatch:GetMetricStatistics", "*"):
            values = self._client("cloudwatch").get_metric_statistics(
                Namespace=namespace,
                MetricName=metric,
                Dimensions=[{"Name": dimension, "Value": name}],
                StartTime=self.now - _RECENT,
                EndTime=self.now,
                Period=_MINUTE_SECONDS,
                Statistics=["Maximum"],
            )["Datapoints"]
        last = max(values, key=lambda value: value["Timestamp"], default=None)
        return last and last["Maximum"] / in_a_second

    def _alarms(self) -> Iterator[Answer]:
        names = self.deployment.monitoring.alarms
        if not names:  # DescribeAlarms would return those of the account
            yield Answer("alarms", State.UNCHECKED, "monitoring is off, so there are no alarms")
            return
        with explained_denial("cloudwatch:DescribeAlarms", "*"):
            found = self._client("cloudwatch").describe_alarms(AlarmNames=list(names))
        alarms = {alarm["AlarmName"]: alarm for alarm in found["MetricAlarms"]}
        missing = [name for name in names if name not in alarms]
        firing = [alarm for alarm in alarms.values() if alarm["StateValue"] == "ALARM"]
        silent = [
            name for name, alarm in alarms.items() if alarm["StateValue"] == "INSUFFICIENT_DATA"
        ]
        says = [f"{len(firing)} of {counted(len(names), 'alarm')} firing"]
        if silent:
            says.append(f"{len(silent)} without data yet")
        if missing:
            says.append(f"{len(missing)} missing")
        yield Answer(
            "alarms",
            State.WRONG if firing or missing else State.RIGHT,
            ", ".join(says),
            [
                *(self._firing(alarm) for alarm in firing),
                *(f"{name} does not exist: apply again" for name in missing),
            ],
            {
                "firing": [
                    {
                        "name": alarm["AlarmName"],
                        "since": format_time(_since(alarm)),
                        "description": alarm.get("AlarmDescription", ""),
                        "page": _page(alarm),
                    }
                    for alarm in firing
                ],
                "without_data": silent,
                "missing": missing,
            },
        )

    def _firing(self, alarm: Mapping[str, Any]) -> str:
        page = f": see {_page(alarm)}" if _page(alarm) else ""
        return f"{alarm['AlarmName']} since {self._when(_since(alarm))}{page}"

    def _when(self, time: datetime) -> str:
        """Return the time in the user's time zone, and how long ago it was."""
        ago = _duration(self.now - time)
        return f"{time.astimezone():%Y-%m-%d %H:%M:%S} ({ago} ago)"


def _never_proved(found: History, reconciliation: Reconciliation, bucket: str) -> Answer:
    on_request = f"file-index verify {bucket} --engine step-functions starts a run"
    if found.is_cut:
        return Answer(
            "proof",
            State.UNKNOWN,
            "could not be found out",
            (f"none of the last {MOST_DESCRIBED} runs was complete. {on_request}",),
        )
    says = "none in the 90 days that Step Functions keeps"
    if reconciliation.schedule is None:
        return Answer("proof", State.UNCHECKED, says, (f"no schedule: {on_request}",))
    return Answer(
        "proof", State.WRONG, says, (f"schedule {reconciliation.schedule}; {on_request}",)
    )


def _differences(proof: Proof) -> str:
    findings = proof.findings
    drift = findings.kinds.total()
    at_least = "at least " if proof.at_least else ""
    if not drift:
        # If a worker died, so did its count.
        return f"{at_least}0 differences" if proof.at_least else "no differences"
    if findings.repaired >= drift:
        repaired = "all repaired"
    else:
        repaired = f"{findings.repaired:,} repaired" if findings.repaired else "none repaired"
    return f"{at_least}{counted(drift, 'difference')}, {repaired}"


def _of_drift(proof: Proof, reconciliation: Reconciliation, bucket: str) -> Iterator[str]:
    kinds = proof.findings.kinds
    yield ", ".join(f"{kinds[kind]:,} {kind}" for kind in Kind if kinds[kind])
    yield f"the log group {reconciliation.log_group} names each key (run {proof.run})"
    if proof.findings.repaired < kinds.total():
        yield f"file-index verify s3://{bucket} --repair repairs the rest"


def _since(alarm: Mapping[str, Any]) -> datetime:
    since: datetime = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return since


def _page(alarm: Mapping[str, Any]) -> str | None:
    """Return the page and section that the alarm's description names."""
    named = _PAGE.search(alarm.get("AlarmDescription", ""))
    return named and named[0]


def _queue_name(url: str) -> str:
    return url.rpartition("/")[2]


def _duration(of: timedelta) -> str:
    """Return a duration in the greatest unit of which it has two: "90 minutes", "2 hours"."""
    seconds = max(0, int(of.total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return counted(seconds // length, unit)
    return counted(seconds, "second")
