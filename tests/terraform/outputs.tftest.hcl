# What consumers of the module get.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name    = "files"
  bucket  = { name = "existing" }
  trigger = "external"
}

run "outputs_name_the_created_resources" {
  command = plan

  assert {
    condition = output.bucket == {
      arn  = "arn:aws:s3:::existing"
      name = "existing"
    }
    error_message = "bucket must be the watched bucket."
  }

  assert {
    condition = output.dead_letter_queue == {
      arn  = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
      name = "files-dead-letter"
      url  = "https://sqs.eu-west-1.amazonaws.com/111122223333/files-dead-letter"
    }
    error_message = "dead_letter_queue must be the failure destination."
  }

  assert {
    condition = output.function == {
      arn  = "arn:aws:lambda:eu-west-1:111122223333:function:files"
      name = "files"
    }
    error_message = "function must be the function."
  }

  assert {
    condition = output.log_group == {
      arn  = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/files"
      name = "/aws/lambda/files"
    }
    error_message = "log_group must be the function's."
  }

  assert {
    condition = output.role == {
      arn  = "arn:aws:iam::111122223333:role/files"
      name = "files"
    }
    error_message = "role must be the function's."
  }

  assert {
    condition = alltrue([
      output.table.arn == "arn:aws:dynamodb:eu-west-1:111122223333:table/files",
      output.table.name == "files",
      output.table.partitions == 1,
      output.table.stream_arn == null,
      output.table.tombstone_days == 30,
    ])
    error_message = "table must be the index, without the ARN of a stream that it does not have."
  }
}

# cli/deployment.py reads it: what changes here changes there, and in tests/unit/cli/deployments.py.
run "the_command_line_gets_one_output" {
  command = plan

  assert {
    condition = jsonencode(output.deployment) == jsonencode({
      bucket = { name = "existing", versioned = true }
      dead_letter_queue = {
        arn = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
        url = "https://sqs.eu-west-1.amazonaws.com/111122223333/files-dead-letter"
      }
      environment = {
        BUCKET_NAME      = "existing"
        OBJECT_METADATA  = "false"
        OBJECT_TAGS      = "false"
        TABLE_NAME       = "files"
        TABLE_PARTITIONS = "1"
        TOMBSTONE_DAYS   = "30"
      }
      filters = []
      function = {
        arn  = "arn:aws:lambda:eu-west-1:111122223333:function:files"
        name = "files"
      }
      monitoring = {
        alarms = [
          "files-dead-letters", "files-errors", "files-lag", "files-lost", "files-old-events", "files-permission-denied",
          "files-table-throttled", "files-throttles",
        ]
        event_age_seconds = 600
      }
      queue          = null
      reconciliation = null
      table = {
        arn  = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
        name = "files"
      }
    })
    error_message = "deployment must say all that file-index asks for."
  }
}

run "the_command_line_knows_every_setting" {
  command = plan

  override_resource {
    target          = aws_sqs_queue.queue
    override_during = plan
    values = {
      arn = "arn:aws:sqs:eu-west-1:111122223333:files"
      url = "https://sqs.eu-west-1.amazonaws.com/111122223333/files"
    }
  }

  variables {
    bucket          = { name = "existing", versioned = false }
    derived_files   = { bucket_name = "manifests", prefix = "of-files/", max_mb = 5 }
    filters         = [{ prefix = "in coming/" }, { prefix = "a+b/", suffix = ".csv" }]
    object_metadata = { enabled = true, tags = true }
    queue           = {}
    table           = { partitions = 4, tombstone_days = 60 }
  }

  assert {
    condition     = output.deployment.bucket.versioned == false
    error_message = "It must say that the bucket has no versions."
  }

  assert {
    condition = jsonencode(output.deployment.filters) == jsonencode([
      { prefix = "in coming/", suffix = "" },
      { prefix = "a+b/", suffix = ".csv" },
    ])
    error_message = "filters must be plain key text, as given."
  }

  assert {
    condition = jsonencode(output.deployment.environment) == jsonencode(
      aws_lambda_function.function.environment[0].variables
    )
    error_message = "The command line must have the settings of the function."
  }

  assert {
    condition     = output.table.partitions == 4 && output.table.tombstone_days == 60
    error_message = "Readers of the table must know how its records are keyed."
  }

  assert {
    condition = output.deployment.queue == {
      arn = "arn:aws:sqs:eu-west-1:111122223333:files"
      url = "https://sqs.eu-west-1.amazonaws.com/111122223333/files"
    }
    error_message = "queue must be where redrive sends what it replays."
  }
}

run "without_monitoring_the_command_line_knows_of_no_alarm" {
  command = plan

  variables {
    monitoring = { enabled = false, limits = { event_age_seconds = 60 } }
  }

  assert {
    condition     = jsonencode(output.deployment.monitoring) == jsonencode({ alarms = [], event_age_seconds = 60 })
    error_message = "status must not look for alarms, and must judge the age of events by the limit."
  }
}

run "a_reader_may_read_the_index_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(output.index_read_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
        Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
      }]
    }
    error_message = "The policy must grant reading the table by key and by prefix, nothing else."
  }
}

run "a_reader_of_an_index_with_a_customers_key_may_decrypt_through_dynamodb" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition = jsondecode(output.index_read_policy).Statement == [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
        Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
      },
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
      },
    ]
    error_message = "The reader may decrypt what DynamoDB encrypted, nothing else."
  }
}

run "the_streams_arn_is_an_output_if_the_table_has_one" {
  command = plan

  variables {
    table = { stream = "KEYS_ONLY" }
  }

  assert {
    condition     = output.table.stream_arn == "arn:aws:dynamodb:eu-west-1:111122223333:table/files/stream/2026-01-01T00:00:00.000"
    error_message = "A consumer of the stream needs its ARN."
  }
}

run "a_created_bucket_is_the_one_that_is_named" {
  command = plan

  variables {
    bucket  = { create = true }
    trigger = "notification"
  }

  assert {
    condition     = output.bucket == { arn = "arn:aws:s3:::created", name = "files-111122223333" }
    error_message = "bucket must be the created bucket."
  }
}
