# An index of a bucket that has an owner and notifications already, through EventBridge.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name    = "reports-index"
  bucket  = { name = aws_s3_bucket.reports.bucket }
  trigger = "eventbridge"
  filters = [{ prefix = "incoming/", suffix = ".csv" }]
}

# Your bucket.
resource "aws_s3_bucket" "reports" {
  bucket_prefix = "reports-"
}

# A bucket has only one of these, so it stays with the bucket.
resource "aws_s3_bucket_notification" "reports" {
  bucket      = aws_s3_bucket.reports.bucket
  eventbridge = module.file_index.notification.eventbridge

  # your other notifications
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
