# An index of a bucket that belongs to another account. `aws` is the account of the index, `aws.owner` the bucket's.
# If the two accounts have stacks of their own, give the output `bucket_owner_adds` to the bucket's stack.

provider "aws" {
  alias   = "owner"
  profile = "bucket-owner"
}

# --- The account of the index ---

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name    = "their-reports-index"
  bucket  = { name = aws_s3_bucket.reports.bucket, account = data.aws_caller_identity.owner.account_id }
  trigger = "external"

  reconciliation = { repair = true, schedule = "none" }
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}

# --- The bucket's account ---

data "aws_caller_identity" "owner" {
  provider = aws.owner
}

resource "aws_s3_bucket" "reports" {
  provider = aws.owner

  bucket_prefix = "reports-"
}

resource "aws_s3_bucket_versioning" "reports" {
  provider = aws.owner

  bucket = aws_s3_bucket.reports.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "reports" {
  provider = aws.owner

  bucket = aws_s3_bucket.reports.bucket
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = module.file_index.bucket_owner_adds.bucket_policy_statements # and your own
  })
}

resource "aws_s3_bucket_notification" "reports" {
  provider = aws.owner

  bucket = aws_s3_bucket.reports.bucket

  dynamic "lambda_function" {
    for_each = module.file_index.bucket_owner_adds.notification.filters

    content {
      lambda_function_arn = module.file_index.bucket_owner_adds.notification.function_arn
      events              = module.file_index.bucket_owner_adds.notification.events
      filter_prefix       = lambda_function.value.prefix
      filter_suffix       = lambda_function.value.suffix
    }
  }

  # The function reads the object of each event.
  depends_on = [aws_s3_bucket_policy.reports]
}
