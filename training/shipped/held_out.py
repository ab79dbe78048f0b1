"""How well a model does on the written texts that nothing trains on.

``python -m glinermt.training.shipped.held_out --model M``: two domains of relations and four files
of questions below ``written/held_out/``. Relations are asked between all ordered pairs of the
things that a passage marks, all relations of the domain at once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import permutations
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.table import Table

from glinermt.eval.calibration.thresholds import best_span_threshold
from glinermt.eval.metrics.texts import ScoredAnswer, average_precision, best_threshold
from glinermt.exits import run_script
from glinermt.model import GlinerMT
from glinermt.tasks.questions import answer
from glinermt.training.shipped.written.passages import Domain, Passage, read_domain
from glinermt.training.shipped.written.questions import read_topic
from glinermt.types import Ask, Extractor, Found, Query, Relation, Span

FOLDER = "written/held_out"
Triple = tuple[str, str, str]
"""Of names of things, and a relation."""


class Relating(Protocol):
    """A model with a relation head."""

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class RelationScores:
    """How a domain's relations were told apart, in percent."""

    domain: str
    relations: int
    """That hold, symmetric ones both ways."""
    choosing: float
    """Pairs whose likeliest relation is the one that holds."""
    best_f1: float
    """Of the threshold that is best here: an upper bound."""
    false_at_half: float
    """Of what does not hold, what scores as high as the better half of what does."""


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """How a file's questions were answered, in percent."""

    topic: str
    questions: int
    unanswerable: int
    best_f1: float
    """Of the threshold that is best here: an upper bound."""
    average_precision: float
    """Of being answerable."""


def relation_scores(model: Relating, domain: Domain, name: str) -> RelationScores:
    """Score all pairs of things of a domain's passages against all of its relations."""
    queries = [_query(passage, domain) for passage in domain.passages]
    found = model.read(queries, Ask(relation_threshold=0.0))
    ranked: list[tuple[float, bool]] = []
    right = 0
    for passage, answered in zip(domain.passages, found, strict=True):
        true = _triples(passage, domain)
        scores = _best_scores(passage, domain, answered.relations)
        ranked += [(score, triple in true) for triple, score in scores.items()]
        for head, relation, tail in true:
            chosen = max(domain.relations, key=lambda other: scores[head, other, tail])
            right += chosen == relation
    ranked.sort(reverse=True)
    holding = sum(is_true for _, is_true in ranked)
    _, best = best_span_threshold(ranked, holding)
    places = [place for place, (_, is_true) in enumerate(ranked) if is_true]
    half = (holding - 1) // 2  # of these places, the one at which half of them are found
    at_half = places[half] - half if places else 0
    others = len(ranked) - holding
    choosing, false_share = right / max(1, holding), at_half / max(1, others)
    return RelationScores(name, holding, 100 * choosing, 100 * best, 100 * false_share)


def _query(passage: Passage, domain: Domain) -> Query:
    things = [Span(t.start, t.end, passage.text[t.start : t.end], t.type) for t in passage.things]
    return Query(passage.text, (), relations=tuple(domain.relations), entities=tuple(things))


def _triples(passage: Passage, domain: Domain) -> set[Triple]:
    turned = [(t, r, h) for h, r, t in passage.triples if domain.relations[r].symmetric]
    return {*passage.triples, *turned}


def _best_scores(
    passage: Passage, domain: Domain, relations: Sequence[Relation]
) -> Mapping[Triple, float]:
    """Return the score of each triple that could hold: the best of its mentions, else 0."""
    names = {(thing.start, thing.end): thing.name for thing in passage.things}
    pairs = permutations(dict.fromkeys(names.values()), 2)
    scores = {(head, name, tail): 0.0 for head, tail in pairs for name in domain.relations}
    for relation in relations:
        head, tail = (names[end.start, end.end] for end in (relation.head, relation.tail))
        if head != tail:
            triple = head, relation.label, tail
            scores[triple] = max(scores[triple], relation.score)
    return scores


def question_scores(model: Extractor, path: Path) -> QuestionScores:
    """Answer a file's questions and score them whatever the threshold."""
    rows = read_topic(path)
    texts, questions = [row.text for row in rows], [row.question for row in rows]
    found = [
        ScoredAnswer(said.text, said.no_answer_score, tuple(span.text for span in row.answers))
        for row, said in zip(
            rows, answer(questions, texts, threshold=0.0, model=model), strict=True
        )
    ]
    unanswerable = sum(not one.answerable for one in found)
    best, area = best_threshold(found)[0], average_precision(found)
    return QuestionScores(path.stem, len(found), unanswerable, 100 * best, 100 * area)


def main(
    model: Annotated[str, typer.Option(help="Folder or hub id (the shipped model).")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print how a model does on the texts that were held out."""
    read = GlinerMT.from_pretrained(model) if model else GlinerMT.from_pretrained()
    folder = Path(str(resources.files(__package__) / FOLDER))
    domains = {path.stem: read_domain(path) for path in sorted(folder.glob("relations/*.txt"))}
    relations = [relation_scores(read, domain, name) for name, domain in domains.items()]
    questions = [question_scores(read, path) for path in sorted(folder.glob("questions/*.txt"))]
    scores = {
        "relations": [asdict(row) for row in relations],
        "questions": [asdict(row) for row in questions],
    }
    if as_json:
        typer.echo(json.dumps(scores))
        return
    for title, rows in scores.items():
        table = Table(*(name.replace("_", " ") for name in rows[0]), title=title)
        for row in rows:
            table.add_row(*(f"{c:.1f}" if isinstance(c, float) else str(c) for c in row.values()))
        Console().print(table)


if __name__ == "__main__":
    run_script(main)
