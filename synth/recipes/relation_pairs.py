"""Relations of given pairs: for each pair which of a few relations hold, and often not one.

The pairs that hold none are what tells a relation from mere company; nothing is said of pairs
that the LLM did not judge.
"""

from dataclasses import replace
from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import Ledger, clean_label, label_fault, mention_fault
from glinermt.synth.checks.mentions import place
from glinermt.synth.recipes.base import BEFORE, LABEL, MENTION, Recipe
from glinermt.synth.schema import record, several
from glinermt.tasks.labels import read_labels
from glinermt.tasks.relation_pairs import PAIRS, Paired
from glinermt.tasks.task import example
from glinermt.types import Example, Relation, Span

ENTITY = "entity"


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    names = _names(reply["relations"], ledger)
    places: dict[tuple[int, int], Span] = {}
    judged: dict[tuple[Span, Span], set[str]] = {}
    for item in reply["pairs"]:
        head = _side(source, item, "head", ledger)
        tail = _side(source, item, "tail", ledger) if head else None
        if not head or not tail:
            continue
        holding = {clean_label(name) for name in item["holding"]}
        if wrong := _fault(head, tail, holding, names, judged):
            ledger.drop(wrong, f"{head.text} / {', '.join(sorted(holding))} / {tail.text}")
            continue
        places |= {(s.start, s.end): s for s in (head, tail)}
        judged[head, tail] = holding
    if not any(judged.values()):
        return []
    entities = tuple(places[where] for where in sorted(places))
    number = {span: i for i, span in enumerate(entities)}
    gold = [
        Relation(head, name, tail)
        for (head, tail), holding in judged.items()
        for name in names
        if name in holding
    ]
    made = example(PAIRS, source.text, Paired(tuple(read_labels(names)), (), entities), gold)
    return [replace(made, judged=tuple((number[h], number[t]) for h, t in judged))]


def _names(given: list[str], ledger: Ledger) -> list[str]:
    names: list[str] = []
    for name in map(clean_label, given):
        wrong = label_fault(name, "")
        if any(normal(name) == normal(other) for other in names):
            wrong = "relation: repeated"
        if wrong:
            ledger.drop(wrong, name)
        else:
            names.append(name)
    return names


def _side(source: Source, item: dict[str, Any], side: str, ledger: Ledger) -> Span | None:
    quote = {"text": item[side], "before": item[f"before_{side}"]}
    placed = place(source, quote, ledger, fault=mention_fault)
    return Span(*placed, source.text[slice(*placed)], ENTITY) if placed else None


def _fault(
    head: Span,
    tail: Span,
    holding: set[str],
    names: list[str],
    judged: dict[tuple[Span, Span], set[str]],
) -> str | None:
    if head.overlaps(tail) or normal(head.text) == normal(tail.text):
        return "relation: head is tail"
    if (head, tail) in judged:
        return "pair: repeated"
    if not holding <= set(names):
        return "pair: a relation that is none of the list"
    if any(
        head.overlaps(s) or tail.overlaps(s) for p in judged for s in p if s not in (head, tail)
    ):
        return "pair: overlaps another entity"
    return None


PROMPTS = {
    "judge": """
Choose four to eight relations that matter for texts like the one below and list their names in
"relations", each in one to four lower-case words to be read as "head - relation - tail": "works
for", "part of", "caused by". Include two or three that nothing in this text stands in.

Then judge at most {count} pairs of names from the text in "pairs": "head" and "tail", copied, with
the few words right before each in "before_head" and "before_tail", and in "holding" those of
your relations that the text states of exactly this head and this tail. For half of the pairs
"holding" is empty: things named close to each other, in the same sentence or even related in
another way, of which the text states none of your relations in this direction.
""",
    "traps": """
A student marks relations in the text below and falls into traps: names that stand side by side
without any relation, relations read the wrong way round, relations of somebody else.

List four to eight relation names in "relations" ("founded by", "treats", "located in", ...). In
"pairs" give up to {count} pairs of names copied from the text, "head" and "tail" with the words
right before each in "before_head" and "before_tail". "holding" has the relations that really hold
between them, as the text says it; at least every second pair is a trap, with an empty list.
""",
}
GERMAN = {
    "judge": """
Wähle vier bis acht Beziehungen, die für Texte wie den folgenden wichtig sind, und nenne sie in
"relations", jede in ein bis vier Wörtern, zu lesen als "head - Beziehung - tail": "arbeitet für",
"Teil von". Zwei oder drei davon kommen im Text nicht vor.

Beurteile dann in "pairs" höchstens {count} Paare von Namen aus dem Text: "head" und "tail",
kopiert, mit den Wörtern unmittelbar davor in "before_head" und "before_tail"; "holding" enthält
die deiner Beziehungen, die der Text genau so aussagt. Bei der Hälfte der Paare ist die Liste leer.
""",
}

RECIPE = Recipe(
    task="relations",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        relations=several(LABEL, 8),
        pairs=several(
            record(
                before_head=BEFORE,
                head=MENTION,
                before_tail=BEFORE,
                tail=MENTION,
                holding=several(LABEL, 3),
            ),
            16,
        ),
    ),
    build=_build,
    typed=True,
    counts=(6, 10, 16),
)
