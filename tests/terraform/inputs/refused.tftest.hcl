# The module's own validations reject wrong input. They need no provider: test_inputs.py runs this file
# beside variables.tf alone. In each run each variable named is wrong in one way.

variables {
  name   = "files"
  bucket = { create = true }
}

run "a_name_is_too_short" {
  command = plan

  variables {
    name = "ab"
  }

  expect_failures = [var.name]
}

run "a_name_is_too_long_for_function_and_role" {
  command = plan

  variables {
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.name]
}

run "a_name_has_a_character_that_a_function_cannot_have" {
  command = plan

  variables {
    name = "my.files"
  }

  expect_failures = [var.name]
}

run "a_bucket_is_neither_named_nor_created" {
  command = plan

  variables {
    bucket = {}
  }

  expect_failures = [var.bucket]
}

run "a_bucket_named_after_the_deployment_would_be_too_long" {
  command = plan

  variables {
    name   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    bucket = { create = true }
  }

  expect_failures = [var.bucket]
}

run "a_bucket_named_after_the_deployment_would_have_upper_case_letters" {
  command = plan

  variables {
    name   = "Files"
    bucket = { create = true }
  }

  expect_failures = [var.bucket]
}

run "a_created_bucket_has_a_name_that_s3_rejects" {
  command = plan

  variables {
    bucket = { create = true, name = "My_Bucket" }
  }

  expect_failures = [var.bucket]
}

run "a_created_bucket_has_a_name_of_64_characters" {
  command = plan

  variables {
    bucket = { create = true, name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  }

  expect_failures = [var.bucket]
}

run "a_created_bucket_has_two_dots_in_a_row" {
  command = plan

  variables {
    bucket = { create = true, name = "my..bucket" }
  }

  expect_failures = [var.bucket]
}

run "a_bucket_is_given_by_its_arn" {
  command = plan

  variables {
    bucket  = { name = "arn:aws:s3:::existing" }
    trigger = "external"
  }

  expect_failures = [var.bucket]
}

run "force_destroy_is_asked_for_an_existing_bucket" {
  command = plan

  variables {
    bucket  = { name = "existing", force_destroy = true }
    trigger = "external"
  }

  expect_failures = [var.bucket]
}

run "an_account_has_too_few_digits" {
  command = plan

  variables {
    bucket  = { name = "theirs", account = "11112222333" }
    trigger = "external"
  }

  expect_failures = [var.bucket]
}

run "an_account_is_an_arn" {
  command = plan

  variables {
    bucket  = { name = "theirs", account = "arn:aws:iam::111122223333:root" }
    trigger = "external"
  }

  expect_failures = [var.bucket]
}

run "a_bucket_is_to_be_created_in_another_account" {
  command = plan

  variables {
    bucket  = { name = "theirs", account = "111122223333", create = true }
    trigger = "external"
  }

  expect_failures = [var.bucket]
}

run "the_notifications_of_another_accounts_bucket_are_to_be_configured" {
  command = plan

  variables {
    bucket = { name = "theirs", account = "111122223333" }
  }

  expect_failures = [var.trigger]
}

run "the_notifications_of_another_accounts_bucket_are_to_be_replaced" {
  command = plan

  variables {
    bucket                       = { name = "theirs", account = "111122223333" }
    replace_bucket_notifications = true
  }

  expect_failures = [var.trigger]
}

run "manifests_are_to_be_stored_in_another_accounts_bucket" {
  command = plan

  variables {
    bucket        = { name = "theirs", account = "111122223333" }
    derived_files = { bucket_name = "theirs" }
    trigger       = "external"
  }

  expect_failures = [var.derived_files]
}

run "workers_wait_no_time" {
  command = plan

  variables {
    reconciliation = { grace_seconds = 0 }
  }

  expect_failures = [var.reconciliation]
}

run "workers_wait_too_long" {
  command = plan

  variables {
    reconciliation = { grace_seconds = 301 }
  }

  expect_failures = [var.reconciliation]
}

run "workers_wait_part_of_a_second" {
  command = plan

  variables {
    reconciliation = { grace_seconds = 1.5 }
  }

  expect_failures = [var.reconciliation]
}

run "no_worker_may_run" {
  command = plan

  variables {
    reconciliation = { concurrency = 0 }
  }

  expect_failures = [var.reconciliation]
}

run "more_workers_than_a_map_runs_at_once" {
  command = plan

  variables {
    reconciliation = { concurrency = 41 }
  }

  expect_failures = [var.reconciliation]
}

run "part_of_a_worker_may_run" {
  command = plan

  variables {
    reconciliation = { concurrency = 1.5 }
  }

  expect_failures = [var.reconciliation]
}

run "a_worker_has_too_little_memory" {
  command = plan

  variables {
    reconciliation = { memory_mb = 127 }
  }

  expect_failures = [var.reconciliation]
}

run "a_worker_has_more_memory_than_lambda_gives" {
  command = plan

  variables {
    reconciliation = { memory_mb = 10241 }
  }

  expect_failures = [var.reconciliation]
}

run "a_worker_has_part_of_a_mebibyte" {
  command = plan

  variables {
    reconciliation = { memory_mb = 512.5 }
  }

  expect_failures = [var.reconciliation]
}

run "a_schedule_is_no_expression" {
  command = plan

  variables {
    reconciliation = { schedule = "daily" }
  }

  expect_failures = [var.reconciliation]
}

run "a_schedule_starts_a_single_run" {
  command = plan

  variables {
    reconciliation = { schedule = "at(2026-01-01T04:00:00)" }
  }

  expect_failures = [var.reconciliation]
}

run "a_schedule_has_no_interval" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(0 days)" }
  }

  expect_failures = [var.reconciliation]
}

run "a_schedule_has_an_interval_in_weeks" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(1 week)" }
  }

  expect_failures = [var.reconciliation]
}

run "a_schedule_has_a_unit_in_the_singular" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(2 day)" }
  }

  expect_failures = [var.reconciliation]
}

run "a_cron_expression_has_five_fields" {
  command = plan

  variables {
    reconciliation = { schedule = "cron(0 4 * * *)", proof_every_hours = 48 }
  }

  expect_failures = [var.reconciliation]
}

run "a_cron_expression_does_not_say_how_often_it_runs" {
  command = plan

  variables {
    reconciliation = { schedule = "cron(0 4 * * ? *)" }
  }

  expect_failures = [var.reconciliation]
}

run "two_runs_are_further_apart_than_an_alarm_looks_back" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(85 hours)" }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_in_no_time" {
  command = plan

  variables {
    reconciliation = { proof_every_hours = 0 }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_later_than_an_alarm_looks_back" {
  command = plan

  variables {
    reconciliation = { proof_every_hours = 169 }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_after_part_of_an_hour" {
  command = plan

  variables {
    reconciliation = { proof_every_hours = 24.5 }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_before_each_run" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(2 days)", proof_every_hours = 47 }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_before_each_run_of_a_rare_schedule" {
  command = plan

  variables {
    reconciliation = { schedule = "rate(30 days)", proof_every_hours = 167 }
  }

  expect_failures = [var.reconciliation]
}

run "a_proof_is_due_without_a_schedule" {
  command = plan

  variables {
    reconciliation = { schedule = "none", proof_every_hours = 48 }
  }

  expect_failures = [var.reconciliation]
}

run "less_than_nothing_is_repaired" {
  command = plan

  variables {
    reconciliation = { repair_at_most = -1 }
  }

  expect_failures = [var.reconciliation]
}

run "more_is_repaired_than_any_index_holds" {
  command = plan

  variables {
    reconciliation = { repair_at_most = 1000000001 }
  }

  expect_failures = [var.reconciliation]
}

run "part_of_a_key_is_repaired" {
  command = plan

  variables {
    reconciliation = { repair_at_most = 0.5 }
  }

  expect_failures = [var.reconciliation]
}

run "the_role_of_a_state_machine_would_have_a_name_of_65_characters" {
  command = plan

  variables {
    name           = "an-index-whose-name-is-longer-than-its-role-allows"
    reconciliation = {}
  }

  expect_failures = [var.reconciliation]
}

run "filters_take_150001_bytes" {
  command = plan

  variables {
    filters = [
      for number in range(100) : {
        prefix = format("%02d%01022d", number, 0)
        suffix = "${join("", [for each in range(60) : "日"])}<<<<<<<<<<<<<<<<<<<<${format("%0150d", 0)}"
      }
    ]
    reconciliation = {}
  }

  expect_failures = [var.reconciliation]
}

run "a_filter_has_a_wildcard_in_its_prefix" {
  command = plan

  variables {
    filters = [{ prefix = "logs/*" }]
  }

  expect_failures = [var.filters]
}

run "a_filter_has_a_wildcard_in_its_suffix" {
  command = plan

  variables {
    filters = [{ suffix = "*.csv" }]
  }

  expect_failures = [var.filters]
}

run "a_filter_is_longer_than_s3_accepts" {
  command = plan

  variables {
    filters = [{ prefix = format("%1025s", "a") }]
  }

  expect_failures = [var.filters]
}

run "a_filter_becomes_longer_than_s3_accepts_when_encoded" {
  command = plan

  variables {
    filters = [{ suffix = join("", [for i in range(171) : "é"]) }]
  }

  expect_failures = [var.filters]
}

run "there_are_more_filters_than_s3_accepts" {
  command = plan

  variables {
    filters = [for i in range(101) : { prefix = format("%03d/", i) }]
  }

  expect_failures = [var.filters]
}

run "a_filter_is_repeated" {
  command = plan

  variables {
    filters = [{ prefix = "logs/" }, { prefix = "logs/" }]
  }

  expect_failures = [var.filters]
}

run "a_filter_is_within_a_later_one" {
  command = plan

  variables {
    filters = [{ prefix = "logs/2026/", suffix = ".tar.gz" }, { prefix = "logs/", suffix = ".gz" }]
  }

  expect_failures = [var.filters]
}

run "a_filter_is_within_an_earlier_one_in_the_suffix" {
  command = plan

  variables {
    filters = [{ suffix = ".gz" }, { prefix = "other/", suffix = ".tar.gz" }]
  }

  expect_failures = [var.filters]
}

run "filters_overlap_by_the_prefix_of_one_and_the_suffix_of_the_other" {
  command = plan

  variables {
    filters = [{ prefix = "logs/" }, { prefix = "images/", suffix = ".png" }, { suffix = ".csv" }]
  }

  expect_failures = [var.filters]
}

run "notifications_of_an_existing_bucket_would_be_lost" {
  command = plan

  variables {
    bucket = { name = "existing" }
  }

  expect_failures = [var.replace_bucket_notifications]
}

run "replacing_is_allowed_on_a_created_bucket" {
  command = plan

  variables {
    replace_bucket_notifications = true
  }

  expect_failures = [var.replace_bucket_notifications]
}

run "replacing_is_allowed_if_the_owner_configures_the_bucket" {
  command = plan

  variables {
    bucket                       = { name = "existing" }
    replace_bucket_notifications = true
    trigger                      = "external"
  }

  expect_failures = [var.replace_bucket_notifications]
}

run "there_are_too_few_partitions" {
  command = plan

  variables {
    table = { partitions = 0 }
  }

  expect_failures = [var.table]
}

run "there_are_too_many_partitions" {
  command = plan

  variables {
    table = { partitions = 101 }
  }

  expect_failures = [var.table]
}

run "partitions_are_not_a_whole_number" {
  command = plan

  variables {
    table = { partitions = 1.5 }
  }

  expect_failures = [var.table]
}

run "times_are_too_short" {
  command = plan

  variables {
    function = { timeout_seconds = 14 }
    table    = { tombstone_days = 14 }
  }

  expect_failures = [var.function, var.table]
}

run "times_are_too_long" {
  command = plan

  variables {
    function = { timeout_seconds = 901 }
    table    = { tombstone_days = 3651 }
  }

  expect_failures = [var.function, var.table]
}

run "times_are_not_whole_numbers" {
  command = plan

  variables {
    function = { timeout_seconds = 15.5 }
    table    = { tombstone_days = 30.5 }
  }

  expect_failures = [var.function, var.table]
}

run "there_is_no_such_choice" {
  command = plan

  variables {
    trigger   = "sns"
    workspace = "prod" # while "default" is selected
  }

  expect_failures = [var.trigger, var.workspace]
}

run "failures_would_not_be_logged_and_tags_have_no_metadata" {
  command = plan

  variables {
    function        = { log_level = "ERROR" }
    object_metadata = { tags = true }
  }

  expect_failures = [var.function, var.object_metadata]
}

run "names_are_given_instead_of_arns" {
  command = plan

  variables {
    kms_key = { arn = "1234abcd-12ab-34cd-56ef-1234567890ab" }
    role    = { permissions_boundary = "boundary" }
  }

  expect_failures = [var.kms_key, var.role]
}

run "arns_are_of_something_else" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:eu-west-1:111122223333:alias/files" }
    role    = { permissions_boundary = "arn:aws:iam::111122223333:role/boundary" }
  }

  expect_failures = [var.kms_key, var.role]
}

run "a_path_does_not_end_with_a_slash" {
  command = plan

  variables {
    role = { path = "/service" }
  }

  expect_failures = [var.role]
}

run "a_path_does_not_begin_with_a_slash" {
  command = plan

  variables {
    role = { path = "service/" }
  }

  expect_failures = [var.role]
}

run "memory_that_only_managed_instances_have" {
  command = plan

  variables {
    function = { memory_mb = 10241 }
  }

  expect_failures = [var.function]
}

run "logs_would_be_kept_forever_and_a_stream_has_no_view_type" {
  command = plan

  variables {
    function = { log_retention_days = 0 }
    table    = { stream = "" }
  }

  expect_failures = [var.function, var.table]
}

run "no_concurrency_would_stop_the_function" {
  command = plan

  variables {
    function = { reserved_concurrency = 0 }
  }

  expect_failures = [var.function]
}

run "an_empty_workspace_a_reserved_bucket_name_and_a_reserved_tag" {
  command = plan

  variables {
    workspace = ""
    bucket    = { create = true, name = "abc-s3alias" }
    tags      = { "aws:owner" = "me" }
  }

  expect_failures = [var.bucket, var.tags, var.workspace]
}

run "an_ip_address_as_bucket_and_a_tag_without_a_value" {
  command = plan

  variables {
    bucket = { create = true, name = "192.168.1.1" }
    tags   = { owner = null }
  }

  expect_failures = [var.bucket, var.tags]
}

run "a_name_that_makes_a_reserved_bucket_name_and_a_tag_with_a_semicolon" {
  command = plan

  variables {
    name = "xn--files"
    tags = { owner = "a;b" }
  }

  expect_failures = [var.bucket, var.tags]
}

run "a_batch_of_more_than_ten_has_no_window" {
  command = plan

  variables {
    queue = { batch_size = 11, batching_window_seconds = 0 }
  }

  expect_failures = [var.queue]
}

run "a_batch_is_empty" {
  command = plan

  variables {
    queue = { batch_size = 0 }
  }

  expect_failures = [var.queue]
}

run "an_event_is_never_tried" {
  command = plan

  variables {
    queue = { max_receives = 0 }
  }

  expect_failures = [var.queue]
}

run "an_event_is_not_kept" {
  command = plan

  variables {
    queue = { retention_days = 0 }
  }

  expect_failures = [var.queue]
}

run "a_window_is_negative" {
  command = plan

  variables {
    queue = { batch_size = 10, batching_window_seconds = -1 }
  }

  expect_failures = [var.queue]
}

run "a_batch_is_larger_than_lambda_accepts" {
  command = plan

  variables {
    queue = { batch_size = 10001 }
  }

  expect_failures = [var.queue]
}

run "a_window_is_longer_than_lambda_accepts" {
  command = plan

  variables {
    queue = { batching_window_seconds = 301 }
  }

  expect_failures = [var.queue]
}

run "more_concurrency_than_lambda_accepts" {
  command = plan

  variables {
    queue = { max_concurrency = 1001 }
  }

  expect_failures = [var.queue]
}

run "less_concurrency_than_lambda_accepts" {
  command = plan

  variables {
    queue = { max_concurrency = 1 }
  }

  expect_failures = [var.queue]
}

run "more_concurrency_than_the_function_has_reserved" {
  command = plan

  variables {
    function = { reserved_concurrency = 9 }
    queue    = { max_concurrency = 10 }
  }

  expect_failures = [var.queue]
}

run "a_queue_needs_a_concurrency_above_one" {
  command = plan

  variables {
    function = { reserved_concurrency = 1 }
    queue    = {}
  }

  expect_failures = [var.queue]
}

run "an_event_waits_longer_than_sqs_keeps_it" {
  command = plan

  variables {
    queue = { retention_days = 15 }
  }

  expect_failures = [var.queue]
}

run "an_event_is_received_more_often_than_sqs_counts" {
  command = plan

  variables {
    function = { timeout_seconds = 15 }
    queue    = { max_receives = 1001 }
  }

  expect_failures = [var.queue]
}

run "a_batch_is_not_a_whole_number" {
  command = plan

  variables {
    queue = { batch_size = 1.5 }
  }

  expect_failures = [var.queue]
}

run "a_window_is_not_a_whole_number" {
  command = plan

  variables {
    queue = { batching_window_seconds = 1.5 }
  }

  expect_failures = [var.queue]
}

run "a_concurrency_is_not_a_whole_number" {
  command = plan

  variables {
    queue = { max_concurrency = 2.5 }
  }

  expect_failures = [var.queue]
}

run "attempts_are_not_a_whole_number" {
  command = plan

  variables {
    queue = { max_receives = 1.5 }
  }

  expect_failures = [var.queue]
}

run "days_are_not_a_whole_number" {
  command = plan

  variables {
    queue = { retention_days = 1.5 }
  }

  expect_failures = [var.queue]
}

run "replacing_is_allowed_if_eventbridge_does_not_change_the_notifications" {
  command = plan

  variables {
    bucket                       = { name = "existing" }
    replace_bucket_notifications = true
    trigger                      = "eventbridge"
  }

  expect_failures = [var.replace_bucket_notifications]
}

run "a_message_would_expire_before_its_last_attempt" {
  command = plan

  variables {
    function = { timeout_seconds = 900 }
    queue    = { batching_window_seconds = 300, max_receives = 213 }
  }

  expect_failures = [var.queue]
}

run "a_topic_is_not_an_arn" {
  command = plan

  variables {
    monitoring = { sns_topics = ["on-call"] }
  }

  expect_failures = [var.monitoring]
}

run "more_topics_than_an_alarm_accepts" {
  command = plan

  variables {
    monitoring = { sns_topics = [for n in range(6) : "arn:aws:sns:eu-west-1:111122223333:topic-${n}"] }
  }

  expect_failures = [var.monitoring]
}

run "a_limit_is_negative" {
  command = plan

  variables {
    monitoring = { limits = { lag_seconds = -1 } }
  }

  expect_failures = [var.monitoring]
}

run "manifests_go_to_an_arn" {
  command = plan

  variables {
    derived_files = { bucket_name = "arn:aws:s3:::manifests" }
  }

  expect_failures = [var.derived_files]
}

run "manifests_go_to_an_alias_which_may_be_the_watched_bucket" {
  command = plan

  variables {
    derived_files = { bucket_name = "files-abcdefghijklmnopqrstuvwxyz-s3alias" }
  }

  expect_failures = [var.derived_files]
}

run "manifests_go_nowhere" {
  command = plan

  variables {
    derived_files = { bucket_name = null }
  }

  expect_failures = [var.derived_files]
}

run "a_prefix_of_manifests_has_a_wildcard" {
  command = plan

  variables {
    derived_files = { bucket_name = "manifests", prefix = "of/*/" }
  }

  expect_failures = [var.derived_files]
}

run "a_prefix_of_manifests_leaves_no_room" {
  command = plan

  variables {
    derived_files = { bucket_name = "manifests", prefix = join("", [for n in range(501) : "a"]) }
  }

  expect_failures = [var.derived_files]
}

run "a_part_of_a_megabyte" {
  command = plan

  variables {
    derived_files = { bucket_name = "manifests", max_mb = 0.5 }
  }

  expect_failures = [var.derived_files]
}
