"""The clients of the package, which a cold start makes."""

import subprocess
import sys

import pytest
from botocore.config import Config
from botocore.loaders import Loader

from function.clients import connector


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_a_client_is_made_without_looking_through_all_services(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*_: object) -> list[str]:
        raise AssertionError("botocore lists its services")

    monkeypatch.setattr(Loader, "list_available_services", listed)

    client = connector(Config(region_name="eu-west-1", read_timeout=7))(service)

    assert (client.meta.service_model.service_name, client.meta.config.read_timeout) == (service, 7)


def test_a_cold_start_imports_no_boto3() -> None:
    program = (
        "import sys, function.handler, function.reconciliation.worker; "
        "print('boto3' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"TABLE_NAME": "files", "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"
