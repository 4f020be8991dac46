# Plans over a state, for test_wiring.py to read what they replace.

mock_provider "aws" {
  source = "./tests/terraform/mocks"
}

variables {
  name   = "files"
  bucket = { create = true }

  reconciliation = { repair = true }

  derived_files = { bucket_name = "manifests" }
  kms_key       = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
}

run "first" {}

run "another_number_of_partitions" {
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

run "role_replaced" {
  command = plan

  plan_options {
    replace = [aws_iam_role.function]
  }
}

run "role_of_the_workers_replaced" {
  command = plan

  plan_options {
    replace = [aws_iam_role.worker[0]]
  }
}

run "role_of_the_state_machine_replaced" {
  command = plan

  plan_options {
    replace = [aws_iam_role.reconciliation[0]]
  }
}

run "role_of_the_schedule_replaced" {
  command = plan

  plan_options {
    replace = [aws_iam_role.schedule[0]]
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

run "queue_first" {
  variables {
    queue   = {}
    trigger = "eventbridge"
  }
}

run "role_of_a_queue_replaced" {
  command = plan

  variables {
    queue   = {}
    trigger = "eventbridge"
  }

  plan_options {
    replace = [aws_iam_role.function]
  }
}
