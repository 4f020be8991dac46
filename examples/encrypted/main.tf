# An index whose bucket, table and log groups are encrypted with your own KMS key.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name    = "contracts-index"
  bucket  = { name = aws_s3_bucket.contracts.bucket }
  trigger = "eventbridge"
  kms_key = { arn = aws_kms_key.contracts.arn }
}

resource "aws_s3_bucket" "contracts" {
  bucket_prefix = "contracts-"
}

resource "aws_s3_bucket_public_access_block" "contracts" {
  bucket = aws_s3_bucket.contracts.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "contracts" {
  bucket = aws_s3_bucket.contracts.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "contracts" {
  bucket = aws_s3_bucket.contracts.bucket

  rule {
    bucket_key_enabled = true # fewer requests to KMS

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.contracts.arn
    }
  }
}

resource "aws_s3_bucket_notification" "contracts" {
  bucket      = aws_s3_bucket.contracts.bucket
  eventbridge = module.file_index.notification.eventbridge
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_kms_key" "contracts" {
  description         = "Contracts and their index"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "IamDecides"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      },
      {
        Sid       = "LogGroupsOfTheIndex"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Principal = { Service = "logs.${data.aws_region.current.id}.amazonaws.com" }
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/contracts-index*"
          }
        }
      },
    ]
  })
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
