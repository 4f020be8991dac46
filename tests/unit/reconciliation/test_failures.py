"""Errors of one object, and errors that stop a run."""

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from function.denials import explained_denial
from function.errors import (
    BucketMissingError,
    ContentionError,
    DerivedBucketMissingError,
    PermissionDeniedError,
    TableMissingError,
    UnreadableRecordError,
)
from function.reconciliation.failures import Failure, is_of_object

URL: dict[str, Any] = {"endpoint_url": "https://s3", "error": "e"}


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


@pytest.mark.parametrize(
    "error",
    [
        refused("HeadObject", "403"),
        refused("GetObject"),
        refused("GetObjectTagging"),
        refused("PutObject"),
        client_error("400"),
        client_error("SlowDown", "GetObject"),
        client_error("503"),
        client_error("ThrottlingException", "GetItem"),
        client_error("ValidationException", "PutItem"),
        ReadTimeoutError(**URL),
        ConnectionClosedError(**URL),
        ResponseStreamingError(**URL),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ResponseParserError("no XML"),
        ContentionError("others"),
        UnreadableRecordError("an item"),
    ],
)
def test_an_error_of_one_object_is_a_failure(error: Exception) -> None:
    assert is_of_object(error)
    failure = Failure.of("k", error)
    assert failure.key == "k"
    assert failure.is_denied is isinstance(error, PermissionDeniedError)


@pytest.mark.parametrize(
    "error",
    [
        refused("GetItem", "AccessDeniedException"),
        refused("PutItem", "AccessDeniedException"),
        refused("Query", "AccessDeniedException"),
        refused("BatchExecuteStatement", "AccessDeniedException"),
        refused("ListObjectsV2"),
        refused("ListObjectVersions"),
        PermissionDeniedError("by whom?"),
        client_error("ExpiredToken", "ListObjectsV2"),
        client_error("ExpiredTokenException", "GetItem"),
        client_error("InvalidAccessKeyId"),
        client_error("InvalidToken"),
        client_error("UnrecognizedClientException", "GetItem"),
        client_error("InvalidSignatureException", "GetItem"),
        client_error("SignatureDoesNotMatch"),
        client_error("RequestTimeTooSkewed"),
        TableMissingError("table t does not exist: …"),
        BucketMissingError("bucket b does not exist"),
        DerivedBucketMissingError("bucket d does not exist: …"),
        NoCredentialsError(),
        TokenRetrievalError(provider="sso", error_msg="expired"),
        EndpointConnectionError(**URL),
        ConnectTimeoutError(**URL),
        ProxyConnectionError(proxy_url="p", error="e"),
        SSLError(**URL),
        BotoCoreError(),
        ZeroDivisionError(),
    ],
)
def test_an_error_of_the_run_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        Failure.of("k", error)
    assert raised.value is error


@pytest.mark.parametrize(
    "failure", [Failure('k\n"\U0001f600', "ü"), Failure("k", "cause", kind="mismatch")]
)
def test_a_failure_survives_its_file(failure: Failure) -> None:
    line = failure.as_line()

    assert "\n" not in line
    assert Failure.from_line(line.encode()) == failure
