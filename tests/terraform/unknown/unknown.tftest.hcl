mock_provider "aws" {
  source = "../mocks"
}

mock_provider "aws" {
  alias  = "elsewhere"
  source = "../mocks"
}

# An apply, because `terraform test` fails a plan that leaves a check open.
run "all_of_it_is_planned_and_applied" {}
