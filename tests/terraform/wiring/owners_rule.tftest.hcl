# As wiring.tftest.hcl, with a bucket of another account.

mock_provider "aws" {
  source = "./tests/terraform/mocks"
}

variables {
  name    = "files"
  bucket  = { name = "theirs", account = "444455556666" }
  trigger = "eventbridge"
}

run "owners_rule_first" {}

run "function_of_an_owners_rule_replaced" {
  command = plan

  plan_options {
    replace = [aws_lambda_function.function]
  }
}
