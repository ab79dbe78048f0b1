"""What a run of the factory depends on, and the fingerprint that tells two runs apart."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from glinermt.config import check_least
from glinermt.errors import ConfigError, unknown_choice
from glinermt.synth.recipes import PAPERS, RECIPES, renamed

PIPELINE = 7
"""Raised when the same replies become other examples; runs are then derived again."""

LEAST = {
    "shard_rows": 1,
    "passage_tokens": 20,
    "least_tokens": 1,
    "retries": 0,
    "limit": 0,
    "tasks_per_text": 0,
    "passages_per_text": 0,
    "shared_mentions": 0,
}
"""Least value of numbers, where any other makes no sense."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the LLM draws its words."""

    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 1024

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ConfigError(f"temperature must be from 0 to 2, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be at least 1, got {self.max_tokens}")

    @property
    def draw(self) -> "Sampling":
        """What the words depend on: a reply that ends is the same with any ``max_tokens``."""
        return dataclasses.replace(self, max_tokens=Sampling().max_tokens)


@dataclass(frozen=True, slots=True)
class Settings:
    """A plan's settings; the defaults are the paper's where it says anything."""

    texts: tuple[str, ...]
    """Files or folders: .jsonl or .txt (a text a line), also packed as .gz or .xz."""
    model: str = "meta-llama/Meta-Llama-3-8B-Instruct"
    llm: str = "vllm"
    """Name in ``LLMS``."""
    tasks: tuple[str, ...] = PAPERS
    """Names in ``RECIPES``."""
    tasks_per_text: int = 0
    """How many of the tasks each passage gets, drawn by seed; 0 = all."""
    language: str = "en"
    """ISO 639-1 code of the language that the LLM is asked in, and texts are cut in."""
    only_language: bool = False
    """Leave out passages that py3langid takes for another language than that."""
    text_field: str = "text"
    """Where JSON lines keep the text."""
    limit: int = 0
    """Texts read at most; 0 = all."""
    passage_tokens: int = 400
    """Longest passage, in words and punctuation marks; longer texts are cut between sentences."""
    least_tokens: int = 30
    """A shorter passage is left out."""
    passages_per_text: int = 4
    """First passages of a text that are used; 0 = all."""
    sampling: Sampling = field(default_factory=Sampling)
    retries: int = 2
    """How often a useless reply is asked for again, each time hotter."""
    benchmarks: tuple[str, ...] = ()
    """Files whose 13-grams must not be in the data."""
    similarity: float = 0.8
    """Jaccard similarity from which two passages count as one; 1 = only equal ones."""
    merge_labels: bool = True
    """Write labels in one way that differ in case, plural, hyphen or article, or are synonyms."""
    synonyms: str = ""
    """TOML file of lines ``label = ["other", ...]``; without it our own table is taken."""
    shared_mentions: int = 0
    """How many mentions two labels must have in common to be merged for that; 0 = never."""
    format: Literal["jsonl", "parquet"] = "jsonl"
    shard_rows: int = 500
    """Planned rows of a shard."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.texts:
            raise ConfigError("texts is empty; name at least one file or folder")
        if not self.tasks:
            raise ConfigError(f"tasks is empty; choose from {', '.join(RECIPES)}")
        object.__setattr__(self, "tasks", tuple(map(renamed, self.tasks)))
        for name in self.tasks:
            if name not in RECIPES:
                raise ConfigError(unknown_choice("recipe", name, RECIPES))
            if self.language not in RECIPES[name].prompts:
                known = ", ".join(sorted(RECIPES[name].prompts))
                raise ConfigError(
                    f"recipe {name!r} has no prompts in language {self.language!r}; it has {known}"
                )
        if len(set(self.tasks)) < len(self.tasks):
            raise ConfigError(f"tasks names one twice: {', '.join(self.tasks)}")
        check_least(self, LEAST)
        if not 0 < self.similarity <= 1:
            raise ConfigError(f"similarity must be above 0 and at most 1, got {self.similarity}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain


def fingerprint(settings: Settings, templates: Iterable[str], files: Iterable[Path]) -> str:
    """Return a name for exactly these settings, templates and files' contents.

    ``max_tokens`` has no part in it, so that replies that were cut can be given more.
    """
    digest = hashlib.sha256()
    drawn = dataclasses.replace(settings, sampling=settings.sampling.draw)
    known = {**drawn.to_dict(), "texts": None, "benchmarks": None, "synonyms": None}
    digest.update(json.dumps(known, sort_keys=True).encode())
    for template in templates:
        digest.update(hashlib.sha256(template.encode()).digest())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
