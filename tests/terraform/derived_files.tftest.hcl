# Derived files: permissions only with derived_files, and no loops.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name          = "files"
  bucket        = { name = "watched", versioned = false }
  trigger       = "external"
  filters       = [{ prefix = "in/", suffix = ".csv" }, { prefix = "more/" }]
  derived_files = { bucket_name = "manifests", prefix = "of watched/" }
}

run "nothing_is_read_or_stored_by_default" {
  command = plan

  variables {
    derived_files = null
  }

  assert {
    condition     = keys(aws_iam_role_policy.function) == ["dead-letter", "logs", "table"]
    error_message = "The function may neither read nor store objects."
  }

  assert {
    condition     = alltrue([for name in keys(output.deployment.environment) : !startswith(name, "DERIVED")])
    error_message = "The function's environment must not mention derived files."
  }
}

run "the_function_may_read_watched_objects_and_store_derived_files" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement == [
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" },
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::watched/in/*", "arn:aws:s3:::watched/more/*"] },
    ]
    error_message = "The function may read only watched objects."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["derived-files"].policy).Statement == [
      { Effect = "Allow", Action = "s3:PutObject", Resource = "arn:aws:s3:::manifests/of watched/*" },
    ]
    error_message = "The function may store only manifests."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.function["table"].policy).Statement[0].Action == ["dynamodb:PutItem"]
    error_message = "The function needs no reads to order events."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.function.environment[0].variables["DERIVED_BUCKET"] == "manifests",
      aws_lambda_function.function.environment[0].variables["DERIVED_PREFIX"] == "of watched/",
      aws_lambda_function.function.environment[0].variables["DERIVED_MAX_BYTES"] == "104857600",
    ])
    error_message = "The function must know the bucket, the prefix and the maximum size."
  }
}

run "the_largest_object" {
  command = plan

  variables {
    derived_files = { bucket_name = "manifests", max_mb = 52428800 }
  }

  assert {
    condition     = aws_lambda_function.function.environment[0].variables["DERIVED_MAX_BYTES"] == "54975581388800"
    error_message = "A large number must be written out."
  }
}

run "beside_the_watched_prefix" {
  command = plan

  variables {
    derived_files = { bucket_name = "watched", prefix = "manifests/" }
  }

  assert {
    condition     = contains(keys(aws_iam_role_policy.function), "derived-files")
    error_message = "Another prefix of the watched bucket is not a loop."
  }
}

run "under_a_watched_prefix" {
  command = plan

  variables {
    derived_files = { bucket_name = "watched", prefix = "in/manifests/" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "if_only_a_suffix_tells_them_apart" {
  command = plan

  variables {
    filters       = [{ suffix = ".csv" }]
    derived_files = { bucket_name = "watched", prefix = "manifests/" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "a_watched_prefix_within_theirs" {
  command = plan

  variables {
    filters       = [{ prefix = "in/" }, { prefix = "manifests/in/" }]
    derived_files = { bucket_name = "watched", prefix = "manifests/" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "without_a_prefix_manifests_match_the_watched_prefix" {
  command = plan

  variables {
    derived_files = { bucket_name = "watched" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "in_a_bucket_that_is_watched_whole" {
  command = plan

  variables {
    filters       = []
    derived_files = { bucket_name = "watched", prefix = "manifests/" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "in_a_created_bucket_named_after_the_account" {
  command = plan

  variables {
    bucket        = { create = true }
    trigger       = "notification"
    filters       = []
    derived_files = { bucket_name = "files-111122223333", prefix = "manifests/" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "a_rule_of_eventbridge_loops_too" {
  command = plan

  variables {
    trigger       = "eventbridge"
    derived_files = { bucket_name = "watched", prefix = "more/" }
  }

  expect_failures = [aws_lambda_function.function]
}
