"""What ends a command: a line for the user and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from .function.errors import FileIndexError, PermissionDeniedError, TableMissingError

OK = 0
NO = 1
"""No such record, drift found, messages left: the answer is no."""
FAILED = 2
"""The question could not be answered, or the work not be done."""
INTERRUPTED = 130
PIPE_CLOSED = 141


class CommandError(Exception):
    """The command cannot do what was asked; the message says what to change."""


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Raise CommandError with a line for the user if AWS, or the index, says no."""
    try:
        yield
    except (FileIndexError, BotoCoreError, ClientError) as error:
        raise CommandError(cause(error)) from error


def cause(error: Exception) -> str:
    """Return what went wrong and what to do about it, in a line."""
    match error:
        case PermissionDeniedError():
            said = f": {error.said}" if error.said else "."
            return f"{error.refusal} The policy of whoever runs this must allow it{said}"
        case TableMissingError():
            missing = str(error).partition(":")[0]
            return f"{missing}: is it the right Region and account?"
        case NoCredentialsError() | NoRegionError() | PartialCredentialsError() | ProfileNotFound():
            return f"{error} (credentials and Region are as for the AWS CLI)"
        case _:
            return str(error)
