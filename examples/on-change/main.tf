# A function on the table's stream that starts a job for each real change of a file.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name   = "orders-index"
  bucket = { create = true }
  table  = { stream = "NEW_AND_OLD_IMAGES" }
}

# --- From the stream to the function ---

resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn  = module.file_index.table.stream_arn
  function_name     = aws_lambda_function.on_change.arn
  starting_position = "TRIM_HORIZON"
  batch_size        = 100

  # A record that cannot be processed fails alone, and the others go on.
  function_response_types        = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error = true

  # Everything behind a failing record in its shard waits for it. The stream keeps records for 24 hours.
  maximum_retry_attempts        = 10
  maximum_record_age_in_seconds = 6 * 60 * 60

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.failed.arn
    }
  }

  # The function ignores removed items. This filter saves the invocations.
  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["INSERT", "MODIFY"] })
    }
  }
}

# --- The function ---

resource "aws_lambda_function" "on_change" {
  function_name = "orders-on-change"
  role          = aws_iam_role.on_change.arn

  filename         = "${path.module}/on_change.zip" # on_change.py
  source_code_hash = filebase64sha256("${path.module}/on_change.zip")
  handler          = "on_change.handler"
  runtime          = "python3.13"
  architectures    = ["arm64"]
  timeout          = 60

  environment {
    variables = { JOBS_QUEUE_URL = aws_sqs_queue.jobs.url }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.on_change.name
  }

  # Lambda checks the permissions when it connects the stream.
  depends_on = [aws_iam_role_policy.on_change]
}

resource "aws_cloudwatch_log_group" "on_change" {
  name              = "/aws/lambda/orders-on-change"
  retention_in_days = 30
}

resource "aws_iam_role" "on_change" {
  name = "orders-on-change"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "on_change" {
  name = "on-change"
  role = aws_iam_role.on_change.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
        Resource = module.file_index.table.stream_arn
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [aws_sqs_queue.failed.arn, aws_sqs_queue.jobs.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.on_change.arn}:*"
      },
    ]
  })
}

# --- The jobs, in order for each file ---

resource "aws_sqs_queue" "jobs" {
  name                      = "orders-jobs.fifo"
  fifo_queue                = true
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  # Without these, SQS takes 300 messages a second.
  deduplication_scope   = "messageGroup"
  fifo_throughput_limit = "perMessageGroupId"
}

# Where Lambda reports the batches that it gave up: shard and sequence numbers, not the records.
resource "aws_sqs_queue" "failed" {
  name                      = "orders-on-change-failed"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

output "jobs" {
  description = "The queue of the jobs."
  value       = aws_sqs_queue.jobs.url
}

output "failed" {
  description = "The queue of the batches that Lambda gave up. Have an alarm on it."
  value       = aws_sqs_queue.failed.url
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
