# Resources for a backfill with S3 Batch Operations.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan

  override_resource {
    target          = aws_iam_role.backfill
    override_during = plan
    values          = { arn = "arn:aws:iam::111122223333:role/files-backfill" }
  }

  override_resource {
    target          = aws_s3_bucket.backfill_reports
    override_during = plan
    values          = { arn = "arn:aws:s3:::files-backfill-111122223333" }
  }
}

variables {
  name          = "files"
  bucket        = { name = "watched", versioned = false }
  trigger       = "external"
  backfill_role = true
}

run "nothing_is_created_by_default" {
  command = plan

  variables {
    backfill_role = false
  }

  assert {
    condition = alltrue([
      for resource in [
        aws_iam_role.backfill,
        aws_iam_role_policy.backfill_bucket,
        aws_iam_role_policy.backfill_function,
        aws_iam_role_policy.backfill_reports,
        aws_s3_bucket.backfill_reports,
        aws_s3_bucket_ownership_controls.backfill_reports,
        aws_s3_bucket_policy.backfill_reports,
        aws_s3_bucket_public_access_block.backfill_reports,
        aws_s3_bucket_server_side_encryption_configuration.backfill_reports,
      ] : length(resource) == 0
    ])
    error_message = "Role and bucket are created only with backfill_role."
  }

  assert {
    condition     = output.backfill == null
    error_message = "The output must be null."
  }
}

run "a_job_may_list_the_bucket_invoke_the_function_and_report_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.backfill[0].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "batchoperations.s3.amazonaws.com" }
    }]
    error_message = "Only S3 Batch Operations may assume the role."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.backfill_bucket[0].policy).Statement == [{
      Effect   = "Allow"
      Action   = "s3:PutInventoryConfiguration"
      Resource = "arn:aws:s3:::watched"
    }]
    error_message = "A job may list the watched bucket."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.backfill_function[0].policy).Statement == [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = "arn:aws:lambda:eu-west-1:111122223333:function:files"
    }]
    error_message = "A job may invoke only this function."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.backfill_reports[0].policy).Statement == [{
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "arn:aws:s3:::files-backfill-111122223333/*"
    }]
    error_message = "A job may write its report, but not read reports."
  }

  assert {
    condition = aws_iam_role.backfill[0].name == "files-backfill" && alltrue([
      for policy in concat(
        aws_iam_role_policy.backfill_bucket,
        aws_iam_role_policy.backfill_function,
        aws_iam_role_policy.backfill_reports,
      ) : policy.role == aws_iam_role.backfill[0].name
    ])
    error_message = "Each policy must be the role's."
  }

  assert {
    condition = output.backfill == {
      reports_bucket = "files-backfill-111122223333"
      role_arn       = "arn:aws:iam::111122223333:role/files-backfill"
    }
    error_message = "backfill must name the role and the bucket for reports."
  }
}

run "a_created_bucket_is_listed_too" {
  command = plan

  variables {
    bucket  = { create = true }
    trigger = "notification"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.backfill_bucket[0].policy).Statement[0].Resource == "arn:aws:s3:::created"
    error_message = "A job may list the watched bucket."
  }
}

run "the_function_may_read_the_objects_of_a_job" {
  command = plan

  variables {
    filters = [{ prefix = "in/" }]
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
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::watched/in/*"] },
    ]
    error_message = "A job names only keys, so the function may read the objects."
  }
}

run "reports_are_kept_apart_and_hardened" {
  command = plan

  assert {
    condition     = aws_s3_bucket.backfill_reports[0].bucket == "files-backfill-111122223333"
    error_message = "The bucket is named after the deployment and the account."
  }

  assert {
    condition     = aws_s3_bucket.backfill_reports[0].force_destroy
    error_message = "Reports must not keep the deployment from being destroyed."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.backfill_reports[0].block_public_acls,
      aws_s3_bucket_public_access_block.backfill_reports[0].block_public_policy,
      aws_s3_bucket_public_access_block.backfill_reports[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.backfill_reports[0].restrict_public_buckets,
    ])
    error_message = "All public access must be blocked."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.backfill_reports[0].rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must have no effect."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.backfill_reports[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Reports must be encrypted."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.backfill_reports[0].policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::files-backfill-111122223333", "arn:aws:s3:::files-backfill-111122223333/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "The bucket policy must deny requests without TLS, and nothing else."
  }

  assert {
    condition = alltrue([
      for bucket in [
        aws_s3_bucket_ownership_controls.backfill_reports[0].bucket,
        aws_s3_bucket_policy.backfill_reports[0].bucket,
        aws_s3_bucket_public_access_block.backfill_reports[0].bucket,
        aws_s3_bucket_server_side_encryption_configuration.backfill_reports[0].bucket,
      ] : bucket == aws_s3_bucket.backfill_reports[0].bucket
    ])
    error_message = "Each setting must be one of the bucket for reports."
  }
}

run "role_and_bucket_follow_the_options" {
  command = plan

  variables {
    role = { path = "/service/", permissions_boundary = "arn:aws:iam::111122223333:policy/team/boundary" }
    tags = { team = "platform" }
  }

  assert {
    condition = alltrue([
      aws_iam_role.backfill[0].path == "/service/",
      aws_iam_role.backfill[0].permissions_boundary == "arn:aws:iam::111122223333:policy/team/boundary",
      aws_iam_role.backfill[0].tags == tomap({ team = "platform" }),
      aws_s3_bucket.backfill_reports[0].tags == tomap({ team = "platform" }),
    ])
    error_message = "Path, boundary and tags must reach the role, tags the bucket."
  }
}
