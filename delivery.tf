# How events reach the function, and where they go when it fails.

locals {
  events = concat(
    [
      "s3:LifecycleExpiration:*", # ObjectRemoved does not cover what lifecycle rules delete
      "s3:ObjectCreated:*",
      "s3:ObjectRemoved:*",
    ],
    var.object_metadata.enabled ? [
      "s3:IntelligentTiering",
      "s3:LifecycleTransition",
      "s3:ObjectRestore:*",
    ] : [],
    var.object_metadata.tags ? ["s3:ObjectTagging:*"] : [],
  )

  # S3 compares filters with encoded keys: a space is "+", a slash stays. Absent is null, not "".
  encoded_filters = [
    for filter in length(var.filters) > 0 ? var.filters : [{ prefix = "", suffix = "" }] : {
      prefix = filter.prefix == "" ? null : replace(urlencode(filter.prefix), "%2F", "/")
      suffix = filter.suffix == "" ? null : replace(urlencode(filter.suffix), "%2F", "/")
    }
  ]
}

resource "aws_lambda_permission" "bucket" {
  statement_id   = "bucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.function.function_name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arn
  source_account = local.account_id # a bucket's ARN names no account

  lifecycle {
    # AWS drops it together with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }
}

resource "aws_s3_bucket_notification" "bucket" {
  count = var.trigger == "notification" ? 1 : 0

  bucket = local.bucket_name

  dynamic "lambda_function" {
    for_each = local.encoded_filters

    content {
      lambda_function_arn = aws_lambda_function.function.arn
      events              = local.events
      filter_prefix       = lambda_function.value.prefix
      filter_suffix       = lambda_function.value.suffix
    }
  }

  # S3 checks the permission when it is told of the function, and no event may come before there is
  # a place for the ones that fail.
  depends_on = [
    aws_lambda_function_event_invoke_config.function,
    aws_lambda_permission.bucket,
  ]
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  message_retention_seconds = 14 * 24 * 60 * 60 # the most SQS offers
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_lambda_function_event_invoke_config" "function" {
  function_name = aws_lambda_function.function.function_name

  maximum_event_age_in_seconds = 6 * 60 * 60 # the most Lambda offers
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letter.arn
    }
  }

  lifecycle {
    # AWS drops it together with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }

  # Lambda checks on creation that the function may send to the destination.
  depends_on = [aws_iam_role_policy.dead_letter]
}
