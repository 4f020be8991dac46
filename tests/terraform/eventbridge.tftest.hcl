# Events by way of EventBridge: the rule, whom it may call, and what the bucket's owner must do.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan

  override_resource {
    target          = aws_sqs_queue.queue
    override_during = plan
    values          = { arn = "arn:aws:sqs:eu-west-1:111122223333:files" }
  }
}

variables {
  name    = "files"
  bucket  = { name = "existing" }
  trigger = "eventbridge"
}

run "the_rule_matches_only_events_that_create_or_remove_an_object_of_the_bucket" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.bucket[0].event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created", "Object Deleted"]
      detail      = { bucket = { name = ["existing"] } }
    }
    error_message = "The pattern must name the source, the detail types and the bucket."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.bucket[0].name == "files"
    error_message = "The rule must be named after the deployment."
  }
}

run "object_metadata_adds_the_detail_types_that_change_it" {
  command = plan

  variables {
    object_metadata = { enabled = true }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.bucket[0].event_pattern).detail-type == [
      "Object Created", "Object Deleted", "Object Access Tier Changed", "Object Restore Completed",
      "Object Restore Expired", "Object Restore Initiated", "Object Storage Class Changed",
    ]
    error_message = "Restores and changes of storage class must pass, tagging must not."
  }
}

run "tags_add_tagging" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
  }

  assert {
    condition = setsubtract(jsondecode(aws_cloudwatch_event_rule.bucket[0].event_pattern).detail-type, [
      "Object Created", "Object Deleted", "Object Access Tier Changed", "Object Restore Completed",
      "Object Restore Expired", "Object Restore Initiated", "Object Storage Class Changed",
    ]) == toset(["Object Tags Added", "Object Tags Deleted"])
    error_message = "Tagging must pass too."
  }
}

run "filters_are_compared_with_the_plain_key" {
  command = plan

  variables {
    filters = [
      { prefix = "in coming/a+b/" },
      { suffix = ".c@v" },
      { prefix = "back\\slash/", suffix = "\\.json" },
      { prefix = "in/", suffix = "/x" },
    ]
  }

  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_event_rule.bucket[0].event_pattern).detail.object.key) == jsonencode([
      { prefix = "in coming/a+b/" },
      { suffix = ".c@v" },
      { wildcard = "back\\\\slash/*\\\\.json" },
      { wildcard = "in/*/x" },
      "in/x",
    ])
    error_message = "A prefix and a suffix together must be one wildcard, escaped, and the key in which both overlap be named."
  }
}

run "a_filter_for_everything_is_not_a_filter" {
  command = plan

  variables {
    filters = [{ prefix = "a/" }, {}]
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.bucket[0].event_pattern).detail == { bucket = { name = ["existing"] } }
    error_message = "Every key of the bucket must pass."
  }
}

run "the_function_is_the_target_and_failures_are_kept" {
  command = plan

  assert {
    condition = alltrue([
      aws_cloudwatch_event_target.bucket[0].arn == aws_lambda_function.function.arn,
      aws_cloudwatch_event_target.bucket[0].dead_letter_config[0].arn == aws_sqs_queue.dead_letter.arn,
      aws_cloudwatch_event_target.bucket[0].retry_policy[0].maximum_event_age_in_seconds == 86400,
      aws_cloudwatch_event_target.bucket[0].retry_policy[0].maximum_retry_attempts == 185,
      aws_cloudwatch_event_target.bucket[0].rule == aws_cloudwatch_event_rule.bucket[0].id,
      aws_lambda_function_event_invoke_config.function[0].destination_config[0].on_failure[0].destination == aws_sqs_queue.dead_letter.arn,
    ])
    error_message = "EventBridge must try for a day, and both it and Lambda must keep what fails."
  }

  assert {
    condition = alltrue([
      aws_lambda_permission.rule[0].action == "lambda:InvokeFunction",
      aws_lambda_permission.rule[0].function_name == "files",
      aws_lambda_permission.rule[0].principal == "events.amazonaws.com",
      aws_lambda_permission.rule[0].source_arn == "arn:aws:events:eu-west-1:111122223333:rule/files",
      length(aws_lambda_permission.bucket) == 0,
    ])
    error_message = "The rule alone may call the function."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dead_letter.policy).Statement == [
      {
        Effect    = "Allow"
        Action    = "sqs:SendMessage"
        Principal = { Service = "events.amazonaws.com" }
        Resource  = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:111122223333:rule/files" } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
    error_message = "The rule may leave its dead letters, over TLS."
  }
}

run "a_queue_is_the_target_if_there_is_one" {
  command = plan

  variables {
    queue = {}
  }

  assert {
    condition     = aws_cloudwatch_event_target.bucket[0].arn == "arn:aws:sqs:eu-west-1:111122223333:files"
    error_message = "The rule must send to the queue."
  }

  assert {
    condition     = length(aws_lambda_permission.rule) + length(aws_lambda_permission.bucket) == 0
    error_message = "Nobody but the queue's mapping calls the function."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.queue[0].policy).Statement[0] == {
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { Service = "events.amazonaws.com" }
      Resource  = "arn:aws:sqs:eu-west-1:111122223333:files"
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:111122223333:rule/files" } }
    }
    error_message = "The rule may send to the queue."
  }

  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue.queue[0].policy).Statement : statement.Effect] == ["Allow", "Deny"]
    error_message = "The rule alone may send to the queue."
  }
}

run "an_existing_bucket_is_not_changed_and_the_output_says_what_to_enable" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_notification.bucket) == 0
    error_message = "The notifications of an existing bucket are its owner's."
  }

  assert {
    condition = jsonencode(output.notification) == jsonencode({
      eventbridge = true, events = [], filters = [], function_arn = null, queue_arn = null
    })
    error_message = "The owner must be told to switch on EventBridge, and nothing else."
  }
}

run "a_created_bucket_is_told_to_send_to_eventbridge" {
  command = plan

  variables {
    bucket = { create = true }
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_notification.bucket[0].eventbridge,
      length(aws_s3_bucket_notification.bucket[0].lambda_function) + length(aws_s3_bucket_notification.bucket[0].queue) == 0,
      output.notification == null,
    ])
    error_message = "The module must switch on EventBridge itself, and notify nobody else."
  }
}

run "tags_reach_the_rule" {
  command = plan

  variables {
    tags = { team = "platform" }
  }

  assert {
    condition     = aws_cloudwatch_event_rule.bucket[0].tags == tomap({ team = "platform" })
    error_message = "The rule must have the tags."
  }
}

run "a_pattern_as_long_as_eventbridge_accepts" {
  command = plan

  variables {
    filters = concat([for i in range(46) : { prefix = format("%02d-%s/", i, join("", [for j in range(23) : "x"])) }], [{ prefix = "a/${join("", [for i in range(14) : "x"])}" }])
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.bucket[0].event_pattern) == 2048
    error_message = "This run must be at the limit: ${length(aws_cloudwatch_event_rule.bucket[0].event_pattern)}."
  }
}

run "a_pattern_is_longer_than_eventbridge_accepts" {
  command = plan

  variables {
    filters = concat([for i in range(46) : { prefix = format("%02d-%s/", i, join("", [for j in range(23) : "x"])) }], [{ prefix = "a/${join("", [for i in range(15) : "x"])}" }])
  }

  expect_failures = [aws_cloudwatch_event_rule.bucket]
}
