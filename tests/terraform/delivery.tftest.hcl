# The notified events and objects, and who configures the bucket.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "everything_created_or_removed_is_notified" {
  command = plan

  assert {
    # As JSON: in HCL a null in a list differs from a null of another type.
    condition = jsonencode([
      for notification in aws_s3_bucket_notification.bucket[0].lambda_function : {
        arn    = notification.lambda_function_arn
        events = notification.events
        prefix = notification.filter_prefix
        suffix = notification.filter_suffix
      }
      ]) == jsonencode([{
        arn    = aws_lambda_function.function.arn
        events = ["s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        prefix = null
        suffix = null
    }])
    error_message = "The function must get the events that create or remove an object, and no others."
  }

  assert {
    condition     = length(aws_s3_bucket_notification.bucket[0].queue) + length(aws_s3_bucket_notification.bucket[0].topic) == 0
    error_message = "The bucket must notify only the function."
  }

  assert {
    condition     = output.notification == null
    error_message = "There is nothing for others to configure."
  }
}

run "object_metadata_adds_the_events_that_change_it" {
  command = plan

  variables {
    object_metadata = { enabled = true }
  }

  assert {
    condition = one(aws_s3_bucket_notification.bucket[0].lambda_function).events == toset([
      "s3:IntelligentTiering", "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectCreated:*",
      "s3:ObjectRemoved:*", "s3:ObjectRestore:*",
    ])
    error_message = "Restores and changes of storage class must be notified, but not tagging."
  }
}

run "tags_add_tagging_events" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
  }

  assert {
    condition = one(aws_s3_bucket_notification.bucket[0].lambda_function).events == toset([
      "s3:IntelligentTiering", "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectCreated:*",
      "s3:ObjectRemoved:*", "s3:ObjectRestore:*", "s3:ObjectTagging:*",
    ])
    error_message = "Tagging must be notified too."
  }
}

run "filters_are_encoded_for_s3_each_in_its_own_notification" {
  command = plan

  variables {
    filters = [
      { prefix = "in coming/a+b/", suffix = ".c@v" },
      { prefix = "Zürich/日本/", suffix = "/" },
      { prefix = "100%25/~_.-/", suffix = "z" },
      { suffix = "$&?#" },
    ]
  }

  assert {
    condition = jsonencode([
      for notification in aws_s3_bucket_notification.bucket[0].lambda_function :
      [notification.filter_prefix, notification.filter_suffix]
      ]) == jsonencode([
      ["in+coming/a%2Bb/", ".c%40v"],
      ["Z%C3%BCrich/%E6%97%A5%E6%9C%AC/", "/"],
      ["100%2525/~_.-/", "z"],
      [null, "%24%26%3F%23"],
    ])
    error_message = "Filters must be form-encoded once, with slashes as they are, and an empty one left out."
  }

  assert {
    condition = alltrue([
      for notification in aws_s3_bucket_notification.bucket[0].lambda_function :
      notification.events == toset(["s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"]) &&
      notification.lambda_function_arn == aws_lambda_function.function.arn
    ])
    error_message = "Each filter must bring all events to the function."
  }

  # It only warns.
  expect_failures = [check.filters_match_keys]
}

run "an_external_owner_gets_what_to_configure" {
  command = plan

  variables {
    bucket          = { name = "existing" }
    filters         = [{ prefix = "in coming/", suffix = ".csv" }, { prefix = "a+b/" }]
    object_metadata = { enabled = true }
    trigger         = "external"
  }

  assert {
    condition     = length(aws_s3_bucket_notification.bucket) == 0
    error_message = "The module must leave the bucket's notifications alone."
  }

  assert {
    condition     = output.notification.function_arn == aws_lambda_function.function.arn
    error_message = "The output must name the function to notify."
  }

  assert {
    condition = toset(output.notification.events) == toset([
      "s3:IntelligentTiering", "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectCreated:*",
      "s3:ObjectRemoved:*", "s3:ObjectRestore:*",
    ])
    error_message = "The output must have the events that the module would use."
  }

  assert {
    condition = jsonencode([for filter in output.notification.filters : [filter.prefix, filter.suffix]]) == jsonencode([
      ["in+coming/", ".csv"],
      ["a%2Bb/", null],
    ])
    error_message = "The output must have encoded filters."
  }
}

run "an_external_owner_configures_one_notification_without_filters" {
  command = plan

  variables {
    bucket  = { create = true }
    trigger = "external"
  }

  assert {
    condition     = jsonencode([for filter in output.notification.filters : [filter.prefix, filter.suffix]]) == "[[null,null]]"
    error_message = "Without filters there is still one notification, for all objects."
  }
}
