variable "bucket" {
  description = <<-EOT
    The bucket to watch.
    - `name`: an existing bucket, or the name of the one to create. Left out when creating: `<name>-<account id>`.
    - `account`: the id of the account that owns an existing bucket, if it is another account. Its owner configures the
      bucket with the output `bucket_owner_adds`. Whether it is null must be known at plan.
    - `create`: let the module create it, hardened.
    - `versioned`: for a created bucket, whether to keep versions; for an existing one, whether it has versioning
      enabled or ever had (suspended versioning counts). The function then reads each object with HeadObject, because
      events of such a bucket do not say what is left. S3 can suspend versioning but not undo it, so a created bucket
      cannot go back to `false`. It must be known at plan.
    - `force_destroy`: destroy the created bucket even if it holds objects.
    - `abort_uploads`: abort multipart uploads to the created bucket that are incomplete after 7 days.
  EOT
  type = object({
    name          = optional(string)
    account       = optional(string)
    create        = optional(bool, false)
    versioned     = optional(bool, true)
    force_destroy = optional(bool, false)
    abort_uploads = optional(bool, true)
  })
  nullable = false

  validation {
    condition     = var.bucket.create || var.bucket.name != null
    error_message = "No bucket to watch: set bucket.name to an existing bucket, or bucket.create = true."
  }

  validation {
    condition     = !var.bucket.create || var.bucket.name != null || can(regex("^[a-z0-9][a-z0-9-]{0,49}$", var.name))
    error_message = "The bucket would be named \"${var.name}-<account id>\", which S3 does not allow: set bucket.name, or give a name of at most 50 lower-case letters, digits and hyphens."
  }

  validation {
    condition     = !var.bucket.create || var.bucket.name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name)) && !can(regex("[.][.]", var.bucket.name))
    error_message = "bucket.name must be 3 to 63 lower-case letters, digits, hyphens and single dots, with a letter or digit at both ends."
  }

  validation {
    condition     = var.bucket.create || !can(regex("(-s3alias|--ol-s3|[.]mrap|--x-s3|--table-s3)$", var.bucket.name))
    error_message = "bucket.name is an access point alias, a directory bucket or a table bucket: these send no events that the index can follow. Name the general purpose bucket itself."
  }

  validation {
    condition = !var.bucket.create || !can(regex(
      "^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|[.]mrap|--x-s3|--table-s3)$|^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$",
      coalesce(var.bucket.name, "${var.name}-0"),
    ))
    error_message = "S3 reserves the bucket's name (${coalesce(var.bucket.name, "${var.name}-<account id>")}): choose one that does not begin with xn--, sthree- or amzn-s3-demo-, does not end with -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3, and is not an IP address."
  }

  validation {
    # Buckets from before 2018 may have longer names, upper-case letters and underscores.
    condition     = var.bucket.name == null || can(regex("^[A-Za-z0-9._-]{3,255}$", var.bucket.name))
    error_message = "bucket.name must be the name of a bucket (letters, digits, hyphens, dots), not an ARN or a URL."
  }

  validation {
    condition     = var.bucket.account == null || can(regex("^[0-9]{12}$", var.bucket.account))
    error_message = "bucket.account must be the id of an AWS account, 12 digits in quotation marks, such as \"111122223333\"."
  }

  validation {
    condition     = !var.bucket.create || var.bucket.account == null
    error_message = "The module creates buckets only in the deployment's own account: remove bucket.account, or name a bucket that exists in that account and remove bucket.create."
  }

  validation {
    condition     = var.bucket.create || !var.bucket.force_destroy
    error_message = "bucket.force_destroy is for a bucket that the module creates: remove it, or set bucket.create = true."
  }
}

variable "derived_files" {
  description = <<-EOT
    Store a small JSON manifest of each object's content (SHA-256, length, media type, …) in another bucket. The record
    points to it. Whether `derived_files` is null must be known at plan.
    - `bucket_name`: an existing bucket for the manifests. It may be the watched bucket only if `prefix` does not overlap a
      prefix of `filters`.
    - `prefix`: prefix of the manifests' keys.
    - `max_mb`: larger objects (MiB) get no manifest.
  EOT
  type = object({
    bucket_name = string
    prefix      = optional(string, "")
    max_mb      = optional(number, 100)
  })
  default = null

  validation {
    condition = alltrue([
      for bucket in var.derived_files[*].bucket_name :
      can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket)) &&
      !can(regex("(-s3alias|--ol-s3|[.]mrap|--x-s3|--table-s3)$", bucket))
    ])
    error_message = "derived_files.bucket_name must be the name of a bucket, not an ARN, an alias of an access point or a directory bucket."
  }

  validation {
    condition     = var.bucket.account == null || alltrue([for bucket in var.derived_files[*].bucket_name : bucket != var.bucket.name])
    error_message = "derived_files.bucket_name is the watched bucket, which belongs to another account (bucket.account): name a bucket of the deployment's account."
  }

  validation {
    condition     = alltrue([for prefix in var.derived_files[*].prefix : can(regex("^[ !-#%-)+->@-~]{0,500}$", prefix))])
    error_message = "derived_files.prefix must have at most 500 printable ASCII characters, without $, * and ?, which have a special meaning in the role's policy."
  }

  validation {
    condition     = alltrue([for mb in var.derived_files[*].max_mb : mb >= 0 && mb <= 50 * 1024 * 1024 && floor(mb) == mb])
    error_message = "derived_files.max_mb must be a whole number from 0 to 52428800, the largest object that S3 stores."
  }
}

variable "filters" {
  description = <<-EOT
    Which objects to index: those whose key matches any filter. Empty: all objects. Write plain keys, because the module
    encodes them for S3. Keys normally begin without a slash.
    - `prefix`: how the key begins.
    - `suffix`: how the key ends.
  EOT
  type = list(object({
    prefix = optional(string, "")
    suffix = optional(string, "")
  }))
  default  = []
  nullable = false

  validation {
    condition     = !strcontains(join("", flatten([for filter in var.filters : [filter.prefix, filter.suffix]])), "*")
    error_message = "S3 does not support wildcards in filters: remove the `*`. A prefix matches all keys that begin with it."
  }

  validation {
    condition = alltrue(flatten([
      for filter in var.filters : [
        for text in [filter.prefix, filter.suffix] : length(replace(urlencode(text), "%2F", "/")) <= 1024
      ]
    ]))
    error_message = "A prefix or suffix in filters is too long: S3 allows 1,024 characters, counted after encoding (a non-ASCII byte counts 3)."
  }

  validation {
    condition     = length(var.filters) <= 100
    error_message = "S3 allows at most 100 notifications on a bucket: use at most 100 filters, for instance with shorter prefixes."
  }

  validation {
    # In a pattern of EventBridge, filters are alternatives and may overlap.
    condition = var.trigger == "eventbridge" || alltrue(flatten([
      for i, one in var.filters : [
        for other in slice(var.filters, 0, i) : !(
          (startswith(one.prefix, other.prefix) || startswith(other.prefix, one.prefix)) &&
          (endswith(one.suffix, other.suffix) || endswith(other.suffix, one.suffix))
        )
      ]
    ]))
    error_message = "S3 rejects filters that can match the same key. Make prefixes or suffixes differ, or keep the wider filter only, or set trigger = \"eventbridge\": ${join(", ", flatten([
      for i, one in var.filters : [
        for other in slice(var.filters, 0, i) : "${jsonencode(other)} and ${jsonencode(one)}"
        if(startswith(one.prefix, other.prefix) || startswith(other.prefix, one.prefix)) &&
        (endswith(one.suffix, other.suffix) || endswith(other.suffix, one.suffix))
      ]
    ]))}."
  }
}

variable "function" {
  description = <<-EOT
    The function that writes the index.
    - `architecture`: "arm64" or "x86_64".
    - `memory_mb`: 128 to 10240.
    - `timeout_seconds`: 15 to 900.
    - `log_level`: "DEBUG", "INFO" (a line for each object) or "WARN".
    - `system_log_level`: "DEBUG", "INFO" or "WARN", for Lambda's own lines. "WARN" has only those of invocations that
      timed out or crashed; "INFO" adds two to each invocation.
    - `log_retention_days`: one of the values that CloudWatch Logs offers.
    - `reserved_concurrency`: the function's limit of concurrent executions, reserved from the account's; null: none.
  EOT
  type = object({
    architecture         = optional(string, "arm64")
    memory_mb            = optional(number, 256)
    timeout_seconds      = optional(number, 60)
    log_level            = optional(string, "INFO")
    log_retention_days   = optional(number, 30)
    reserved_concurrency = optional(number)
    system_log_level     = optional(string, "WARN")
  })
  default  = {}
  nullable = false

  validation {
    # Some versions of the provider allow what only Lambda Managed Instances have.
    condition     = var.function.memory_mb <= 10240
    error_message = "function.memory_mb must be at most 10240."
  }

  validation {
    condition     = var.function.timeout_seconds >= 15 && var.function.timeout_seconds <= 900 && floor(var.function.timeout_seconds) == var.function.timeout_seconds
    error_message = "function.timeout_seconds must be a whole number from 15 to 900."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARN"], var.function.log_level)
    error_message = "function.log_level must be \"DEBUG\", \"INFO\" or \"WARN\": above WARN, the causes of failures would not be logged."
  }

  validation {
    condition     = var.function.log_retention_days != 0
    error_message = "function.log_retention_days = 0 would keep log lines forever: use another value that CloudWatch Logs offers, at most 3653."
  }

  validation {
    condition     = alltrue([for limit in var.function.reserved_concurrency[*] : limit >= 1 && floor(limit) == limit])
    error_message = "function.reserved_concurrency must be a whole number from 1 (0 would stop the function), or null for no limit."
  }
}

variable "kms_key" {
  description = <<-EOT
    Your own KMS key for table and log group: `{ arn = … }`; null: keys that AWS owns. The key policy must let CloudWatch
    Logs (`logs.<region>.amazonaws.com`) use the key and leave other permissions to IAM. Whether `kms_key` is null must be
    known at plan.
    - `arn`: the key's ARN, not an alias.
  EOT
  type = object({
    arn = string
  })
  default = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key.arn))
    error_message = "kms_key.arn must be the ARN of a key (arn:aws:kms:<region>:<account>:key/<id>), not an alias or an id."
  }
}

variable "monitoring" {
  description = <<-EOT
    Alarms, a dashboard and queries of the function's log.
    - `enabled`: `false` for none of them. It must be known at plan.
    - `sns_topics`: ARNs of the SNS topics to notify when an alarm fires and when it ends.
    - `limits`: the number above which an alarm fires.
      - `dead_letters`: messages in the dead-letter queue,
      - `drift`: differences that a proof finds in a minute,
      - `errors`: failed invocations in a minute,
      - `failed_events`: failed events in a minute,
      - `permission_denied`: denied calls in a minute,
      - `event_age_seconds`: age of the oldest waiting event,
      - `lag_seconds`: 90th percentile of the time from an event to its record, in two of three minutes,
      - `table_throttles`: throttled writes to the table, in three of five minutes,
      - `throttles`: throttled invocations of the function, in each of five minutes.
  EOT
  type = object({
    enabled    = optional(bool, true)
    sns_topics = optional(list(string), [])
    limits = optional(object({
      dead_letters      = optional(number, 0)
      drift             = optional(number, 0)
      errors            = optional(number, 0)
      event_age_seconds = optional(number, 600)
      failed_events     = optional(number, 0)
      lag_seconds       = optional(number, 300)
      permission_denied = optional(number, 0)
      table_throttles   = optional(number, 0)
      throttles         = optional(number, 0)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for topic in var.monitoring.sns_topics : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", topic))])
    error_message = "monitoring.sns_topics takes ARNs of SNS topics, such as arn:aws:sns:eu-central-1:123456789012:on-call."
  }

  validation {
    condition     = length(var.monitoring.sns_topics) <= 5
    error_message = "An alarm allows at most five topics: use fewer monitoring.sns_topics."
  }

  validation {
    condition     = alltrue([for limit in values(var.monitoring.limits) : limit >= 0])
    error_message = "monitoring.limits must not be negative."
  }
}

variable "name" {
  description = <<-EOT
    Name of the table, the function and its role, and prefix of the other names. It must be unique in the account, because
    role names are: include the Region if you deploy to several.
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{3,64}$", var.name))
    error_message = "name must be 3 to 64 letters, digits, hyphens and underscores: table, function and role have this name."
  }
}

variable "object_metadata" {
  description = <<-EOT
    Whether records hold metadata that events do not carry.
    - `enabled`: content type, user metadata, storage class, checksum and so on. Costs one HeadObject for each event. It
      must be known at plan.
    - `tags`: the object's tags too. Costs one GetObjectTagging more.
  EOT
  type = object({
    enabled = optional(bool, false)
    tags    = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.object_metadata.enabled || !var.object_metadata.tags
    error_message = "object_metadata.tags needs object_metadata.enabled = true."
  }
}

variable "queue" {
  description = <<-EOT
    A queue between trigger and function, for bursts: `{}` for one with these defaults; null: events invoke the function.
    Whether it is null must be known at plan.
    - `batch_size`: the most messages in one invocation, 1 to 10000. S3 sends a message for each event.
    - `batching_window_seconds`: how long Lambda gathers a batch, 0 to 300; more than 10 messages need at least 1.
    - `max_concurrency`: the most concurrent invocations, 2 to 1000. Null: 10, or `function.reserved_concurrency` if
      that is less. DynamoDB allows 1,000 writes a second for each of `table.partitions`, and one invocation may write
      that many.
    - `max_receives`: how often a message is received before it becomes a dead letter, 1 to 1000.
    - `retention_days`: how long the queue keeps a message that is not processed, 1 to 14. Fewer days here do not keep
      dead letters longer, because SQS counts their 14 days from the message's arrival in this queue.
  EOT
  type = object({
    batch_size              = optional(number, 100)
    batching_window_seconds = optional(number, 1)
    max_concurrency         = optional(number)
    max_receives            = optional(number, 5)
    retention_days          = optional(number, 14)
  })
  default = null

  validation {
    condition     = alltrue([for size in var.queue[*].batch_size : size >= 1 && size <= 10000 && floor(size) == size])
    error_message = "queue.batch_size must be a whole number from 1 to 10000."
  }

  validation {
    condition     = alltrue([for window in var.queue[*].batching_window_seconds : window >= 0 && window <= 300 && floor(window) == window])
    error_message = "queue.batching_window_seconds must be a whole number from 0 to 300."
  }

  validation {
    condition     = alltrue([for queue in var.queue[*] : queue.batch_size <= 10 || queue.batching_window_seconds >= 1])
    error_message = "Lambda gathers more than 10 messages only with a batching window: set queue.batching_window_seconds to at least 1, or queue.batch_size to at most 10."
  }

  validation {
    condition     = alltrue([for limit in var.queue[*].max_concurrency : limit >= 2 && limit <= 1000 && floor(limit) == limit if limit != null])
    error_message = "queue.max_concurrency must be a whole number from 2 to 1000."
  }

  validation {
    condition     = alltrue([for limit in var.queue[*].max_concurrency : limit <= coalesce(var.function.reserved_concurrency, limit) if limit != null])
    error_message = "queue.max_concurrency is more than function.reserved_concurrency: Lambda would throttle the difference, and throttled messages become dead letters. Lower it, leave it out, or raise function.reserved_concurrency."
  }

  validation {
    condition     = var.queue == null || alltrue([for limit in var.function.reserved_concurrency[*] : limit >= 2])
    error_message = "A queue needs function.reserved_concurrency of at least 2, or null: the lowest concurrency of an event source mapping is 2."
  }

  validation {
    condition     = alltrue([for count in var.queue[*].max_receives : count >= 1 && count <= 1000 && floor(count) == count])
    error_message = "queue.max_receives must be a whole number from 1 to 1000."
  }

  validation {
    condition = alltrue([
      for queue in var.queue[*] :
      queue.max_receives * (6 * var.function.timeout_seconds + queue.batching_window_seconds) < queue.retention_days * 24 * 60 * 60
    ])
    error_message = "A message would expire before its last retry instead of becoming a dead letter: it is received queue.max_receives times, six times function.timeout_seconds apart. Lower either, or raise queue.retention_days."
  }

  validation {
    condition     = alltrue([for days in var.queue[*].retention_days : days >= 1 && days <= 14 && floor(days) == days])
    error_message = "queue.retention_days must be a whole number from 1 to 14."
  }
}

variable "reconciliation" {
  description = <<-EOT
    A state machine and a second function that compare index and bucket at any size: `{}` for the defaults; null: none of
    it. Whether it is null must be known at plan.
    - `repair`: let it repair differences and backfill; otherwise it has no permission to write. It must be known at plan.
    - `grace_seconds`: how long after a difference is found it is checked again, because its event may be late; 1 to 300.
    - `concurrency`: the most workers at once, 1 to 40. They share the account's concurrency with all other functions.
    - `memory_mb`: of a worker, 128 to 10240. 1769 are one vCPU.
    - `schedule`: when EventBridge Scheduler starts a run, `rate(…)` or `cron(…)` in UTC; "none": only on request. It must
      be known at plan. (Terraform replaces null by the default.)
    - `proof_every_hours`: an alarm fires if no run has compared everything for that many hours; 1 to 168. Null: twice the
      interval of `rate(…)`. With `cron(…)`, or a rate of more than 84 hours, it is required.
    - `repair_at_most`: how many keys a scheduled run may repair; 0 to 1000000000. It reports the other differences.
  EOT
  type = object({
    repair            = optional(bool, false)
    grace_seconds     = optional(number, 120)
    concurrency       = optional(number, 5)
    memory_mb         = optional(number, 1769)
    schedule          = optional(string, "rate(1 day)")
    proof_every_hours = optional(number)
    repair_at_most    = optional(number, 10000)
  })
  default = null

  validation {
    condition     = alltrue([for seconds in var.reconciliation[*].grace_seconds : seconds >= 1 && seconds <= 300 && floor(seconds) == seconds])
    error_message = "reconciliation.grace_seconds must be a whole number from 1 to 300."
  }

  validation {
    # An inline Map state runs at most 40 iterations at once.
    condition     = alltrue([for count in var.reconciliation[*].concurrency : count >= 1 && count <= 40 && floor(count) == count])
    error_message = "reconciliation.concurrency must be a whole number from 1 to 40."
  }

  validation {
    condition     = alltrue([for mb in var.reconciliation[*].memory_mb : mb >= 128 && mb <= 10240 && floor(mb) == mb])
    error_message = "reconciliation.memory_mb must be a whole number from 128 to 10240."
  }

  validation {
    condition = alltrue([
      for expression in var.reconciliation[*].schedule :
      can(regex("^(none|rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]{1,5}) (minutes|hours|days))\\)|cron\\([^ ()]+( [^ ()]+){5}\\))$", expression))
    ])
    error_message = "reconciliation.schedule must be a rate such as \"rate(1 day)\" or \"rate(12 hours)\", a cron expression of six fields such as \"cron(0 4 * * ? *)\", or \"none\" to start runs only on request. at(…) is not allowed: it starts a single run."
  }

  validation {
    condition     = alltrue([for hours in var.reconciliation[*].proof_every_hours : hours >= 1 && hours <= 168 && floor(hours) == hours if hours != null])
    error_message = "reconciliation.proof_every_hours must be a whole number from 1 to 168, the seven days that an alarm of CloudWatch can look back."
  }

  validation {
    condition     = alltrue([for options in var.reconciliation[*] : options.proof_every_hours != null if startswith(options.schedule, "cron(")])
    error_message = "The module cannot tell how often reconciliation.schedule = \"${join("", var.reconciliation[*].schedule)}\" starts a run: set reconciliation.proof_every_hours to twice the longest time between two runs, in hours, at most 168."
  }

  validation {
    condition = alltrue(flatten([
      for options in var.reconciliation[*] : [
        for rate in regexall("^rate\\(([0-9]+) (minute|hour|day)s?\\)$", options.schedule) :
        tonumber(rate[0]) * { minute = 1, hour = 60, day = 24 * 60 }[rate[1]] <= 84 * 60 if options.proof_every_hours == null
      ]
    ]))
    error_message = "reconciliation.schedule = \"${join("", var.reconciliation[*].schedule)}\" leaves more than 84 hours between two runs. The alarm not-proved waits for two of them, and an alarm of CloudWatch can look back 168 hours: use a shorter interval, or set reconciliation.proof_every_hours."
  }

  validation {
    condition = alltrue(flatten([
      for options in var.reconciliation[*] : [
        for rate in regexall("^rate\\(([0-9]+) (minute|hour|day)s?\\)$", options.schedule) :
        min(168 * 60, tonumber(rate[0]) * { minute = 1, hour = 60, day = 24 * 60 }[rate[1]]) <= options.proof_every_hours * 60
        if options.proof_every_hours != null
      ]
    ]))
    error_message = "reconciliation.proof_every_hours is less than the time between two runs of reconciliation.schedule = \"${join("", var.reconciliation[*].schedule)}\", so the alarm not-proved would fire before each run: raise it, or use a shorter interval."
  }

  validation {
    condition     = alltrue([for options in var.reconciliation[*] : options.proof_every_hours == null if options.schedule == "none"])
    error_message = "reconciliation.proof_every_hours is for a schedule: remove it, or set reconciliation.schedule."
  }

  validation {
    condition     = alltrue([for count in var.reconciliation[*].repair_at_most : count >= 0 && count <= 1000000000 && floor(count) == count])
    error_message = "reconciliation.repair_at_most must be a whole number from 0 to 1000000000."
  }

  validation {
    condition     = var.reconciliation == null || length(var.name) <= 49
    error_message = "reconciliation would create a role named \"${var.name}-reconciliation\", and names of roles have at most 64 characters: give a name of at most 49 characters, or leave reconciliation out."
  }

  validation {
    # Step Functions allows 256 KB for the input of a state. Base64 tells bytes: 4 characters for 3 of them.
    condition     = var.reconciliation == null || length(base64encode(jsonencode(var.filters))) <= 200000
    error_message = "reconciliation passes filters to each worker, and they take more than 150,000 bytes as JSON: use fewer or shorter filters, or leave reconciliation out."
  }
}

variable "replace_bucket_notifications" {
  description = <<-EOT
    Allow the module to replace all notifications of a bucket that it does not create. A bucket has a single notification
    configuration, so the existing notifications are lost. Destroying the module or changing `trigger` later removes all
    notifications again. Nothing else may configure them, not even a second index of the bucket.
  EOT
  type        = bool
  default     = false
  nullable    = false

  validation {
    # The variable trigger has an error of its own for a bucket of another account.
    condition     = var.replace_bucket_notifications || var.bucket.create || var.bucket.account != null || var.trigger != "notification"
    error_message = "The module would replace all notifications that bucket.name already has. Set trigger = \"eventbridge\" to leave them alone, or trigger = \"external\" to add the output `notification` to their owner's configuration, or replace_bucket_notifications = true if there are none to lose and nothing else configures the bucket's notifications, such as a second index: each apply of one would remove those of the other."
  }

  validation {
    condition     = !var.replace_bucket_notifications || !var.bucket.create && var.trigger == "notification"
    error_message = "replace_bucket_notifications is for trigger = \"notification\" on a bucket that the module does not create: remove it."
  }
}

variable "role" {
  description = <<-EOT
    The function's execution role, and the roles of `reconciliation`.
    - `path`: IAM path, which begins and ends with a slash.
    - `permissions_boundary`: ARN of the policy that sets the roles' permissions boundary.
  EOT
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([!-~]{1,510}/)?$", var.role.path))
    error_message = "role.path must begin and end with a slash, for instance \"/service/\", without spaces and within 512 characters."
  }

  validation {
    condition     = var.role.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[!-~]+$", var.role.permissions_boundary))
    error_message = "role.permissions_boundary must be the ARN of a policy (arn:aws:iam::<account>:policy/<name>)."
  }
}

variable "table" {
  description = <<-EOT
    The table that holds the index.
    - `partitions`: DynamoDB partition keys for the bucket; each allows 1,000 writes a second, and a listing queries all of
      them. Another number replaces the table.
    - `tombstone_days`: how long the table keeps the record of a deleted object, so that late events do not bring it
      back; at least 15.
    - `deletion_protection`: DynamoDB refuses to delete the table.
    - `point_in_time_recovery`: continuous backups.
    - `stream`: null, or the view type of the table's stream: "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE" or "NEW_AND_OLD_IMAGES".
  EOT
  type = object({
    partitions             = optional(number, 1)
    tombstone_days         = optional(number, 30)
    deletion_protection    = optional(bool, true)
    point_in_time_recovery = optional(bool, true)
    stream                 = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.table.partitions >= 1 && var.table.partitions <= 100 && floor(var.table.partitions) == var.table.partitions
    error_message = "table.partitions must be a whole number from 1 to 100."
  }

  validation {
    # SQS keeps a message for at most 14 days, and a tombstone must outlive every waiting message.
    condition     = var.table.tombstone_days >= 15 && var.table.tombstone_days <= 3650 && floor(var.table.tombstone_days) == var.table.tombstone_days
    error_message = "table.tombstone_days must be a whole number from 15 (events may wait in a queue for 14 days) to 3650."
  }

  validation {
    condition     = var.table.stream != ""
    error_message = "table.stream is empty: name a view type, or use null for no stream."
  }
}

variable "tags" {
  description = "Tags of all resources that can have tags."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(var.tags) <= 50 && alltrue([
      for key, value in var.tags :
      can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) && !startswith(lower(key), "aws:") &&
      can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value))
    ])
    error_message = "AWS allows at most 50 tags, keys of 1 to 128 characters that do not begin with aws:, values of up to 256; letters, digits, spaces and _ . : / = + - @."
  }
}

variable "trigger" {
  description = <<-EOT
    How the bucket's events reach the function.
    - "notification": the module configures the bucket's notifications.
    - "eventbridge": an EventBridge rule, beside other notifications of the bucket. The owner of a bucket that the module
      does not create enables EventBridge on it. With `bucket.account`, the owner also creates the rule.
    - "external": the bucket's owner configures its notifications with the output `notification`.
  EOT
  type        = string
  default     = "notification"
  nullable    = false

  validation {
    condition     = contains(["notification", "eventbridge", "external"], var.trigger)
    error_message = "trigger must be \"notification\", \"eventbridge\" or \"external\"."
  }

  validation {
    condition     = var.bucket.account == null || var.trigger != "notification"
    error_message = "The module cannot configure a bucket of another account (bucket.account). Set trigger = \"external\", or \"eventbridge\" to leave the bucket's other notifications alone, and give the output `bucket_owner_adds` to the bucket's owner."
  }
}

variable "workspace" {
  description = "The Terraform workspace of these values; a plan in any other is refused. Null: any workspace."
  type        = string
  default     = null

  validation {
    condition     = var.workspace != ""
    error_message = "workspace is empty: name the Terraform workspace that these values belong to, or leave it out for any."
  }

  validation {
    condition     = var.workspace == null || var.workspace == "" || var.workspace == terraform.workspace
    error_message = "These values belong to workspace \"${var.workspace == null ? "" : var.workspace}\", but \"${terraform.workspace}\" is selected: run `terraform workspace select -or-create ${var.workspace == null ? "" : var.workspace}`."
  }
}
