"""Handlers that others teach, as AWS Lambda would run them. This directory is their package."""
