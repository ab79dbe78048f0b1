"""Reads the fixtures that other packages made; see fixtures/README.md."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from glinermt.model import GlinerMT
from glinermt.types import Found, Query

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass
class Fixture:
    """A checkpoint, loaded, with its cases and logits."""

    model: GlinerMT
    cases: list[dict[str, Any]]
    tensors: dict[str, Tensor]

    @classmethod
    def load(cls, name: str) -> "Fixture":
        folder = FIXTURES / name
        with gzip.open(folder / "cases.json.gz", "rt", encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        return cls(
            GlinerMT.from_pretrained(folder / "checkpoint"),
            cases,
            load_file(folder / "logits.safetensors"),
        )

    def case(self, name: str) -> dict[str, Any]:
        return next(case for case in self.cases if case["id"] == name)

    def with_tensor(self, name: str) -> Iterator[tuple[dict[str, Any], Tensor]]:
        """Yield the cases of one text that have the tensor, and the tensor."""
        for case in self.cases:
            tensor = self.tensors.get(f"{case['id']}/{name}")
            if tensor is not None and isinstance(case["text"], str):
                yield case, tensor


def queries(case: dict[str, Any]) -> list[tuple[Query, dict[str, str]]]:
    """Return a query a text, and the name of each label that is asked by its description."""
    texts = case["text"] if isinstance(case["text"], list) else [case["text"]]
    found = []
    for i, text in enumerate(texts):
        labels = _own(case["labels"], i)
        described = isinstance(labels, dict)
        names = {a: n for n, a in labels.items()} if described else {n: n for n in labels}
        relations = tuple(_own(case.get("relations", []), i))
        query = Query(text, tuple(names), "", relations, across_lines=True)  # as the packages do
        found.append((query, names))
    return found


def _own(asked: Any, i: int) -> Any:
    """Return what is asked of text ``i``, of one list for all or a list each."""
    each = isinstance(asked, list) and asked and isinstance(asked[0], list)
    return asked[i] if each else asked


def options(key: str) -> dict[str, str]:
    """Read ``th=0.3|flat=True``."""
    return dict(part.split("=") for part in key.split("|"))


def spans(found: Found, names: dict[str, str]) -> dict[tuple[int, int, str], float]:
    return {(s.start, s.end, names[s.label]): s.score for s in found.spans}


def plain_spans(found: Found) -> dict[tuple[int, int, str], float]:
    return {(s.start, s.end, s.label): s.score for s in found.spans}


def their_spans(entities: list[dict[str, Any]]) -> dict[tuple[int, int, str], float]:
    return {(e["start"], e["end"], e["label"]): e["score"] for e in entities}


def relations(found: Found) -> dict[Any, float]:
    return {
        (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end): r.score
        for r in found.relations
    }


def their_relations(rows: list[dict[str, Any]]) -> dict[Any, float]:
    """Without relations of a mention to itself, which gliner finds where labels agree."""
    ends = [(row["head"], row["tail"]) for row in rows]
    places = {
        (head["start"], head["end"], row["relation"], tail["start"], tail["end"]): row["score"]
        for row, (head, tail) in zip(rows, ends, strict=True)
    }
    return {key: score for key, score in places.items() if key[:2] != key[3:]}


def clipped(item: Mapping[str, Any], text: str) -> tuple[int, int]:
    """Return the item's place, without the full stop that gliner2 adds to a text."""
    return min(item["start"], len(text)), min(item["end"], len(text))


def close(ours: dict[Any, float], theirs: dict[Any, float], tolerance: float = 5e-5) -> bool:
    """Say whether both have the same keys, with the same scores."""
    return ours.keys() == theirs.keys() and all(
        abs(score - theirs[key]) <= tolerance for key, score in ours.items()
    )


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max()) if ours.numel() else 0.0


def inside_text(logits: Tensor) -> Tensor:
    """Return span logits ``word label width`` with those past the text's end set to zero."""
    place = torch.arange(len(logits))[:, None, None] + torch.arange(logits.shape[2])
    return logits.masked_fill(place >= len(logits), 0.0)
