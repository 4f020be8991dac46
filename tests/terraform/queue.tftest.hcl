# A queue between trigger and function.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan

  override_resource {
    target          = aws_sqs_queue.queue
    override_during = plan
    values = {
      arn = "arn:aws:sqs:eu-west-1:111122223333:files"
      url = "https://sqs.eu-west-1.amazonaws.com/111122223333/files"
    }
  }
}

variables {
  name   = "files"
  bucket = { create = true }
  queue  = {}
}

run "one_file_is_indexed_within_seconds_and_a_burst_in_a_few_hundred_invocations" {
  command = plan

  assert {
    condition = alltrue([
      aws_lambda_event_source_mapping.queue[0].batch_size == 100,
      aws_lambda_event_source_mapping.queue[0].event_source_arn == "arn:aws:sqs:eu-west-1:111122223333:files",
      aws_lambda_event_source_mapping.queue[0].function_name == aws_lambda_function.function.arn,
      aws_lambda_event_source_mapping.queue[0].function_response_types == toset(["ReportBatchItemFailures"]),
      aws_lambda_event_source_mapping.queue[0].maximum_batching_window_in_seconds == 1,
      aws_lambda_event_source_mapping.queue[0].scaling_config[0].maximum_concurrency == 10,
    ])
    error_message = "The function must get batches of 100 after a second at most, and fail single messages."
  }

  assert {
    condition = alltrue([
      aws_sqs_queue.queue[0].message_retention_seconds == 1209600,
      aws_sqs_queue.queue[0].name == "files",
      aws_sqs_queue.queue[0].sqs_managed_sse_enabled,
      aws_sqs_queue.queue[0].visibility_timeout_seconds == 6 * 60 + 1,
    ])
    error_message = "A message must be kept encrypted for 14 days, and hidden for six times the function's time-out and the window."
  }
}

run "records_of_new_objects_are_inserted_before_any_is_put" {
  command = plan

  variables {
    bucket = { create = true, versioned = false }
  }

  assert {
    condition     = aws_lambda_function.function.environment[0].variables["INSERT_FIRST"] == "true"
    error_message = "With a queue, an unversioned bucket's new objects must be inserted many at once."
  }
}

run "a_record_that_needs_a_look_at_the_object_is_not_inserted_first" {
  command = plan

  variables {
    bucket = { create = true, versioned = true }
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.function.environment[0].variables), "INSERT_FIRST")
    error_message = "The events of a versioned bucket do not say what a record holds."
  }
}

run "only_this_queue_moves_failed_messages_to_the_dead_letter_queue" {
  command = plan

  assert {
    condition = jsondecode(aws_sqs_queue.queue[0].redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
      maxReceiveCount     = 5
    }
    error_message = "A message that fails five times must become a dead letter."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dead_letter.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:111122223333:files"]
    }
    error_message = "No other queue may leave its dead letters here."
  }

  assert {
    condition     = length(aws_lambda_function_event_invoke_config.function) == 0 && !contains(keys(aws_iam_role_policy.function), "dead-letter")
    error_message = "SQS moves the dead letters: the function needs no failure destination and no permission to send to it."
  }
}

run "only_the_watched_bucket_of_this_account_may_send_over_tls" {
  command = plan

  assert {
    condition = jsondecode(aws_sqs_queue.queue[0].policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Effect    = "Allow"
          Action    = "sqs:SendMessage"
          Principal = { Service = "s3.amazonaws.com" }
          Resource  = "arn:aws:sqs:eu-west-1:111122223333:files"
          Condition = {
            ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::created" }
            StringEquals = { "aws:SourceAccount" = "111122223333" }
          }
        },
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = "arn:aws:sqs:eu-west-1:111122223333:files"
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
    error_message = "The queue's policy must name service, bucket and account."
  }

  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue.dead_letter.policy).Statement : statement.Effect] == ["Deny"]
    error_message = "The dead-letter queue needs no policy that allows sending."
  }
}

run "the_function_may_receive_from_the_queue" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.function["queue"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = "arn:aws:sqs:eu-west-1:111122223333:files"
    }]
    error_message = "The function may receive messages from its own queue, but not send any."
  }

  assert {
    condition     = aws_iam_role_policy.function["queue"].role == aws_iam_role.function.id
    error_message = "The policy must be the function's role's."
  }
}

run "the_bucket_notifies_the_queue" {
  command = plan

  variables {
    filters = [{ prefix = "in coming/" }, { prefix = "a+b/", suffix = ".csv" }]
  }

  assert {
    condition = jsonencode([
      for notification in aws_s3_bucket_notification.bucket[0].queue :
      [notification.queue_arn, notification.filter_prefix, notification.filter_suffix]
      ]) == jsonencode([
      ["arn:aws:sqs:eu-west-1:111122223333:files", "in+coming/", null],
      ["arn:aws:sqs:eu-west-1:111122223333:files", "a%2Bb/", ".csv"],
    ])
    error_message = "Each filter must bring its events to the queue."
  }

  assert {
    condition = alltrue([
      for notification in aws_s3_bucket_notification.bucket[0].queue :
      notification.events == toset(["s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
    ])
    error_message = "Each filter must bring all events."
  }

  assert {
    condition     = length(aws_s3_bucket_notification.bucket[0].lambda_function) + length(aws_s3_bucket_notification.bucket[0].topic) == 0
    error_message = "The bucket must notify only the queue."
  }
}

run "an_external_owner_gets_the_queue" {
  command = plan

  variables {
    trigger = "external"
  }

  assert {
    condition = alltrue([
      output.notification.function_arn == null,
      output.notification.queue_arn == "arn:aws:sqs:eu-west-1:111122223333:files",
      output.notification.eventbridge == false,
      length(output.notification.filters) == 1,
    ])
    error_message = "The output must name the queue, and not the function."
  }

  assert {
    condition = output.queue == {
      arn  = "arn:aws:sqs:eu-west-1:111122223333:files"
      name = "files"
      url  = "https://sqs.eu-west-1.amazonaws.com/111122223333/files"
    }
    error_message = "queue must be the queue."
  }
}

run "each_option_reaches_the_queue" {
  command = plan

  variables {
    function = { timeout_seconds = 100 }
    queue = {
      batch_size              = 1000
      batching_window_seconds = 20
      max_concurrency         = 50
      max_receives            = 3
      retention_days          = 4
    }
    tags = { team = "platform" }
  }

  assert {
    condition = alltrue([
      aws_lambda_event_source_mapping.queue[0].batch_size == 1000,
      aws_lambda_event_source_mapping.queue[0].maximum_batching_window_in_seconds == 20,
      aws_lambda_event_source_mapping.queue[0].scaling_config[0].maximum_concurrency == 50,
      aws_lambda_event_source_mapping.queue[0].tags == tomap({ team = "platform" }),
      aws_sqs_queue.queue[0].message_retention_seconds == 345600,
      aws_sqs_queue.queue[0].tags == tomap({ team = "platform" }),
      aws_sqs_queue.queue[0].visibility_timeout_seconds == 620,
      jsondecode(aws_sqs_queue.queue[0].redrive_policy).maxReceiveCount == 3,
    ])
    error_message = "Each option must reach queue or mapping."
  }
}

run "the_queue_uses_at_most_the_functions_reserved_concurrency" {
  command = plan

  variables {
    function = { reserved_concurrency = 4 }
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue[0].scaling_config[0].maximum_concurrency == 4
    error_message = "More would be throttled, and throttled messages become dead letters."
  }
}

run "without_a_queue_there_is_none" {
  command = plan

  variables {
    queue = null
  }

  assert {
    condition     = length(aws_sqs_queue.queue) + length(aws_lambda_event_source_mapping.queue) == 0 && !contains(keys(aws_iam_role_policy.function), "queue")
    error_message = "A queue is created only with the input queue."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letter.redrive_allow_policy) == { redrivePermission = "denyAll" }
    error_message = "No queue may leave its dead letters here."
  }

  assert {
    condition     = output.queue == null
    error_message = "The output must be null."
  }
}
