# Input that is found to be wrong by reading AWS. What variables.tf alone refuses is in inputs/.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name   = "files"
  bucket = { create = true }
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
