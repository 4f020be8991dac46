# Filters that most likely match no key are allowed, with a warning.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name   = "files"
  bucket = { create = true }
}

run "a_prefix_begins_with_a_slash" {
  command = plan

  variables {
    filters = [{ prefix = "fine/" }, { prefix = "/incoming/" }]
  }

  expect_failures = [check.filters_match_keys]
}

run "a_prefix_is_already_encoded" {
  command = plan

  variables {
    filters = [{ prefix = "in%20box/" }]
  }

  expect_failures = [check.filters_match_keys]
}

run "a_suffix_is_already_encoded" {
  command = plan

  variables {
    filters = [{ suffix = "%c3%bc.csv" }]
  }

  expect_failures = [check.filters_match_keys]
}

run "keys_as_they_usually_are" {
  command = plan

  variables {
    filters = [{ prefix = "in box+ü/", suffix = "/100%.csv" }, { prefix = "50 % off/" }]
  }
}
