"""The connection to AWS."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.chosen import Chosen
from cli.connection import Connection, Credentials
from cli.deployment import Deployment
from cli.errors import CommandError
from cli.main import execute
from tests.unit.cli.deployments import OUTPUT
from tests.unit.cli.sqs import refusal


def test_a_given_profile_takes_precedence_over_credentials_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        "".join(
            f"[profile {name}]\naws_access_key_id = {name}\naws_secret_access_key = s\n"
            for name in ("wanted", "other")
        )
    )
    others = {
        "AWS_CONFIG_FILE": f"{tmp_path}/config",
        "AWS_DEFAULT_PROFILE": "other",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/other",
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{tmp_path}/config",
    }
    for name, value in others.items():
        monkeypatch.setenv(name, value)

    credentials = Connection.open(profile="wanted").session.get_credentials()

    assert credentials
    assert credentials.access_key == "wanted"


def test_another_process_gets_the_present_credentials_and_looks_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for them could ask for another MFA code."""
    program = f"echo >> {tmp_path}/asked; date +%s%N > {tmp_path}/secret;" + (
        f' printf \'{{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "%s"}}\''
        f" $(cat {tmp_path}/secret)"
    )
    (tmp_path / "asking").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "asking").chmod(0o755)
    (tmp_path / "config").write_text(f"[profile mfa]\ncredential_process = {tmp_path}/asking\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    connection = Connection.open(profile="mfa", region="eu-west-1", endpoint_url="http://given")
    secret = connection.credentials()

    there: Connection = pickle.loads(pickle.dumps(connection))  # noqa: S301 # its own
    client = there.client("sqs")

    assert there.credentials() == secret
    assert (there.region, there.endpoint_url, there.profile) == ("eu-west-1", "http://given", "mfa")
    assert (tmp_path / "asked").read_text().count("\n") == 1
    # Renewed ones are used by the clients that there are.
    there.renew(Credentials("new", "secret", "token"))
    signed = client._request_signer._credentials.get_frozen_credentials()
    assert (signed.access_key, signed.secret_key, signed.token) == ("new", "secret", "token")


def test_a_connection_without_credentials_goes_to_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection.open(region="eu-west-1")
    monkeypatch.setattr(connection.session, "get_credentials", lambda: None)

    there = pickle.loads(pickle.dumps(connection))  # noqa: S301 # its own

    assert there.region == "eu-west-1"


@pytest.mark.parametrize(
    ("environment", "given", "endpoint"),
    [
        ({}, "http://given", "http://given"),
        ({"AWS_ENDPOINT_URL_SQS": "http://other"}, "http://given", "http://given"),
        (
            {"AWS_ENDPOINT_URL": "http://other", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "http://given",
            "http://given",
        ),
        ({"AWS_ENDPOINT_URL": "http://other"}, None, "http://other"),
        ({"AWS_ENDPOINT_URL": "http://other"}, "", "http://other"),
    ],
)
def test_a_given_endpoint_takes_precedence_over_the_environments(
    environment: dict[str, str],
    given: str | None,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    client = Connection.open(region="eu-west-1", endpoint_url=given).client("sqs")

    assert client.meta.endpoint_url == endpoint


def test_an_endpoint_that_is_not_a_url_is_refused() -> None:
    with pytest.raises(CommandError, match="localhost"):
        Connection.open(region="eu-west-1", endpoint_url="localhost").client("sqs")


def chosen(table: str | None, region: str | None) -> Connection:
    """The connection that these options choose."""
    options = Chosen(
        env=None, index=None, table=table, profile=None, region=region, endpoint_url=None
    )
    return options.target().connection


@pytest.mark.parametrize(
    ("table", "given", "region"),
    [
        (None, "us-east-2", "us-east-2"),
        (None, None, "eu-west-1"),
        ("files", None, "eu-west-3"),
    ],
)
def test_the_region_is_the_one_given_or_the_deployments_or_the_environments(
    table: str | None, given: str | None, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.chosen.find", lambda *_: Deployment.of(OUTPUT, "deployment"))
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-4")

    connection = chosen(table, given)

    assert connection.region == region
    assert connection.client("sqs").meta.region_name == region


def test_a_denial_without_a_name_asks_the_same_connection_for_the_caller(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str | None, str]] = []

    class Client:
        exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)
        meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))

        def get_item(self, **_: object) -> None:
            raise refusal("AccessDenied")

        def get_caller_identity(self) -> dict[str, str]:
            return {"Arn": "arn:aws:sts::123456789012:assumed-role/operator/me"}

    def client(connection: Connection, service: str, config: object) -> Client:
        del config
        asked.append((connection.endpoint_url, service))
        return Client()

    monkeypatch.setattr(Connection, "client", client)

    code = execute(["get", "s3://b/k", "--table", "files", "--endpoint-url", "http://given"])

    assert code == 2
    assert capsys.readouterr().err.startswith("file-index: role operator is not authorized")
    assert asked == [("http://given", "dynamodb"), ("http://given", "sts")]
