# Another function, which reads the index with the Python package file-index.

module "file_index" {
  source = "../.." # or "git::https://github.com/YOUR-ORG/terraform-aws-file-index.git?ref=v1.0.0"

  name   = "documents-index"
  bucket = { create = true }
}

resource "aws_lambda_function" "reader" {
  function_name = "documents-reader"
  role          = aws_iam_role.reader.arn

  filename         = "${path.module}/reader.zip" # README.md says how to build it
  source_code_hash = filebase64sha256("${path.module}/reader.zip")
  handler          = "list_files.handler"
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = 256
  timeout          = 30

  environment {
    variables = {
      BUCKET           = module.file_index.bucket.name
      TABLE_NAME       = module.file_index.table.name
      TABLE_PARTITIONS = module.file_index.table.partitions
    }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.reader.name
  }
}

resource "aws_cloudwatch_log_group" "reader" {
  name              = "/aws/lambda/documents-reader"
  retention_in_days = 30
}

resource "aws_iam_role" "reader" {
  name = "documents-reader"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "reads_index" {
  name   = "file-index"
  role   = aws_iam_role.reader.id
  policy = module.file_index.index_read_policy
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.reader.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.reader.arn}:*"
    }]
  })
}

output "reader" {
  description = "The name of the function that reads the index."
  value       = aws_lambda_function.reader.function_name
}

# For the command line, file-index.
output "file_index" {
  value = module.file_index.deployment
}
