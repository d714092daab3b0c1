"""Benchmarks: trio-gcs and Ray's own gcs_server side by side, in one run on one machine."""
