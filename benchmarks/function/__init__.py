"""Measurements of the Lambda function: CPU, time, requests, log lines and price of an event."""
