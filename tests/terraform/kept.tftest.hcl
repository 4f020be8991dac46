# Plans over a state: what is kept is not replaced by a new name, nor lost by other inputs.

mock_provider "aws" {
  source = "./tests/terraform/mocks"
}

variables {
  name    = "files"
  bucket  = { name = "existing" }
  trigger = "external"
  table   = { deletion_protection = false }
}

run "an_existing_bucket" {}

run "a_bucket_is_created_after_all" {
  command = plan

  variables {
    bucket = { create = true }
  }

  expect_failures = [aws_s3_bucket.watched]
}

run "a_bucket_is_created_on_purpose" {
  variables {
    bucket = { create = true, force_destroy = true }
  }

  plan_options {
    replace = [terraform_data.bucket_created]
  }
}

run "the_created_bucket_would_be_destroyed" {
  command = plan

  expect_failures = [aws_lambda_function.function]
}

run "nothing_is_protected" {
  variables {
    name   = "renamed"
    bucket = { create = true, force_destroy = true }
  }
}

run "everything_is_protected" {
  variables {
    name   = "renamed"
    bucket = { create = true }
    table  = {}
  }
}

run "a_new_name_replaces_protected_resources" {
  command = plan

  variables {
    name   = "renamed-again"
    bucket = { create = true }
    table  = {}
  }

  expect_failures = [aws_dynamodb_table.table, aws_s3_bucket.watched]
}

run "a_new_name_removes_the_protection_in_the_same_apply" {
  command = plan

  variables {
    name   = "renamed-again"
    bucket = { create = true, force_destroy = true }
  }

  expect_failures = [aws_dynamodb_table.table, aws_s3_bucket.watched]
}

run "a_new_name_of_the_bucket_alone" {
  command = plan

  variables {
    name   = "renamed"
    bucket = { name = "another", create = true }
    table  = {}
  }

  expect_failures = [aws_s3_bucket.watched]
}

run "the_bucket_is_named_as_it_is" {
  command = plan

  variables {
    name   = "renamed"
    bucket = { name = "renamed-111122223333", create = true }
    table  = {}
  }
}
