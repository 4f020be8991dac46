# Alarms, dashboard and log queries.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "alarms_exist_by_default" {
  command = plan

  assert {
    condition = keys(aws_cloudwatch_metric_alarm.alarm) == [
      "dead-letters", "errors", "lag", "lost", "old-events", "permission-denied", "table-throttled", "throttles",
    ]
    error_message = "Every failure that needs a person has an alarm."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.alarm : length(alarm.alarm_actions) + length(alarm.ok_actions) == 0])
    error_message = "Without topics, alarms have no actions."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.alarm :
      can(regex("docs/operations[.]md#[a-z0-9-]+ of terraform-aws-file-index[.]$", alarm.alarm_description))
    ])
    error_message = "An alarm's description must link to the operations page."
  }

  # Silence does not fire an alarm, and does not end one for a denied call.
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.alarm : name => alarm.treat_missing_data
      if alarm.treat_missing_data != "notBreaching"
    } == { dead-letters = "ignore", permission-denied = "ignore" }
    error_message = "Each alarm must treat missing data as intended."
  }

  assert {
    condition     = length(aws_cloudwatch_dashboard.dashboard) == 1 && length(aws_cloudwatch_query_definition.query) == 5
    error_message = "Dashboard and queries must exist by default."
  }
}

run "no_alarm_relies_on_missing_data_of_dynamodb" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.namespace != "AWS/DynamoDB" && alltrue([
        for query in alarm.metric_query :
        !query.return_data && contains(alarm.metric_query[*].expression, "FILL(${query.id}, 0)")
        if anytrue([for metric in query.metric : metric.namespace == "AWS/DynamoDB"])
      ])
    ])
    error_message = "CloudWatch always ignores missing data of AWS/DynamoDB: zeros must replace it, or the alarm never ends."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.alarm["table-throttled"].metric_query) == 2
    error_message = "The throttled writes must be watched by metric math."
  }
}

run "an_alarm_on_a_percentile_counts_minutes_of_few_events" {
  command = plan

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.alarm : name => alarm.evaluate_low_sample_count_percentiles
      if alarm.extended_statistic != null
    } == { lag = "evaluate" }
    error_message = "The setting for few samples must be explicit, or the provider would keep a changed one."
  }
}

run "the_messages_of_a_queue_are_monitored" {
  command = plan

  variables {
    queue = {}
  }

  assert {
    condition     = setsubtract(keys(aws_cloudwatch_metric_alarm.alarm), ["failed-events"]) == setsubtract(keys(local.alarms), ["drift", "failed-events", "lost", "lost-by-rule", "not-proved"])
    error_message = "With a queue, failed events do not fail their invocation, and Lambda keeps none of them."
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.alarm["old-events"].metric_name == "ApproximateAgeOfOldestMessage",
      aws_cloudwatch_metric_alarm.alarm["old-events"].threshold == 600, # seconds
      aws_cloudwatch_metric_alarm.alarm["old-events"].dimensions == tomap({ QueueName = "files" }),
    ])
    error_message = "With a queue, waiting events are in the queue."
  }

  assert {
    condition = alltrue([
      strcontains(aws_cloudwatch_dashboard.dashboard[0].dashboard_body, "\"NumberOfMessagesSent\",\"QueueName\",\"files\""),
      !strcontains(aws_cloudwatch_dashboard.dashboard[0].dashboard_body, "Async"),
    ])
    error_message = "With a queue, events arrive in the queue."
  }
}

run "a_rule_that_loses_events_is_watched" {
  command = plan

  variables {
    trigger = "eventbridge"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["lost-by-rule"].dimensions == tomap({ RuleName = "files" })
    error_message = "EventBridge may fail to keep an event."
  }
}

run "every_limit_and_the_topics_reach_their_alarm" {
  command = plan

  variables {
    tags = { team = "platform" }
    monitoring = {
      sns_topics = ["arn:aws:sns:eu-west-1:111122223333:on-call"]
      limits = {
        dead_letters      = 1
        errors            = 2
        event_age_seconds = 3
        lag_seconds       = 4
        permission_denied = 5
        table_throttles   = 6
        throttles         = 7
      }
    }
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.alarm : name => alarm.threshold } == {
      dead-letters      = 1
      errors            = 2
      lag               = 4000 # milliseconds
      lost              = 0
      old-events        = 3000 # milliseconds
      permission-denied = 5
      table-throttled   = 6
      throttles         = 7
    }
    error_message = "Each limit is its alarm's, in the metric's unit."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.alarm :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:111122223333:on-call"]) && alarm.ok_actions == alarm.alarm_actions
      && alarm.tags == tomap({ team = "platform" })
    ])
    error_message = "The topics must be notified when an alarm begins and ends."
  }
}

run "failed_events_of_a_queue_have_a_limit_of_their_own" {
  command = plan

  variables {
    queue      = {}
    monitoring = { limits = { failed_events = 8 } }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["failed-events"].threshold == 8
    error_message = "The limit is this alarm's."
  }
}

run "proofs_have_a_graph_and_queries" {
  command = plan

  variables {
    reconciliation = { schedule = "none" }
  }

  assert {
    condition = [
      for widget in jsondecode(aws_cloudwatch_dashboard.dashboard[0].dashboard_body).widgets :
      { title = widget.properties.title, at = [widget.x, widget.y, widget.width] } if widget.y == 12
      ] == [
      { title = "7. Proofs: differences, and keys compared", at = [0, 12, 8] },
      { title = "8. The last failures", at = [8, 12, 16] },
    ]
    error_message = "The graph of proofs must be beside the failures."
  }

  assert {
    condition = {
      for name, query in aws_cloudwatch_query_definition.query : name => query.log_group_names
      if query.log_group_names != tolist(["/aws/lambda/files"])
      } == {
      "differences of a run" = tolist(["/aws/lambda/files-worker"])
      "results of runs"      = tolist(["/aws/lambda/files-worker"])
    }
    error_message = "Queries about runs must read the workers' log."
  }
}

run "the_dashboard_is_drawn_where_its_metrics_are" {
  command = plan

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.dashboard[0].dashboard_body).widgets :
      widget.properties.region == "eu-west-1" && widget.x + widget.width <= 24
    ])
    error_message = "A widget names the Region, and lies within the 24 columns."
  }
}

run "one_switch_turns_monitoring_off" {
  command = plan

  variables {
    monitoring = { enabled = false }
  }

  assert {
    condition = length(concat(
      values(aws_cloudwatch_metric_alarm.alarm),
      aws_cloudwatch_dashboard.dashboard[*],
      values(aws_cloudwatch_query_definition.query),
    )) == 0
    error_message = "There must be no monitoring resources."
  }
}
