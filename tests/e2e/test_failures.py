"""One object that a bucket policy denies, on the local AWS."""

import json
from pathlib import Path

import pytest

from tests.e2e.bare import Bare

REFUSED = "in/c"
KEYS = ("in/a", "in/b", REFUSED, "in/d")


def refuse(bare: Bare) -> None:
    """Deny everybody access to one object."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bare.name}/{REFUSED}",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    bare.s3.put_bucket_policy(Bucket=bare.name, Policy=json.dumps(policy))


def operator(bare: Bare) -> dict[str, str]:
    """Credentials, as environment variables, of a user with all permissions that IAM can give."""
    iam, sts = bare.emulator.client("iam"), bare.emulator.client("sts")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sts:AssumeRole",
    }
    documents = [
        json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, everything)
    ]
    role = iam.create_role(RoleName=bare.name, AssumeRolePolicyDocument=documents[0])["Role"]
    iam.put_role_policy(RoleName=bare.name, PolicyName="p", PolicyDocument=documents[1])
    given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="operator")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def indexed(bare: Bare) -> set[str]:
    return {record.key for record in bare.index.list_prefix(bare.name)}


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (("backfill", "--object-metadata"), {"objects": 4, "refreshed": 3, "failed": 1}),
        (("verify", "--repair", "--grace", "0"), {"compared": 4, "repaired": 3, "failed": 1}),
    ],
)
def test_an_object_without_read_access_does_not_stop_the_others(
    bare: Bare, tmp_path: Path, command: tuple[str, ...], done: dict[str, int]
) -> None:
    name, *options = command
    for key in KEYS:
        bare.put(key)
    refuse(bare)
    report = tmp_path / "report"
    environment = operator(bare)
    arguments = (name, bare.url(), *options, "--json")

    failed = bare.file_index(*arguments, "--report", str(report), environment=environment)

    assert failed.code == 2, failed
    assert done.items() <= json.loads(failed.answer.splitlines()[-1]).items()
    assert indexed(bare) == {*KEYS} - {REFUSED}
    assert f"  {bare.url(REFUSED)}: " in failed.messages
    assert "is not authorized to perform: s3:GetObject" in failed.messages
    causes = {
        line["key"] for line in map(json.loads, report.read_text().splitlines()) if "cause" in line
    }
    assert causes == {REFUSED}

    bare.s3.delete_bucket_policy(Bucket=bare.name)
    again = bare.file_index(*arguments, "--resume", environment=environment)

    assert again.code == (0 if name == "backfill" else 1), again
    assert "failed" not in json.loads(again.answer.splitlines()[-1])
    assert indexed(bare) == {*KEYS}


def test_a_verification_resumes_in_the_middle_of_the_index(bare: Bare) -> None:
    """The table is read on from a key without a record."""
    for number in range(60):
        bare.put(f"in/{number:02}")
    assert bare.file_index("backfill", bare.url()).code == 0
    for key in ("in/05", "in/29", "in/30", "in/31", "in/55"):
        bare.s3.delete_object(Bucket=bare.name, Key=key)

    after = [record.key for record in bare.index.list_prefix(bare.name, "in/", "in/3")]
    exactly = [record.key for record in bare.index.list_prefix(bare.name, "in/", "in/30")]

    assert after == [f"in/{number:02}" for number in range(30, 60)]
    assert exactly == [f"in/{number:02}" for number in range(31, 60)]
