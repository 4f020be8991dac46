"""The Lambda function that keeps a DynamoDB table in step with an S3 bucket."""
