# The schedule of runs, its role, and the alarms on proofs.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name           = "files"
  bucket         = { name = "watched", versioned = false }
  trigger        = "external"
  reconciliation = {}
}

run "a_run_starts_every_day_by_default" {
  command = plan

  assert {
    condition = alltrue([
      aws_scheduler_schedule.reconciliation[0].name == "files-reconciliation",
      aws_scheduler_schedule.reconciliation[0].schedule_expression == "rate(1 day)",
      aws_scheduler_schedule.reconciliation[0].schedule_expression_timezone == "UTC",
    ])
    error_message = "A run must start every day."
  }

  # A change by hand must show in a plan.
  assert {
    condition = alltrue([
      aws_scheduler_schedule.reconciliation[0].state == "ENABLED",
      aws_scheduler_schedule.reconciliation[0].group_name == "default",
      one(aws_scheduler_schedule.reconciliation[0].flexible_time_window).mode == "OFF",
      one(one(aws_scheduler_schedule.reconciliation[0].target).retry_policy) == {
        maximum_event_age_in_seconds = 3600
        maximum_retry_attempts       = 10
      },
    ])
    error_message = "State, time window and retries must be explicit."
  }

  assert {
    condition = alltrue([
      one(aws_scheduler_schedule.reconciliation[0].target).arn == aws_sfn_state_machine.reconciliation[0].arn,
      one(aws_scheduler_schedule.reconciliation[0].target).role_arn == aws_iam_role.schedule[0].arn,
      one(aws_scheduler_schedule.reconciliation[0].target).input == "{}",
    ])
    error_message = "The schedule starts the state machine, with its own role and an empty input."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.schedule[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = "arn:aws:states:eu-west-1:111122223333:stateMachine:files-reconciliation"
      }]
    }
    error_message = "The schedule may start the state machine, and nothing else."
  }

  assert {
    condition     = aws_iam_role_policy.schedule[0].role == aws_iam_role.schedule[0].id && aws_iam_role.schedule[0].name == "files-schedule"
    error_message = "The policy must be the schedule's role's."
  }

  assert {
    condition = output.reconciliation.schedule == {
      arn  = "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/files-reconciliation"
      name = "files-reconciliation"
    }
    error_message = "The output must name the schedule."
  }
}

run "an_alarm_waits_for_two_runs" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.alarm["not-proved"]] : alltrue([
        [alarm.namespace, alarm.metric_name, alarm.dimensions["Deployment"]] == ["FileIndex", "Proved", "files"],
        alarm.statistic == "Maximum" && alarm.comparison_operator == "LessThanThreshold" && alarm.threshold == 1,
        alarm.period == 3600 && alarm.evaluation_periods == 48 && alarm.datapoints_to_alarm == 48,
        alarm.treat_missing_data == "breaching",
      ])
    ])
    error_message = "Without a complete proof in two days, or without any result, the alarm must fire."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.alarm["not-proved"].alarm_description, "for 48 hours")
    error_message = "The alarm must say how long."
  }
}

run "an_alarm_adds_up_the_kinds_of_drift" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.alarm["drift"]] : alltrue([
        alarm.comparison_operator == "GreaterThanThreshold" && alarm.threshold == 0,
        alarm.evaluation_periods == 1 && alarm.datapoints_to_alarm == 1,
        alarm.treat_missing_data == "ignore",
        alarm.namespace == null && alarm.period == null,
      ])
    ])
    error_message = "One difference must fire the alarm, and only a proof may end it."
  }

  assert {
    condition = {
      for query in aws_cloudwatch_metric_alarm.alarm["drift"].metric_query : query.id => [
        for metric in query.metric : [metric.namespace, metric.metric_name, metric.dimensions["Deployment"], metric.stat, tostring(metric.period)]
      ] if !query.return_data
      } == {
      mismatches = [["FileIndex", "Mismatches", "files", "Sum", "60"]]
      orphans    = [["FileIndex", "Orphans", "files", "Sum", "60"]]
      phantoms   = [["FileIndex", "Phantoms", "files", "Sum", "60"]]
    }
    error_message = "Each kind of drift must be watched."
  }

  assert {
    condition = [
      for query in aws_cloudwatch_metric_alarm.alarm["drift"].metric_query : query.expression if query.return_data
    ] == ["phantoms + orphans + mismatches"]
    error_message = "Their sum must be compared."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.alarm["drift"].alarm_description, "Run file-index verify --repair")
    error_message = "Without repair, the alarm must say how to repair."
  }
}

run "two_runs_of_minutes_are_due_within_whole_hours" {
  command = plan

  variables {
    monitoring     = { limits = { drift = 3 } }
    reconciliation = { repair = true, schedule = "rate(31 minutes)" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["not-proved"].evaluation_periods == 2
    error_message = "62 minutes must be rounded up to two hours."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["drift"].threshold == 3
    error_message = "The limit must be the alarm's."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.alarm["drift"].alarm_description, "the run repairs them")
    error_message = "With repair, the alarm must say that it repairs."
  }
}

run "the_rarest_rate_that_needs_no_other_setting" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(84 hours)" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["not-proved"].evaluation_periods == 168
    error_message = "Two runs are due within seven days."
  }
}

run "a_cron_expression_with_its_hours" {
  command = plan

  variables {
    reconciliation = { schedule = "cron(0 4 ? * MON-FRI *)", proof_every_hours = 144 }
  }

  assert {
    condition     = aws_scheduler_schedule.reconciliation[0].schedule_expression == "cron(0 4 ? * MON-FRI *)" && aws_cloudwatch_metric_alarm.alarm["not-proved"].evaluation_periods == 144
    error_message = "Expression and hours must be as given."
  }
}

run "without_a_schedule_there_is_no_alarm_on_proofs" {
  command = plan

  variables {
    reconciliation = { schedule = "none" }
  }

  assert {
    condition     = length(aws_scheduler_schedule.reconciliation) + length(aws_iam_role.schedule) + length(aws_iam_role_policy.schedule) == 0 && output.reconciliation.schedule == null
    error_message = "There must be no schedule, and no role of one."
  }

  assert {
    condition     = setintersection(keys(aws_cloudwatch_metric_alarm.alarm), ["drift", "not-proved"]) == toset(["drift"])
    error_message = "Runs on request can find drift, but none is due."
  }

  assert {
    condition     = length(aws_sfn_state_machine.reconciliation) == 1
    error_message = "Runs on request must be possible."
  }
}
