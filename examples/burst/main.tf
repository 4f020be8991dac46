# An index with a queue, for a bucket in which thousands of files land at once.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name   = "scans-index"
  bucket = { create = true }
  queue  = { max_concurrency = 10 }

  # A burst may wait longer than 10 minutes before anybody has to look.
  monitoring = { limits = { event_age_seconds = 3600, lag_seconds = 3600 } }
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
