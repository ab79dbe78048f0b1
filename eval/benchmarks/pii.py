"""Personal data: how much of it is found at a precision that is asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.benchmarks.ner20 import label_tables, usual_labels
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.readers import field, find_test_sets, read_json, read_ner
from glinermt.eval.metrics.entities import (
    FloatArray,
    Totals,
    ratio,
    span_counts,
    total,
)
from glinermt.eval.protocol import Baseline, Entry, Prediction
from glinermt.jsonl import PACKED
from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.tasks.labels import read_labels, with_patterns
from glinermt.tasks.redaction import PII
from glinermt.types import Extractor, Span

FLOOR = 0.05
"""Spans below this score are not looked for."""
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""At which precision and recall are counted."""
PRECISIONS = (0.9, 0.95)
ENDS = tuple(f"{end}{packed}" for end in (".json", ".jsonl") for packed in PACKED)
NAMES = {
    "GPE": "geopolitical entity",
    "US_SSN": "social security number",
    "IBAN_CODE": "iban",
    "NRP": "nationality, religion or political group",
    "DATE_TIME": "date or time",
    "EMAIL_ADDRESS": "email address",
    "US_DRIVER_LICENSE": "driver license number",
    "IP_ADDRESS": "ip address",
    "CREDIT_CARD": "credit card number",
}
"""Natural words for tags of Presidio's that do not read well in lower case without underscores."""


@dataclass(frozen=True)
class Pii:
    """Spans of all types of a set, found from a low score up and judged at many thresholds."""

    name: str = "pii"
    headline: str = "recall_at_p90"
    averaged: bool = False
    plain: frozenset[str] = frozenset()
    protocol: tuple[str, ...] = (
        "Every .json or .jsonl file below the folder that is called NAME.test or test is a set: "
        "presidio-research's (full_text, spans) or ours (tokens or text, and spans). Every text is "
        "asked all types of its file, as redact asks them: types that have a form of their own "
        f"({', '.join(name for name in PII if 'pattern' in PII[name])}) with its patterns too, "
        "whose matches have score 1 and take the place of what the model has there.",
        f"Spans are looked for once, from a score of {FLOOR} up, flat; a threshold keeps those at "
        f"or above it. recall_at_pX: the most recall that any of the thresholds {THRESHOLDS[0]}, "
        f"{THRESHOLDS[1]}, ... {THRESHOLDS[-1]} gives with a precision of X% or more (0 where none "
        "does). The threshold is chosen on the set itself, so this is what the ranking is worth, "
        "an upper bound of what a threshold chosen elsewhere gives.",
        "f1, precision, recall: at the threshold saved with the model (0.5 if none), characters "
        "and type (strict). leaked: share of the characters of personal data that no span of any "
        "type covers at that threshold: what a redacted text would still show.",
        "patterns: those of redact alone. capitals and digits: runs of capitalised words, and "
        "words with a digit, of the most frequent type.",
    )

    def load(self, folder: Path) -> list[NerCase]:
        found = find_test_sets(folder, ENDS)
        return [case for path, name in found for case in _read(path, name)]

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        threshold = saved.thresholds.get(ENTITIES.name, ENTITIES.threshold)
        return {"floor": FLOOR, "threshold": threshold, "span_score": saved.span_score}

    def predict(self, model: Extractor, cases: Sequence[NerCase]) -> list[Prediction]:
        found = extract_entities(
            [case.text for case in cases],
            [_asked(case) for case in cases],
            threshold=FLOOR,
            model=model,
        )
        return [{"spans": [span.to_dict() for span in spans]} for spans in found]

    def baselines(self) -> Mapping[str, Baseline]:
        return {"patterns": _patterns, "capitals and digits": _capitals_and_digits}

    def score(
        self, case: NerCase, prediction: Prediction, settings: Mapping[str, Any]
    ) -> dict[str, float]:
        spans = [Span.from_dict(span) for span in prediction["spans"]]
        gold = {(s.start, s.end, s.label) for s in case.spans}
        counts: dict[str, float] = {"gold": len(gold)}
        for threshold in THRESHOLDS:
            kept = {(s.start, s.end, s.label) for s in spans if s.score >= threshold}
            counts[f"right {threshold}"] = len(kept & gold)
            counts[f"predicted {threshold}"] = len(kept)
        shown = [span for span in spans if span.score >= settings["threshold"]]
        covered = {i for span in shown for i in range(span.start, span.end)}
        personal = {i for span in case.spans for i in range(span.start, span.end)}
        strict = span_counts(case.text, case.spans, shown)
        return {
            **counts,
            "characters": len(personal),
            "leaked": len(personal - covered),
            **{name: value for name, value in strict.items() if name.startswith("strict/")},
        }

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        gold = total(totals, "gold")
        right = np.array([total(totals, f"right {t}") for t in THRESHOLDS])
        predicted = np.array([total(totals, f"predicted {t}") for t in THRESHOLDS])
        recalls = ratio(right, np.broadcast_to(gold, right.shape))
        precisions = ratio(right, predicted)
        at = {
            f"recall_at_p{100 * least:.0f}": np.where(precisions >= least, recalls, 0.0).max(axis=0)
            for least in PRECISIONS
        }
        found, wanted = total(totals, "strict/right"), total(totals, "strict/gold")
        given = total(totals, "strict/predicted")
        return {
            **at,
            "f1": ratio(2 * found, given + wanted),
            "precision": ratio(found, given),
            "recall": ratio(found, wanted),
            "leaked": ratio(total(totals, "leaked"), total(totals, "characters")),
        }

    def extras(
        self,
        cases: Sequence[NerCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],
    ) -> dict[str, Any]:
        return {"labels": label_tables(self, cases, predictions, settings)}


def _read(path: Path, group: str) -> list[NerCase]:
    if ".jsonl" in path.suffixes:
        return read_ner(path, group)
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of rows with full_text and spans")
    found = [(field(row, "full_text", str, f"{path}: [{i}]"), row) for i, row in enumerate(rows)]
    spans = [tuple(_spans(text, row, f"{path}: [{i}]")) for i, (text, row) in enumerate(found)]
    labels = tuple(sorted({span.label for own in spans for span in own}))
    if not labels:
        raise DataError(f"{path}: no text has a span, so that no type can be asked")
    return [
        NerCase(f"{group}/{i}", group, text, labels, own)
        for i, ((text, _), own) in enumerate(zip(found, spans, strict=True))
    ]


def _spans(text: str, row: Any, where: str) -> Iterator[Span]:
    for raw in field(row, "spans", list, where):
        start = field(raw, "start_position", int, where)
        end = field(raw, "end_position", int, where)
        if not 0 <= start < end <= len(text):
            raise DataError(
                f"{where}: span {start}:{end} lies outside the text, which has {len(text)} "
                "characters"
            )
        tag = field(raw, "entity_type", str, where)
        yield Span(start, end, text[start:end], NAMES.get(tag, tag.replace("_", " ").lower()))


def _asked(case: NerCase) -> dict[str, Mapping[str, Any]]:
    """Return the types with the patterns that ``redact`` has for them."""
    return {label: PII.get(label, {}) for label in case.labels}


def _patterns(cases: Sequence[NerCase]) -> list[Prediction | None]:
    options = ("pattern",)
    return [
        {
            "spans": [
                span.to_dict()
                for span in with_patterns(case.text, (), read_labels(_asked(case), options=options))
            ]
        }
        for case in cases
    ]


def _capitals_and_digits(cases: Sequence[NerCase]) -> list[Prediction | None]:
    usual = usual_labels(cases)
    pattern = re.compile(r"(?<!\S)[A-Z]\w*(?: [A-Z]\w*)*|\S*\d\S*\w")
    return [
        {
            "spans": [
                Span(m.start(), m.end(), m.group(), usual[case.group]).to_dict()
                for m in pattern.finditer(case.text)
            ]
        }
        for case in cases
    ]


ENTRY = Entry(lambda _: Pii(), own_data=True)
