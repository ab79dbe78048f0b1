"""Thresholds, temperatures and other settings chosen on dev data."""
