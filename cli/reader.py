"""Reads records: the door for applications. Needs only boto3."""

from .function.reader import IndexReader

__all__ = ["IndexReader"]
