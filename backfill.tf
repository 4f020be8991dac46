# S3 Batch Operations, with `backfill_role`: a role for its jobs, and a bucket for their reports.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html

locals {
  backfill = one([for role in aws_iam_role.backfill : {
    reports_bucket = aws_s3_bucket.backfill_reports[0].bucket
    role_arn       = role.arn
  }])
}

# --- Role: one policy for each resource that a job touches ---

resource "aws_iam_role" "backfill" {
  count = var.backfill_role ? 1 : 0

  name                 = "${var.name}-backfill"
  description          = "What backfill jobs of S3 Batch Operations for the file index ${var.name} may do."
  path                 = var.role.path
  permissions_boundary = var.role.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # Without a condition on account or job: AWS documents none that such a job meets. A role can be
      # passed to a job of its own account only.
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "batchoperations.s3.amazonaws.com" }
    }]
  })
}

# Lambda asks nothing else: the function needs no permission that names S3 Batch Operations.
resource "aws_iam_role_policy" "backfill_function" {
  count = var.backfill_role ? 1 : 0

  name = "function"
  role = aws_iam_role.backfill[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = aws_lambda_function.function.arn
    }]
  })
}

resource "aws_iam_role_policy" "backfill_bucket" {
  count = var.backfill_role ? 1 : 0

  name = "bucket"
  role = aws_iam_role.backfill[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # What S3 asks for before it lists a bucket's objects for a job.
      # https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html
      Effect   = "Allow"
      Action   = "s3:PutInventoryConfiguration"
      Resource = local.bucket_arn
    }]
  })
}

resource "aws_iam_role_policy" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  name = "reports"
  role = aws_iam_role.backfill[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "${aws_s3_bucket.backfill_reports[0].arn}/*"
    }]
  })
}

# --- Bucket for reports: apart from the watched one, where each report would be an event ---

resource "aws_s3_bucket" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  bucket        = "${var.name}-backfill-${local.account_id}"
  force_destroy = true # a job can be run again
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  bucket                  = aws_s3_bucket.backfill_reports[0].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  bucket = aws_s3_bucket.backfill_reports[0].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  bucket = aws_s3_bucket.backfill_reports[0].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256" # S3 encrypts reports with its own keys, whatever stands here
    }
  }
}

resource "aws_s3_bucket_policy" "backfill_reports" {
  count = var.backfill_role ? 1 : 0

  bucket = aws_s3_bucket.backfill_reports[0].bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.backfill_reports[0].arn, "${aws_s3_bucket.backfill_reports[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses to change both at once.
  depends_on = [aws_s3_bucket_public_access_block.backfill_reports]
}
