"""What ends a command: a line for the user and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from function.errors import FileIndexError, PermissionDeniedError, TableMissingError

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
def explained() -> Iterator[None]:
    """Raise CommandError with a line for the user where AWS, or the index, says no."""
    try:
        yield
    except PermissionDeniedError as error:
        raise CommandError(
            f"{error.refusal} The policy of whoever runs this must allow it"
            f"{': ' + error.said if error.said else '.'}"
        ) from error
    except TableMissingError as error:
        raise CommandError(
            f"{str(error).partition(':')[0]} in {region()}: is it the right Region and account?"
        ) from error
    except (FileIndexError, ClientError) as error:
        raise CommandError(str(error)) from error
    except (NoCredentialsError, NoRegionError, PartialCredentialsError, ProfileNotFound) as error:
        raise CommandError(f"{error} (credentials and Region are as for the AWS CLI)") from error
    except BotoCoreError as error:
        raise CommandError(str(error)) from error


def region() -> str:
    """The Region that is asked."""
    return boto3.Session().region_name or "no Region"
