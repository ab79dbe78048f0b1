"""Readers: files in the official formats, or our JSONL, to typed cases."""
