"""From files to the examples of a step: readers, sampling, mixing, batches."""
