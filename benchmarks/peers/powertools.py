"""Puts an item for each event, with aws-lambda-powertools as its documentation teaches.

https://docs.aws.amazon.com/powertools/python/latest/utilities/batch/
https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
"""

import json
import os
from typing import Any
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

TABLE = os.environ["TABLE_NAME"]

logger = Logger(service="file-index")
metrics = Metrics(namespace="FileIndex", service="file-index")
processor = BatchProcessor(event_type=EventType.SQS)
persistence = DynamoDBPersistenceLayer(table_name="idempotency")
of_message = IdempotencyConfig(event_key_jmespath="messageId")
of_record = IdempotencyConfig(event_key_jmespath="s3.object.[key, sequencer]")
dynamodb = boto3.client("dynamodb")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Index the objects of an event."""
    of_message.register_lambda_context(context)
    of_record.register_lambda_context(context)
    if "body" in event["Records"][0]:
        return process_partial_response(
            event=event, record_handler=index_message, processor=processor, context=context
        )
    for record in event["Records"]:
        index_record(record=record)
    return None


@idempotent_function(
    data_keyword_argument="record", config=of_message, persistence_store=persistence
)
def index_message(record: SQSRecord) -> None:
    """Index the objects of a message."""
    for one in json.loads(record.body)["Records"]:
        index(one)


@idempotent_function(
    data_keyword_argument="record", config=of_record, persistence_store=persistence
)
def index_record(record: dict[str, Any]) -> None:
    """Index an object."""
    index(record)


def index(record: dict[str, Any]) -> None:
    """Put the item of an object."""
    s3 = record["s3"]
    bucket, key = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "partition": {"S": bucket},
            "key": {"S": key},
            "etag": {"S": s3["object"]["eTag"]},
            "size": {"N": str(s3["object"]["size"])},
            "event_name": {"S": record["eventName"]},
            "event_time": {"S": record["eventTime"]},
        },
    )
    metrics.add_metric(name="Indexed", unit=MetricUnit.Count, value=1)
    logger.info("indexed", extra={"bucket": bucket, "key": key})
