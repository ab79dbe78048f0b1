"""FewRel val_wiki: fill in the tail, choose the relation, and do not fire on mere company."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import RelationCase
from glinermt.eval.data.hub import PARQUET, HubSet, pairs
from glinermt.eval.data.readers import find_file, jsonl_patterns
from glinermt.eval.data.relations import read_relations
from glinermt.eval.metrics.entities import FloatArray, Totals, ratio, total
from glinermt.eval.metrics.texts import answer_f1, exact_match
from glinermt.eval.protocol import Baseline, Entry, Method, Prediction
from glinermt.tasks.labels import read_labels
from glinermt.tasks.relation_pairs import PAIRS, Paired
from glinermt.tasks.relations import RELATIONS, Related, chosen_method
from glinermt.tasks.run import ask, run
from glinermt.types import Extractor

TAIL, PAIR = "tail filling", "pair choice"
FLOOR = 0.05
"""Tails below this score are not looked for."""
ENTAILED = frozenset(
    frozenset(pair)
    for pair in (
        ("part of", "member of"),
        ("part of", "constellation"),
        ("crosses", "located in or next to body of water"),
    )
)
"""Relations that may both hold of a pair although only one is annotated: no false positives."""


@dataclass(frozen=True)
class FewRel:
    """Two protocols over the same pairs, as two groups."""

    method: Method | None = None
    name: str = "fewrel"
    headline: str = "f1"
    averaged: bool = False
    plain: frozenset[str] = frozenset()
    protocol: tuple[str, ...] = (
        "All pairs of FewRel val_wiki (16 relations); tokens joined by one space.",
        f"{TAIL} (the paper's): head and relation are given; the best scored span that does not "
        f"overlap the head, which is no tail of its own, is the tail, from a score of {FLOOR} up. "
        "EM and F1 of its text, normalised as SQuAD does.",
        f"{PAIR}: head and tail are given, all relations of the set are asked. By pairs the "
        "relation head scores them; by labels (the paper's way) a relation's score is that of its "
        "best span that overlaps the tail. Which, --method or else the model says. The best one is "
        "chosen. Accuracy, macro F1.",
        "false_positive_rate: share of (pair, other relation) that scores at or above the "
        "relation threshold saved with the model (0.5 if none), and held_rate the same for the "
        "relation that holds: a model that never fires is good at the first and bad at the second. "
        "Left out, as both may hold: "
        + "; ".join(sorted(" and ".join(sorted(pair)) for pair in ENTAILED)),
    )

    def load(self, folder: Path) -> list[RelationCase]:
        patterns = [*jsonl_patterns("fewrel.val_wiki"), "val_wiki.json", *jsonl_patterns("fewrel")]
        cases = read_relations(find_file(folder, patterns), TAIL)
        return [
            replace(case, id=f"{group}/{case.id}", group=group)
            for group in (TAIL, PAIR)
            for case in cases
        ]

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        threshold = saved.thresholds.get(RELATIONS.name, RELATIONS.threshold)
        return {
            "threshold": threshold,
            "floor": FLOOR,
            "span_score": RELATIONS.span_score,
            "method": self.method,
        }

    def predict(self, model: Extractor, cases: Sequence[RelationCase]) -> list[Prediction]:
        by_pairs = chosen_method(self.method, model) == "pairs"
        paired = [case for case in cases if by_pairs and case.group == PAIR]
        named = [case for case in cases if not (by_pairs and case.group == PAIR)]
        found = dict(zip((c.id for c in named), _by_labels(model, named), strict=True))
        found |= dict(zip((c.id for c in paired), _by_pairs(model, paired), strict=True))
        return [found[case.id] for case in cases]

    def baselines(self) -> Mapping[str, Baseline]:
        return {
            "most frequent relation": _most_frequent,
            "next capitalised words": _next_capitalised,
        }

    def score(
        self, case: RelationCase, prediction: Prediction, settings: Mapping[str, Any]
    ) -> dict[str, float]:
        if case.group == TAIL:
            text, gold = prediction["text"], (case.tail.text,)
            return {"count": 1, "exact": exact_match(text, gold), "tail_f1": answer_f1(text, gold)}
        scores, threshold = prediction["scores"], settings["threshold"]
        chosen = max(scores, key=scores.__getitem__, default="")
        others = [
            name
            for name in case.relations
            if name != case.relation and frozenset((name, case.relation)) not in ENTAILED
        ]
        return {
            "pairs": 1,
            "held": float(scores.get(case.relation, 0.0) >= threshold),
            "others": len(others),
            "fired": sum(scores.get(name, 0.0) >= threshold for name in others),
            "correct": float(chosen == case.relation),
            f"gold:{case.relation}": 1,
            f"right:{case.relation}": float(chosen == case.relation),
            **({f"chosen:{chosen}": 1} if chosen else {}),
        }

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        if "count" in totals:
            count = total(totals, "count")
            return {
                "exact": ratio(total(totals, "exact"), count),
                "f1": ratio(total(totals, "tail_f1"), count),
            }
        number = total(totals, "pairs")
        return {
            "accuracy": ratio(total(totals, "correct"), number),
            "macro_f1": _macro_f1(totals),
            "false_positive_rate": ratio(total(totals, "fired"), total(totals, "others")),
            "held_rate": ratio(total(totals, "held"), number),
        }

    def extras(
        self,
        cases: Sequence[RelationCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],
    ) -> dict[str, Any]:
        table: dict[str, dict[str, list[float]]] = {TAIL: {}, PAIR: {}}
        for case, prediction in zip(cases, predictions, strict=True):
            counts = self.score(case, prediction, settings)
            value = counts["tail_f1"] if case.group == TAIL else float(counts["correct"])
            table[case.group].setdefault(case.relation, []).append(value)
        return {
            "relations": {
                group: {name: sum(values) / len(values) for name, values in sorted(rows.items())}
                for group, rows in table.items()
            }
        }


def _by_labels(model: Extractor, cases: Sequence[RelationCase]) -> list[Prediction]:
    asked = [_asked(case) for case in cases]
    queries = [
        query
        for case, one in zip(cases, asked, strict=True)
        for query in RELATIONS.query(case.text, one, model.settings)
    ]
    found = ask(RELATIONS, model, queries, threshold=FLOOR)
    predictions: list[Prediction] = []
    for case, one, result in zip(cases, asked, found, strict=True):
        if case.group == TAIL:
            tails = (span for span in result.spans if not span.overlaps(case.head))
            best = max(tails, key=lambda span: span.score, default=None)
            score = best.score if best else 0.0
            predictions.append({"text": best.text if best else "", "score": score})
            continue
        scores: dict[str, float] = {}
        names = {label.asked: label.name for label in RELATIONS.labels(one, model.settings)}
        for span in result.spans:
            if span.overlaps(case.tail):
                name = names[span.label]
                scores[name] = max(span.score, scores.get(name, 0.0))
        predictions.append({"scores": scores})
    return predictions


def _by_pairs(model: Extractor, cases: Sequence[RelationCase]) -> list[Prediction]:
    asked = [
        Paired(tuple(read_labels(case.relations, what="relation")), (), (case.head, case.tail))
        for case in cases
    ]
    found = run(PAIRS, model, [case.text for case in cases], asked, threshold=FLOOR)
    return [
        {"scores": {r.label: r.score for r in related if r.head.start == case.head.start}}
        for case, related in zip(cases, found, strict=True)
    ]


def _asked(case: RelationCase) -> Related:
    names = (case.relation,) if case.group == TAIL else case.relations
    return Related(tuple(read_labels(names, what="relation")), (case.head,))


def _macro_f1(totals: Totals) -> FloatArray:
    """Return the mean over the relations that are there: a resample may miss some."""
    names = [name.removeprefix("gold:") for name in totals if name.startswith("gold:")]
    gold = np.array([total(totals, f"gold:{name}") for name in names])
    right = np.array([total(totals, f"right:{name}") for name in names])
    chosen = np.array([total(totals, f"chosen:{name}") for name in names])
    there = gold > 0
    return ratio((there * ratio(2 * right, gold + chosen)).sum(0), there.sum(0).astype(float))


def _most_frequent(cases: Sequence[RelationCase]) -> list[Prediction | None]:
    """Answer every pair with the relation most pairs stand in."""
    counts = Counter(case.relation for case in cases)
    name = min(counts, key=lambda name: (-counts[name], name))
    return [{"scores": {name: 1.0}} if case.group == PAIR else None for case in cases]


def _next_capitalised(cases: Sequence[RelationCase]) -> list[Prediction | None]:
    """Take the first run of capitalised words after the head, else the first before it."""
    return [{"text": _near(case), "score": 1.0} if case.group == TAIL else None for case in cases]


def _near(case: RelationCase) -> str:
    after, before = case.text[case.head.end :], case.text[: case.head.start]
    for part in (after, before):
        words = part.split()
        start = next((i for i, word in enumerate(words) if word[0].isupper()), None)
        if start is not None:
            end = start
            while end < len(words) and words[end][0].isupper():
                end += 1
            return " ".join(words[start:end])
    return ""


ENTRY = Entry(
    lambda options: FewRel(options.method),  # the threshold is the model's
    lambda _: {
        "fewrel.val_wiki.jsonl": HubSet("thunlp/few_rel", "default", "val_wiki", PARQUET, pairs)
    },
    options=("method",),
)
