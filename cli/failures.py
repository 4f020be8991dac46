"""Which errors are of one object, so that a run goes on, and which end the run.

An error of an object is counted, and its key is kept for `--resume`. An error of the run would meet
every object: no credentials, no network, no table, no bucket, no right to use the table or to list
the bucket. If all of the first objects are refused, that is one too.
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
"""What calls of AWS and of the function's package raise."""
MOST_REFUSED = 100
"""So many objects refused, before any went well, end a run."""
_MOST_NAMED = 5

# Operations on one object. A refusal of any other is of the table or of the listing.
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
_OF_AN_ANSWER = (
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseParserError,
    ResponseStreamingError,
)


def is_of_object(error: Exception) -> bool:
    """Whether the error is of one object, so that others may still go well."""
    match error:
        case PermissionDeniedError(__cause__=ClientError(operation_name=name)):
            return name in _OF_ONE_OBJECT
        case PermissionDeniedError() | TableMissingError() | DerivedBucketMissingError():
            return False
        case ClientError():
            return error.response["Error"]["Code"] not in _OF_CREDENTIALS
        case _:
            return isinstance(error, (FileIndexError, *_OF_AN_ANSWER))


@dataclass(frozen=True, slots=True)
class Failure:
    """A key that could not be processed, and why."""

    key: str
    cause: str
    kind: str | None = None
    """What is known of the key nevertheless."""
    is_refused: bool = False
    """Whether a permission was missing."""

    @classmethod
    def of(cls, key: str, error: Exception) -> "Failure":
        """Return the failure of one object. Raises the error itself if it is one of the run."""
        if not is_of_object(error):
            raise error
        return cls(key, cause(error), is_refused=isinstance(error, PermissionDeniedError))

    def as_line(self) -> str:
        """Return it as JSON, without what only matters while the command runs."""
        line = {"key": self.key, "cause": self.cause}
        return json.dumps(line | ({"kind": self.kind} if self.kind else {}))

    @classmethod
    def from_line(cls, line: bytes) -> "Failure":
        """Return what `as_line` wrote."""
        return cls(**json.loads(line))


class Failures:
    """Counts failures, keeps the first of them, and ends a run that is refused everything."""

    def __init__(self, *, goes_on: bool) -> None:
        """`goes_on` says that an earlier run is resumed, whatever it was refused."""
        self._goes_on = goes_on
        self._first: list[Failure] = []
        self._refused = 0
        self._is_any_done = False
        self.count = 0

    def add(self, failures: Sequence[Failure], *, is_any_done: bool) -> None:
        """Count failures, and note whether any object beside them was processed.

        Raises CommandError if nothing but refusals was seen so far.
        """
        self._is_any_done |= is_any_done
        self.count += len(failures)
        self._first += failures[: max(0, _MOST_NAMED - len(self._first))]
        self._refused += sum(failure.is_refused for failure in failures)
        if self._is_refused_so_far() and self._refused >= MOST_REFUSED:
            raise CommandError(
                f"access to each of the first {self._refused:,} objects was denied. If it is"
                f" allowed for others, --resume goes on with them. {self._first[0].cause}"
            )

    def refusal(self, objects: int) -> str | None:
        """Return what denied access to each of so many objects, all there are; None if not all."""
        all_refused = self._is_refused_so_far() and self._refused == objects
        return self._first[0].cause if all_refused else None

    def _is_refused_so_far(self) -> bool:
        only = 0 < self._refused == self.count and not self._is_any_done
        return only and not self._goes_on

    def say(self, bucket: str, *, is_kept: bool) -> None:
        """Name the first on standard error, and how to try them again if they are kept."""
        if not self.count:
            return
        them = "it" if self.count == 1 else "them"
        how = f"; --resume tries {them} again" if is_kept else ""
        write_stderr("{} failed{}:", counted(self.count, "key"), how)
        for failure in self._first:
            write_stderr("  {}: {}", f"s3://{bucket}/{failure.key}", failure.cause)
        if self.count > len(self._first):
            write_stderr(
                "  … and {:,} more: --report FILE names all.", self.count - len(self._first)
            )
