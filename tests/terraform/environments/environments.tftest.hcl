# A plan of one of environments/*.tfvars, which test_environments.py gives with its workspace.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "prod_alone_protects_what_it_holds" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.table.deletion_protection_enabled == (terraform.workspace == "prod")
    error_message = "The table must be protected from deletion in prod alone."
  }

  assert {
    condition     = aws_s3_bucket.watched[0].force_destroy == (terraform.workspace != "prod")
    error_message = "A bucket that holds objects must be kept in prod alone."
  }

  assert {
    condition     = length(aws_scheduler_schedule.reconciliation) == (terraform.workspace == "prod" ? 1 : 0) && local.repairs == (terraform.workspace == "prod")
    error_message = "The index must be proved and repaired in prod alone."
  }
}
