"""Tells errors of one object, after which a run goes on, from errors that end the run.

An object's error is counted, and its key is kept for `--resume`. An error ends the run if every
object would meet it: no credentials, no network, no table, no bucket, no permission to use the
table or to list the bucket. If access to all of the first objects is denied, the run ends too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from .errors import CommandError, cause
from .function.errors import (
    DerivedBucketMissingError,
    FileIndexError,
    PermissionDeniedError,
    TableMissingError,
)
from .terminal import counted, write_stderr

CALL_ERRORS = (BotoCoreError, ClientError, FileIndexError)
"""Raised by calls of AWS and of the function's modules."""
MOST_DENIED = 100
"""A run ends after so many denied objects if none has succeeded."""
_MOST_NAMED = 5

# Operations on one object. All others are on the table or list the bucket.
_OF_ONE_OBJECT = {"GetObject", "GetObjectTagging", "HeadObject", "PutObject"}

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
_OF_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotSignedUp",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
}
_OF_A_RESPONSE = (
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseParserError,
    ResponseStreamingError,
)


def is_of_object(error: Exception) -> bool:
    """Return whether the error concerns one object, so that others can still succeed."""
    match error:
        case PermissionDeniedError(__cause__=ClientError(operation_name=name)):
            return name in _OF_ONE_OBJECT
        case PermissionDeniedError() | TableMissingError() | DerivedBucketMissingError():
            return False
        case ClientError():
            return error.response["Error"]["Code"] not in _OF_CREDENTIALS
        case _:
            return isinstance(error, (FileIndexError, *_OF_A_RESPONSE))


@dataclass(frozen=True, slots=True)
class Failure:
    """A key that could not be processed, and why."""

    key: str
    cause: str
    kind: str | None = None
    """The drift, if it is known."""
    is_denied: bool = False
    """Whether access was denied."""

    @classmethod
    def of(cls, key: str, error: Exception) -> "Failure":
        """Return the failure of one object. Raises the error itself if it is one of the run."""
        if not is_of_object(error):
            raise error
        return cls(key, cause(error), is_denied=isinstance(error, PermissionDeniedError))

    def as_line(self) -> str:
        """Return the failure as a line of JSON."""
        line = {"key": self.key, "cause": self.cause}
        return json.dumps(line | ({"kind": self.kind} if self.kind else {}))

    @classmethod
    def from_line(cls, line: bytes) -> "Failure":
        """Return the failure that `as_line` wrote."""
        return cls(**json.loads(line))


class Failures:
    """Counts failures, keeps the first, and ends a run that is denied every object."""

    def __init__(self, *, is_resumed: bool) -> None:
        """`is_resumed`: the run resumes an earlier one, so denials no longer end it."""
        self._is_resumed = is_resumed
        self._first: list[Failure] = []
        self._denied = 0
        self._is_any_done = False
        self.count = 0

    def add(self, failures: Sequence[Failure], *, is_any_done: bool) -> None:
        """Count failures; `is_any_done` says whether another object succeeded.

        Raises CommandError if there were only denials so far, and too many of them.
        """
        self._is_any_done |= is_any_done
        self.count += len(failures)
        self._first += failures[: max(0, _MOST_NAMED - len(self._first))]
        self._denied += sum(failure.is_denied for failure in failures)
        if self._is_denied_so_far() and self._denied >= MOST_DENIED:
            raise CommandError(
                f"access to each of the first {self._denied:,} objects was denied. If others are"
                f" allowed, continue with --resume. {self._first[0].cause}"
            )

    def denial(self, objects: int) -> str | None:
        """Return why access to all objects was denied; None if it was not. `objects` counts all."""
        all_denied = self._is_denied_so_far() and self._denied == objects
        return self._first[0].cause if all_denied else None

    def _is_denied_so_far(self) -> bool:
        only = 0 < self._denied == self.count and not self._is_any_done
        return only and not self._is_resumed

    def say(self, bucket: str, *, is_kept: bool) -> None:
        """Tell the user the first failures, and how to retry them if they are kept."""
        if not self.count:
            return
        them = "it" if self.count == 1 else "them"
        how = f"; --resume retries {them}" if is_kept else ""
        write_stderr("{} failed{}:", counted(self.count, "key"), how)
        for failure in self._first:
            write_stderr("  {}: {}", f"s3://{bucket}/{failure.key}", failure.cause)
        if self.count > len(self._first):
            write_stderr(
                "  … and {:,} more: --report FILE names all.", self.count - len(self._first)
            )
