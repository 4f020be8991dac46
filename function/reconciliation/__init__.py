"""Reconciliation of index and bucket: ranges of keys, and what is done with each."""
