"""Measurements: `make bench`, and the claims of manifests."""
