# Alarms, the dashboard, and queries of the logs.
# The function writes its own metrics (namespace FileIndex) in the last log line of each invocation, see
# function/report.py. Workers write theirs in the lines of differences and results, see function/reconciliation/log.py.

locals {
  limits = var.monitoring.limits

  function_name = aws_lambda_function.function.function_name
  queue_name    = one(aws_sqs_queue.queue[*].name)

  # As a dashboard names a metric: namespace, name, dimension and its value.
  metrics = {
    compared          = ["FileIndex", "Compared", "Deployment", local.function_name]
    dead_letters      = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead_letter.name]
    duration          = ["AWS/Lambda", "Duration", "FunctionName", local.function_name]
    errors            = ["AWS/Lambda", "Errors", "FunctionName", local.function_name]
    filtered_out      = ["FileIndex", "FilteredOut", "Deployment", local.function_name]
    failed            = ["FileIndex", "Failed", "Deployment", local.function_name]
    ignored           = ["FileIndex", "Ignored", "Deployment", local.function_name]
    indexed           = ["FileIndex", "Indexed", "Deployment", local.function_name]
    invocations       = ["AWS/Lambda", "Invocations", "FunctionName", local.function_name]
    lag               = ["FileIndex", "Lag", "Deployment", local.function_name]
    lost              = ["AWS/Lambda", "DestinationDeliveryFailures", "FunctionName", local.function_name]
    lost_by_rule      = ["AWS/Events", "InvocationsFailedToBeSentToDlq", "RuleName", one(aws_cloudwatch_event_rule.bucket[*].name)]
    mismatches        = ["FileIndex", "Mismatches", "Deployment", local.function_name]
    orphans           = ["FileIndex", "Orphans", "Deployment", local.function_name]
    permission_denied = ["FileIndex", "PermissionDenied", "Deployment", local.function_name]
    phantoms          = ["FileIndex", "Phantoms", "Deployment", local.function_name]
    proved            = ["FileIndex", "Proved", "Deployment", local.function_name]
    removed           = ["FileIndex", "Removed", "Deployment", local.function_name]
    repaired          = ["FileIndex", "Repaired", "Deployment", local.function_name]
    superseded        = ["FileIndex", "Superseded", "Deployment", local.function_name]
    table_throttles   = ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", aws_dynamodb_table.table.name]
    throttles         = ["AWS/Lambda", "Throttles", "FunctionName", local.function_name]
    unread            = ["FileIndex", "Unread", "Deployment", local.function_name]
    unsettled         = ["FileIndex", "Unsettled", "Deployment", local.function_name]
    waiting           = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_name]
    write_units       = ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", aws_dynamodb_table.table.name]

    arriving = (
      var.queue == null ? ["AWS/Lambda", "AsyncEventsReceived", "FunctionName", local.function_name]
      : ["AWS/SQS", "NumberOfMessagesSent", "QueueName", local.queue_name]
    )
    oldest = (
      var.queue == null ? ["AWS/Lambda", "AsyncEventAge", "FunctionName", local.function_name]
      : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queue_name]
    )
  }
}

# --- Alarms ---

locals {
  # An alarm fires if the statistic was above the limit in `minutes` of the last `of` minutes. Missing data means that
  # nothing happened and does not fire it; with "ignore" the alarm keeps its state until there is data again. Another
  # `period` or `comparison` is stated. `expression` is the math of several metrics, by their id.
  alarms = {
    dead-letters = {
      metric    = local.metrics.dead_letters
      statistic = "Maximum", limit = local.limits.dead_letters, minutes = 1, of = 1, no_data = "ignore"
      wanted    = true
      about     = "Events failed every try and are in the dead-letter queue. Find the cause with file-index redrive --dry-run, fix it, replay with file-index redrive."
      section   = "replaying"
    }
    lost = {
      metric    = local.metrics.lost
      statistic = "Sum", limit = 0, minutes = 1, of = 1, no_data = "notBreaching"
      wanted    = var.queue == null
      about     = "Lambda could not put a failed event into the dead-letter queue. If role or queue were changed, apply again; then run file-index verify --repair."
      section   = "an-event-is-lost"
    }
    lost-by-rule = {
      metric    = local.metrics.lost_by_rule
      statistic = "Sum", limit = 0, minutes = 1, of = 1, no_data = "notBreaching"
      wanted    = local.has_rule
      about     = "EventBridge could not put a failed event into the dead-letter queue. If the queue was changed, apply again; then run file-index verify --repair."
      section   = "an-event-is-lost"
    }
    old-events = {
      metric    = local.metrics.oldest
      statistic = "Maximum", limit = local.limits.event_age_seconds * (var.queue == null ? 1000 : 1), minutes = 1, of = 1, no_data = "notBreaching"
      wanted    = true
      about     = "Events wait: they fail and are retried, or the function has too little concurrency. The log says which."
      section   = "events-wait"
    }
    errors = {
      metric    = local.metrics.errors
      statistic = "Sum", limit = local.limits.errors, minutes = 1, of = 1, no_data = "notBreaching"
      wanted    = true
      about     = "Invocations failed because of an event or of the function itself (memory, timeout, settings). The log says why."
      section   = "retries-and-dead-letters"
    }
    failed-events = {
      metric    = local.metrics.failed
      statistic = "Sum", limit = local.limits.failed_events, minutes = 1, of = 1, no_data = "notBreaching"
      # Otherwise a failed event is an error of its invocation.
      wanted  = var.queue != null
      about   = "Events could not be processed and are retried. The log says why."
      section = "retries-and-dead-letters"
    }
    permission-denied = {
      metric    = local.metrics.permission_denied
      statistic = "Sum", limit = local.limits.permission_denied, minutes = 1, of = 1, no_data = "ignore"
      wanted    = true
      about     = "AWS denies a call of the function until somebody changes a policy. The log names role, action and resource."
      section   = "permission-denied"
    }
    lag = {
      metric    = local.metrics.lag
      statistic = "p90", limit = local.limits.lag_seconds * 1000, minutes = 2, of = 3, no_data = "notBreaching"
      wanted    = true
      about     = "The index is behind the bucket: events are written long after they happened. This is expected after a redrive."
      section   = "events-wait"
    }
    throttles = {
      metric    = local.metrics.throttles
      statistic = "Sum", limit = local.limits.throttles, minutes = 5, of = 5, no_data = "notBreaching"
      wanted    = true
      about     = "The function has had too little concurrency for minutes. Raise function.reserved_concurrency or the account's quota, or set queue."
      section   = "events-wait"
    }
    table-throttled = {
      # Whatever `no_data` says, CloudWatch ignores missing data of DynamoDB's metrics: an alarm would never end. Zeros
      # replace them.
      # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
      expression = "FILL(measured, 0)", metrics = { measured = local.metrics.table_throttles }
      statistic  = "Sum", limit = local.limits.table_throttles, minutes = 3, of = 5, no_data = "notBreaching"
      wanted     = true
      about      = "DynamoDB throttles writes to the index, which are retried. Lower queue.max_concurrency, or see table.partitions."
      section    = "dynamodb-or-s3-throttles-or-does-not-respond"
    }
    drift = {
      # A missing value counts as 0 if another one is there.
      # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math-syntax.html
      expression = "phantoms + orphans + mismatches"
      metrics    = { phantoms = local.metrics.phantoms, orphans = local.metrics.orphans, mismatches = local.metrics.mismatches }
      statistic  = "Sum", limit = local.limits.drift, minutes = 1, of = 1, no_data = "ignore"
      wanted     = var.reconciliation != null
      about      = "A run found that index and bucket differ: events were lost, or are late. The worker's log names each key${local.repairs ? "; the run repairs them" : ". Run file-index verify --repair"}."
      section    = "index-and-bucket-differ"
    }
    not-proved = {
      metric     = local.metrics.proved
      comparison = "LessThanThreshold", period = 60 * 60 # CloudWatch allows seven days of hours
      statistic  = "Maximum", limit = 1, minutes = local.proof_every_hours, of = local.proof_every_hours, no_data = "breaching"
      wanted     = local.schedule != null
      about      = "No run has compared the whole index with its bucket for ${coalesce(local.proof_every_hours, 0)} hours, so lost events would go unnoticed. The result of the last run says why."
      section    = "the-index-is-not-proved"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = {
    for name, alarm in local.alarms : name => merge(
      { comparison = "GreaterThanThreshold", expression = null, metric = null, metrics = {}, period = 60 },
      alarm,
    ) if alarm.wanted && var.monitoring.enabled
  }

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.about} More: docs/operations.md#${each.value.section} of terraform-aws-file-index."
  tags              = var.tags

  namespace          = each.value.metric == null ? null : each.value.metric[0]
  metric_name        = each.value.metric == null ? null : each.value.metric[1]
  dimensions         = each.value.metric == null ? null : { (each.value.metric[2]) = each.value.metric[3] }
  statistic          = each.value.metric == null || startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period             = each.value.metric == null ? null : each.value.period

  dynamic "metric_query" {
    for_each = each.value.expression[*]

    content {
      id          = "result"
      expression  = metric_query.value
      label       = each.key
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = metric_query.value[0]
        metric_name = metric_query.value[1]
        dimensions  = { (metric_query.value[2]) = metric_query.value[3] }
        stat        = each.value.statistic
        period      = each.value.period
      }
    }
  }

  comparison_operator = each.value.comparison
  threshold           = each.value.limit
  datapoints_to_alarm = each.value.minutes
  evaluation_periods  = each.value.of
  treat_missing_data  = each.value.no_data

  # AWS's default, set so that an apply restores it: a quiet minute has few events.
  evaluate_low_sample_count_percentiles = startswith(each.value.statistic, "p") ? "evaluate" : null

  alarm_actions = var.monitoring.sns_topics
  ok_actions    = var.monitoring.sns_topics
}

# --- Dashboard: from the upload to the record, and what it costs ---

locals {
  graphs = concat([
    { title = "1. Events arriving", metrics = [concat(local.metrics.arriving, [{ label = "events" }])] },
    { title = "2. What became of them", metrics = [
      concat(local.metrics.indexed, [{ label = "indexed" }]),
      concat(local.metrics.removed, [{ label = "removed" }]),
      concat(local.metrics.superseded, [{ label = "superseded" }]),
      concat(local.metrics.ignored, [{ label = "ignored" }]),
    ] },
    { title = "3. Lag: from the event to the record, ms", metrics = [
      concat(local.metrics.lag, [{ label = "p50", stat = "p50" }]),
      concat(local.metrics.lag, [{ label = "p90", stat = "p90" }]),
      concat(local.metrics.lag, [{ label = "longest", stat = "Maximum" }]),
    ] },
    { title = "4. Failures", metrics = [
      concat(local.metrics.failed, [{ label = "events failed" }]),
      concat(local.metrics.permission_denied, [{ label = "permission denied" }]),
      concat(local.metrics.errors, [{ label = "invocations failed" }]),
      concat(local.metrics.throttles, [{ label = "invocations throttled" }]),
      concat(local.metrics.table_throttles, [{ label = "writes throttled" }]),
    ] },
    { title = "5. Waiting, and dead letters", metrics = concat(
      var.queue == null ? [] : [concat(local.metrics.waiting, [{ label = "in the queue", stat = "Maximum" }])],
      [concat(local.metrics.dead_letters, [{ label = "dead letters", stat = "Maximum" }])],
    ) },
    { title = "6. What it costs", metrics = [
      concat(local.metrics.invocations, [{ label = "invocations" }]),
      concat(local.metrics.write_units, [{ label = "write units" }]),
      concat(local.metrics.duration, [{ label = "milliseconds of the function", yAxis = "right" }]),
    ] },
    ], [
    for _ in var.reconciliation[*] : { title = "7. Proofs: differences, and keys compared", metrics = [
      concat(local.metrics.phantoms, [{ label = "phantoms" }]),
      concat(local.metrics.orphans, [{ label = "orphans" }]),
      concat(local.metrics.mismatches, [{ label = "mismatches" }]),
      concat(local.metrics.filtered_out, [{ label = "filtered out" }]),
      concat(local.metrics.repaired, [{ label = "repaired" }]),
      concat(local.metrics.unread, [{ label = "unread" }]),
      concat(local.metrics.unsettled, [{ label = "unsettled" }]),
      concat(local.metrics.proved, [{ label = "proved", stat = "Maximum" }]),
      concat(local.metrics.compared, [{ label = "keys compared", yAxis = "right" }]),
    ] }
  ])
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  count = var.monitoring.enabled ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = concat(
      [for number, graph in local.graphs : {
        type   = "metric"
        x      = number % 3 * 8
        y      = floor(number / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = graph.title
          metrics = graph.metrics
          period  = 60
          region  = local.region
          stat    = "Sum"
          yAxis   = { left = { min = 0 }, right = { min = 0 } }
        }
      }],
      [{
        type   = "log"
        x      = length(local.graphs) % 3 * 8
        y      = floor(length(local.graphs) / 3) * 6
        width  = 24 - length(local.graphs) % 3 * 8
        height = 6
        properties = {
          title  = "${length(local.graphs) + 1}. The last failures"
          query  = "SOURCE '${aws_cloudwatch_log_group.function.name}' | ${local.log_queries["last failures"]}"
          region = local.region
          view   = "table"
        }
      }],
    )
  })
}

# --- Queries of the logs, for CloudWatch Logs Insights ---

locals {
  log_queries = {
    "causes of failures" = "filter outcome = \"failed\" | stats count(*) as events, max(@timestamp) as last by errorType, errorMessage | sort events desc"
    "denied calls"       = "filter errorType = \"PermissionDeniedError\" | stats count(*) as events, max(@timestamp) as last by errorMessage"
    "history of a key"   = "filter key = \"PUT/THE KEY/HERE\" | fields @timestamp, event, outcome, sequencer, version_id, lag_ms, errorMessage | sort @timestamp asc"
    "lag of each key"    = "filter outcome in [\"indexed\", \"removed\"] | fields @timestamp, key, event, lag_ms | sort lag_ms desc | limit 100"
    "last failures"      = "filter outcome = \"failed\" | fields @timestamp, key, errorType, errorMessage | sort @timestamp desc | limit 20"
  }

  worker_log_queries = {
    "differences of a run" = "filter run = \"PUT/THE/RUN/HERE\" | fields @timestamp, message, kind, key, cause | sort @timestamp asc"
    "results of runs"      = "filter message = \"result\" | fields @timestamp, run, outcome, reason, Compared, Unread, Unsettled | sort @timestamp desc | limit 50"
  }
}

resource "aws_cloudwatch_query_definition" "query" {
  for_each = merge([
    for logged in concat(
      [{ group = aws_cloudwatch_log_group.function.name, queries = local.log_queries }],
      [for group in aws_cloudwatch_log_group.worker : { group = group.name, queries = local.worker_log_queries }],
    ) : { for name, query in logged.queries : name => { group = logged.group, query = query } } if var.monitoring.enabled
  ]...)

  name            = "${var.name}/${each.key}"
  log_group_names = [each.value.group]
  query_string    = each.value.query

  # CloudWatch would keep a second query of this name beside another deployment's; Lambda refuses a second function
  # before that.
  depends_on = [aws_lambda_function.function]
}
