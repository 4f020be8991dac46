# What options change, and that a branch not taken has no resources.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "an_existing_bucket_is_not_changed" {
  command = plan

  variables {
    bucket  = { name = "existing" }
    trigger = "external"
  }

  assert {
    condition = length(concat(
      aws_s3_bucket.watched,
      aws_s3_bucket_lifecycle_configuration.watched,
      aws_s3_bucket_notification.bucket,
      aws_s3_bucket_ownership_controls.watched,
      aws_s3_bucket_policy.watched,
      aws_s3_bucket_public_access_block.watched,
      aws_s3_bucket_server_side_encryption_configuration.watched,
      aws_s3_bucket_versioning.watched,
    )) == 0
    error_message = "Nothing of an existing bucket may be changed."
  }

  assert {
    condition     = aws_lambda_permission.bucket[0].source_arn == "arn:aws:s3:::existing"
    error_message = "The existing bucket may call the function."
  }
}

run "the_notifications_of_an_existing_bucket_are_replaced_if_that_is_allowed" {
  command = plan

  variables {
    bucket                       = { name = "existing" }
    replace_bucket_notifications = true
  }

  assert {
    condition     = aws_s3_bucket_notification.bucket[0].bucket == "existing" && length(aws_s3_bucket.watched) == 0
    error_message = "The existing bucket must notify the function, and no other be created."
  }
}

run "a_created_bucket_takes_its_own_name_and_does_without_options" {
  command = plan

  variables {
    bucket = { name = "own-name", create = true, versioned = false, abort_uploads = false, force_destroy = true }
  }

  assert {
    condition     = aws_s3_bucket.watched[0].bucket == "own-name" && aws_s3_bucket.watched[0].force_destroy
    error_message = "The bucket must have its own name, and be destroyed with its objects."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.watched) == 0
    error_message = "Without abort_uploads there is no lifecycle configuration."
  }

  assert {
    # The provider accepts Disabled for a bucket that never had versions and refuses it afterwards.
    condition     = aws_s3_bucket_versioning.watched[0].versioning_configuration[0].status == "Disabled"
    error_message = "versioned = false must be refused for a bucket that had versions, not suspend them."
  }
}

run "arns_are_in_the_partition_of_the_account" {
  command = plan

  override_resource {
    target          = aws_cloudwatch_log_group.function
    override_during = plan
    values          = { arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/lambda/files" }
  }

  variables {
    bucket  = { name = "existing" }
    trigger = "external"
  }

  assert {
    condition     = aws_lambda_permission.bucket[0].source_arn == "arn:aws-cn:s3:::existing"
    error_message = "A bucket in China has another ARN."
  }
}

run "a_customers_key_encrypts_table_and_logs" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition = alltrue([
      for key in [aws_dynamodb_table.table.server_side_encryption[0].kms_key_arn, aws_cloudwatch_log_group.function.kms_key_id] :
      key == "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    ])
    error_message = "Table and log group must be encrypted with the given key."
  }
}

run "a_stream_has_the_requested_view" {
  command = plan

  variables {
    table = { stream = "NEW_AND_OLD_IMAGES" }
  }

  assert {
    condition     = aws_dynamodb_table.table.stream_enabled && aws_dynamodb_table.table.stream_view_type == "NEW_AND_OLD_IMAGES"
    error_message = "The table must have a stream with both images."
  }
}

run "the_functions_environment_follows_the_options" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
    table           = { partitions = 4, tombstone_days = 60 }
  }

  assert {
    condition = aws_lambda_function.function.environment[0].variables == tomap({
      BUCKET_NAME      = "files-111122223333"
      OBJECT_METADATA  = "true"
      OBJECT_TAGS      = "true"
      TABLE_NAME       = "files"
      TABLE_PARTITIONS = "4"
      TOMBSTONE_DAYS   = "60"
    })
    error_message = "The function's environment must match the options."
  }
}

run "function_and_role_follow_the_options" {
  command = plan

  variables {
    function = {
      architecture         = "x86_64"
      log_level            = "WARN"
      log_retention_days   = 365
      memory_mb            = 512
      reserved_concurrency = 10
      system_log_level     = "INFO"
      timeout_seconds      = 120
    }
    role = { path = "/service/", permissions_boundary = "arn:aws:iam::111122223333:policy/team/boundary" }
  }

  assert {
    condition = alltrue([
      aws_lambda_function.function.architectures == tolist(["x86_64"]),
      aws_lambda_function.function.memory_size == 512,
      aws_lambda_function.function.timeout == 120,
      aws_lambda_function.function.logging_config[0].application_log_level == "WARN",
      aws_lambda_function.function.logging_config[0].system_log_level == "INFO",
      aws_lambda_function.function.reserved_concurrent_executions == 10,
      aws_cloudwatch_log_group.function.retention_in_days == 365,
      aws_iam_role.function.path == "/service/",
      aws_iam_role.function.permissions_boundary == "arn:aws:iam::111122223333:policy/team/boundary",
    ])
    error_message = "Each option of function and role must reach the function or its role."
  }
}

run "every_resource_that_accepts_tags_has_them" {
  command = plan

  variables {
    tags = { team = "platform" }
  }

  assert {
    condition = alltrue([
      for tags in [
        aws_cloudwatch_log_group.function.tags,
        aws_dynamodb_table.table.tags,
        aws_iam_role.function.tags,
        aws_lambda_function.function.tags,
        aws_s3_bucket.watched[0].tags,
        aws_sqs_queue.dead_letter.tags,
      ] : tags == tomap({ team = "platform" })
    ])
    error_message = "Every resource that takes tags must have them."
  }
}
