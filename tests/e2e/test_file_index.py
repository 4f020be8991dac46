"""`file-index` as its users run it: on deployments, with their permissions, in their terminals."""

import json
import os
import pty
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.deployment import without_events
from local.waiting import HANG_SECONDS, wait_for
from tests.e2e import workload
from tests.e2e.bare import Bare
from tests.e2e.deployments import PREFIX
from tests.e2e.proxy import Call, Proxy
from tests.e2e.stack import Stack

AT_ONCE = 2


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    "stack",
    [
        "metadata",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("unversioned", "versioned")),
    ],
    indirect=True,
)
def test_a_deployment_is_read_verified_and_repaired(stack: Stack) -> None:
    prefix = f"{PREFIX}repaired+ /"
    url = f"s3://{stack.bucket}/{prefix}"
    kept, changed, gone, new = (
        f"{prefix}{name}.csv" for name in ("kept", "changed", "gone", "new")
    )
    for key in (kept, changed, gone):
        stack.put(key)
    for key in (kept, changed, gone):
        stack.wait_until_indexed(key)
    with without_events(stack.s3, stack.bucket):
        stack.put(changed, b"something else")
        stack.delete(gone)
        stack.put(new)

    code, said = stack.file_index("get", f"s3://{stack.bucket}/{kept}", "--json")
    assert (code, lines(said)[0]["key"]) == (0, kept)
    code, said = stack.file_index("ls", url)
    assert (code, [line[31:] for line in said.splitlines()]) == (
        0,
        ["changed.csv", "gone.csv", "kept.csv"],
    )
    code, said = stack.file_index("verify", url, "--grace", "1", "--repair", "--json")
    found = {line["key"]: line["kind"] for line in lines(said) if "key" in line}
    assert (code, found) == (1, {changed: "mismatch", gone: "phantom", new: "orphan"}), said
    code, said = stack.file_index("verify", url, "--grace", "1")
    assert (code, "3 keys compared, no drift" in said) == (0, True), said
    for key in (kept, changed, new):
        stack.wait_until_indexed(key)
    assert stack.wait_until_removed(gone).event_name == "Repair"

    # The index still follows the repaired keys.
    stack.put(gone)
    stack.delete(changed)
    stack.wait_until_indexed(gone)
    stack.wait_until_removed(changed)


@pytest.mark.parametrize(
    ("stack", "least"),
    [
        ("versioned", AT_ONCE),
        *(
            pytest.param(way, 10, marks=pytest.mark.long)
            for way in ("versioned", "external_queued")
        ),
    ],
    indirect=["stack"],
)
def test_a_live_bucket_has_no_drift(stack: Stack, least: int) -> None:
    """Events may take any time: a suspect is looked at again only after its event was processed."""
    prefix = f"{PREFIX}verified {least} times while it changes/"
    ending, one_at_a_time = Event(), Lock()
    runs: list[tuple[int, str]] = []
    suspects: list[str] = []

    def is_followed(below: str) -> bool:
        return not workload.differences(stack, below)

    def work(seed: int) -> None:
        below = f"{prefix}{seed} "
        workload.run(stack, [f"{below}{number}.csv" for number in range(8)], 16, seed)
        wait_for(lambda: is_followed(below), lambda: workload.differences(stack, below))

    def work_until_the_end() -> None:
        seed = 1
        while not ending.wait(1):
            work(seed)
            seed += 1

    def follow_first(call: Call) -> None:
        asked = parse_qs(urlsplit(call.path).query)
        if asked.get("max-keys") == ["1"]:  # the second look at a key
            (key,) = asked["prefix"]
            suspects.append(key)
            with one_at_a_time:
                wait_for(lambda: is_followed(key), lambda: workload.differences(stack, key))

    with (
        Proxy(stack.emulator) as proxy,
        proxy.injecting(follow_first),
        ThreadPoolExecutor(AT_ONCE + 1) as pool,
    ):

        def verify(_: int) -> tuple[int, str]:
            url = f"s3://{stack.bucket}/{prefix}"
            return stack.file_index(
                "verify", url, "--grace", "1", "--json", environment=proxy.environment("S3")
            )

        work(0)
        working = pool.submit(work_until_the_end)
        try:
            while len(runs) < least or not suspects:
                runs += pool.map(verify, range(AT_ONCE))
        finally:
            ending.set()
        working.result()

    for code, said in runs:
        assert code == 0, said
        assert lines(said)[-1]["compared"] > 0


TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/{}"
ALLOWED = {
    "s3:ListBucket": "arn:aws:s3:::{}",
    "s3:GetObject": "arn:aws:s3:::{}/*",
    "dynamodb:GetItem": TABLE,
    "dynamodb:PutItem": TABLE,
    "dynamodb:Query": TABLE,
    "dynamodb:PartiQLInsert": TABLE,
}
NEEDED = {
    "get": {"dynamodb:GetItem"},
    "ls": {"dynamodb:Query"},
    "backfill": {"s3:ListBucket", "dynamodb:PartiQLInsert", "dynamodb:Query"},
    "verify": {"s3:ListBucket", "dynamodb:Query", "dynamodb:GetItem"},
    "verify --repair": {
        "s3:ListBucket",
        "s3:GetObject",
        "dynamodb:Query",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
    },
}


@pytest.fixture
def may(bare: Bare) -> Callable[[set[str]], dict[str, str]]:
    """Credentials, as environment variables, of a user who may do only these things."""
    iam, sts = bare.emulator.client("iam"), bare.emulator.client("sts")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=bare.name, AssumeRolePolicyDocument=document)["Role"]

    def credentials(actions: set[str]) -> dict[str, str]:
        statements = [
            {
                "Effect": "Allow",
                "Action": action,
                "Resource": ALLOWED[action].format(bare.name),
            }
            for action in sorted(actions or {"s3:GetObject"})
        ]
        iam.put_role_policy(
            RoleName=bare.name,
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="operator")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    return credentials


@pytest.mark.parametrize(
    "command",
    [
        "backfill",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("get", "ls", "verify", "verify --repair")
        ),
    ],
)
def test_a_missing_permission_is_named(
    bare: Bare, may: Callable[[set[str]], dict[str, str]], command: str
) -> None:
    name, *options = command.split()
    if name == "verify":
        options += ["--grace", "0"]
    bare.put("a")
    arguments = (name, bare.url("a"), *options)
    for missing in sorted(NEEDED[command]):
        done = bare.file_index(*arguments, environment=may(NEEDED[command] - {missing}))

        assert (done.code, done.answer) == (2, ""), (missing, done)
        assert done.messages.count("\n") == 1, done.messages
        refusal, _, resource = done.messages.partition(" on resource: ")
        assert f"role {bare.name} is not authorized to perform: {missing}" in refusal
        assert bare.name in resource

    # With all of them, it works.
    if command == "get":
        bare.file_index("backfill", bare.url())
    done = bare.file_index(*arguments, environment=may(NEEDED[command]))
    assert done.code in (0, 1), done
    assert "not authorized" not in done.messages


@pytest.mark.parametrize("command", ["get", "ls", "backfill", "verify"])
def test_another_region_has_no_such_table(bare: Bare, command: str) -> None:
    bare.put("a")

    done = bare.file_index(command, bare.url("a"), "--region", "eu-west-3")

    assert done.code == 2
    assert done.messages == (
        f"file-index: table {bare.name} does not exist in eu-west-3: check Region and account\n"
    )


def test_an_endpoint_that_does_not_respond_is_reported_in_one_line(bare: Bare) -> None:
    done = bare.file_index("ls", bare.url(), "--endpoint-url", "https://127.0.0.1:9")

    assert (done.code, done.answer, done.messages.count("\n")) == (2, "", 1)
    assert 'Could not connect to the endpoint URL: "https://127.0.0.1:9/"' in done.messages


@pytest.mark.parametrize(
    "commands",
    [
        [("ls", "--recursive"), ("verify", "--grace", "0", "--json")],
        pytest.param([("verify", "--grace", "0"), ("get",)], marks=pytest.mark.long),
    ],
)
def test_a_closed_pipe_ends_a_listing(bare: Bare, commands: list[tuple[str, ...]]) -> None:
    for number in range(300):
        bare.put(f"{number:03} {'x' * 900}")
    assert bare.file_index("backfill", bare.url()).code == 0
    for command, *options in commands:
        key = f"000 {'x' * 900}" if command == "get" else ""
        process = bare.start(command, bare.url(key), *options)
        assert process.stdout
        assert process.stderr
        if command == "ls":
            process.stdout.readline()
        process.stdout.close()

        messages = process.stderr.read()

        assert (process.wait(), messages) == (141, "")
        process.stderr.close()


def test_an_interrupted_command_says_so(bare: Bare) -> None:
    bare.put("a")
    looking = Event()

    def notice(call: Call) -> None:
        if call.operation == "Query":
            looking.set()

    with Proxy(bare.emulator) as proxy, proxy.injecting(notice):
        process = bare.start(
            "verify", bare.url(), "--grace", "3600", environment=proxy.environment("DYNAMODB")
        )
        assert looking.wait(HANG_SECONDS)
        process.send_signal(signal.SIGINT)
        answer, messages = process.communicate()

    assert (process.returncode, answer, messages) == (130, "", "Interrupted.\n")


def test_progress_is_drawn_in_a_terminal(bare: Bare) -> None:
    for number in range(60):
        bare.put(f"{number}\x1b[2J")
    mine, theirs = pty.openpty()
    process = bare.start("backfill", bare.url(), stderr=theirs, environment={"TERM": "xterm"})
    os.close(theirs)
    drawn = b""
    while chunk := _read(mine):
        drawn += chunk
    os.close(mine)
    process.communicate()

    assert process.returncode == 0
    assert b"Backfilling" in drawn
    assert b"60/60" in drawn
    assert b"/s" in drawn
    assert b"[2J" not in drawn


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1024)
    except OSError:  # the other end is closed
        return b""
