# An index of a bucket whose owner adds the index to the bucket's notifications.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name    = "reports-index"
  bucket  = { name = aws_s3_bucket.reports.bucket }
  trigger = "external"
  filters = [{ prefix = "incoming/", suffix = ".csv" }]
}

# Your bucket.
resource "aws_s3_bucket" "reports" {
  bucket_prefix = "reports-"
}

# A bucket has only one of these, so it stays with the bucket.
resource "aws_s3_bucket_notification" "reports" {
  bucket = aws_s3_bucket.reports.bucket

  dynamic "lambda_function" {
    for_each = module.file_index.notification.filters

    content {
      lambda_function_arn = module.file_index.notification.function_arn
      events              = module.file_index.notification.events
      filter_prefix       = lambda_function.value.prefix
      filter_suffix       = lambda_function.value.suffix
    }
  }

  # your other notifications
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
