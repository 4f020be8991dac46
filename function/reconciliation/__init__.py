"""Reconciliation: index and bucket are compared, repaired and filled, a range of keys at a time."""
