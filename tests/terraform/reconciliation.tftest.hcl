# The state machine, its worker, and what each may do.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan

  override_resource {
    target          = aws_cloudwatch_log_group.worker
    override_during = plan
    values          = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/files-worker" }
  }

  override_resource {
    target          = aws_lambda_function.worker
    override_during = plan
    values          = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:files-worker" }
  }
}

variables {
  name           = "files"
  bucket         = { name = "watched", versioned = false }
  trigger        = "external"
  reconciliation = {}
}

run "nothing_is_created_by_default" {
  command = plan

  variables {
    kms_key        = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
    reconciliation = null
  }

  assert {
    condition = alltrue([
      for resource in [
        aws_cloudwatch_log_group.worker,
        aws_iam_role.reconciliation,
        aws_iam_role.schedule,
        aws_iam_role.worker,
        values(aws_iam_role_policy.reconciliation),
        aws_iam_role_policy.schedule,
        values(aws_iam_role_policy.worker),
        aws_iam_role_policy.worker_key,
        aws_lambda_function.worker,
        aws_scheduler_schedule.reconciliation,
        aws_sfn_state_machine.reconciliation,
      ] : length(resource) == 0
    ])
    error_message = "Without reconciliation there is nothing of it."
  }

  assert {
    condition     = output.reconciliation == null && output.deployment.reconciliation == null
    error_message = "The outputs must be null."
  }
}

run "a_worker_without_repair_only_reads" {
  command = plan

  assert {
    condition = { for name, policy in aws_iam_role_policy.worker : name => jsondecode(policy.policy).Statement } == {
      bucket = [{ Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" }]
      logs = [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/files-worker:*"
      }]
      table = [{
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query"]
        Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
      }]
    }
    error_message = "The worker may read table and bucket, write its log, and nothing else."
  }

  assert {
    condition = alltrue([
      for policy in concat(values(aws_iam_role_policy.worker), aws_iam_role_policy.worker_key) : policy.role == aws_iam_role.worker[0].id
    ])
    error_message = "Each policy must be the worker's role's."
  }

  assert {
    condition = { for name, policy in aws_iam_role_policy.reconciliation : name => jsondecode(policy.policy).Statement } == {
      runs = [{
        Effect   = "Allow"
        Action   = "states:ListExecutions"
        Resource = "arn:aws:states:eu-west-1:111122223333:stateMachine:files-reconciliation"
      }]
      worker = [{
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = "arn:aws:lambda:eu-west-1:111122223333:function:files-worker"
      }]
    }
    error_message = "The state machine may invoke the worker and list its own runs, and nothing else."
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.reconciliation : policy.role == aws_iam_role.reconciliation[0].id
    ])
    error_message = "Each policy must be the state machine's role's."
  }

  assert {
    condition = [
      for role in [aws_iam_role.worker[0], aws_iam_role.reconciliation[0], aws_iam_role.schedule[0]] :
      jsondecode(role.assume_role_policy).Statement
      ] == [
      [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }],
      [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "states.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = "111122223333" } }
      }],
      [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = { StringEquals = {
          "aws:SourceAccount" = "111122223333"
          "aws:SourceArn"     = "arn:aws:scheduler:eu-west-1:111122223333:schedule-group/default"
        } }
      }],
    ]
    error_message = "Only Lambda, and only Step Functions and Scheduler for this account, may assume the roles."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.worker[0].filename == aws_lambda_function.function.filename,
      aws_lambda_function.worker[0].handler == "function.reconciliation.worker.handler",
      aws_lambda_function.worker[0].memory_size == 1769,
      aws_lambda_function.worker[0].timeout == 900,
      aws_lambda_function.worker[0].environment[0].variables == tomap(merge(
        aws_lambda_function.function.environment[0].variables,
        { GRACE_SECONDS = "120", REPAIR = "false", REPAIR_AT_MOST = "10000", VERSIONED = "false" },
      )),
    ])
    error_message = "The worker is the function's package with another handler and its own settings."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.MaxConcurrency == 5
    error_message = "By default five workers run at once."
  }
}

run "the_command_line_knows_the_state_machine" {
  command = plan

  variables {
    reconciliation = { schedule = "none" }
  }

  assert {
    condition = jsonencode(output.deployment.reconciliation) == jsonencode({
      log_group         = "/aws/lambda/files-worker"
      proof_every_hours = null
      repair            = false
      schedule          = null
      state_machine_arn = output.reconciliation.state_machine.arn
    })
    error_message = "The command line must know the state machine, that it repairs nothing, and that it has no schedule."
  }
}

run "a_worker_with_repair_writes_what_the_function_writes" {
  command = plan

  variables {
    bucket         = { name = "watched", versioned = true }
    filters        = [{ prefix = "in/" }]
    kms_key        = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
    reconciliation = { repair = true, grace_seconds = 300, concurrency = 40, memory_mb = 512, repair_at_most = 7 }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.worker["table"].policy).Statement == [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:PartiQLInsert"]
        Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
      },
      jsondecode(aws_iam_role_policy.key[0].policy).Statement[0],
    ]
    error_message = "The worker may put and insert records, and use the table's key as the function does."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.worker_key[0].policy) == jsondecode(aws_iam_role_policy.key[0].policy)
    error_message = "The worker may use a new key before the table does, like the function."
  }

  assert {
    condition     = aws_iam_role_policy.worker["bucket"].policy == aws_iam_role_policy.function["bucket"].policy
    error_message = "The worker may look at the objects that the function may look at."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.worker[0].memory_size == 512,
      aws_lambda_function.worker[0].environment[0].variables["GRACE_SECONDS"] == "300",
      aws_lambda_function.worker[0].environment[0].variables["REPAIR"] == "true",
      aws_lambda_function.worker[0].environment[0].variables["REPAIR_AT_MOST"] == "7",
      jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Begin.Parameters.Payload.concurrency == 40,
      jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.MaxConcurrency == 40,
      aws_cloudwatch_log_group.worker[0].kms_key_id == aws_cloudwatch_log_group.function.kms_key_id,
      output.deployment.reconciliation.repair,
    ])
    error_message = "Each option must reach the worker, the state machine and the command line."
  }
}

run "a_key_is_only_for_decryption_without_repair" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition = alltrue([
      for statement in [
        jsondecode(aws_iam_role_policy.worker["table"].policy).Statement[1],
        one(jsondecode(aws_iam_role_policy.worker_key[0].policy).Statement),
        ] : statement == {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
      }
    ])
    error_message = "A worker that only reads needs no new data keys."
  }
}

run "with_object_metadata_a_worker_refreshes_instead_of_inserting" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
    reconciliation  = { repair = true }
  }

  assert {
    condition = alltrue([
      one(jsondecode(aws_iam_role_policy.worker["table"].policy).Statement).Action == ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"],
      jsondecode(aws_iam_role_policy.worker["bucket"].policy).Statement[1].Action == ["s3:GetObject", "s3:GetObjectTagging"],
      keys(aws_iam_role_policy.worker) == ["bucket", "logs", "table"],
    ])
    error_message = "The worker may read tags, and does not insert."
  }
}

run "with_derived_files_a_worker_stores_them_too" {
  command = plan

  variables {
    derived_files  = { bucket_name = "manifests", prefix = "of/" }
    reconciliation = { repair = true }
  }

  assert {
    condition = alltrue([
      one(jsondecode(aws_iam_role_policy.worker["table"].policy).Statement).Action == ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"],
      jsondecode(aws_iam_role_policy.worker["derived-files"].policy).Statement == [
        { Effect = "Allow", Action = "s3:PutObject", Resource = "arn:aws:s3:::manifests/of/*" },
      ],
      aws_iam_role_policy.worker["bucket"].policy == aws_iam_role_policy.function["bucket"].policy,
    ])
    error_message = "The worker may store manifests, and does not insert."
  }
}

run "without_repair_derived_files_are_not_stored" {
  command = plan

  variables {
    derived_files = { bucket_name = "manifests" }
  }

  assert {
    condition     = keys(aws_iam_role_policy.worker) == ["bucket", "logs", "table"] && length(jsondecode(aws_iam_role_policy.worker["bucket"].policy).Statement) == 1
    error_message = "A worker that only compares may neither read objects nor store manifests."
  }
}

run "filters_reach_begin_and_work_as_they_are" {
  command = plan

  variables {
    # 100 filters of 1,000 characters.
    filters = [for number in range(100) : { prefix = format("%02d/$.<\"é&>/%0989d", number, 0), suffix = "" }]
    name    = "an-index-whose-name-is-as-long-as-its-role-allows"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Begin.Parameters.Payload.filters == jsondecode(jsonencode(var.filters))
    error_message = "Begin must get the filters."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.ItemProcessor.States.Work.Parameters.Payload.filters == jsondecode(jsonencode(var.filters))
    error_message = "Each worker must get the filters."
  }

  assert {
    condition     = length(var.filters[0].prefix) == 1000 && length(aws_iam_role.reconciliation[0].name) == 64
    error_message = "The filters must be long, and the name the longest that a role can have."
  }
}

run "an_iteration_retries_then_returns_its_item_and_the_error" {
  command = plan

  assert {
    condition = [
      for retrier in jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.ItemProcessor.States.Work.Retry : {
        errors = retrier.ErrorEquals, jitter = retrier.JitterStrategy, most = retrier.MaxAttempts
      }
      ] == [
      { errors = ["Lambda.TooManyRequestsException"], jitter = "FULL", most = 12 },
      {
        errors = [
          "Lambda.AWSLambdaException",
          "Lambda.ClientExecutionTimeoutException",
          "Lambda.SdkClientException",
          "Lambda.ServiceException",
          "Lambda.Unknown",
          "States.TaskFailed",
        ]
        jitter = "FULL"
        most   = 3
      },
    ]
    error_message = "A throttled worker must be retried more often than one that fails."
  }

  assert {
    condition = jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.ItemProcessor.States.Work.Catch == [
      { ErrorEquals = ["States.ALL"], ResultPath = "$.item.error", Next = "Failed" },
    ]
    error_message = "An iteration must not fail the others."
  }

  assert {
    condition = alltrue([
      for state in ["Begin", "Total"] :
      jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States[state].Retry == jsondecode(aws_sfn_state_machine.reconciliation[0].definition).States.Ranges.ItemProcessor.States.Work.Retry
    ])
    error_message = "Begin and Total must be retried too."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.reconciliation[0].definition).TimeoutSeconds == 86400
    error_message = "A run must end within a day."
  }
}

run "roles_path_boundary_and_tags_follow_the_options" {
  command = plan

  variables {
    function = { architecture = "x86_64", log_level = "WARN", log_retention_days = 365 }
    role     = { path = "/service/", permissions_boundary = "arn:aws:iam::111122223333:policy/team/boundary" }
    tags     = { team = "platform" }
  }

  assert {
    condition = alltrue([
      for role in [aws_iam_role.worker[0], aws_iam_role.reconciliation[0], aws_iam_role.schedule[0]] :
      role.path == "/service/" && role.permissions_boundary == "arn:aws:iam::111122223333:policy/team/boundary"
    ])
    error_message = "Path and boundary must reach each role."
  }

  assert {
    condition = alltrue([
      for tags in [
        aws_cloudwatch_log_group.worker[0].tags,
        aws_iam_role.reconciliation[0].tags,
        aws_iam_role.schedule[0].tags,
        aws_iam_role.worker[0].tags,
        aws_lambda_function.worker[0].tags,
        aws_sfn_state_machine.reconciliation[0].tags,
      ] : tags == tomap({ team = "platform" })
    ])
    error_message = "Every resource that takes tags must have them."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.worker[0].architectures == tolist(["x86_64"]),
      aws_cloudwatch_log_group.worker[0].retention_in_days == 365,
      aws_lambda_function.worker[0].logging_config[0].application_log_level == "INFO",
    ])
    error_message = "The worker follows the function's options, but always logs differences."
  }
}
