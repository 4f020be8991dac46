output "bucket" {
  description = "The watched bucket: name and ARN. It waits for the notification, so objects put through this output are indexed."
  value = {
    arn  = local.bucket_arn
    name = local.bucket_name
  }

  depends_on = [aws_s3_bucket_notification.bucket, aws_s3_bucket_policy.watched]
}

output "bucket_owner_adds" {
  description = <<-EOT
    What the owner of a bucket of another account (`bucket.account`) adds there; null otherwise.
    - `notification`: as the output `notification`.
    - `rule`, `target`, `role`: with `trigger = "eventbridge"` an EventBridge rule with this name and pattern, its target
      with the dead-letter queue, and the target's role; otherwise null.
    - `bucket_policy_statements`: the statements of the bucket's policy that let the function and the workers of
      `reconciliation` read objects; none if nothing reads them.
    - `key_policy_statements`: the same for the policy of the KMS key that encrypts the objects, if there is one.
  EOT
  value       = local.bucket_owner_adds

  precondition {
    condition     = local.owners_rule == null || local.pattern_fits
    error_message = local.pattern_refusal
  }

  # Events flow as soon as the owner applies this.
  depends_on = [
    aws_lambda_event_source_mapping.queue,
    aws_lambda_function_event_invoke_config.function,
    aws_lambda_permission.bucket,
    aws_lambda_permission.owners_role,
  ]
}

output "dead_letter_queue" {
  description = "The queue of events that could not be processed: name, ARN and URL."
  value = {
    arn  = aws_sqs_queue.dead_letter.arn
    name = aws_sqs_queue.dead_letter.name
    url  = aws_sqs_queue.dead_letter.url
  }
}

output "deployment" {
  description = <<-EOT
    What the command line `file-index` needs for this index. In a stack that uses the module, output it under any name:
    `output "file_index" { value = module.file_index.deployment }`.
  EOT
  value = {
    bucket = {
      name      = local.bucket_name
      versioned = var.bucket.versioned
    }
    dead_letter_queue = {
      arn = aws_sqs_queue.dead_letter.arn
      url = aws_sqs_queue.dead_letter.url
    }
    environment = local.environment
    filters     = var.filters
    function = {
      arn  = aws_lambda_function.function.arn
      name = aws_lambda_function.function.function_name
    }
    monitoring = {
      alarms            = [for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.alarm_name]
      event_age_seconds = var.monitoring.limits.event_age_seconds
    }
    queue = one([for queue in aws_sqs_queue.queue : {
      arn = queue.arn
      url = queue.url
    }])
    reconciliation = one([for created in local.reconciliation[*] : {
      log_group         = created.log_group.name
      proof_every_hours = local.proof_every_hours
      repair            = local.repairs
      schedule          = local.schedule
      state_machine_arn = created.state_machine.arn
    }])
    table = {
      arn  = aws_dynamodb_table.table.arn
      name = aws_dynamodb_table.table.name
    }
  }
}

output "function" {
  description = "The function that writes the index: name and ARN."
  value = {
    arn  = aws_lambda_function.function.arn
    name = aws_lambda_function.function.function_name
  }
}

output "index_read_policy" {
  description = "An IAM policy document (JSON) that lets another role read the index and nothing else."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
        Resource = aws_dynamodb_table.table.arn
      }],
      [for arn in var.kms_key[*].arn : {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = arn
        Condition = local.through_dynamodb
      }],
    )
  })
}

output "log_group" {
  description = "The function's log group: name and ARN."
  value = {
    arn  = aws_cloudwatch_log_group.function.arn
    name = aws_cloudwatch_log_group.function.name
  }
}

output "notification" {
  description = <<-EOT
    What the bucket's owner adds to their aws_s3_bucket_notification; null if the module configures the bucket itself.
    - With `trigger = "external"`: one lambda_function block (with a queue: a queue block) for each of `filters` (`prefix`
      and `suffix`, encoded for S3, or null), all with `function_arn` (`queue_arn`) and `events`.
    - With `trigger = "eventbridge"` and a bucket that the module does not create: `eventbridge = true`, and nothing else.
  EOT
  value       = local.notification

  # Events flow as soon as the owner applies this, so the way to the function and the dead letters must be ready.
  depends_on = [
    aws_cloudwatch_event_target.bucket,
    aws_lambda_event_source_mapping.queue,
    aws_lambda_function_event_invoke_config.function,
    aws_lambda_permission.bucket,
    aws_lambda_permission.owners_role,
  ]
}

output "queue" {
  description = "The queue between trigger and function: name, ARN and URL; null without `queue`."
  value = one([for queue in aws_sqs_queue.queue : {
    arn  = queue.arn
    name = queue.name
    url  = queue.url
  }])
}

output "reconciliation" {
  description = <<-EOT
    The state machine that reconciles index and bucket, the function of its workers, their log group, and the schedule
    (null without one): name and ARN of each; null without `reconciliation`.
  EOT
  value       = local.reconciliation
}

output "role" {
  description = "The function's execution role: name and ARN. For bucket policies and key policies that must allow it."
  value = {
    arn  = aws_iam_role.function.arn
    name = aws_iam_role.function.name
  }
}

output "table" {
  description = <<-EOT
    The table that holds the index: name, ARN, ARN of its stream (null without one), number of partitions, and for how
    many days it keeps the record of a deleted object.
  EOT
  value = {
    arn            = aws_dynamodb_table.table.arn
    name           = aws_dynamodb_table.table.name
    partitions     = local.partitions
    stream_arn     = var.table.stream == null ? null : aws_dynamodb_table.table.stream_arn
    tombstone_days = var.table.tombstone_days
  }
}
