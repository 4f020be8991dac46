"""The stacks in examples/, applied as they are."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from local.waiting import wait_for
from tests.frame import Shared
from tools.module_copy import ModuleCopy
from tools.terraform_init import init


@pytest.mark.waits
def test_an_index_with_derived_files(shared: Shared, tmp_path: Path) -> None:
    s3, dynamodb = shared.emulator.client("s3"), shared.emulator.client("dynamodb")
    with ModuleCopy(shared.emulator.environment | shared.provider, shared.module) as module:
        stack = module.directory / "examples" / "derived-files"
        environment = {**module.environment, "TF_DATA_DIR": os.fspath(tmp_path)}
        init(stack, environment)

        def terraform(*command: str) -> str:
            ran = subprocess.run(
                ["terraform", *command],
                cwd=stack,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            return ran.stdout

        terraform("apply", "-auto-approve")
        outputs = json.loads(terraform("output", "-json", "file_index"))
        bucket, manifests = outputs["bucket"]["name"], outputs["environment"]["DERIVED_BUCKET"]
        s3.put_object(Bucket=bucket, Key="reports/q1.json", Body=b"{}")
        record = {"partition": {"S": bucket}, "key": {"S": "reports/q1.json"}}
        item = wait_for(
            lambda: dynamodb.get_item(TableName="reports-index", Key=record).get("Item"),
            lambda: None,
        )
        found = s3.get_object(Bucket=manifests, Key=item["derived_key"]["S"])

        assert json.load(found["Body"])["json"] == {"parses": True}
