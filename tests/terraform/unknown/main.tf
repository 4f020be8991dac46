# A stack in which the module's inputs are known only after apply, except those that decide which resources exist.

terraform {
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      configuration_aliases = [aws.elsewhere]
    }
  }
}

resource "terraform_data" "later" {
  input = {
    account = "444455556666"
    arch    = "x86_64"
    arn     = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    bucket  = "existing"
    days    = 30
    filters = ["in/", "out/"]
    flag    = false
    level   = "WARN"
    memory  = 512
    name    = "files"
    path    = "/service/"
    policy  = "arn:aws:iam::111122223333:policy/boundary"
    stream  = "NEW_IMAGE"
    topic   = "arn:aws:sns:eu-west-1:111122223333:on-call"
    week    = 7
  }
}

locals {
  later = terraform_data.later.output
}

module "for_each" {
  source   = "../../.."
  for_each = toset(["a", "b"])

  name    = "${local.later.name}-${each.key}"
  bucket  = { name = local.later.bucket }
  filters = [for prefix in ["a/", "b/"] : { prefix = "${local.later.filters[0]}${prefix}", suffix = local.later.filters[1] }]
  trigger = "eventbridge"

  queue = {
    batch_size              = local.later.days
    batching_window_seconds = local.later.days
    max_concurrency         = local.later.days
    max_receives            = local.later.days
    retention_days          = local.later.week
  }

  derived_files   = { bucket_name = local.later.bucket, prefix = local.later.name, max_mb = local.later.days }
  kms_key         = { arn = local.later.arn }
  object_metadata = { enabled = true, tags = local.later.flag }
  role            = { path = local.later.path, permissions_boundary = local.later.policy }
  tags            = { (local.later.name) = local.later.name }

  reconciliation = {
    repair            = true
    grace_seconds     = local.later.days
    concurrency       = local.later.week
    memory_mb         = local.later.memory
    proof_every_hours = local.later.days
    repair_at_most    = local.later.days
  }

  function = {
    architecture         = local.later.arch
    log_level            = local.later.level
    log_retention_days   = local.later.days
    memory_mb            = local.later.memory
    reserved_concurrency = local.later.memory
    system_log_level     = local.later.level
    timeout_seconds      = local.later.days
  }

  monitoring = {
    sns_topics = [local.later.topic]
    limits = {
      dead_letters      = local.later.days
      drift             = local.later.days
      errors            = local.later.days
      event_age_seconds = local.later.days
      failed_events     = local.later.days
      lag_seconds       = local.later.days
      permission_denied = local.later.days
      table_throttles   = local.later.days
      throttles         = local.later.days
    }
  }

  table = {
    deletion_protection    = local.later.flag
    partitions             = local.later.days
    point_in_time_recovery = local.later.flag
    stream                 = local.later.stream
    tombstone_days         = local.later.days
  }
}

module "created" {
  source = "../../.."

  providers = { aws = aws.elsewhere }

  name    = local.later.name
  bucket  = { create = true, force_destroy = local.later.flag }
  trigger = "external"

  reconciliation = {}

  depends_on = [terraform_data.later]
}

module "notified" {
  source = "../../.."

  name                         = "${local.later.name}-notified"
  bucket                       = { name = local.later.bucket }
  filters                      = [{ prefix = local.later.filters[0] }]
  replace_bucket_notifications = !local.later.flag
}

module "theirs" {
  source   = "../../.."
  for_each = toset(["external", "eventbridge"])

  name           = "${local.later.name}-theirs"
  bucket         = { name = local.later.bucket, account = format("%s", local.later.account) } # never null
  filters        = [{ prefix = local.later.filters[0] }]
  queue          = {}
  reconciliation = { repair = true }
  trigger        = each.key

  object_metadata = { enabled = true, tags = local.later.flag }
}

module "absent" {
  source = "../../.."
  count  = 0

  name   = local.later.name
  bucket = { create = true }
}
