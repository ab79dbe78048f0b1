"""Entities and relations end to end: CoNLL-2004, CrossRE, and any folder of such files."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.eval.benchmarks.crossner import NAMES as CROSSNER_NAMES
from glinermt.eval.benchmarks.ner20 import capitalised
from glinermt.eval.data.cases import DocumentCase
from glinermt.eval.data.readers import find_test_sets
from glinermt.eval.data.relations import read_documents
from glinermt.eval.metrics.entities import KINDS, FloatArray, Totals, precision_recall_f1
from glinermt.eval.protocol import Baseline, Entry, Method, Prediction
from glinermt.jsonl import PACKED
from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.tasks.relations import ANY_ENTITY, RELATIONS, extract_relations
from glinermt.types import Extractor, Relation, Span

END_TO_END, GIVEN, TYPED = "end to end", "gold entities", "end to end, typed"
ENDS = tuple(f"{end}{packed}" for end in (".jsonl", ".json") for packed in PACKED)
TYPES = {
    **CROSSNER_NAMES,
    "Peop": "person",
    "Loc": "location",
    "Org": "organization",
    "Other": "other entity",
    "OrgBased_In": "organization based in",
    "Work_For": "works for",
    "Live_In": "lives in",
    "Kill": "killed",
}
"""Natural words for the codes of CrossRE and CoNLL-2004, types and relations."""
CONSTRAINTS = {
    "killed": ("person", "person"),
    "lives in": ("person", "location"),
    "located in": ("location", "location"),
    "organization based in": ("organization", "location"),
    "works for": ("person", "organization"),
}
"""Types of head and tail in CoNLL-2004, by the definitions of its relations (Roth and Yih 2004)."""
Place = tuple[int, int]


@dataclass(frozen=True)
class EndToEnd:
    """Each set twice: everything is to be found, or relations between the gold entities."""

    threshold: float | None
    method: Method | None = None
    name: str = "relations"
    headline: str = "f1"
    averaged: bool = False
    plain: frozenset[str] = frozenset()
    protocol: tuple[str, ...] = (
        "Every file below the folder that is called NAME.test or test is a set: JSON lines "
        "with tokens and relations, CoNLL-2004 as SpERT has it, or CrossRE. Tokens joined by one "
        "space; all entity types and relations of a file are asked of each of its texts.",
        f"{END_TO_END}: entities are found first, then relations between those found. "
        f"{GIVEN}: relations between the gold entities.",
        "f1 (strict, 'RE+'): a relation is right if it and the characters and types of both its "
        "ends are. boundaries_f1 ('RE'): without the types. entity_f1: characters and type. "
        f"Sets without entity types are asked for {', '.join(ANY_ENTITY)}, and f1 equals "
        "boundaries_f1.",
        f"{TYPED}: CoNLL-2004 only, the types that the definitions of its relations name for head "
        "and tail are said, and rule out what is of another type.",
        "Micro averages over the texts of a set. Thresholds are those saved with the model, or "
        "--threshold for entities. Relations are scored by pairs (a relation head) or asked as "
        "labels of each head (the paper's way); which, --method or else the model says.",
        "neighbours: capitalised words as entities of the most frequent type, each related to the "
        "next by the set's most frequent relation and direction, given its types where these are "
        "known.",
    )

    def load(self, folder: Path) -> list[DocumentCase]:
        return [
            replace(case, id=f"{case.id}/{what}", group=f"{case.group}, {what}")
            for path, name in find_test_sets(folder, ENDS)
            for cases in [read_documents(path, name, types=TYPES)]
            for what in (END_TO_END, GIVEN, TYPED)
            for case in cases
            if what != TYPED or set(case.names) == set(CONSTRAINTS)
        ]

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        entities = saved.thresholds.get(ENTITIES.name, ENTITIES.threshold)
        return {
            "entity_threshold": entities if self.threshold is None else self.threshold,
            "threshold": saved.thresholds.get(RELATIONS.name, RELATIONS.threshold),
            "method": self.method,
        }

    def predict(self, model: Extractor, cases: Sequence[DocumentCase]) -> list[Prediction]:
        texts = [case.text for case in cases]
        sought = [case for case in cases if not case.group.endswith(GIVEN)]
        entities = iter(
            extract_entities(
                [case.text for case in sought],
                [case.labels or ANY_ENTITY for case in sought],
                threshold=self.threshold,
                model=model,
            )
        )
        spans = [
            case.spans if case.group.endswith(GIVEN) else tuple(next(entities)) for case in cases
        ]
        found: dict[int, list[Relation]] = {}
        for is_typed in (False, True):
            own = [i for i, c in enumerate(cases) if c.group.endswith(TYPED) == is_typed]
            related = extract_relations(
                [texts[i] for i in own],
                [_constrained(cases[i].names) if is_typed else cases[i].names for i in own],
                entities=[spans[i] for i in own],
                method=self.method,
                model=model,
            )
            found.update(zip(own, related, strict=True))
        return [_prediction(spans[i], found[i]) for i in range(len(cases))]

    def baselines(self) -> Mapping[str, Baseline]:
        return {"neighbours": _neighbours}

    def score(
        self,
        case: DocumentCase,
        prediction: Prediction,
        settings: Mapping[str, Any],  # noqa: ARG002  # the thresholds have acted already
    ) -> dict[str, float]:
        spans = [Span.from_dict(span) for span in prediction["spans"]]
        related = [Relation.from_dict(relation) for relation in prediction["relations"]]
        # A relation may have chosen another type for its ends.
        ends = [end for relation in related for end in (relation.head, relation.tail)]
        types = _types(case.spans), _types([*spans, *ends])
        if not case.labels:
            types = {}, {}
        counts: dict[str, float] = {}
        for scheme, gold, guessed in (
            ("strict", _triples(case.relations, types[0]), _triples(related, types[1])),
            ("boundaries", _triples(case.relations, {}), _triples(related, {})),
            ("entities", _typed(case.spans, types[0]), _typed(spans, types[1])),
        ):
            numbers = (len(gold & guessed), len(guessed), len(gold))
            counts |= {f"{scheme}/{kind}": n for kind, n in zip(KINDS, numbers, strict=True)}
        return counts

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        precision, recall, f1 = precision_recall_f1(totals, "strict")
        return {
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "boundaries_f1": precision_recall_f1(totals, "boundaries")[2],
            "entity_f1": precision_recall_f1(totals, "entities")[2],
        }

    def extras(
        self,
        cases: Sequence[DocumentCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],  # noqa: ARG002  # the thresholds have acted already
    ) -> dict[str, Any]:
        right: dict[str, Counter[str]] = {}
        for case, prediction in zip(cases, predictions, strict=True):
            counts = right.setdefault(case.group, Counter())
            gold = _triples(case.relations, {})
            guessed = _triples(map(Relation.from_dict, prediction["relations"]), {})
            for kind, triples in zip(KINDS, (gold & guessed, guessed, gold), strict=True):
                counts.update(f"{kind} {name}" for _, name, _ in triples)
        return {
            "relations": {
                group: [_row(counts, name) for name in names]
                for group, counts in right.items()
                if (names := next(case.names for case in cases if case.group == group))
            }
        }


def _constrained(names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Return the relations with the types of their ends."""
    return {
        name: dict(zip(("head", "tail"), ([kind] for kind in CONSTRAINTS[name]), strict=True))
        for name in names
    }


def _prediction(spans: Sequence[Span], related: Sequence[Relation]) -> Prediction:
    return {
        "spans": [span.to_dict() for span in spans],
        "relations": [relation.to_dict() for relation in related],
    }


def _types(spans: Iterable[Span]) -> dict[Place, str]:
    return {(span.start, span.end): span.label for span in spans}


def _typed(spans: Iterable[Span], types: Mapping[Place, str]) -> set[tuple[Place, str]]:
    places = ((span.start, span.end) for span in spans)
    return {(place, types.get(place, "")) for place in places}


Triple = tuple[tuple[Place, str], str, tuple[Place, str]]


def _triples(relations: Iterable[Relation], types: Mapping[Place, str]) -> set[Triple]:
    def end(span: Span) -> tuple[Place, str]:
        place = (span.start, span.end)
        return place, types.get(place, "")

    return {(end(r.head), r.label, end(r.tail)) for r in relations}


def _row(counts: Mapping[str, int], name: str) -> dict[str, Any]:
    right, predicted, gold = (counts.get(f"{kind} {name}", 0) for kind in KINDS)
    f1 = 2 * right / (predicted + gold) if predicted + gold else 0.0
    return {"relation": name, "f1": f1, "gold": gold, "predicted": predicted}


Usual = Counter[tuple[str, str, str, bool]]
"""Types of the first and the second entity, their relation, whether the first is its head."""


def _neighbours(cases: Sequence[DocumentCase]) -> list[Prediction | None]:
    """Relate each entity to the next; the gold of the set says which types and names are usual."""
    labels: dict[str, Counter[str]] = {}
    usual: dict[str, Usual] = {}
    for case in cases:
        labels.setdefault(case.group, Counter()).update(span.label for span in case.spans)
        usual.setdefault(case.group, Counter()).update(map(_in_order, case.relations))
    return [_guess(case, labels[case.group], usual[case.group]) for case in cases]


def _in_order(relation: Relation) -> tuple[str, str, str, bool]:
    is_first = relation.head.start <= relation.tail.start
    ends = (relation.head, relation.tail) if is_first else (relation.tail, relation.head)
    return ends[0].label, ends[1].label, relation.label, is_first


def _guess(case: DocumentCase, labels: Counter[str], usual: Usual) -> Prediction:
    type_ = labels.most_common(1)[0][0] if labels else ""
    spans = case.spans if case.group.endswith(GIVEN) else tuple(capitalised(case.text, type_))
    by_types: dict[tuple[str, str], tuple[str, bool]] = {}
    for (first, second, name, is_first), _ in usual.most_common():
        by_types.setdefault((first, second), (name, is_first))
    anything = usual.most_common(1)[0][0][2:] if usual else ("", True)
    related = []
    for ends in itertools.pairwise(spans):
        known = by_types.get((ends[0].label, ends[1].label))
        if known or not case.group.endswith(GIVEN):
            name, is_first = known or anything
            head, tail = ends if is_first else ends[::-1]
            related.append(Relation(head, name, tail))
    return _prediction(spans, related)


ENTRY = Entry(
    lambda options: EndToEnd(options.threshold, options.method),
    own_data=True,
    options=("threshold", "method"),
)
