# The pipeline, top to bottom: bucket -> function -> table.
# How events get from the bucket to the function is in delivery.tf, what the function may do in iam.tf,
# what a backfill by S3 Batch Operations needs in backfill.tf.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# For the Region: data.aws_region warns in one version of the provider or the other.
data "aws_service_principal" "s3" {
  service_name = "s3"
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_service_principal.s3.region

  # Known before the bucket is there.
  bucket_name_given = var.bucket.name == null ? "${var.name}-${local.account_id}" : var.bucket.name

  bucket_name = var.bucket.create ? aws_s3_bucket.watched[0].bucket : var.bucket.name
  bucket_arn  = var.bucket.create ? aws_s3_bucket.watched[0].arn : "arn:${local.partition}:s3:::${var.bucket.name}"

  # Events of a bucket with versions do not say what is left of an object, none carries its metadata,
  # and jobs of S3 Batch Operations name keys alone: there the function looks at the object and at its record.
  looks_at_objects = var.bucket.versioned || var.object_metadata.enabled || var.backfill_role

  kms_key_arn = var.kms_key == null ? null : var.kms_key.arn
}

# --- Bucket, created if asked for ---

# A bucket in another Region or account, or none of that name, would never send an event. Most of
# these the provider refuses itself when it reads; some releases of it follow S3 to another Region.
data "aws_s3_bucket" "watched" {
  count = var.bucket.create ? 0 : 1

  bucket = var.bucket.name

  lifecycle {
    postcondition {
      condition     = strcontains(self.bucket_regional_domain_name, ".s3.${local.region}.")
      error_message = "The bucket ${var.bucket.name} is not in ${local.region} (${self.bucket_regional_domain_name}), and S3 sends events within a Region only: use the module with a provider of the bucket's Region."
    }
  }
}

resource "aws_s3_bucket" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket        = local.bucket_name_given
  force_destroy = var.bucket.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket                  = aws_s3_bucket.watched[0].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].bucket

  versioning_configuration {
    # Not "Suspended": a bucket that once had versions keeps them and goes on sending their events,
    # so the function must go on looking. The provider refuses Enabled -> Disabled at plan.
    status = var.bucket.versioned ? "Enabled" : "Disabled"
  }
}

resource "aws_s3_bucket_policy" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.watched[0].arn, "${aws_s3_bucket.watched[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses to change both at once.
  depends_on = [aws_s3_bucket_public_access_block.watched]
}

resource "aws_s3_bucket_lifecycle_configuration" "watched" {
  count = var.bucket.create && var.bucket.abort_uploads ? 1 : 0

  bucket = aws_s3_bucket.watched[0].bucket

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# --- Function ---

# Made by Terraform rather than by the first invocation: it has a retention from the start, and the
# role needs no right to create it.
resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.function.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "function" {
  function_name = var.name
  description   = "Keeps the DynamoDB table ${var.name} in step with the objects of an S3 bucket."
  role          = aws_iam_role.function.arn

  filename         = "${path.module}/function.zip"
  source_code_hash = filebase64sha256("${path.module}/function.zip")
  handler          = "function.handler.handler"
  runtime          = "python3.13"
  architectures    = [var.function.architecture]

  memory_size                    = var.function.memory_mb
  timeout                        = var.function.timeout_seconds
  reserved_concurrent_executions = var.function.reserved_concurrency

  tags = var.tags

  environment {
    variables = merge(
      {
        BUCKET_NAME      = local.bucket_name_given
        OBJECT_METADATA  = tostring(var.object_metadata.enabled)
        OBJECT_TAGS      = tostring(var.object_metadata.tags)
        TABLE_NAME       = aws_dynamodb_table.table.name
        TABLE_PARTITIONS = tostring(terraform_data.table_partitions.triggers_replace)
        TOMBSTONE_DAYS   = tostring(var.table.tombstone_days)
      },
      var.derived_files == null ? {} : {
        DERIVED_BUCKET    = var.derived_files.bucket_name
        DERIVED_MAX_BYTES = tostring(var.derived_files.max_mb * 1024 * 1024)
        DERIVED_PREFIX    = var.derived_files.prefix
      },
    )
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.function.log_level
    log_group             = aws_cloudwatch_log_group.function.name
  }

  # A function that is told to do something may do it already.
  depends_on = [
    aws_iam_role_policy.bucket,
    aws_iam_role_policy.dead_letter,
    aws_iam_role_policy.derived_files,
    aws_iam_role_policy.key,
    aws_iam_role_policy.logs,
    aws_iam_role_policy.queue,
    aws_iam_role_policy.table,
  ]
}

# --- Table ---

# Another number of partitions makes every record unreachable, so the table is replaced with it.
# It is replaced here too, not updated: where deletion protection saves the table, this keeps the old
# number, and the next plan still wants to replace both.
resource "terraform_data" "table_partitions" {
  triggers_replace = var.table.partitions
}

resource "aws_dynamodb_table" "table" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "partition"
  range_key                   = "key"
  deletion_protection_enabled = var.table.deletion_protection
  stream_enabled              = var.table.stream != null
  stream_view_type            = var.table.stream
  tags                        = var.tags

  attribute {
    name = "partition"
    type = "S"
  }

  attribute {
    name = "key"
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.table.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.kms_key_arn
  }

  ttl {
    attribute_name = "expires_at" # tombstones only
    enabled        = true
  }

  lifecycle {
    replace_triggered_by = [terraform_data.table_partitions]
  }
}
