# How events reach the function, and where failed ones go:
# notification or EventBridge rule -> queue (optional) -> function -> dead-letter queue.

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

  # The same events as EventBridge calls them.
  detail_types = concat(
    ["Object Created", "Object Deleted"],
    var.object_metadata.enabled ? [
      "Object Access Tier Changed",
      "Object Restore Completed",
      "Object Restore Expired",
      "Object Restore Initiated",
      "Object Storage Class Changed",
    ] : [],
    var.object_metadata.tags ? ["Object Tags Added", "Object Tags Deleted"] : [],
  )

  # S3 compares filters with encoded keys: a space is "+", a slash stays. Absent is null, not "".
  encoded_filters = [
    for filter in length(var.filters) > 0 ? var.filters : [{ prefix = "", suffix = "" }] : {
      prefix = filter.prefix == "" ? null : replace(urlencode(filter.prefix), "%2F", "/")
      suffix = filter.suffix == "" ? null : replace(urlencode(filter.suffix), "%2F", "/")
    }
  ]

  watches_everything = length(var.filters) == 0 || anytrue([for filter in var.filters : filter.prefix == "" && filter.suffix == ""])

  # EventBridge compares matchers with the key itself. Several are alternatives, so a prefix and a suffix together are
  # one wildcard. It does not match a key in which both overlap ("in/" and "/x" in "in/x"), which S3 does match: those
  # few keys are listed one by one.
  key_matchers = concat(
    [for filter in var.filters : { prefix = filter.prefix } if filter.suffix == ""],
    [for filter in var.filters : { suffix = filter.suffix } if filter.prefix == ""],
    [
      for filter in local.two_sided_filters :
      { wildcard = "${replace(filter.prefix, "\\", "\\\\")}*${replace(filter.suffix, "\\", "\\\\")}" }
    ],
    flatten([
      for filter in local.two_sided_filters : [
        for length in range(1, min(length(filter.prefix), length(filter.suffix)) + 1) :
        "${filter.prefix}${substr(filter.suffix, length, -1)}"
        if endswith(filter.prefix, substr(filter.suffix, 0, length))
      ]
    ]),
  )
  two_sided_filters = [for filter in var.filters : filter if filter.prefix != "" && filter.suffix != ""]

  # The owner of a bucket of another account creates the rule there, because EventBridge receives a bucket's events only in
  # the owner's account.
  has_rule = var.trigger == "eventbridge" && !local.of_another_account

  # A first plan does not know the account id in the name of a created bucket, but it knows its length.
  event_patterns = {
    for use, bucket in { rule = local.bucket_name, length = coalesce(var.bucket.name, "${var.name}-000000000000") } :
    use => jsonencode({
      source      = ["aws.s3"]
      detail-type = local.detail_types
      detail = merge(
        { bucket = { name = [bucket] } },
        local.watches_everything ? {} : { object = { key = local.key_matchers } },
      )
    })
  }

  pattern_length  = length(local.event_patterns["length"])
  pattern_fits    = local.pattern_length <= 2048
  pattern_refusal = "The filters make an event pattern of ${local.pattern_length} characters, but EventBridge allows 2,048: use fewer or shorter filters, such as one prefix for several."

  # Where a rule sends the events.
  target_arn = var.queue == null ? aws_lambda_function.function.arn : aws_sqs_queue.queue[0].arn
}

locals {
  filters_with_slash = [for filter in var.filters : filter.prefix if startswith(filter.prefix, "/")]
  encoded_texts = [
    for text in flatten([for filter in var.filters : [filter.prefix, filter.suffix]]) : text
    if can(regex("%[0-9A-Fa-f]{2}", text))
  ]
}

# Warnings and not errors, because S3 allows such keys.
check "filters_match_keys" {
  assert {
    condition     = length(local.filters_with_slash) == 0
    error_message = "A prefix in filters begins with a slash, but keys normally do not: \"incoming/\" matches incoming/q1.csv. Remove the slash unless your keys begin with one: ${jsonencode(local.filters_with_slash)}."
  }

  assert {
    condition     = length(local.encoded_texts) == 0
    error_message = "A prefix or suffix in filters looks URL-encoded, but the module encodes filters itself: write \"in box/\", not \"in%20box/\". Ignore this if your keys contain the percent sign: ${jsonencode(local.encoded_texts)}."
  }
}

# --- Trigger: the bucket's notifications, the owner's, or EventBridge ---

resource "aws_s3_bucket_notification" "bucket" {
  # For EventBridge, the bucket only has to enable it. The owner of an existing bucket does that.
  count = var.trigger == "notification" || var.trigger == "eventbridge" && var.bucket.create ? 1 : 0

  bucket      = var.bucket.create ? aws_s3_bucket.watched[0].id : var.bucket.name
  eventbridge = var.trigger == "eventbridge"

  dynamic "lambda_function" {
    for_each = var.trigger == "notification" && var.queue == null ? local.encoded_filters : []

    content {
      lambda_function_arn = aws_lambda_function.function.arn
      events              = local.events
      filter_prefix       = lambda_function.value.prefix
      filter_suffix       = lambda_function.value.suffix
    }
  }

  dynamic "queue" {
    for_each = var.trigger == "notification" && var.queue != null ? local.encoded_filters : []

    content {
      queue_arn     = aws_sqs_queue.queue[0].arn
      events        = local.events
      filter_prefix = queue.value.prefix
      filter_suffix = queue.value.suffix
    }
  }

  # S3 checks the permission when it is configured, and no event may come before there is a place for failed ones.
  depends_on = [
    aws_cloudwatch_event_target.bucket,
    aws_lambda_event_source_mapping.queue,
    aws_lambda_function_event_invoke_config.function,
    aws_lambda_permission.bucket,
  ]
}

locals {
  # What the bucket's owner configures; null if the module does.
  notification = length(aws_s3_bucket_notification.bucket) > 0 ? null : {
    eventbridge  = var.trigger == "eventbridge"
    events       = [for event in local.events : event if var.trigger == "external"]
    filters      = [for filter in local.encoded_filters : filter if var.trigger == "external"]
    function_arn = var.trigger == "external" && var.queue == null ? aws_lambda_function.function.arn : null
    queue_arn    = var.trigger == "external" ? one(aws_sqs_queue.queue[*].arn) : null
  }
}

resource "aws_cloudwatch_event_rule" "bucket" {
  count = local.has_rule ? 1 : 0

  name        = var.name
  description = "Events of the objects that the file index ${var.name} holds."
  state       = "ENABLED" # also after somebody disabled it
  tags        = var.tags

  event_pattern = local.event_patterns["rule"]

  lifecycle {
    precondition {
      condition     = local.pattern_fits
      error_message = local.pattern_refusal
    }
  }

  # EventBridge would overwrite another deployment's rule of this name; IAM refuses a second role before that.
  depends_on = [aws_iam_role.function]
}

resource "aws_cloudwatch_event_target" "bucket" {
  count = local.has_rule ? 1 : 0

  rule      = aws_cloudwatch_event_rule.bucket[0].id
  target_id = "file-index"
  arn       = local.target_arn

  # The most that EventBridge offers.
  retry_policy {
    maximum_event_age_in_seconds = 24 * 60 * 60
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }

  depends_on = [
    aws_lambda_event_source_mapping.queue,
    aws_lambda_function_event_invoke_config.function,
    aws_lambda_permission.rule,
  ]
}

# --- Queue, if asked for ---

locals {
  # From names, because each queue refers to itself and to the other one.
  queue_arn       = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${var.name}"
  dead_letter_arn = "${local.queue_arn}-dead-letter"

  tls_only = {
    Sid       = "TlsOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  # A bucket's ARN does not contain the account; a rule's does.
  sent_by_bucket = var.trigger == "eventbridge" ? [] : [{
    Effect    = "Allow"
    Action    = "sqs:SendMessage"
    Principal = { Service = "s3.amazonaws.com" }
    Condition = {
      ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
      StringEquals = { "aws:SourceAccount" = local.bucket_account }
    }
  }]
  # The queue is for the module's own rule alone, because the owner's sends to it as its role. Both leave dead letters.
  sent_by_rule = {
    for whose, arns in { own = aws_cloudwatch_event_rule.bucket[*].arn, owners = local.owners_rule[*].arn } :
    whose => [for arn in arns : {
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = arn } }
    }]
  }
}

resource "aws_sqs_queue" "queue" {
  count = var.queue == null ? 0 : 1

  name                      = var.name
  message_retention_seconds = var.queue.retention_days * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
  tags                      = var.tags

  # As AWS advises: time to retry throttled batches, and messages stay hidden while Lambda gathers a batch.
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  visibility_timeout_seconds = 6 * var.function.timeout_seconds + var.queue.batching_window_seconds

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in concat(local.sent_by_bucket, local.sent_by_rule.own, local.sent_by_owners_role, [local.tls_only]) :
      merge(statement, { Resource = local.queue_arn })
    ]
  })

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = var.queue.max_receives
  })

  # SQS would adopt another deployment's queue of this name; IAM refuses a second role before that.
  depends_on = [aws_iam_role.function]
}

resource "aws_lambda_event_source_mapping" "queue" {
  count = var.queue == null ? 0 : 1

  event_source_arn                   = aws_sqs_queue.queue[0].arn
  function_name                      = aws_lambda_function.function.arn
  batch_size                         = var.queue.batch_size
  maximum_batching_window_in_seconds = var.queue.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  scaling_config {
    maximum_concurrency = coalesce(var.queue.max_concurrency, min(10, coalesce(var.function.reserved_concurrency, 10)))
  }
}

# --- No queue: S3 or EventBridge invokes the function, Lambda retries ---

resource "aws_lambda_permission" "bucket" {
  # Also with a queue: after one is added, S3 still invokes the function for some minutes.
  count = var.trigger == "eventbridge" ? 0 : 1

  statement_id   = "bucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.function.function_name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arn
  source_account = local.bucket_account # a bucket's ARN does not contain the account

  lifecycle {
    # AWS deletes it with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }
}

resource "aws_lambda_permission" "rule" {
  count = var.queue == null && local.has_rule ? 1 : 0

  statement_id  = "rule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.bucket[0].arn

  lifecycle {
    # AWS deletes it with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }
}

resource "aws_lambda_function_event_invoke_config" "function" {
  count = var.queue == null ? 1 : 0

  function_name = aws_lambda_function.function.function_name

  maximum_event_age_in_seconds = 6 * 60 * 60 # the most Lambda offers
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letter.arn
    }
  }

  lifecycle {
    # AWS deletes it with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }
}

# --- Dead letters: from the queue, from Lambda, and from EventBridge ---

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  message_retention_seconds = 14 * 24 * 60 * 60 # the most SQS offers
  sqs_managed_sse_enabled   = true
  tags                      = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in concat(local.sent_by_rule.own, local.sent_by_rule.owners, [local.tls_only]) :
      merge(statement, { Resource = local.dead_letter_arn })
    ]
  })

  # Only this deployment's queue may send its dead letters here.
  redrive_allow_policy = (
    var.queue == null ? jsonencode({ redrivePermission = "denyAll" }) :
    jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [local.queue_arn] })
  )

  # SQS would adopt another deployment's queue of this name; IAM refuses a second role before that.
  depends_on = [aws_iam_role.function]
}
