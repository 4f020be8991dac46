"""Errors of commands: the line that the user reads, and exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from .function.errors import FileIndexError, PermissionDeniedError, TableMissingError

OK = 0
NO = 1
"""No such record, drift found, or messages left."""
FAILED = 2
"""The command could not do its work, or not all of it."""
INTERRUPTED = 130
PIPE_CLOSED = 141

DENIALS = {"AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException"}
"""Codes with which AWS denies a call."""
_ADVICE = (
    "Your credentials must allow it; docs/file-index.md#permissions lists what each command needs."
)


class CommandError(Exception):
    """A command cannot do its work; the message says what to change."""


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Raise errors of AWS and of the index as CommandError, with a line for the user."""
    try:
        yield
    except Exception as error:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, (FileIndexError, BotoCoreError, ClientError)):
            raise CommandError(cause(error)) from error
        raise


def cause(error: Exception) -> str:
    """Return a line that says what went wrong and what to do."""
    from botocore import exceptions

    match error:
        case PermissionDeniedError():
            return " ".join(filter(None, (error.refusal, _ADVICE, error.said)))
        case exceptions.ClientError() if error.response["Error"]["Code"] in DENIALS:
            return f"{str(error).rstrip('.')}. {_ADVICE}"
        case TableMissingError():
            return f"{error.missing}: check Region and account"
        case (
            exceptions.NoCredentialsError()
            | exceptions.NoRegionError()
            | exceptions.PartialCredentialsError()
            | exceptions.ProfileNotFound()
        ):
            return f"{str(error).rstrip('.')} (credentials and Region are as for the AWS CLI)"
        case _:
            return str(error)
