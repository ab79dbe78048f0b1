"""How well a relation head judges pairs of given mentions: which relation, and whether any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from glinermt.errors import UsageError
from glinermt.types import Ask, Example, Found, Query, Relation

Place = tuple[int, int]
Pair = tuple[Place, Place]


class Reader(Protocol):
    """A model with a relation head."""

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """One example's pairs: what the data says of them and what the model does."""

    gold: Mapping[Pair, frozenset[str]]
    """The relations that hold, of each pair that the data speaks of."""
    scores: Mapping[Pair, Mapping[str, float]]
    """The score of every relation asked for; a pair out of a window's reach has none."""


def score_pairs(model: Reader, examples: Sequence[Example]) -> list[ScoredPairs]:
    """Score all pairs of given mentions against all relations of their queries.

    Raises:
        ValueError: an example's query gives no entities.
    """
    found = model.read([example.query for example in examples], Ask(relation_threshold=0.0))
    return [
        ScoredPairs(_gold(example), _scores(read.relations))
        for example, read in zip(examples, found, strict=True)
    ]


def choice_accuracy(scored: Sequence[ScoredPairs]) -> float:
    """Return the share of related pairs whose best scored relation holds; 0 where there are none.

    With queries of N relations this is the choice of 1 of N that FewRel asks for.
    """
    right = total = 0
    for one in scored:
        for pair, names in one.gold.items():
            if names:
                scores = one.scores.get(pair, {})
                total += 1
                right += max(scores, key=scores.__getitem__, default="") in names
    return right / total if total else 0.0


def pair_f1(scored: Sequence[ScoredPairs], threshold: float) -> dict[str, float]:
    """Return micro ``precision``, ``recall`` and ``f1`` over (head, tail, relation).

    Only pairs that the data speaks of count. A relation is predicted from the threshold up.
    """
    right = predicted = gold = 0
    for one in scored:
        for pair, names in one.gold.items():
            given = {r for r, score in one.scores.get(pair, {}).items() if score >= threshold}
            right, predicted = right + len(given & names), predicted + len(given)
            gold += len(names)
    return {
        "precision": right / predicted if predicted else 0.0,
        "recall": right / gold if gold else 0.0,
        "f1": 2 * right / (predicted + gold) if right else 0.0,
    }


def best_threshold(scored: Sequence[ScoredPairs]) -> tuple[float, float]:
    """Return the threshold with the best F1 on these very pairs, and that F1: an upper bound."""
    outcomes = sorted(
        (
            (score, relation in names)
            for one in scored
            for pair, names in one.gold.items()
            for relation, score in one.scores.get(pair, {}).items()
        ),
        reverse=True,
    )
    gold = sum(len(names) for one in scored for names in one.gold.values())
    best, threshold, right = 0.0, 1.0, 0
    for i, (score, holds) in enumerate(outcomes, 1):
        right += holds
        last_of_its_score = i == len(outcomes) or outcomes[i][0] < score
        if last_of_its_score and 2 * right / (i + gold) > best:
            best, threshold = 2 * right / (i + gold), score
    return threshold, best


def _gold(example: Example) -> dict[Pair, frozenset[str]]:
    entities = example.query.entities
    if entities is None:
        raise UsageError(
            f"no entities are given for {example.query.text[:80]!r}; give the mentions"
        )
    places = [(span.start, span.end) for span in entities]
    judged = example.judged
    if judged is None:
        judged = tuple((i, j) for i in range(len(places)) for j in range(len(places)))
    names: dict[Pair, set[str]] = {
        (places[i], places[j]): set() for i, j in judged if places[i] != places[j]
    }
    for relation in example.relations:
        names.setdefault(_pair(relation), set()).add(relation.label)
    return {pair: frozenset(held) for pair, held in names.items()}


def _scores(relations: Sequence[Relation]) -> dict[Pair, dict[str, float]]:
    scores: dict[Pair, dict[str, float]] = {}
    for relation in relations:
        scores.setdefault(_pair(relation), {})[relation.label] = relation.score
    return scores


def _pair(relation: Relation) -> Pair:
    head, tail = relation.head, relation.tail
    return (head.start, head.end), (tail.start, tail.end)
