# Wrong input that the provider or a resource refuses too. What variables.tf alone refuses is in inputs/.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "values_are_too_small" {
  command = plan

  variables {
    function = { memory_mb = 127 }
  }

  expect_failures = [var.function]
}

run "values_are_too_large" {
  command = plan

  variables {
    function = { memory_mb = 10241 }
  }

  expect_failures = [var.function]
}

run "values_are_not_whole_numbers" {
  command = plan

  variables {
    function = { memory_mb = 256.5 }
  }

  expect_failures = [var.function]
}

run "there_is_no_such_choice" {
  command = plan

  variables {
    function = { architecture = "riscv" }
    table    = { stream = "NEW" }
  }

  expect_failures = [var.function, var.table]
}

run "logs_would_be_kept_for_ever" {
  command = plan

  variables {
    function = { log_retention_days = 0 }
  }

  expect_failures = [var.function]
}

run "cloudwatch_has_no_such_retention" {
  command = plan

  variables {
    function = { log_retention_days = 31 }
  }

  expect_failures = [var.function]
}

run "an_existing_bucket_is_in_another_region" {
  command = plan

  variables {
    bucket  = { name = "existing" }
    trigger = "external"
  }

  override_data {
    target          = data.aws_s3_bucket.watched
    override_during = plan
    values          = { bucket_regional_domain_name = "existing.s3.us-west-2.amazonaws.com" }
  }

  expect_failures = [data.aws_s3_bucket.watched]
}
