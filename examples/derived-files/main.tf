# An index whose records point to a manifest of each object's content.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name    = "reports-index"
  bucket  = { create = true }
  filters = [{ prefix = "reports/" }]

  derived_files = { bucket_name = aws_s3_bucket.manifests.bucket, prefix = "reports-index/" }
}

resource "aws_s3_bucket" "manifests" {
  bucket_prefix = "reports-index-manifests-"
  force_destroy = true # a backfill can make each of them again
}

resource "aws_s3_bucket_public_access_block" "manifests" {
  bucket = aws_s3_bucket.manifests.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# A manifest outlives its object, and S3 cannot tell whether the object is gone, so every manifest expires after two years.
# `file-index backfill` makes the manifests of older objects again.
resource "aws_s3_bucket_lifecycle_configuration" "manifests" {
  bucket = aws_s3_bucket.manifests.bucket

  rule {
    id     = "expire-manifests"
    status = "Enabled"

    filter {
      prefix = "reports-index/"
    }

    expiration {
      days = 730
    }
  }
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
