# An index for each of several buckets.

locals {
  buckets = {
    invoices = { filters = [{ suffix = ".pdf" }] }
    orders   = { filters = [{ prefix = "incoming/" }, { prefix = "archive/" }] }
    reports  = { filters = [] } # the whole bucket
  }
}

module "file_index" {
  source   = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"
  for_each = local.buckets

  name    = "${each.key}-index"
  bucket  = { create = true }
  filters = each.value.filters
}

# For the command line, file-index.
output "file_index" {
  value = { for name, index in module.file_index : name => index.deployment }
}
