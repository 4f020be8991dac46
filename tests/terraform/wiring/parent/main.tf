# A stack that uses the module for a bucket of its own. Only its graph is looked at.

module "notified" {
  source = "../../../.."

  name   = "notified"
  bucket = { create = true }
}

module "external" {
  source = "../../../.."

  name    = "external"
  bucket  = { name = "existing" }
  trigger = "external"
}

module "queued" {
  source = "../../../.."

  name   = "queued"
  bucket = { create = true }
  queue  = {}
}

module "eventbridge" {
  source = "../../../.."

  name    = "eventbridge"
  bucket  = { create = true }
  trigger = "eventbridge"
}

module "external_eventbridge" {
  source = "../../../.."

  name    = "external-eventbridge"
  bucket  = { name = "existing" }
  queue   = {}
  trigger = "eventbridge"
}

module "theirs" {
  source = "../../../.."

  name    = "theirs"
  bucket  = { name = "theirs", account = "444455556666" }
  trigger = "eventbridge"
}

resource "aws_cloudwatch_event_target" "theirs" {
  rule     = "theirs"
  arn      = module.theirs.bucket_owner_adds.target.arn
  role_arn = "arn:aws:iam::444455556666:role/theirs"
}

resource "aws_s3_bucket_notification" "theirs" {
  bucket      = "theirs"
  eventbridge = module.theirs.notification.eventbridge
}

resource "aws_s3_bucket_notification" "own" {
  bucket = "existing"

  dynamic "lambda_function" {
    for_each = module.external.notification.filters

    content {
      lambda_function_arn = module.external.notification.function_arn
      events              = module.external.notification.events
      filter_prefix       = lambda_function.value.prefix
      filter_suffix       = lambda_function.value.suffix
    }
  }
}

resource "aws_s3_bucket_notification" "eventbridge" {
  bucket      = "existing"
  eventbridge = module.external_eventbridge.notification.eventbridge
}
