# The real schema's validation runs on what is mocked: ARNs must look real.

mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_s3_bucket" {
  defaults = { bucket_regional_domain_name = "existing.s3.eu-west-1.amazonaws.com" }
}

mock_data "aws_service_principal" {
  defaults = { region = "eu-west-1" }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/files" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/files" }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-west-1:111122223333:table/files"
    stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/files/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/files" }
}

mock_resource "aws_lambda_function" {
  defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:files" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::created" }
}

mock_resource "aws_scheduler_schedule" {
  defaults = { arn = "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/files-reconciliation" }
}

mock_resource "aws_sfn_state_machine" {
  defaults = { arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:files-reconciliation" }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-1:111122223333:files-dead-letter"
    url = "https://sqs.eu-west-1.amazonaws.com/111122223333/files-dead-letter"
  }
}
