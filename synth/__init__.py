"""The synthetic data factory: an LLM reads texts and writes training examples, which are checked.

    texts -> plan -> prompt -> LLM -> parse -> align -> filter -> shards, manifest, report

Plan drops near duplicates and texts that benchmarks hold before an LLM is paid to read them.
"""
