"""Weak entity labels of many types from freely licensed text: relation roles, definitions, WordNet.

Zero-shot typing lives on the diversity of types. ``python -m
glinermt.training.shipped.weak_labels`` writes Example JSONL that the training command reads as it
is.
"""
