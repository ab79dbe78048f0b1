"""What keeps a reply out: alignment, filters, duplicates, contamination."""
