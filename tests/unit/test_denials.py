"""Calls that AWS denies, and the words that lead to the policy to change."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from function import denials
from function.denials import explained_denial, explained_read_denial
from function.errors import PermissionDeniedError

DENIAL = (
    "User: arn:aws:sts::123456789012:assumed-role/file-index-dev/file-index-dev is not authorized "
    "to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/files "
    "because no identity-based policy allows the dynamodb:PutItem action"
)


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """STS does not say who the function is."""

    def unreachable(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sts.amazonaws.com")

    denials._caller.cache_clear()
    monkeypatch.setattr("boto3.Session.client", unreachable)


def error(code: str, text: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": text}}, "PutItem")


def refused(text: str, code: str = "AccessDeniedException") -> str:
    """Return the explanation of a denied write to the table."""
    with (
        pytest.raises(PermissionDeniedError) as denied,
        explained_denial("dynamodb:PutItem", "table files"),
    ):
        raise error(code, text)
    return str(denied.value)


def test_a_worker_is_told_what_grants_an_action_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The module grants it always." in refused(DENIAL)

    monkeypatch.setenv("REPAIR", "false")

    assert "The module grants it if reconciliation.repair is set." in refused(DENIAL)


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "403"])
def test_every_error_code_of_a_denial_is_known(code: str) -> None:
    assert " is not authorized to perform: dynamodb:PutItem on resource: " in refused(DENIAL, code)


@pytest.mark.parametrize(
    ("policy", "place"),
    [
        ("identity-based policy", "apply the module again (the role's policies were changed)"),
        ("permissions boundary", "check the role's permissions boundary. AWS says"),
        ("service control policy", "check the organization's service control policies. AWS says"),
        ("session policy", "check outside the module (a bucket or key policy, a permissions"),
    ],
)
def test_a_denial_names_role_action_resource_and_where_to_look(policy: str, place: str) -> None:
    assert (
        "role file-index-dev is not authorized to perform: dynamodb:PutItem on resource: "
        "arn:aws:dynamodb:us-east-1:123456789012:table/files. The module grants it always. If it "
        f"should be granted here, {place}"
    ) in refused(DENIAL.replace("identity-based policy", policy))


@pytest.mark.parametrize(
    ("policy", "place"),
    [
        ("resource-based policy", "check the policy of the bucket"),
        ("service control policy", "check the organization's service control policies"),
        ("session policy", "check outside the module"),
    ],
)
def test_an_explicit_deny_names_the_policy_that_denies(policy: str, place: str) -> None:
    allowed, _, _ = DENIAL.partition(" because ")

    said = refused(f"{allowed} with an explicit deny in a {policy}")

    assert f"table/files. A policy denies it explicitly: {place}" in said


def test_a_resource_in_quotation_marks_may_contain_spaces() -> None:
    text = DENIAL.replace(
        "arn:aws:dynamodb:us-east-1:123456789012:table/files", '"arn:aws:s3:::reports/a b"'
    )

    assert "on resource: arn:aws:s3:::reports/a b. The" in refused(text)


KMS = "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: "
KMS_DENIAL = DENIAL.partition("is not authorized")[0] + "is not authorized to perform: kms:Decrypt "
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        (
            f"{KMS}The ciphertext refers to a customer master key that does not exist, does not "
            "exist in this region, or you are not allowed to access. (Service: AWSKMS; Status "
            "Code: 400; Error Code: AccessDeniedException; Request ID: 0e35c348; Proxy: null)",
            "the key of table files",
        ),
        (
            f"{KMS}{KMS_DENIAL}on the resource associated with this ciphertext because the "
            "resource does not exist in this Region, no resource-based policies allow access, or "
            "a resource-based policy explicitly denies access (Service: AWSKMS; …)",
            "the key of table files",
        ),
        (
            f"{KMS}{KMS_DENIAL}on resource: {KEY} because no identity-based policy allows the "
            "kms:Decrypt action (Service: AWSKMS; …)",
            KEY,
        ),
    ],
    ids=["nobody named", "no resource named", "all named"],
)
def test_a_denial_by_kms_is_not_mistaken_for_one_by_dynamodb(text: str, resource: str) -> None:
    said = refused(text)

    assert (
        f" is not authorized to perform: kms:Decrypt"
        f" on resource: {resource}. The module grants it if kms_key is set. If" in said
    )
    assert "check the key: its policy must allow it or leave it to IAM" in said
    assert said.endswith(f"AWS says: {text}")


def test_a_denial_of_an_action_that_the_module_never_grants_says_so() -> None:
    said = refused(DENIAL.replace("dynamodb:PutItem", "kms:DescribeKey"))

    assert "The module does not grant it: check outside" in said


def test_a_denial_without_a_message_names_both_permissions_that_may_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "file-index-dev")

    with pytest.raises(PermissionDeniedError) as denied, explained_read_denial("reports", "a"):
        raise error("403")

    assert denied.value.refusal == (
        "the role of function file-index-dev is not authorized to perform: s3:GetObject or "
        "s3:ListBucket on resource: object reports/a, or bucket reports."
    )
    assert denied.value.said == ""


@pytest.fixture
def other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's environment, with a bucket of another account."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "files")
    monkeypatch.setenv("BUCKET_ACCOUNT", "444455556666")
    monkeypatch.setenv("BUCKET_NAME", "theirs")


@pytest.mark.usefixtures("other_account")
def test_a_denied_read_across_accounts_names_the_statements_to_add() -> None:
    with pytest.raises(PermissionDeniedError) as denied, explained_read_denial("theirs", "a"):
        raise error("403")

    assert str(denied.value).endswith(
        "If it should be granted here, check the policy of the bucket in account 444455556666: it"
        " needs the statements files-get and files-list of the output bucket_owner_adds."
    )


@pytest.mark.usefixtures("other_account")
@pytest.mark.parametrize(
    ("action", "statement"), [("s3:ListBucket", "list"), ("s3:GetObjectTagging", "get")]
)
def test_a_denied_action_across_accounts_names_its_statement(action: str, statement: str) -> None:
    denial = DENIAL.replace("dynamodb:PutItem", action).replace("identity", "resource")

    assert (
        "check the policy of the bucket in account 444455556666: it needs the statement"
        f" files-{statement} of the output bucket_owner_adds. AWS says"
    ) in refused(denial, "AccessDenied")


@pytest.mark.usefixtures("other_account")
def test_a_denial_by_the_roles_own_policy_is_not_blamed_on_the_owner() -> None:
    said = refused(DENIAL.replace("dynamodb:PutItem", "s3:ListBucket"), "AccessDenied")

    assert "apply the module again" in said
    assert "bucket_owner_adds" not in said


@pytest.mark.usefixtures("other_account")
@pytest.mark.parametrize("action", ["dynamodb:PutItem", "s3:PutObject"])
def test_a_denial_that_the_owner_cannot_mend_is_not_blamed_on_them(action: str) -> None:
    said = refused(DENIAL.partition(" because")[0].replace("dynamodb:PutItem", action))

    assert "check outside the module" in said
    assert "bucket_owner_adds" not in said


OWNERS_KEY = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.usefixtures("other_account")
@pytest.mark.parametrize("named", [f'"{OWNERS_KEY}"', None])
def test_a_denial_by_the_owners_key_names_the_statement_of_its_policy(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    denial = DENIAL.partition(" on resource")[0].replace("dynamodb:PutItem", "kms:Decrypt")
    denial += f" on resource: {named}" if named else " on the resource associated with this"

    def said() -> str:
        with pytest.raises(PermissionDeniedError) as denied, explained_read_denial("theirs", "a"):
            raise error("AccessDenied", denial)
        return str(denied.value)

    assert (
        "The module grants it if object_metadata.enabled or derived_files is set. If it should be"
        " granted here, check the policy of the KMS key in account 444455556666: it needs the"
        " statement files-decrypt of the output bucket_owner_adds. AWS says"
    ) in said()

    monkeypatch.setenv("REPAIR", "true")
    assert "The module grants it if reconciliation.repair is set." in said()


@pytest.mark.usefixtures("other_account")
def test_a_denial_by_the_tables_key_is_not_blamed_on_the_owner() -> None:
    said = refused(f"{KMS}{KMS_DENIAL}on resource: {KEY} because no resource-based policy allows")

    assert "The module grants it if kms_key is set" in said
    assert "bucket_owner_adds" not in said


def test_a_denial_without_a_message_names_the_role_that_sts_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sts:
        def get_caller_identity(self) -> dict[str, Any]:
            return {"Arn": "arn:aws:sts::123456789012:assumed-role/indexer/session"}

    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: Sts())

    with (
        pytest.raises(PermissionDeniedError, match=r"^role indexer is not"),
        explained_denial("a", "b"),
    ):
        raise error("403")


def test_other_errors_are_raised_as_they_are() -> None:
    throttled = error("ThrottlingException", "slow down")

    with pytest.raises(ClientError) as raised, explained_denial("dynamodb:PutItem", "table files"):
        raise throttled

    assert raised.value is throttled
