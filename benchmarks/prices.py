"""AWS's list prices for us-east-1 in US dollars, without free tiers and volume discounts.

Compare them with the pages before a release, and set DATE.
"""

DATE = "2026-11-26"

MILLION = 1_000_000

# https://aws.amazon.com/lambda/pricing/
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = {"arm64": 0.0000133334, "x86_64": 0.0000166667}

# https://aws.amazon.com/dynamodb/pricing/on-demand/
WRITE_UNIT = 0.625 / MILLION
READ_UNIT = 0.125 / MILLION

# https://aws.amazon.com/s3/pricing/
HEAD_OBJECT = 0.0004 / 1000
S3_METADATA_UPDATE = 0.30 / MILLION

# https://aws.amazon.com/sqs/pricing/
SQS_REQUEST = 0.40 / MILLION

# https://aws.amazon.com/eventbridge/pricing/
EVENTBRIDGE_EVENT = 1.00 / MILLION

# https://aws.amazon.com/step-functions/pricing/
STATE_TRANSITION = 0.025 / 1000

# https://aws.amazon.com/cloudwatch/pricing/
LOG_BYTE = 0.50 / 10**9
ALARM_METRIC_MONTH = 0.10
"""For each metric that an alarm watches."""
DASHBOARD_MONTH = 3.00
METRIC_MONTH = 0.30
"""Prorated by the hours in which the metric has data."""
