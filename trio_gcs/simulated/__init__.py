"""Nodes without Ray: enough of a raylet and its workers for a GCS to believe in them."""
