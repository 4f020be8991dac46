# The exact statements of every policy, for each combination of options that changes them.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan
}

variables {
  name    = "files"
  bucket  = { name = "watched", versioned = false }
  trigger = "external"
}

run "an_unversioned_bucket_is_indexed_without_reads" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.function["table"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem"]
      Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
    }]
    error_message = "The function may only put items into its own table."
  }

  assert {
    condition     = keys(aws_iam_role_policy.function) == ["dead-letter", "logs", "table"]
    error_message = "The function may not read the bucket."
  }

  assert {
    condition     = length(aws_iam_role_policy.key) == 0
    error_message = "Without a customer's key there is nothing to grant on one."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["logs"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/files:*"
    }]
    error_message = "The function may only write streams of its own log group."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["dead-letter"].policy).Statement == [{
      Effect   = "Allow"
      Action   = "sqs:SendMessage"
      Resource = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
    }]
    error_message = "The function may only send to its own dead-letter queue."
  }

  assert {
    condition = alltrue([
      for policy in concat(values(aws_iam_role_policy.function), aws_iam_role_policy.key) : policy.role == aws_iam_role.function.id
    ])
    error_message = "Each policy must be the function's role's."
  }

  assert {
    condition = jsondecode(aws_iam_role.function.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
    error_message = "Only Lambda may assume the role."
  }
}

run "the_function_may_read_a_versioned_bucket" {
  command = plan

  variables {
    bucket = { name = "watched", versioned = true }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["table"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem", "dynamodb:GetItem"]
      Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
    }]
    error_message = "The function may put and get items of its own table."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement == [
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" },
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::watched/*"] },
    ]
    error_message = "The function may read the objects of its own bucket, and tell which are gone."
  }
}

run "with_a_queue_the_function_may_insert_new_records" {
  command = plan

  variables {
    queue = {}
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["table"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem", "dynamodb:PartiQLInsert"]
      Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
    }]
    error_message = "The function may insert and put items into its own table."
  }
}

run "the_function_may_read_object_metadata_in_an_unversioned_bucket" {
  command = plan

  variables {
    object_metadata = { enabled = true }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["table"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem", "dynamodb:GetItem"]
      Resource = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
    }]
    error_message = "The function may put and get items of its own table."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement == [
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" },
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::watched/*"] },
    ]
    error_message = "The function may look at objects, but not at their tags."
  }
}

run "tags_are_read_when_asked_for" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement == [
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" },
      { Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectTagging"], Resource = ["arn:aws:s3:::watched/*"] },
    ]
    error_message = "The function may look at objects and their tags."
  }
}

run "the_function_may_read_only_objects_that_match_the_filters" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
    filters = [
      { prefix = "in coming/", suffix = ".csv" },
      { prefix = "in coming/", suffix = ".json" },
      { prefix = "in coming/2026/", suffix = ".xml" },
      { prefix = "who?/$HOME/$${aws:username}/" },
      { prefix = "Zürich/日本/" },
    ]
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement == [
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::watched" },
      {
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:GetObjectTagging"]
        Resource = [
          "arn:aws:s3:::watched/in coming/*",
          "arn:aws:s3:::watched/who$${?}/$${$}HOME/$${$}{aws:username}/*",
          "arn:aws:s3:::watched/Z*rich/*/*",
        ]
      },
    ]
    error_message = "The function may look at objects under the filters' prefixes alone: each once, escaped as IAM wants it."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.function["bucket"].policy).Version == "2012-10-17"
    error_message = "Escapes need the policy language version that supports them."
  }
}

run "a_filter_without_a_prefix_allows_reading_the_whole_bucket" {
  command = plan

  variables {
    bucket  = { name = "watched" }
    filters = [{ prefix = "logs/", suffix = ".gz" }, { suffix = ".csv" }]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.function["bucket"].policy).Statement[1].Resource == ["arn:aws:s3:::watched/*"]
    error_message = "A suffix alone may be anywhere in the bucket."
  }
}

run "a_customers_key_is_used_only_through_dynamodb" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.key[0].policy).Statement == [{
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
      Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
    }]
    error_message = "The function may use the key, but only through DynamoDB."
  }

  assert {
    # One policy changes before the table, the other one after it.
    condition     = jsondecode(aws_iam_role_policy.function["table"].policy).Statement[1] == jsondecode(aws_iam_role_policy.key[0].policy).Statement[0]
    error_message = "The policy of the table must allow its key too."
  }
}
