"""The inputs that explain a denied call: those that grant the action are named, and no others."""

import json
import re
from typing import Any

from function.denials import _DECRYPTS, _GRANTS, _GRANTS_TO_WORKERS
from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT

_PLAIN: dict[str, Any] = {
    "name": "files",
    "bucket": {"name": "watched", "versioned": False},
    "trigger": "external",
}

# Input: how it is set.
_SET: dict[str, dict[str, Any]] = {
    "bucket.versioned": {"bucket": {"name": "watched", "versioned": True}},
    "derived_files": {"derived_files": {"bucket_name": "manifests"}},
    "kms_key": {
        "kms_key": {
            "arn": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        }
    },
    "object_metadata.enabled": {"object_metadata": {"enabled": True}},
    "object_metadata.tags": {"object_metadata": {"enabled": True, "tags": True}},
    "queue": {"queue": {}},
}
_NEEDED = {"object_metadata.tags": {"object_metadata.enabled"}}
_OF_ANOTHER_ACCOUNT: dict[str, Any] = {
    "bucket": {"name": "watched", "versioned": False, "account": "444455556666"}
}

# The inputs that do not grant anything, all set at once.
_OTHERS: dict[str, Any] = {
    "bucket": {"create": True, "versioned": False},
    "filters": [{"prefix": "in/"}],
    "function": {"reserved_concurrency": 10},
    "monitoring": {"sns_topics": ["arn:aws:sns:eu-west-1:111122223333:on-call"]},
    "name": "others",
    "reconciliation": {"repair": True},
    "replace_bucket_notifications": False,
    "role": {"path": "/service/"},
    "table": {"partitions": 2, "stream": "NEW_IMAGE"},
    "tags": {"team": "reports"},
    "trigger": "eventbridge",
    "workspace": "default",
}

_REPAIR = "if reconciliation.repair is set"
_READERS = "to roles that are given its output index_read_policy"

_ACTIONS = "flatten([for one in jsondecode({}).Statement : one.Action])"
# Lambda itself makes the function's calls to CloudWatch Logs and SQS, so none of them is explained.
_GRANTED, _GRANTED_TO_WORKERS = (
    "[for action in distinct(flatten(["
    f"for policy in concat(values(aws_iam_role_policy.{role}), aws_iam_role_policy.{key}) : "
    f"{_ACTIONS.format('policy.policy')}"
    '])) : action if !startswith(action, "logs:") && !startswith(action, "sqs:")]'
    for role, key in (("function", "key"), ("worker", "worker_key"))
)


def _named(words: str) -> tuple[set[str], set[str]]:
    """Return the inputs that words such as "if A, B or C is set without D or E" name."""
    if words in ("always", _READERS):
        return set(), set()
    found = re.fullmatch(r"if (.+?) is set(?: without (.+))?", words)
    assert found, words
    with_any, without = (
        set(re.split(r", | or ", inputs or "")) - {""} for inputs in found.groups()
    )
    return with_any, without


def _grants(words: str, inputs: set[str]) -> bool:
    """Return whether the words say that these inputs grant an action."""
    with_any, without = _named(words)
    return words == "always" or bool(with_any & inputs and not without & inputs)


def _run(inputs: set[str], values: dict[str, Any]) -> dict[str, Any]:
    """Return a run that fails unless these inputs grant what the words say."""
    said = [action for action, words in _GRANTS.items() if _grants(words, inputs)]
    return _asserting(_GRANTED, said, values)


def _asserting(granted: str, said: list[str], values: dict[str, Any]) -> dict[str, Any]:
    return {
        "command": "plan",
        "variables": values,
        "assert": {
            "condition": f"${{toset({granted}) == toset({json.dumps(said)})}}",
            "error_message": (f"Granted: ${{jsonencode({granted})}}. Said to be granted: {said}."),
        },
    }


def test_the_words_name_the_inputs_that_grant_an_action(module: Configuration) -> None:
    runs = {"nothing": _run(set(), {}), "others": _run(set(), _OTHERS)}
    for name, values in _SET.items():
        runs[name.replace(".", "_")] = _run({name} | _NEEDED.get(name, set()), values)
    for name in ("object_metadata.enabled", "derived_files", "kms_key"):
        decrypts = ["kms:Decrypt"] if name in _named(_DECRYPTS)[0] else []
        said = [action for action, words in _GRANTS.items() if _grants(words, {name})]
        runs[f"another_account_{name.replace('.', '_')}"] = _asserting(
            _GRANTED, said + decrypts, _SET[name] | _OF_ANOTHER_ACCOUNT
        )
    for name in sorted(_named(_GRANTS["dynamodb:PartiQLInsert"])[1]):
        runs[f"queue_and_{name.replace('.', '_')}"] = _run(
            {name, "queue"}, _SET[name] | _SET["queue"]
        )
    with_key = _SET["kms_key"] | {"reconciliation": {}}
    reading = [action for action, words in _GRANTS_TO_WORKERS.items() if words != _REPAIR]
    runs["workers"] = _asserting(_GRANTED_TO_WORKERS, reading, with_key)
    # No deployment needs all: with object metadata and derived files, a backfill does not insert.
    repairing = with_key | {"reconciliation": {"repair": True}}
    refreshing = repairing | _SET["object_metadata.tags"] | _SET["derived_files"]
    objects = {"s3:GetObjectTagging", "s3:PutObject"}
    inserting = {"dynamodb:PartiQLInsert"}
    runs["workers_that_insert"] = _asserting(
        _GRANTED_TO_WORKERS, sorted(_GRANTS_TO_WORKERS.keys() - objects), repairing
    )
    runs["workers_that_refresh"] = _asserting(
        _GRANTED_TO_WORKERS, sorted(_GRANTS_TO_WORKERS.keys() - inserting), refreshing
    )
    readers = [action for action, words in _GRANTS.items() if words == _READERS]
    runs["readers"] = {
        "command": "plan",
        "assert": {
            "condition": (
                f"${{length(setsubtract({json.dumps(readers)},"
                f" {_ACTIONS.format('output.index_read_policy')})) == 0}}"
            ),
            "error_message": f"index_read_policy must grant {readers}.",
        },
    }
    mocked = {"source": "./tests/terraform/mocks", "override_during": "plan"}
    directory = module.directory / "tests/terraform/grants"
    directory.mkdir()
    (directory / "grants.tftest.json").write_text(
        json.dumps({"mock_provider": {"aws": mocked}, "variables": _PLAIN, "run": runs}, indent=2)
    )

    module.succeed("test", "-test-directory=tests/terraform/grants")


def test_the_words_name_existing_inputs() -> None:
    named = [inputs for words in _GRANTS.values() for inputs in _named(words)]

    assert set().union(*named) <= _SET.keys()


def test_every_input_is_tried() -> None:
    declared = re.findall(r'^variable "(\w+)"', (ROOT / "variables.tf").read_text(), re.MULTILINE)
    tried = [_OTHERS, *_SET.values()]
    assert {name for values in tried for name in values} == set(declared)
