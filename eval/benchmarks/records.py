"""Records: documents of several kinds filled into schemas, judged as a whole and field by field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.data.cases import RecordCase
from glinermt.eval.data.readers import check_folder, read_records
from glinermt.eval.metrics.entities import KINDS, FloatArray, Totals, precision_recall_f1, ratio
from glinermt.eval.metrics.entities import total as summed
from glinermt.eval.protocol import Baseline, Entry, Prediction
from glinermt.tasks.records import RECORDS, extract_records
from glinermt.types import Extractor


@dataclass(frozen=True)
class RecordBenchmark:
    """Each kind of document is a set."""

    name: str = "records"
    headline: str = "exact"
    averaged: bool = True
    plain: frozenset[str] = frozenset()
    protocol: tuple[str, ...] = (
        "Every .toml file below the folder holds documents, with their records marked in the text. "
        "Each document is asked the schema of its kind, with the descriptions of its fields, in "
        "one call of extract_records, at the thresholds saved with the model.",
        "exact: share of the documents whose records are right as a whole: their number, their "
        "order, every field and no other, values as JSON.",
        "field_f1: micro F1 of values; a value counts with its field and, where a text holds "
        "several records, with the anchor of its record, so that wrong grouping costs. "
        "evidence_f1: the same of the places that say the values, without their grouping.",
        "named lines: the rest of a line that begins with a field's name and a colon.",
    )

    def load(self, folder: Path) -> list[RecordCase]:
        check_folder(folder)
        cases = [case for path in sorted(folder.rglob("*.toml")) for case in read_records(path)]
        if not cases:
            raise DataError(f"{folder}: no file such as documents.toml")
        return cases

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        return {"threshold": saved.thresholds.get(RECORDS.name, RECORDS.threshold)}

    def predict(self, model: Extractor, cases: Sequence[RecordCase]) -> list[Prediction]:
        predictions = []
        for case in cases:
            many = case.anchor is not None
            found = extract_records(
                case.text, case.schema, many=many, anchor=case.anchor, model=model
            )
            predictions.append({"records": [record.to_dict() for record in found]})
        return predictions

    def baselines(self) -> Mapping[str, Baseline]:
        return {"named lines": _named_lines}

    def score(
        self,
        case: RecordCase,
        prediction: Prediction,
        settings: Mapping[str, Any],  # noqa: ARG002  # the threshold has acted already
    ) -> dict[str, float]:
        values = [_filled(record["value"]) for record in prediction["records"]]
        counts: dict[str, float] = {"texts": 1, "exact": float(values == list(case.records))}
        gold_places = {
            (name, span.start, span.end)
            for record in case.spans
            for name, spans in record.items()
            for span in spans
        }
        places = {
            (name, span["start"], span["end"])
            for record in prediction["records"]
            for name, spans in record["spans"].items()
            for span in spans
        }
        for what, gold, guessed in (
            ("field", _values(case.records, case.anchor), _values(values, case.anchor)),
            ("evidence", gold_places, places),
        ):
            numbers = (len(gold & guessed), len(guessed), len(gold))
            counts |= {f"{what}/{kind}": n for kind, n in zip(KINDS, numbers, strict=True)}
        return counts

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        precision, recall, f1 = precision_recall_f1(totals, "field")
        return {
            "exact": ratio(summed(totals, "exact"), summed(totals, "texts")),
            "field_f1": f1,
            "field_precision": precision,
            "field_recall": recall,
            "evidence_f1": precision_recall_f1(totals, "evidence")[2],
        }

    def extras(
        self,
        cases: Sequence[RecordCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],
    ) -> dict[str, Any]:
        del cases, predictions, settings
        return {}


def _filled(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say something."""
    return {name: one for name, one in value.items() if one not in (None, [])}


def _values(records: Sequence[Mapping[str, Any]], anchor: str | None) -> set[tuple[Any, ...]]:
    """Return (anchor, field, value) of each value; items of a list one by one."""
    return {
        (record.get(anchor, "") if anchor else "", name, json.dumps(item))
        for record in records
        for name, value in record.items()
        for item in (value if isinstance(value, list) else [value])
    }


def _named_lines(cases: Sequence[RecordCase]) -> list[Prediction | None]:
    predictions: list[Prediction | None] = []
    for case in cases:
        value: dict[str, Any] = {}
        for line in case.text.splitlines():
            name, colon, rest = line.partition(":")
            name, words = name.strip().lower(), rest.strip()
            about = case.schema["properties"].get(name)
            if colon and words and about:
                value[name] = [words] if about.get("type") == "array" else words
        record = {"value": value, "spans": {}, "score": 1.0}
        predictions.append({"records": [record] if value else []})
    return predictions


ENTRY = Entry(lambda _: RecordBenchmark(), own_data=True)
