"""DynamoDB's batches of INSERT statements, which moto 5.2.5 cannot run, on moto's tables."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.session import Session, get_session

from function import clients

_STATEMENT = re.compile(r'INSERT INTO "(?P<table>[^"]+)" VALUE \{(?P<attributes>.+)\}')
_EVENT = "before-call.dynamodb.*"


class Statements:
    """Runs the INSERTs of the function's clients, and counts all of their calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """Calls of DynamoDB, by operation."""
        self.errors: dict[str, str] = {}
        """The code with which the INSERT of a key fails."""
        self.request_error: str | None = None
        """The code with which a whole request fails, after it was executed."""
        self._client: Any = boto3.client("dynamodb")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the statements of the clients that the function makes while the block runs."""

        def session() -> Session:
            made = get_session()
            made.get_component("event_emitter").register(_EVENT, self._call)
            return made

        with patch.object(clients, "get_session", session):
            yield

    def _call(self, model: Any, params: Mapping[str, Any], **_: Any) -> Any:
        self.calls[model.name] += 1
        if model.name != "BatchExecuteStatement":
            return None
        statements = json.loads(params["body"])["Statements"]
        responses = [self._run(one["Statement"], one["Parameters"]) for one in statements]
        status = 200
        parsed: dict[str, Any] = {"Responses": responses}
        if self.request_error:
            status = 400
            parsed = {"Error": {"Code": self.request_error, "Message": "refused"}}
        parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "RetryAttempts": 0}
        return AWSResponse("https://dynamodb", status, HTTPHeaders(), None), parsed

    def _run(self, statement: str, parameters: list[Any]) -> dict[str, Any]:
        found = _STATEMENT.fullmatch(statement)
        assert found, statement
        names = re.findall(r"'(\w+)': \?", found["attributes"])
        item = dict(zip(names, parameters, strict=True))
        if code := self.errors.get(item["key"]["S"]):
            return {"Error": {"Code": code, "Message": "refused"}}
        try:
            self._client.put_item(
                TableName=found["table"],
                Item=item,
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": "key"},
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code == "ConditionalCheckFailedException", code
            message = "Duplicate primary key exists in table"
            return {"Error": {"Code": "DuplicateItem", "Message": message}}
        return {"TableName": found["table"]}
