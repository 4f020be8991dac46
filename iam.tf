# What the function may do: an execution role, and one policy for each resource that the function uses.

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

  # Here, because most resources come after the role.
  lifecycle {
    # Not local.account_id, which a first plan does not know.
    precondition {
      condition     = var.bucket.account != data.aws_caller_identity.current.account_id
      error_message = "bucket.account is the deployment's own account, ${data.aws_caller_identity.current.account_id}: remove it. It is for a bucket of another account."
    }
  }
}

locals {
  # Statements by the name of their policy. A policy without statements is not created.
  grants = {
    table = concat(
      [{
        Action = concat(
          ["dynamodb:PutItem"],
          local.refreshes ? ["dynamodb:GetItem"] : [],
          local.inserts_first ? ["dynamodb:PartiQLInsert"] : [],
        )
        Resource = aws_dynamodb_table.table.arn
      }],
      # This policy changes after the table, so it allows a former key until the table has left it.
      local.use_of_key,
    )

    bucket = [
      for statement in [
        {
          # Without it S3 returns 403 instead of 404 for a missing object. HeadObject and GetObject name no prefix, so
          # there is none to restrict it to.
          Action   = "s3:ListBucket"
          Resource = local.bucket_arn
        },
        {
          Action   = concat(["s3:GetObject"], var.object_metadata.tags ? ["s3:GetObjectTagging"] : [])
          Resource = local.object_arns
        },
      ] : statement if local.refreshes || var.derived_files != null
    ]

    # The owner's account allows it with the key's policy; in the same account that policy alone would do.
    bucket-key = [
      for statement in [{
        Action   = "kms:Decrypt"
        Resource = "arn:${local.partition}:kms:${local.region}:${local.bucket_account}:key/*"
        Condition = { StringLike = {
          "kms:EncryptionContext:aws:s3:arn" = [local.bucket_arn, "${local.bucket_arn}/*"]
          "kms:ViaService"                   = "s3.*.amazonaws.com"
        } }
      }] : statement if local.of_another_account && local.decrypts
    ]

    derived-files = [for files in var.derived_files[*] : {
      Action   = "s3:PutObject"
      Resource = "arn:${local.partition}:s3:::${files.bucket_name}/${files.prefix}*"
    }]

    logs = [{
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.function.arn}:*"
    }]

    queue = [for queue in aws_sqs_queue.queue : {
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = queue.arn
    }]

    # With a queue, SQS moves the dead letters itself.
    dead-letter = var.queue == null ? [{ Action = "sqs:SendMessage", Resource = aws_sqs_queue.dead_letter.arn }] : []
  }

  # Manifests are made of objects' content, and HeadObject returns checksums only to callers who may decrypt the object.
  decrypts = var.object_metadata.enabled || var.derived_files != null

  # DynamoDB uses the key on behalf of whoever reads or writes the table.
  through_dynamodb = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }

  use_of_key = [for key in var.kms_key[*] : {
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = key.arn
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

# `role` is the role's id, not its name: IAM deletes policies with their role, and only the id is unknown in a plan that
# replaces the role, so that the policies are replaced too.
resource "aws_iam_role_policy" "function" {
  for_each = { for name, statements in local.grants : name => statements if length(statements) > 0 }

  name = each.key
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in each.value : merge({ Effect = "Allow" }, statement)]
  })
}

# Apart from the others because it changes before the table: it allows a new key before the table uses it.
resource "aws_iam_role_policy" "key" {
  count = var.kms_key == null ? 0 : 1

  name = "key"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.use_of_key : merge({ Effect = "Allow" }, statement)]
  })
}

# Each policy had a resource of its own. Without these blocks, an upgrade would delete the former policies and create
# policies of the same names in any order, so the role could lose them.
moved {
  from = aws_iam_role_policy.bucket[0]
  to   = aws_iam_role_policy.function["bucket"]
}

moved {
  from = aws_iam_role_policy.dead_letter[0]
  to   = aws_iam_role_policy.function["dead-letter"]
}

moved {
  from = aws_iam_role_policy.derived_files[0]
  to   = aws_iam_role_policy.function["derived-files"]
}

moved {
  from = aws_iam_role_policy.logs
  to   = aws_iam_role_policy.function["logs"]
}

moved {
  from = aws_iam_role_policy.queue[0]
  to   = aws_iam_role_policy.function["queue"]
}

moved {
  from = aws_iam_role_policy.table
  to   = aws_iam_role_policy.function["table"]
}
