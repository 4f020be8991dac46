# Valid values next to the invalid ones in refused.tftest.hcl and inputs/refused.tftest.hcl.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "the_smallest_values" {
  command = plan

  variables {
    name     = "a-1"
    function = { memory_mb = 128, timeout_seconds = 15, log_level = "DEBUG", log_retention_days = 1, reserved_concurrency = 1 }
    table    = { partitions = 1, tombstone_days = 15, stream = "OLD_IMAGE" }

    reconciliation = {
      grace_seconds     = 1
      concurrency       = 1
      memory_mb         = 128
      schedule          = "rate(1 minute)"
      proof_every_hours = 1
      repair_at_most    = 0
    }
  }
}

run "the_largest_values" {
  command = plan

  variables {
    # Function and role may have 64 characters, the bucket 63 with the account's id.
    name     = "an-index-whose-name-is-as-long-as-its-bucket-can-b"
    function = { memory_mb = 10240, timeout_seconds = 900, log_retention_days = 3653 }
    table    = { partitions = 100, tombstone_days = 3650, stream = "NEW_IMAGE" }
    filters  = [for i in range(100) : { prefix = format("%02d/", i) }]
  }

  assert {
    condition     = length(aws_s3_bucket.watched[0].bucket) == 63
    error_message = "The name must be the longest that a bucket can be named after."
  }
}

run "a_name_that_no_bucket_could_have" {
  command = plan

  variables {
    name   = "An_index_whose_bucket_has_a_name_of_its_own_may_have_longer_ones"
    bucket = { create = true, name = "own.name-1" }
  }

  assert {
    condition     = length(aws_iam_role.function.name) == 64
    error_message = "The name must be the longest that a role can have."
  }
}

run "an_existing_bucket_from_before_names_were_restricted_and_filters_of_1024_characters" {
  command = plan

  variables {
    bucket                       = { name = "My_Old_Bucket" }
    replace_bucket_notifications = true
    filters = [
      { prefix = format("%1024s", "/"), suffix = format("%1024s", "/") },
      { prefix = join("", concat(["/a"], [for i in range(170) : "é"])) },
    ]
  }

  # It only warns.
  expect_failures = [check.filters_match_keys]
}

run "filters_that_differ_in_the_prefix_or_in_the_suffix" {
  command = plan

  variables {
    filters = [
      { prefix = "logs/", suffix = ".csv" },
      { prefix = "logs/", suffix = ".json" },
      { prefix = "logs/2026/", suffix = ".xml" },
      { prefix = "images/", suffix = ".csv" },
    ]
  }
}

run "other_partitions_of_aws_the_selected_workspace_and_a_filter_for_everything" {
  command = plan

  variables {
    filters   = [{}]
    kms_key   = { arn = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" }
    role      = { path = "/", permissions_boundary = "arn:aws-us-gov:iam::aws:policy/service-role/boundary" }
    workspace = "default"
  }
}

run "tags_in_any_script" {
  command = plan

  variables {
    bucket = { create = true, name = "files.of-192.168.1.1x" }
    tags   = { "Kosten stelle" = "Zürich/4:2 @x_+-=.", empty = "" }
  }
}

run "the_smallest_queue" {
  command = plan

  variables {
    function = { reserved_concurrency = 2 }
    queue    = { batch_size = 1, batching_window_seconds = 0, max_concurrency = 2, max_receives = 1, retention_days = 1 }
  }
}

run "the_largest_queue" {
  command = plan

  variables {
    function = { timeout_seconds = 900, reserved_concurrency = 1000 }
    queue    = { batch_size = 10000, batching_window_seconds = 300, max_concurrency = 1000, max_receives = 212, retention_days = 14 }
  }
}

run "a_message_is_tried_as_often_as_sqs_counts_and_filters_fill_what_a_state_may_hold" {
  command = plan

  variables {
    function = { timeout_seconds = 15 }
    queue    = { max_receives = 1000 }

    reconciliation = {
      grace_seconds     = 300
      concurrency       = 40
      memory_mb         = 10240
      schedule          = "rate(30 days)"
      proof_every_hours = 168
      repair_at_most    = 1000000000
    }

    # They take 150,000 bytes as JSON.
    filters = [
      for number in range(100) : {
        prefix = format("%02d%01022d", number, 0)
        suffix = "${join("", [for each in range(60) : "日"])}<<<<<<<<<<<<<<<<<<<<${format(number == 0 ? "%0149d" : "%0150d", 0)}"
      }
    ]
  }
}

run "ten_events_without_a_window" {
  command = plan

  variables {
    queue = { batch_size = 10, batching_window_seconds = 0 }
  }
}

run "filters_that_overlap_by_way_of_eventbridge" {
  command = plan

  variables {
    trigger = "eventbridge"
    filters = [{ prefix = "logs/" }, { suffix = ".csv" }]
  }
}
