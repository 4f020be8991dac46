# What the function may do: one policy for each resource that it touches.
# `role` is the role's id, not its name: IAM deletes policies with their role, and only the id is unknown in a plan that
# replaces the role, so that the policies are replaced too.

locals {
  # DynamoDB uses the key on behalf of whoever reads or writes the table.
  through_dynamodb = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }

  use_of_key = [for arn in var.kms_key[*].arn : {
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = arn
    Condition = local.through_dynamodb
  }]

  # A prefix that another one begins is covered by it.
  prefixes = distinct(length(var.filters) > 0 ? var.filters[*].prefix : [""])
  outermost_prefixes = [
    for prefix in local.prefixes : prefix
    if !anytrue([for other in local.prefixes : other != prefix && startswith(prefix, other)])
  ]

  # `$` and `?` have a meaning in a policy and are escaped. A policy allows few characters outside ASCII, so a wildcard
  # replaces them.
  object_arns = distinct([
    for prefix in local.outermost_prefixes :
    "${local.bucket_arn}/${replace(replace(replace(prefix, "$", "$${$}"), "?", "$${?}"), "/[^ -~]+/", "*")}*"
  ])
}

resource "aws_iam_role" "function" {
  name                 = var.name
  description          = "What the file index function ${var.name} may do."
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

resource "aws_iam_role_policy" "table" {
  name = "table"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = concat(["dynamodb:PutItem"], local.looks_at_objects ? ["dynamodb:GetItem"] : [])
        Resource = aws_dynamodb_table.table.arn
      }],
      # This policy changes after the table, so it allows a former key until the table has left it.
      local.use_of_key,
    )
  })
}

resource "aws_iam_role_policy" "bucket" {
  count = local.looks_at_objects || var.derived_files != null ? 1 : 0

  name = "bucket"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Without it S3 answers 403 instead of 404 for an object that is gone. HeadObject and GetObject
        # name no prefix, so there is none to restrict it to.
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.bucket_arn
      },
      {
        Effect   = "Allow"
        Action   = concat(["s3:GetObject"], var.object_metadata.tags ? ["s3:GetObjectTagging"] : [])
        Resource = local.object_arns
      },
    ]
  })
}

resource "aws_iam_role_policy" "derived_files" {
  count = var.derived_files == null ? 0 : 1

  name = "derived-files"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "arn:${local.partition}:s3:::${var.derived_files.bucket_name}/${var.derived_files.prefix}*"
    }]
  })

  lifecycle {
    # A watched manifest would get a manifest, and so on. Manifests are named after their objects, so a watched prefix
    # that begins with the manifests' prefix can match them too.
    precondition {
      condition = var.derived_files.bucket_name != coalesce(var.bucket.name, "${var.name}-${data.aws_caller_identity.current.account_id}") || !anytrue([
        for prefix in local.prefixes :
        startswith(var.derived_files.prefix, prefix) || startswith(prefix, var.derived_files.prefix)
      ])
      error_message = "derived_files would trigger itself in a loop: derived_files.bucket_name is the watched bucket, and derived_files.prefix \"${var.derived_files.prefix}\" overlaps a prefix of filters. Use another bucket, or prefixes that do not overlap."
    }
  }
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.function.arn}:*"
    }]
  })
}

resource "aws_iam_role_policy" "queue" {
  count = var.queue == null ? 0 : 1

  name = "queue"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = aws_sqs_queue.queue[0].arn
    }]
  })
}

# With a queue, SQS moves the dead letters itself.
resource "aws_iam_role_policy" "dead_letter" {
  count = var.queue == null ? 1 : 0

  name = "dead-letter"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "sqs:SendMessage"
      Resource = aws_sqs_queue.dead_letter.arn
    }]
  })
}

# Changes before the table, so it allows a new key before the table uses it.
resource "aws_iam_role_policy" "key" {
  count = var.kms_key == null ? 0 : 1

  name = "key"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.use_of_key
  })
}
