"""examples/other-account, applied as it is: an index of another account's bucket."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.function.reader import IndexReader
from cli.function.record import FileRecord
from local.emulator import SECRET_KEY, Emulator
from local.waiting import wait_for
from tests.e2e.bare import FILE_INDEX
from tests.e2e.stack import Stack
from tests.frame import Shared
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import init

# The example is applied once.
pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("other_account")]

OWNER = "444455556666"  # also the access key of that account's root


class OtherAccount:
    """A bucket, as its owner uses it, and the index of it in the account of the deployment."""

    def __init__(self, emulator: Emulator, stack: Path, environment: dict[str, str]) -> None:
        """Apply the stack."""
        self._stack = stack
        self._environment = environment
        init(stack, environment)
        self._terraform("apply", "-auto-approve", "-no-color")
        outputs = json.loads(self._terraform("output", "-json", "file_index"))
        self.bucket: str = outputs["bucket"]["name"]
        self.s3: Any = emulator.client_as("s3", OWNER, SECRET_KEY)
        self.index = IndexReader(emulator.client("dynamodb"), outputs["table"]["name"])
        self._logs = emulator.client("logs")
        self._group = f"/aws/lambda/{outputs['function']['name']}"

    def _terraform(self, *command: str) -> str:
        return self._run("terraform", *command)

    def backfill_as_the_readme_says(self) -> None:
        """Run the README's `file-index backfill` as the account of the deployment."""
        readme = (self._stack / "README.md").read_text()
        (line,) = re.findall(r"^file-index (backfill .+)$", readme, re.MULTILINE)
        arguments = shlex.split(line.replace("s3://BUCKET", f"s3://{self.bucket}"), comments=True)
        self._run(*FILE_INDEX, *arguments)

    def _run(self, *command: str) -> str:
        ran = subprocess.run(
            command,
            cwd=self._stack,
            env={**self._environment, "PYTHONPATH": os.fspath(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def put(self, key: str, body: bytes = b"x") -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return answer

    def delete(self, key: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.delete_object(Bucket=self.bucket, Key=key, **arguments)
        return answer

    @contextmanager
    def without_statement(self, name: str) -> Iterator[None]:
        """Take a statement out of the bucket's policy while the block runs."""
        policy = json.loads(self.s3.get_bucket_policy(Bucket=self.bucket)["Policy"])
        kept = [one for one in policy["Statement"] if one["Sid"] != name]
        assert len(kept) == len(policy["Statement"]) - 1
        reduced = json.dumps({**policy, "Statement": kept})
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=reduced)
        try:
            yield
        finally:
            self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def wait_for_record(self, key: str, expected: Callable[[FileRecord], bool]) -> FileRecord:
        def found() -> FileRecord | None:
            record = self.index.read(self.bucket, key)
            return record if record and expected(record) else None

        return wait_for(found, lambda: (self.index.read(self.bucket, key), self._lines()[-3:]))

    def wait_for_failure(self, key: str) -> str:
        """Wait until an event of the key has failed; return its error."""

        def failed() -> list[str]:
            return [
                line["errorMessage"]
                for line in self._lines()
                if line.get("key") == key and line.get("outcome") == "failed"
            ]

        return wait_for(failed, lambda: self._lines()[-3:])[0]

    def _lines(self) -> list[dict[str, Any]]:
        events = self._logs.filter_log_events(logGroupName=self._group)["events"]
        return [json.loads(one["message"]) for one in events if one["message"].startswith("{")]


@pytest.fixture(scope="module")
def other_account(
    shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OtherAccount]:
    directory = tmp_path_factory.mktemp("other-account")
    credentials = directory / "credentials"
    credentials.write_text(
        f"[bucket-owner]\naws_access_key_id = {OWNER}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    # Not with the running provider, which has one configuration for all.
    given = {
        **shared.emulator.environment,
        "AWS_SHARED_CREDENTIALS_FILE": os.fspath(credentials),
    }
    with ModuleCopy(given, shared.module) as module:
        stack = module.directory / "examples" / "other-account"
        environment = {**module.environment, "TF_DATA_DIR": os.fspath(directory / "terraform")}
        yield OtherAccount(shared.emulator, stack, environment)


def test_objects_of_another_account_are_indexed_overwritten_and_removed(
    other_account: OtherAccount,
) -> None:
    key = "in box/ü+.csv"

    first = other_account.put(key, b"first")
    other_account.wait_for_record(key, lambda record: record.known.size == len(b"first"))
    other_account.put(key, b"the second")
    record = other_account.wait_for_record(key, lambda found: found.known.size == len("the second"))
    assert record.known.version_id != first["VersionId"]
    marker = other_account.delete(key)
    other_account.wait_for_record(key, lambda found: found.deleted)

    # Without the marker, and then without the second version, the first is left.
    other_account.delete(key, VersionId=marker["VersionId"])
    other_account.wait_for_record(key, lambda found: found.known.size == len("the second"))
    other_account.delete(key, VersionId=record.known.version_id)
    restored = other_account.wait_for_record(key, lambda found: found.known.size == len("first"))
    assert restored.known.version_id == first["VersionId"]


@pytest.mark.parametrize("statement", ["get", "list"])
def test_a_denied_read_names_the_statements_to_add(
    other_account: OtherAccount, statement: str
) -> None:
    key = f"without {statement}"

    with other_account.without_statement(f"their-reports-index-{statement}"):
        other_account.put(key)
        if statement == "list":  # only an object that is gone needs it
            other_account.wait_for_record(key, lambda record: not record.deleted)
            other_account.delete(key)
        said = other_account.wait_for_failure(key)

    assert "role their-reports-index is not authorized to perform: s3:GetObject or s3:Lis" in said
    assert (
        f"check the policy of the bucket in account {OWNER}: it needs the statements"
        " their-reports-index-get and their-reports-index-list of the output bucket_owner_adds"
    ) in said
    # The retries, or this event, succeed once the owner has added the statement again.
    other_account.put(key, b"allowed again")
    other_account.wait_for_record(key, lambda record: record.known.size == len("allowed again"))


def test_the_worker_reconciles_a_bucket_of_another_account(other_account: OtherAccount) -> None:
    key = "never notified"
    configured = other_account.s3.get_bucket_notification_configuration(Bucket=other_account.bucket)
    other_account.s3.put_bucket_notification_configuration(
        Bucket=other_account.bucket, NotificationConfiguration={}
    )
    other_account.put(key)
    del configured["ResponseMetadata"]
    other_account.s3.put_bucket_notification_configuration(
        Bucket=other_account.bucket, NotificationConfiguration=configured
    )

    other_account.backfill_as_the_readme_says()

    record = other_account.index.read(other_account.bucket, key)
    assert record
    assert not record.deleted


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("their-bursts", {"trigger": "external", "queue": {}}),
        ("their-rule", {"trigger": "eventbridge"}),
    ],
)
def test_a_second_plan_is_empty_and_the_owners_events_pass_the_queue(
    shared: Shared, name: str, variables: dict[str, Any]
) -> None:
    emulator = shared.emulator
    theirs: Any = emulator.client_as("s3", OWNER, SECRET_KEY)
    theirs.create_bucket(Bucket=name)
    bucket = {"name": name, "account": OWNER, "versioned": False}
    with shared.deployment(name, {**variables, "bucket": bucket}) as deployment:
        deployment.apply()
        assert deployment.plan() == []
        if "queue" in variables:
            stack = Stack(emulator, deployment)
            stack.s3 = theirs  # the owner's
            stack.configure_bucket_as_its_owner()
            stack.put("a")
            stack.wait_until_indexed("a")
