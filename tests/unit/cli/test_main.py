"""What the command line itself says: usage errors and exit codes."""

import pytest

from cli.main import execute


def test_without_arguments_it_shows_help_and_exits_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute([]) == 2
    assert capsys.readouterr().err.startswith("Usage: file-index [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("look",), "No such command 'look'"),
        (("get",), "Missing argument 's3://BUCKET/KEY'"),
        (("get", "s3://b/k", "--repair"), "No such option"),
        (("ls", "s3://b", "--partitions", "0"), "'--partitions': 0 is not in the range x>=1"),
        (("verify", "s3://b", "--tombstone-days", "14"), "14 is not in the range x>=15"),
        (("redrive", "--table", "files"), "redrive works on a deployment: leave --table out"),
        (("status", "--table", "files"), "status works on a deployment: leave --table out"),
        (("verify", "s3://b", "--grace", "-1"), "-1.0 is not in the range x>=0"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], error: str
) -> None:
    code = execute(arguments)

    said = capsys.readouterr()
    assert (code, said.out, error in said.err) == (2, "", True), said.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (OSError(28, "No space left on device"), 2, "file-index: [Errno 28] No space left"),
        (ZeroDivisionError(), 2, "Traceback (most recent call last):"),
    ],
)
@pytest.mark.parametrize("where", ["cli.get.get", "cli.main.app.resolve_command"])
def test_interrupts_and_errors_do_not_exit_with_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, fail)

    assert execute(["get", "s3://b/k", "--table", "files"]) == code
    assert capsys.readouterr().err.startswith(said)
