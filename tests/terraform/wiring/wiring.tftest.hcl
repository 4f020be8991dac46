# Plans over a state, for test_wiring.py to read what they replace.

mock_provider "aws" {
  source = "./tests/terraform/mocks"
}

variables {
  name          = "files"
  bucket        = { create = true }
  backfill_role = true
}

run "first" {}

run "other_partitions" {
  command = plan

  variables {
    table = { partitions = 2 }
  }
}

run "function_replaced" {
  command = plan

  plan_options {
    replace = [aws_lambda_function.function]
  }
}

run "queue_added" {
  command = plan

  variables {
    queue = {}
  }
}

run "rule_first" {
  variables {
    trigger = "eventbridge"
  }
}

run "function_of_a_rule_replaced" {
  command = plan

  variables {
    trigger = "eventbridge"
  }

  plan_options {
    replace = [aws_lambda_function.function]
  }
}
