"""Prompt templates: ``prompts/<task>.<style>.txt``.

The instructions come first and the text last, so that rows of a template share a prefix.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

SYSTEM = (
    "You annotate texts for training data. You reply with one JSON object and nothing else. "
    "Every quote is copied from the text letter by letter, short of nothing and with nothing "
    'added; "before" holds the few words that stand right before the quote in the text, empty '
    "at its beginning."
)


@dataclass(frozen=True, slots=True)
class Template:
    """One wording of a task."""

    name: str
    """``task.style``."""
    body: str

    def fill(self, **fields: Any) -> str:
        """Put in the fields as they stand: braces in a text mean nothing."""
        return re.sub(r"\{(\w+)\}", lambda m: str(fields.get(m[1], m[0])), self.body)


@cache
def templates(task: str) -> tuple[Template, ...]:
    """Give a task's templates, sorted by style."""
    folder = files("glinermt.synth") / "prompts"
    found = [file for file in folder.iterdir() if file.name.startswith(f"{task}.")]
    return tuple(
        Template(file.name.removesuffix(".txt"), file.read_text(encoding="utf-8").strip())
        for file in sorted(found, key=lambda file: file.name)
    )


def template(name: str) -> Template:
    """Give a template by its name, ``task.style``."""
    return next(t for t in templates(name.split(".")[0]) if t.name == name)
