"""Metrics for the agent of the head node, in OpenTelemetry's protocol and under Ray's names."""
