# Reconciliation of bucket and index, with `reconciliation`: a state machine divides the keys into ranges, and a second
# function, the worker, compares them, repairs them or fills the index. A schedule starts it.

locals {
  reconciliation = one([for machine in aws_sfn_state_machine.reconciliation : {
    log_group     = { arn = aws_cloudwatch_log_group.worker[0].arn, name = aws_cloudwatch_log_group.worker[0].name }
    schedule      = one([for schedule in aws_scheduler_schedule.reconciliation : { arn = schedule.arn, name = schedule.name }])
    state_machine = { arn = machine.arn, name = machine.name }
    worker        = { arn = aws_lambda_function.worker[0].arn, name = aws_lambda_function.worker[0].function_name }
  }])

  # Whether runs may write: repair differences and backfill.
  repairs = anytrue(var.reconciliation[*].repair)

  # When runs start, and how many hours may pass without a proof; null without a schedule.
  schedule = one([for expression in var.reconciliation[*].schedule : expression if expression != "none"])
  proof_every_hours = one([
    for options in var.reconciliation[*] : coalesce(options.proof_every_hours, one([
      for rate in regexall("^rate\\(([0-9]+) (minute|hour|day)s?\\)$", options.schedule) :
      ceil(2 * tonumber(rate[0]) * { minute = 1, hour = 60, day = 24 * 60 }[rate[1]] / 60)
    ])) if options.schedule != "none"
  ])
}

# --- Worker: the function's package with another handler ---

resource "aws_cloudwatch_log_group" "worker" {
  count = var.reconciliation == null ? 0 : 1

  name              = "/aws/lambda/${var.name}-worker"
  retention_in_days = var.function.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "worker" {
  count = var.reconciliation == null ? 0 : 1

  name                 = "${var.name}-worker"
  description          = "What the workers of the file index ${var.name} may do."
  path                 = var.role.path
  permissions_boundary = var.role.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

locals {
  # As local.grants in iam.tf. Whatever only a write needs is granted only with `repair`.
  worker_grants = {
    table = concat(
      [{
        Action = concat(
          ["dynamodb:GetItem", "dynamodb:Query"],
          local.repairs ? ["dynamodb:PutItem"] : [],
          # A backfill inserts records, unless they hold what only the object itself tells.
          local.repairs && !var.object_metadata.enabled && var.derived_files == null ? ["dynamodb:PartiQLInsert"] : [],
        )
        Resource = aws_dynamodb_table.table.arn
      }],
      local.worker_use_of_key,
    )

    bucket = concat(
      [{ Action = "s3:ListBucket", Resource = local.bucket_arn }],
      [for arns in [local.object_arns] : {
        Action   = concat(["s3:GetObject"], var.object_metadata.tags ? ["s3:GetObjectTagging"] : [])
        Resource = arns
      } if local.repairs],
    )

    bucket-key    = [for statement in local.grants.bucket-key : statement if local.repairs]
    derived-files = [for statement in local.grants.derived-files : statement if local.repairs]

    logs = [for group in aws_cloudwatch_log_group.worker : {
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${group.arn}:*"
    }]
  }

  worker_use_of_key = [for statement in local.use_of_key : merge(statement, {
    Action = local.repairs ? statement.Action : ["kms:Decrypt"]
  })]
}

resource "aws_iam_role_policy" "worker" {
  for_each = {
    for name, statements in local.worker_grants : name => statements
    if length(statements) > 0 && var.reconciliation != null
  }

  name = each.key
  role = aws_iam_role.worker[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in each.value : merge({ Effect = "Allow" }, statement)]
  })
}

# Apart from the others because it changes before the table, like the function's.
resource "aws_iam_role_policy" "worker_key" {
  count = var.kms_key == null || var.reconciliation == null ? 0 : 1

  name = "key"
  role = aws_iam_role.worker[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.worker_use_of_key : merge({ Effect = "Allow" }, statement)]
  })
}

resource "aws_lambda_function" "worker" {
  count = var.reconciliation == null ? 0 : 1

  function_name = "${var.name}-worker"
  description   = "Compares a range of keys of an S3 bucket with the DynamoDB table ${var.name}."
  role          = aws_iam_role.worker[0].arn

  filename         = "${path.module}/function.zip"
  source_code_hash = filebase64sha256("${path.module}/function.zip")
  handler          = "function.reconciliation.worker.handler"
  runtime          = "python3.13"
  architectures    = [var.function.architecture]

  memory_size = var.reconciliation.memory_mb
  timeout     = 900

  tags = var.tags

  ephemeral_storage {
    size = 512
  }

  tracing_config {
    mode = "PassThrough"
  }

  environment {
    variables = merge(local.environment, {
      GRACE_SECONDS  = tostring(var.reconciliation.grace_seconds)
      REPAIR         = tostring(local.repairs)
      REPAIR_AT_MOST = tostring(var.reconciliation.repair_at_most)
      VERSIONED      = tostring(var.bucket.versioned)
    })
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "INFO" # whatever the function's level: each difference is a line
    log_group             = aws_cloudwatch_log_group.worker[0].name
    system_log_level      = "INFO"
  }

  depends_on = [aws_iam_role_policy.worker]
}

# --- State machine: begin, then rounds of ranges until none is left ---

locals {
  # A worker without free concurrency waits for another run's worker, which may take minutes. Any other attempt may
  # fail again, so there are few.
  # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
  retry_of_worker = [
    {
      ErrorEquals     = ["Lambda.TooManyRequestsException"]
      IntervalSeconds = 10
      BackoffRate     = 2
      MaxDelaySeconds = 600
      MaxAttempts     = 12
      JitterStrategy  = "FULL"
    },
    {
      ErrorEquals = [
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.Unknown",
        "States.TaskFailed",
      ]
      IntervalSeconds = 2
      BackoffRate     = 2
      MaxDelaySeconds = 60
      MaxAttempts     = 3
      JitterStrategy  = "FULL"
    },
  ]

  invoke_worker = {
    Type       = "Task"
    Resource   = "arn:${local.partition}:states:::lambda:invoke"
    OutputPath = "$.Payload"
    Retry      = local.retry_of_worker
  }

  # The runs that are under way, this one among them.
  state_runs = {
    Type     = "Task"
    Resource = "arn:${local.partition}:states:::aws-sdk:sfn:listExecutions"
    Parameters = {
      "StateMachineArn.$" = "$$.StateMachine.Id"
      StatusFilter        = "RUNNING"
      MaxResults          = 50
    }
    ResultSelector = { "running.$" = "$.Executions" }
    Retry          = [merge(local.retry_of_worker[1], { ErrorEquals = ["States.TaskFailed"] })]
    Next           = "Begin"
  }

  # Checks the input, ends the run if another one of its kind began earlier, otherwise gives the first range.
  state_begin = merge(local.invoke_worker, {
    Parameters = {
      FunctionName = one(aws_lambda_function.worker[*].arn)
      Payload = {
        step          = "begin"
        "input.$"     = "$$.Execution.Input"
        "execution.$" = "$$.Execution.Id"
        "name.$"      = "$$.Execution.Name"
        "started.$"   = "$$.Execution.StartTime"
        "running.$"   = "$.running"
        concurrency   = one(var.reconciliation[*].concurrency)
        filters       = var.filters
      }
    }
    Next = "Left"
  })

  state_left = {
    Type    = "Choice"
    Choices = [{ Variable = "$.next", StringEquals = "work", Next = "Ranges" }]
    Default = "Result"
  }

  # One round: each item of `work` is replaced by its result.
  state_ranges = {
    Type           = "Map"
    ItemsPath      = "$.work"
    ItemSelector   = { "item.$" = "$$.Map.Item.Value", "run.$" = "$.run" }
    MaxConcurrency = one(var.reconciliation[*].concurrency)
    ItemProcessor = {
      ProcessorConfig = { Mode = "INLINE" }
      StartAt         = "Work"
      States          = { Work = local.state_work, Failed = local.state_failed }
    }
    ResultPath = "$.work"
    Next       = "Total"
  }

  # Each iteration succeeds, so that the others go on: it returns a worker's result, or its item and the error.
  state_work = merge(local.invoke_worker, {
    Parameters = {
      FunctionName = one(aws_lambda_function.worker[*].arn)
      Payload = {
        step        = "work"
        "item.$"    = "$.item"
        "run.$"     = "$.run"
        "attempt.$" = "$$.State.RetryCount"
        filters     = var.filters # an environment has no room for them
      }
    }
    Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.item.error", Next = "Failed" }]
    End   = true
  })

  state_failed = { Type = "Pass", InputPath = "$.item", End = true }

  # Adds up the results, and gives the ranges of the next round.
  state_total = merge(local.invoke_worker, {
    Parameters = {
      FunctionName = one(aws_lambda_function.worker[*].arn)
      Payload      = { step = "total", "state.$" = "$" }
    }
    Next = "Left"
  })

  state_result = { Type = "Succeed", InputPath = "$.result" }
}

resource "aws_iam_role" "reconciliation" {
  count = var.reconciliation == null ? 0 : 1

  name                 = "${var.name}-reconciliation"
  description          = "What the state machine of the file index ${var.name} may do."
  path                 = var.role.path
  permissions_boundary = var.role.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      # Step Functions names the account for which it acts.
      # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "reconciliation" {
  for_each = {
    for name, statement in {
      worker = { Action = "lambda:InvokeFunction", Resource = one(aws_lambda_function.worker[*].arn) }
      # From names, because the state machine comes after its policies.
      runs = {
        Action   = "states:ListExecutions"
        Resource = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${var.name}-reconciliation"
      }
    } : name => statement if var.reconciliation != null
  }

  name = each.key
  role = aws_iam_role.reconciliation[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge({ Effect = "Allow" }, each.value)]
  })
}

resource "aws_sfn_state_machine" "reconciliation" {
  count = var.reconciliation == null ? 0 : 1

  name     = "${var.name}-reconciliation"
  type     = "STANDARD"
  role_arn = aws_iam_role.reconciliation[0].arn
  tags     = var.tags

  definition = jsonencode({
    Comment        = "Reconciles the file index ${var.name} with its bucket, a range of keys at a time."
    StartAt        = "Runs"
    TimeoutSeconds = 24 * 60 * 60
    States = {
      Runs   = local.state_runs
      Begin  = local.state_begin
      Left   = local.state_left
      Ranges = local.state_ranges
      Total  = local.state_total
      Result = local.state_result
    }
  })

  # AWS's defaults, set so that an apply restores them.
  encryption_configuration {
    type = "AWS_OWNED_KEY"
  }

  logging_configuration {
    level = "OFF" # it would need permissions on all log groups; the history and the worker's log tell more
  }

  # A deleted state machine stops a run at its next transition, for which a worker may take 15 minutes.
  # https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
  timeouts {
    delete = "20m"
  }

  # A run needs all permissions when it starts. Step Functions takes over a state machine of the same name and
  # definition, where IAM refuses a role: so the role is first.
  depends_on = [aws_iam_role_policy.reconciliation]
}

# --- Schedule ---

resource "aws_iam_role" "schedule" {
  count = local.schedule == null ? 0 : 1

  name                 = "${var.name}-schedule"
  description          = "What the schedule of the file index ${var.name} may do."
  path                 = var.role.path
  permissions_boundary = var.role.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      # EventBridge Scheduler names the schedule's group, not the schedule.
      # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account_id
        "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule-group/default"
      } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  count = local.schedule == null ? 0 : 1

  name = "state-machine"
  role = aws_iam_role.schedule[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "states:StartExecution", Resource = aws_sfn_state_machine.reconciliation[0].arn }]
  })
}

resource "aws_scheduler_schedule" "reconciliation" {
  count = local.schedule == null ? 0 : 1

  name        = "${var.name}-reconciliation"
  description = "Compares the bucket ${local.bucket_name} with the DynamoDB table ${var.name}."
  group_name  = "default"
  state       = "ENABLED"

  schedule_expression          = local.schedule
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.reconciliation[0].arn
    role_arn = aws_iam_role.schedule[0].arn
    input    = jsonencode({})

    # By default AWS would retry 185 times within a day, and start a run long after its time.
    retry_policy {
      maximum_event_age_in_seconds = 60 * 60
      maximum_retry_attempts       = 10
    }
  }

  # The first run of a rate starts at once: it needs its permissions, and events must already flow, or it would find
  # their objects to be missing.
  depends_on = [aws_iam_role_policy.schedule, aws_s3_bucket_notification.bucket]
}
