# An index of a bucket that the module creates.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name   = "reports-index"
  bucket = { create = true }
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
