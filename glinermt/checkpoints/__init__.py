"""Readers and writers of checkpoints, one file for each published family."""
