# The defaults, and their hardening.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "a_created_bucket_is_hardened" {
  command = plan

  assert {
    condition     = aws_s3_bucket.watched[0].bucket == "files-111122223333"
    error_message = "Without a name of its own the bucket is named after the deployment and the account."
  }

  assert {
    condition     = !aws_s3_bucket.watched[0].force_destroy
    error_message = "A bucket with objects must not be destroyed by default."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.watched[0].block_public_acls,
      aws_s3_bucket_public_access_block.watched[0].block_public_policy,
      aws_s3_bucket_public_access_block.watched[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.watched[0].restrict_public_buckets,
    ])
    error_message = "All public access must be blocked."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.watched[0].rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must have no effect."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.watched[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Objects must be encrypted."
  }

  assert {
    condition     = aws_s3_bucket_versioning.watched[0].versioning_configuration[0].status == "Enabled"
    error_message = "A created bucket keeps versions."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.watched[0].policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::created", "arn:aws:s3:::created/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "The bucket policy must deny requests without TLS, and nothing else."
  }

  assert {
    condition = alltrue([
      length(aws_s3_bucket_lifecycle_configuration.watched[0].rule) == 1,
      aws_s3_bucket_lifecycle_configuration.watched[0].rule[0].status == "Enabled",
      aws_s3_bucket_lifecycle_configuration.watched[0].rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7,
      length(aws_s3_bucket_lifecycle_configuration.watched[0].rule[0].expiration) == 0,
      length(aws_s3_bucket_lifecycle_configuration.watched[0].rule[0].noncurrent_version_expiration) == 0,
    ])
    error_message = "Incomplete uploads must be aborted after 7 days, and nothing else may be deleted."
  }

  assert {
    condition = alltrue([
      for bucket in [
        aws_s3_bucket_lifecycle_configuration.watched[0].bucket,
        aws_s3_bucket_notification.bucket[0].bucket,
        aws_s3_bucket_ownership_controls.watched[0].bucket,
        aws_s3_bucket_policy.watched[0].bucket,
        aws_s3_bucket_public_access_block.watched[0].bucket,
        aws_s3_bucket_server_side_encryption_configuration.watched[0].bucket,
        aws_s3_bucket_versioning.watched[0].bucket,
      ] : bucket == aws_s3_bucket.watched[0].id
    ])
    error_message = "Each setting must be one of the created bucket."
  }
}

run "the_table_is_protected_and_keyed_for_prefix_listings" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.table.deletion_protection_enabled
    error_message = "The table must be protected against deletion."
  }

  assert {
    condition     = aws_dynamodb_table.table.point_in_time_recovery[0].enabled
    error_message = "The table must be backed up continuously."
  }

  assert {
    condition     = !aws_dynamodb_table.table.server_side_encryption[0].enabled
    error_message = "Without kms_key, the table is encrypted with a key that AWS owns and does not charge for."
  }

  assert {
    condition = alltrue([
      aws_dynamodb_table.table.billing_mode == "PAY_PER_REQUEST",
      aws_dynamodb_table.table.hash_key == "partition",
      aws_dynamodb_table.table.range_key == "key",
      { for attribute in aws_dynamodb_table.table.attribute : attribute.name => attribute.type } == { partition = "S", key = "S" },
      length(aws_dynamodb_table.table.global_secondary_index) == 0,
    ])
    error_message = "The table must be on demand, with the S3 key as its sort key and no other index."
  }

  assert {
    condition     = aws_dynamodb_table.table.ttl[0].enabled && aws_dynamodb_table.table.ttl[0].attribute_name == "expires_at"
    error_message = "Tombstones must expire."
  }

  assert {
    condition     = !aws_dynamodb_table.table.stream_enabled
    error_message = "There must be no stream by default."
  }
}

run "the_function_runs_the_package_with_logs_of_its_own" {
  command = plan

  assert {
    condition = alltrue([
      aws_lambda_function.function.handler == "function.handler.handler",
      aws_lambda_function.function.runtime == "python3.13",
      aws_lambda_function.function.architectures == tolist(["arm64"]),
      aws_lambda_function.function.source_code_hash == filebase64sha256("function.zip"),
      aws_lambda_function.function.role == "arn:aws:iam::111122223333:role/files",
    ])
    error_message = "The function must run the committed package on arm64, as its own role."
  }

  assert {
    condition = aws_lambda_function.function.environment[0].variables == tomap({
      BUCKET_NAME      = "files-111122223333"
      OBJECT_METADATA  = "false"
      OBJECT_TAGS      = "false"
      TABLE_NAME       = "files"
      TABLE_PARTITIONS = "1"
      TOMBSTONE_DAYS   = "30"
    })
    error_message = "The function's environment must be exactly what function/settings.py reads."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.function.logging_config[0].log_format == "JSON",
      aws_lambda_function.function.logging_config[0].application_log_level == "INFO",
      aws_lambda_function.function.logging_config[0].system_log_level == "WARN",
      aws_lambda_function.function.logging_config[0].log_group == aws_cloudwatch_log_group.function.name,
      aws_cloudwatch_log_group.function.name == "/aws/lambda/files",
      aws_cloudwatch_log_group.function.retention_in_days == 30,
    ])
    error_message = "The function must log JSON into its own log group, which must have a retention."
  }

  assert {
    condition     = coalesce(aws_lambda_function.function.reserved_concurrent_executions, -1) == -1
    error_message = "The function must not reserve concurrency by default."
  }
}

run "failed_events_are_kept_encrypted_for_14_days" {
  command = plan

  assert {
    condition = alltrue([
      aws_sqs_queue.dead_letter.name == "files-dead-letter",
      aws_sqs_queue.dead_letter.message_retention_seconds == 1209600,
      aws_sqs_queue.dead_letter.sqs_managed_sse_enabled,
    ])
    error_message = "The dead-letter queue must keep messages 14 days, encrypted."
  }

  assert {
    condition = alltrue([
      aws_lambda_function_event_invoke_config.function[0].function_name == aws_lambda_function.function.function_name,
      aws_lambda_function_event_invoke_config.function[0].maximum_event_age_in_seconds == 21600,
      aws_lambda_function_event_invoke_config.function[0].maximum_retry_attempts == 2,
      aws_lambda_function_event_invoke_config.function[0].destination_config[0].on_failure[0].destination == aws_sqs_queue.dead_letter.arn,
      length(aws_lambda_function_event_invoke_config.function[0].destination_config[0].on_success) == 0,
    ])
    error_message = "A failing event must be retried as long as Lambda can and then go to the dead-letter queue."
  }
}

run "only_s3_may_invoke_for_the_watched_bucket_of_this_account" {
  command = plan

  assert {
    condition = alltrue([
      aws_lambda_permission.bucket[0].action == "lambda:InvokeFunction",
      aws_lambda_permission.bucket[0].function_name == "files",
      aws_lambda_permission.bucket[0].principal == "s3.amazonaws.com",
      aws_lambda_permission.bucket[0].source_arn == "arn:aws:s3:::created",
      aws_lambda_permission.bucket[0].source_account == "111122223333",
    ])
    error_message = "The permission must name service, bucket and account."
  }
}
