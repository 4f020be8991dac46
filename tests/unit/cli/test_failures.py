"""The failures of a run, as a person sees them."""

import pytest
from botocore.exceptions import ClientError

from cli import failures
from cli.errors import CommandError, cause
from cli.failures import Failures
from cli.function.denials import explained_denial
from cli.function.errors import PermissionDeniedError
from cli.function.reconciliation.failures import Failure

REFUSED = Failure("a", "may not", is_denied=True)
FAILED = Failure("b", "timed out")


def refused(operation: str, code: str = "AccessDenied") -> PermissionDeniedError:
    with (
        pytest.raises(PermissionDeniedError) as raised,
        explained_denial("an action", "a resource"),
    ):
        raise client_error(code, operation)
    return raised.value


def client_error(code: str, operation: str = "HeadObject") -> ClientError:
    message = "User: arn:aws:iam::1:user/me is not authorized to perform: s3:GetObject"
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def test_a_denial_is_kept_in_words_that_say_what_to_do() -> None:
    assert Failure.of("k", refused("HeadObject", "403"), cause).cause == (
        "arn:aws:iam::1:user/me is not authorized to perform: s3:GetObject"
        " on resource: a resource. Your credentials must allow it; docs/file-index.md#permissions"
        " lists what each command needs. AWS says: User: arn:aws:iam::1:user/me is not authorized"
        " to perform: s3:GetObject"
    )


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException"]
)
def test_a_denial_in_the_words_of_aws_says_what_to_do_too(code: str) -> None:
    assert cause(client_error(code, "ReceiveMessage")) == (
        f"An error occurred ({code}) when calling the ReceiveMessage operation: User:"
        " arn:aws:iam::1:user/me is not authorized to perform: s3:GetObject. Your credentials must"
        " allow it; docs/file-index.md#permissions lists what each command needs."
    )


def test_any_other_error_of_aws_is_left_as_it_is() -> None:
    error = client_error("InternalError")

    assert cause(error) == str(error)


def test_a_run_ends_if_every_object_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST_DENIED", 3)
    counted = Failures(is_resumed=False)
    counted.add([REFUSED], is_any_done=False)
    counted.add([REFUSED], is_any_done=False)

    with pytest.raises(CommandError) as raised:
        counted.add([Failure("c", "the last cause", is_denied=True)], is_any_done=False)
    assert str(raised.value) == (
        "access to each of the first 3 objects was denied. If others are allowed, continue with"
        " --resume. may not"
    )


@pytest.mark.parametrize(
    ("before", "is_any_done", "is_resumed"),
    [([], True, False), ([FAILED], False, False), ([], False, True)],
)
def test_a_run_continues_if_not_every_object_is_denied(
    monkeypatch: pytest.MonkeyPatch, before: list[Failure], is_any_done: bool, is_resumed: bool
) -> None:
    monkeypatch.setattr(failures, "MOST_DENIED", 3)
    counted = Failures(is_resumed=is_resumed)
    counted.add(before, is_any_done=is_any_done)

    for _ in range(5):
        counted.add([REFUSED], is_any_done=False)

    assert counted.count == 5 + len(before)
    assert counted.denial(5 + len(before)) is None


def test_a_run_ends_if_every_object_of_a_small_bucket_is_denied() -> None:
    counted = Failures(is_resumed=False)
    assert counted.denial(0) is None
    counted.add([REFUSED], is_any_done=False)
    assert counted.denial(1) == "may not"
    counted.add([Failure("b", "other", is_denied=True)], is_any_done=False)

    assert counted.denial(2) == "may not"
    assert counted.denial(3) is None


@pytest.mark.parametrize(
    ("number", "is_kept", "said"),
    [
        (0, True, ""),
        (1, True, "1 key failed; --resume retries it:\n  s3://b/0: c\n"),
        (2, False, "2 keys failed:\n  s3://b/0: c\n  s3://b/1: c\n"),
        (
            1005,
            True,
            "1,005 keys failed; --resume retries them:\n"
            + "".join(f"  s3://b/{number}: c\n" for number in range(5))
            + "  … and 1,000 more: --report FILE names all.\n",
        ),
    ],
)
def test_the_first_failures_are_named(
    capsys: pytest.CaptureFixture[str], number: int, is_kept: bool, said: str
) -> None:
    counted = Failures(is_resumed=False)
    for first in range(0, number, 4):
        keys = range(first, min(first + 4, number))
        counted.add([Failure(str(key), "c") for key in keys], is_any_done=False)

    counted.say("b", is_kept=is_kept)

    assert capsys.readouterr().err == said
