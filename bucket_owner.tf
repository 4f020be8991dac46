# A bucket of another account: who may send to the queue and invoke the function, and what the bucket's owner adds.
# Policies name the other account's root and, in a condition, the role: AWS replaces a role in `Principal` by its unique
# id, and a role that is created again has another one.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html

locals {
  # The rule that the owner creates with `trigger = "eventbridge"`, and its role: from names, because they come later.
  owners_rule = local.of_another_account && var.trigger == "eventbridge" ? {
    arn      = "arn:${local.partition}:events:${local.region}:${local.bucket_account}:rule/${var.name}"
    role_arn = "arn:${local.partition}:iam::${local.bucket_account}:role/${var.name}"
  } : null

  owners_root = "arn:${local.partition}:iam::${local.bucket_account}:root"

  # EventBridge reaches a queue of another account as the rule's role, and its dead-letter queue as itself.
  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-cross-account.html
  sent_by_owners_role = [for rule in local.owners_rule[*] : {
    Effect    = "Allow"
    Action    = "sqs:SendMessage"
    Principal = { AWS = local.owners_root }
    Condition = { ArnEquals = { "aws:PrincipalArn" = rule.role_arn } }
  }]
}

# A permission of Lambda has no condition on the caller's role, so this one leaves the choice of the role to the owner.
resource "aws_lambda_permission" "owners_role" {
  count = var.queue == null && local.owners_rule != null ? 1 : 0

  statement_id  = "owners-role"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function.function_name
  principal     = local.owners_root

  lifecycle {
    # AWS deletes it with the function.
    replace_triggered_by = [aws_lambda_function.function.id]
  }
}

locals {
  # The function and, with `reconciliation`, the worker.
  readers = merge(
    { (var.name) = local.grants },
    var.reconciliation == null ? {} : { "${var.name}-worker" = local.worker_grants },
  )

  # From names, which stay known if a role is replaced.
  own_root  = "arn:${local.partition}:iam::${local.account_id}:root"
  own_roles = "arn:${local.partition}:iam::${local.account_id}:role${var.role.path}"

  bucket_owner_adds = !local.of_another_account ? null : {
    notification = local.notification

    rule = one([for rule in local.owners_rule[*] : {
      name          = var.name
      event_pattern = local.event_patterns["rule"]
    }])

    target = one([for rule in local.owners_rule[*] : {
      target_id       = "file-index"
      arn             = local.target_arn
      dead_letter_arn = aws_sqs_queue.dead_letter.arn
    }])

    role = one([for rule in local.owners_rule[*] : {
      name = var.name
      assume_role_policy = jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { Service = "events.amazonaws.com" }
          Condition = { ArnEquals = { "aws:SourceArn" = rule.arn } }
        }]
      })
      policy = jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect   = "Allow"
          Action   = var.queue == null ? "lambda:InvokeFunction" : "sqs:SendMessage"
          Resource = local.target_arn
        }]
      })
    }])

    # Across accounts, both sides must allow a call. function/denials.py knows the Sids.
    bucket_policy_statements = flatten([
      for name, grants in local.readers : [
        for statement in grants.bucket : merge(statement, {
          Sid       = "${name}-${statement.Action == "s3:ListBucket" ? "list" : "get"}"
          Effect    = "Allow"
          Principal = { AWS = local.own_root }
          Condition = { ArnEquals = { "aws:PrincipalArn" = "${local.own_roles}${name}" } }
        })
      ]
    ])

    key_policy_statements = flatten([
      for name, grants in local.readers : [
        for statement in grants.bucket-key : merge(statement, {
          Sid       = "${name}-decrypt"
          Effect    = "Allow"
          Principal = { AWS = local.own_root }
          Resource  = "*" # in a key's policy: the key
          Condition = merge(statement.Condition, { ArnEquals = { "aws:PrincipalArn" = "${local.own_roles}${name}" } })
        })
      ]
    ])
  }
}
