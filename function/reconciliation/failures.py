"""Tells errors of one object, after which a run goes on, from errors that end the run.

An object's error is counted, and its key is kept for `--resume`. An error ends the run if every
object would meet it: no credentials, no network, no table, no bucket, no permission to use the
table or to list the bucket.
"""

import json
from collections.abc import Callable
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

from ..errors import (
    BucketMissingError,
    DerivedBucketMissingError,
    FileIndexError,
    PermissionDeniedError,
    TableMissingError,
)

CALL_ERRORS = (BotoCoreError, ClientError, FileIndexError)
"""Raised by calls of AWS and of the function's modules."""

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
        case PermissionDeniedError() | TableMissingError():
            return False
        case BucketMissingError() | DerivedBucketMissingError():
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
    def of(cls, key: str, error: Exception, cause: Callable[[Exception], str] = str) -> "Failure":
        """Return the failure of one object. Raises the error itself if it is one of the run.

        `cause` puts the error into words.
        """
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
