"""Small real samples that come with the package; SOURCES.md says from where."""

from pathlib import Path

SAMPLED = ("crossner", "squad2", "fewrel", "ner20")


def sample_folder(benchmark: str) -> Path:
    """Give the folder with a benchmark's sample."""
    return Path(__file__).parent / benchmark
