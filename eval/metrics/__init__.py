"""Counts and scores of what was predicted, with intervals."""
