# A bucket of another account: nothing of it is read, its owner's account alone is let in, and the output has everything
# that the owner adds. The local AWS does not deliver events of EventBridge across accounts, so only these runs show it.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan # so that policies can be read in a plan

  override_resource {
    target          = aws_sqs_queue.queue
    override_during = plan
    values          = { arn = "arn:aws:sqs:eu-west-1:111122223333:files" }
  }
}

variables {
  name    = "files"
  bucket  = { name = "theirs", account = "444455556666" }
  filters = [{ prefix = "in box/" }, { prefix = "out/", suffix = ".csv" }]
  trigger = "external"
}

run "nothing_of_the_bucket_is_read_or_changed" {
  command = plan

  assert {
    condition     = length(data.aws_s3_bucket.watched) + length(aws_s3_bucket_notification.bucket) == 0
    error_message = "The deployer need not have access to the bucket."
  }

  assert {
    condition     = aws_lambda_function.function.environment[0].variables["BUCKET_ACCOUNT"] == "444455556666"
    error_message = "The function must know whom to name if a read is denied."
  }
}

run "s3_may_invoke_the_function_for_the_owners_account_only" {
  command = plan

  assert {
    condition = alltrue([
      aws_lambda_permission.bucket[0].principal == "s3.amazonaws.com",
      aws_lambda_permission.bucket[0].source_account == "444455556666",
      aws_lambda_permission.bucket[0].source_arn == "arn:aws:s3:::theirs",
      length(aws_lambda_permission.owners_role) + length(aws_lambda_permission.rule) == 0,
    ])
    error_message = "The permission must name the bucket and its owner's account."
  }

  assert {
    condition = jsonencode(output.bucket_owner_adds.notification) == jsonencode({
      eventbridge  = false
      events       = ["s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
      filters      = [{ prefix = "in+box/", suffix = null }, { prefix = "out/", suffix = ".csv" }]
      function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:files"
      queue_arn    = null
    })
    error_message = "The owner must be told which function to notify, of what."
  }

  assert {
    condition = alltrue([
      for part in ["rule", "target", "role"] : output.bucket_owner_adds[part] == null
    ])
    error_message = "Without EventBridge there is no rule."
  }
}

run "s3_may_send_to_the_queue_for_the_owners_account_only" {
  command = plan

  variables {
    queue = {}
  }

  assert {
    condition = jsondecode(aws_sqs_queue.queue[0].policy).Statement[0] == {
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { Service = "s3.amazonaws.com" }
      Resource  = "arn:aws:sqs:eu-west-1:111122223333:files"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::theirs" }
        StringEquals = { "aws:SourceAccount" = "444455556666" }
      }
    }
    error_message = "The queue must accept events of the bucket, from its owner's account."
  }

  assert {
    condition = alltrue([
      output.bucket_owner_adds.notification.queue_arn == "arn:aws:sqs:eu-west-1:111122223333:files",
      output.bucket_owner_adds.notification.function_arn == null,
    ])
    error_message = "The owner must be told of the queue."
  }
}

run "the_bucket_allows_the_function_exactly_what_its_role_may_read" {
  command = plan

  assert {
    condition = jsonencode(output.bucket_owner_adds.bucket_policy_statements) == jsonencode([
      {
        Sid       = "files-list"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::111122223333:root" }
        Action    = "s3:ListBucket"
        Resource  = "arn:aws:s3:::theirs"
        Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/files" } }
      },
      {
        Sid       = "files-get"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::111122223333:root" }
        Action    = ["s3:GetObject"]
        Resource  = ["arn:aws:s3:::theirs/in box/*", "arn:aws:s3:::theirs/out/*"]
        Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/files" } }
      },
    ])
    error_message = "The account's root with the role in a condition: ${jsonencode(output.bucket_owner_adds.bucket_policy_statements)}"
  }

  assert {
    condition     = output.bucket_owner_adds.key_policy_statements == []
    error_message = "HeadObject without checksums needs no key."
  }

  assert {
    condition     = !contains(keys(aws_iam_role_policy.function), "bucket-key")
    error_message = "Nothing is decrypted, so no key may be used."
  }
}

run "nothing_is_asked_of_the_bucket_if_nothing_reads_it" {
  command = plan

  variables {
    bucket = { name = "theirs", account = "444455556666", versioned = false }
  }

  assert {
    condition     = output.bucket_owner_adds.bucket_policy_statements == []
    error_message = "Events of an unversioned bucket say everything."
  }
}

run "the_worker_and_a_role_with_a_path_are_named_too" {
  command = plan

  variables {
    bucket         = { name = "theirs", account = "444455556666", versioned = false }
    reconciliation = {}
    role           = { path = "/service/" }
  }

  assert {
    condition = jsonencode(output.bucket_owner_adds.bucket_policy_statements) == jsonencode([{
      Sid       = "files-worker-list"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:root" }
      Action    = "s3:ListBucket"
      Resource  = "arn:aws:s3:::theirs"
      Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/service/files-worker" } }
    }])
    error_message = "A worker that only compares lists: ${jsonencode(output.bucket_owner_adds.bucket_policy_statements)}"
  }
}

run "readers_of_encrypted_objects_may_decrypt_those_of_the_bucket" {
  command = plan

  variables {
    object_metadata = { enabled = true, tags = true }
    reconciliation  = { repair = true }
  }

  assert {
    condition = jsonencode(output.bucket_owner_adds.key_policy_statements) == jsonencode([
      for role in ["files", "files-worker"] : {
        Sid       = "${role}-decrypt"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::111122223333:root" }
        Action    = "kms:Decrypt"
        Resource  = "*"
        Condition = {
          ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/${role}" }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = ["arn:aws:s3:::theirs", "arn:aws:s3:::theirs/*"]
            "kms:ViaService"                   = "s3.*.amazonaws.com"
          }
        }
      }
    ])
    error_message = "The key must allow what the roles may do: ${jsonencode(output.bucket_owner_adds.key_policy_statements)}"
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.function["bucket-key"], aws_iam_role_policy.worker["bucket-key"]] :
      jsondecode(policy.policy).Statement == [{
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = "arn:aws:kms:eu-west-1:444455556666:key/*"
        Condition = {
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = ["arn:aws:s3:::theirs", "arn:aws:s3:::theirs/*"]
            "kms:ViaService"                   = "s3.*.amazonaws.com"
          }
        }
      }]
    ])
    error_message = "Across accounts, the roles' own policies must allow it too, for the bucket's objects only."
  }

  assert {
    condition = [for one in output.bucket_owner_adds.bucket_policy_statements : one.Action if endswith(one.Sid, "-get")] == [
      ["s3:GetObject", "s3:GetObjectTagging"], ["s3:GetObject", "s3:GetObjectTagging"],
    ]
    error_message = "With tags, both read them."
  }
}

run "a_worker_that_only_compares_decrypts_nothing" {
  command = plan

  variables {
    object_metadata = { enabled = true }
    reconciliation  = {}
  }

  assert {
    condition     = output.bucket_owner_adds.key_policy_statements[*].Sid == ["files-decrypt"]
    error_message = "A listing needs no key: ${jsonencode(output.bucket_owner_adds.key_policy_statements)}"
  }

  assert {
    condition     = !contains(keys(aws_iam_role_policy.worker), "bucket-key")
    error_message = "The worker's role must not allow it either."
  }
}

run "the_owner_creates_the_rule_and_its_role_and_lambda_trusts_their_account" {
  command = plan

  variables {
    trigger = "eventbridge"
  }

  assert {
    condition = alltrue([
      length(aws_cloudwatch_event_rule.bucket) + length(aws_cloudwatch_event_target.bucket) == 0,
      length(aws_lambda_permission.bucket) + length(aws_lambda_permission.rule) == 0,
      length([for name in keys(aws_cloudwatch_metric_alarm.alarm) : name if name == "lost-by-rule"]) == 0,
    ])
    error_message = "EventBridge receives the bucket's events in the owner's account only."
  }

  assert {
    condition = alltrue([
      aws_lambda_permission.owners_role[0].action == "lambda:InvokeFunction",
      aws_lambda_permission.owners_role[0].principal == "arn:aws:iam::444455556666:root",
    ])
    error_message = "The owner's account may let the rule's role invoke the function."
  }

  assert {
    condition     = output.bucket_owner_adds.notification.eventbridge
    error_message = "The owner must be told to enable EventBridge."
  }

  assert {
    condition = output.bucket_owner_adds.rule.name == "files" && jsondecode(output.bucket_owner_adds.rule.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created", "Object Deleted"]
      detail = {
        bucket = { name = ["theirs"] }
        object = { key = [{ prefix = "in box/" }, { wildcard = "out/*.csv" }] }
      }
    }
    error_message = "The rule must match the bucket's events."
  }

  assert {
    condition = output.bucket_owner_adds.target == {
      target_id       = "file-index"
      arn             = "arn:aws:lambda:eu-west-1:111122223333:function:files"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
    }
    error_message = "The rule must send to the function, and what fails to the deployment's dead-letter queue."
  }

  assert {
    condition = output.bucket_owner_adds.role.name == "files" && jsondecode(output.bucket_owner_adds.role.policy).Statement == [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = "arn:aws:lambda:eu-west-1:111122223333:function:files"
    }]
    error_message = "The role may invoke the function, nothing else."
  }

  assert {
    condition = jsondecode(output.bucket_owner_adds.role.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:444455556666:rule/files" } }
    }]
    error_message = "Only this rule may use the role."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dead_letter.policy).Statement[0] == {
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { Service = "events.amazonaws.com" }
      Resource  = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:444455556666:rule/files" } }
    }
    error_message = "The owner's rule may leave its dead letters."
  }
}

run "the_rules_role_may_send_to_a_queue" {
  command = plan

  variables {
    queue   = {}
    trigger = "eventbridge"
  }

  assert {
    condition = [for one in jsondecode(aws_sqs_queue.queue[0].policy).Statement : one if one.Effect == "Allow"] == [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { AWS = "arn:aws:iam::444455556666:root" }
      Resource  = "arn:aws:sqs:eu-west-1:111122223333:files"
      Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::444455556666:role/files" } }
    }]
    error_message = "The role of the rule, and nobody else in the owner's account."
  }

  assert {
    condition = alltrue([
      output.bucket_owner_adds.target.arn == "arn:aws:sqs:eu-west-1:111122223333:files",
      jsondecode(output.bucket_owner_adds.role.policy).Statement[0].Action == "sqs:SendMessage",
      jsondecode(output.bucket_owner_adds.role.policy).Statement[0].Resource == "arn:aws:sqs:eu-west-1:111122223333:files",
      length(aws_lambda_permission.owners_role) == 0,
    ])
    error_message = "The rule must send to the queue, and nobody but its mapping invokes the function."
  }
}

run "arns_made_of_names_have_the_deployments_partition_and_region" {
  command = plan

  variables {
    object_metadata = { enabled = true }
    queue           = {}
    reconciliation  = { repair = true }
    trigger         = "eventbridge"
  }

  # Where the module takes both from.
  override_resource {
    target          = aws_cloudwatch_log_group.function
    override_during = plan
    values          = { arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/lambda/files" }
  }

  assert {
    condition = alltrue([
      for condition in [
        jsondecode(output.bucket_owner_adds.role.assume_role_policy).Statement[0].Condition,
        jsondecode(aws_sqs_queue.dead_letter.policy).Statement[0].Condition,
      ] : condition == { ArnEquals = { "aws:SourceArn" = "arn:aws-cn:events:cn-north-1:444455556666:rule/files" } }
    ])
    error_message = "The owner's rule is in the bucket's Region, which is the deployment's."
  }

  assert {
    condition = [for one in jsondecode(aws_sqs_queue.queue[0].policy).Statement : one if one.Effect == "Allow"] == [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Principal = { AWS = "arn:aws-cn:iam::444455556666:root" }
      Resource  = "arn:aws-cn:sqs:cn-north-1:111122223333:files"
      Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws-cn:iam::444455556666:role/files" } }
    }]
    error_message = "The queue must name the rule's role: ${aws_sqs_queue.queue[0].policy}"
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.function["bucket-key"], aws_iam_role_policy.worker["bucket-key"]] :
      jsondecode(policy.policy).Statement[0].Resource == "arn:aws-cn:kms:cn-north-1:444455556666:key/*"
    ])
    error_message = "The roles must be allowed to use the keys of the bucket's Region."
  }

  assert {
    condition = !strcontains(jsonencode([
      output.bucket_owner_adds.bucket_policy_statements, output.bucket_owner_adds.key_policy_statements,
    ]), "arn:aws:")
    error_message = "The statements must name roles and bucket in their partition: ${jsonencode(output.bucket_owner_adds)}"
  }
}

run "the_pattern_of_the_owners_rule_is_longer_than_eventbridge_accepts" {
  command = plan

  variables {
    filters = [for i in range(47) : { prefix = format("%02d-%s/", i, join("", [for j in range(23) : "x"])) }]
    trigger = "eventbridge"
  }

  expect_failures = [output.bucket_owner_adds]
}

run "the_account_is_the_deployments_own" {
  command = plan

  variables {
    bucket = { name = "existing", account = "111122223333" }
  }

  expect_failures = [aws_iam_role.function]
}

run "a_bucket_of_the_deployments_account_has_nothing_to_add" {
  command = plan

  variables {
    bucket = { name = "existing" }
  }

  assert {
    condition     = output.bucket_owner_adds == null
    error_message = "The output is for a bucket of another account."
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.function.environment[0].variables), "BUCKET_ACCOUNT")
    error_message = "The function must not point to another account."
  }
}
