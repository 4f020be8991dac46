# The pipeline, top to bottom: bucket -> function -> table.
# delivery.tf brings events from the bucket to the function, iam.tf has the function's permissions, and reconciliation.tf
# compares index and bucket.

# Both data sources only validate input at plan.
data "aws_caller_identity" "current" {}

# For the Region. data.aws_region calls it `name` in version 5 of the provider and `region` in version 6.
data "aws_service_principal" "s3" {
  service_name = "s3"
}

locals {
  # From a resource, which is in the state: arn:PARTITION:logs:REGION:ACCOUNT:… If the module block has `depends_on` and
  # the dependency changes, Terraform reads data sources only at apply. Names and ARNs made of them would be unknown at
  # plan, and Terraform would replace the bucket, queues and rule with everything in them.
  log_group_arn = split(":", aws_cloudwatch_log_group.function.arn)
  account_id    = local.log_group_arn[4]
  partition     = local.log_group_arn[1]
  region        = local.log_group_arn[3]

  bucket_name = var.bucket.create ? aws_s3_bucket.watched[0].bucket : var.bucket.name
  bucket_arn  = var.bucket.create ? aws_s3_bucket.watched[0].arn : "arn:${local.partition}:s3:::${var.bucket.name}"

  # Events of a versioned bucket do not say what is left of an object, and no event carries metadata. In these cases the
  # function refreshes the record: it reads it, and then the object.
  refreshes = var.bucket.versioned || var.object_metadata.enabled

  # A batch of new objects takes few requests if the function inserts their records before it puts any. That needs batches,
  # and events that say all that a record holds.
  inserts_first = var.queue != null && !local.refreshes && var.derived_files == null

  kms_key_arn = var.kms_key == null ? null : var.kms_key.arn

  # The owner's account, and whether it is another one than the deployment's.
  bucket_account     = coalesce(var.bucket.account, local.account_id)
  of_another_account = var.bucket.account != null
}

# --- Bucket, created if asked for ---

# A missing bucket, or one in another Region or account, would never send an event. The provider refuses most of these
# when it reads the bucket, but some releases follow S3 to another Region. A bucket of another account is not read, because
# the deployer need not have access to it.
data "aws_s3_bucket" "watched" {
  count = var.bucket.create || local.of_another_account ? 0 : 1

  bucket = var.bucket.name

  lifecycle {
    postcondition {
      condition     = strcontains(self.bucket_regional_domain_name, ".s3.${data.aws_service_principal.s3.region}.")
      error_message = "The bucket ${var.bucket.name} is not in ${data.aws_service_principal.s3.region} (${self.bucket_regional_domain_name}), and S3 sends events only within a Region: use the module with a provider for the bucket's Region."
    }
  }
}

resource "aws_s3_bucket" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket        = coalesce(var.bucket.name, "${var.name}-${local.account_id}")
  force_destroy = var.bucket.force_destroy
  tags          = var.tags

  lifecycle {
    # terraform_data.bucket_created remembers the first apply alone, so a later plan could destroy the new bucket.
    precondition {
      condition     = terraform_data.bucket_created.input
      error_message = "The index follows a bucket that the module did not create. With bucket.create = true, the records of that bucket would stay in the table, and nothing would keep them up to date. Nothing was changed. Deploy a second index under another name, or apply with -replace=ADDRESS, the address of terraform_data.bucket_created in `terraform state list`."
    }

    precondition {
      condition     = terraform_data.kept["bucket"].input == local.kept["bucket"].name
      error_message = "A new name replaces the bucket ${terraform_data.kept["bucket"].input} (* is the account id), and S3 does not delete a bucket that holds objects. Nothing was changed. Set bucket.name to the present name to keep the bucket. To delete it with its objects, set bucket.force_destroy = true, apply, then change the name."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket                  = aws_s3_bucket.watched[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].id

  versioning_configuration {
    # Not "Suspended": a bucket that once had versions keeps them and still sends their events, so the function must
    # still read objects. The provider refuses Enabled -> Disabled at plan.
    status = var.bucket.versioned ? "Enabled" : "Disabled"
  }
}

resource "aws_s3_bucket_policy" "watched" {
  count = var.bucket.create ? 1 : 0

  bucket = aws_s3_bucket.watched[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.watched[0].arn, "${aws_s3_bucket.watched[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses to change both at once.
  depends_on = [aws_s3_bucket_public_access_block.watched]
}

resource "aws_s3_bucket_lifecycle_configuration" "watched" {
  count = var.bucket.create && var.bucket.abort_uploads ? 1 : 0

  bucket = aws_s3_bucket.watched[0].id

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# --- Function ---

# Terraform creates it, not the first invocation: so it has a retention from the start, and the role needs no permission
# to create it.
resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.function.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = var.tags
}

locals {
  # The function's settings, which function/settings.py reads. file-index gets the same ones from the output `deployment`.
  environment = merge(
    {
      BUCKET_NAME      = local.bucket_name
      OBJECT_METADATA  = tostring(var.object_metadata.enabled)
      OBJECT_TAGS      = tostring(var.object_metadata.tags)
      TABLE_NAME       = aws_dynamodb_table.table.name
      TABLE_PARTITIONS = tostring(local.partitions)
      TOMBSTONE_DAYS   = tostring(var.table.tombstone_days)
    },
    local.of_another_account ? { BUCKET_ACCOUNT = local.bucket_account } : {},
    var.derived_files == null ? {} : {
      DERIVED_BUCKET    = var.derived_files.bucket_name
      DERIVED_MAX_BYTES = tostring(var.derived_files.max_mb * 1024 * 1024)
      DERIVED_PREFIX    = var.derived_files.prefix
    },
    local.inserts_first ? { INSERT_FIRST = "true" } : {},
  )
}

resource "aws_lambda_function" "function" {
  function_name = var.name
  description   = "Keeps the DynamoDB table ${var.name} in step with the objects of an S3 bucket."
  role          = aws_iam_role.function.arn

  filename         = "${path.module}/function.zip"
  source_code_hash = filebase64sha256("${path.module}/function.zip")
  handler          = "function.handler.handler"
  runtime          = "python3.13"
  architectures    = [var.function.architecture]

  memory_size                    = var.function.memory_mb
  timeout                        = var.function.timeout_seconds
  reserved_concurrent_executions = var.function.reserved_concurrency

  tags = var.tags

  # AWS's defaults, set so that an apply restores them.
  ephemeral_storage {
    size = 512
  }

  tracing_config {
    mode = "PassThrough"
  }

  environment {
    variables = local.environment
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.function.log_level
    log_group             = aws_cloudwatch_log_group.function.name
    system_log_level      = var.function.system_log_level
  }

  lifecycle {
    # Not at the bucket's data source, which may be read at apply, after terraform_data has changed.
    precondition {
      condition     = var.bucket.create || !terraform_data.bucket_created.input
      error_message = "The module created its bucket, and bucket.create = false would destroy it. Nothing was changed. To keep the bucket, take it out of the state first: see \"Hand the bucket over\" in docs/operations.md."
    }

    # A watched manifest would get a manifest, and so on. Manifests are named after their objects, so a watched prefix
    # that begins with the manifests' prefix can match them too.
    precondition {
      condition = alltrue([
        for files in var.derived_files[*] :
        files.bucket_name != coalesce(var.bucket.name, "${var.name}-${data.aws_caller_identity.current.account_id}") ||
        !anytrue([for prefix in local.prefixes : startswith(files.prefix, prefix) || startswith(prefix, files.prefix)])
      ])
      error_message = "derived_files would trigger itself in a loop: derived_files.bucket_name is the watched bucket, and derived_files.prefix \"${join("", var.derived_files[*].prefix)}\" overlaps a prefix of filters. Use another bucket, or prefixes that do not overlap."
    }
  }

  # The function needs its permissions when it starts, and Lambda checks them when it connects a queue or a failure
  # destination. The table waits for the policy of the key.
  depends_on = [aws_iam_role_policy.function]
}

# --- Table ---

# Another number of partitions makes every record unreachable, so it replaces the table. The number is replaced too, not
# updated: if deletion protection saves the table, the old number stays, and the next plan still replaces both.
resource "terraform_data" "table_partitions" {
  triggers_replace = var.table.partitions
}

locals {
  partitions = terraform_data.table_partitions.triggers_replace # what the records are written with
}

resource "aws_dynamodb_table" "table" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "partition"
  range_key                   = "key"
  deletion_protection_enabled = var.table.deletion_protection
  stream_enabled              = var.table.stream != null
  stream_view_type            = var.table.stream
  tags                        = var.tags

  attribute {
    name = "partition"
    type = "S"
  }

  attribute {
    name = "key"
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.table.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = var.kms_key != null # otherwise with a key that AWS owns, free of charge
    kms_key_arn = local.kms_key_arn
  }

  ttl {
    attribute_name = "expires_at" # tombstones only
    enabled        = true
  }

  lifecycle {
    replace_triggered_by = [terraform_data.table_partitions]

    precondition {
      condition     = terraform_data.kept["table"].input == local.kept["table"].name
      error_message = "A new name replaces the table ${terraform_data.kept["table"].input} and everything beside it, and the table is protected. Nothing was changed. Set table.deletion_protection = false, apply, then change the name: the index starts empty. Change name and protection in two applies."
    }
  }

  # Function and workers are allowed a new key before the table uses it.
  depends_on = [aws_iam_role_policy.key, aws_iam_role_policy.worker_key]
}

# --- Protection ---

# DynamoDB does not delete a protected table, nor S3 a bucket that holds objects, but they refuse only after Terraform
# has destroyed what depends on them. So a plan that would replace either is refused. The protection that counts is the
# one last applied. Otherwise one plan could remove the protection and replace what it protects.
locals {
  kept = merge(
    { table = { name = var.name, protected = var.table.deletion_protection } },
    # Without the account id, which is not always known at plan.
    var.bucket.create ? {
      bucket = {
        name      = var.bucket.name == null ? "${var.name}-*" : replace(var.bucket.name, "/-[0-9]{12}$/", "-*")
        protected = !var.bucket.force_destroy
      }
    } : {},
  )
}

# The name at the time when the protection was last switched on or off: only a replacement takes a new one.
resource "terraform_data" "switched" {
  for_each = local.kept

  triggers_replace = each.value.protected
  input            = each.value.name

  lifecycle {
    ignore_changes = [input]
  }
}

# The name that is kept. It follows a change only if the protection is off and this plan does not switch it off.
resource "terraform_data" "kept" {
  for_each = local.kept

  triggers_replace = (
    each.value.protected ? "kept"
    : terraform_data.switched[each.key].input == each.value.name ? "kept"
    : each.value.name
  )
  input = each.value.name

  lifecycle {
    ignore_changes = [input]
  }
}

# Whether the module created the bucket, for a plan with bucket.create = false.
resource "terraform_data" "bucket_created" {
  input = var.bucket.create

  lifecycle {
    ignore_changes = [input]
  }
}
