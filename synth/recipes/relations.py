"""Relations: heads and tails with open relation names, and relations that do not hold."""

from typing import Any

from glinermt.synth.checks.align import Source, normal, occurrences
from glinermt.synth.checks.filters import (
    Ledger,
    clean_label,
    label_fault,
    may_be_symmetric,
    mention_fault,
)
from glinermt.synth.checks.mentions import place
from glinermt.synth.recipes.base import BEFORE, LABEL, MENTION, Recipe
from glinermt.synth.schema import record, several
from glinermt.tasks.relations import RELATIONS, Related
from glinermt.tasks.task import example
from glinermt.types import Example, Relation, Span

Triple = tuple[Span, str, Span]


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    triples: list[Triple] = []
    for item in reply["relations"]:
        head = _side(source, item, "head", ledger)
        tail = _side(source, item, "tail", ledger) if head else None
        if not head or not tail:
            continue
        triple = (head, clean_label(item["relation"]), tail)
        if wrong := _fault(triple, triples):
            ledger.drop(wrong, f"{head.text} / {triple[1]} / {tail.text}")
        else:
            triples.append(triple)
    if not triples:
        return []
    pairs = [_pair(triple) for triple in triples]
    asked = Related.of_pairs(pairs + _negatives(source, reply["absent"], triples, ledger))
    return [example(RELATIONS, source.text, asked, [Relation(*triple) for triple in triples])]


def _side(source: Source, item: dict[str, Any], side: str, ledger: Ledger) -> Span | None:
    quote = {"text": item[side], "before": item[f"before_{side}"]}
    placed = place(source, quote, ledger, fault=mention_fault)
    return Span(*placed, source.text[slice(*placed)], "entity") if placed else None


def _fault(triple: Triple, known: list[Triple]) -> str | None:
    head, relation, tail = triple
    if head.overlaps(tail) or normal(head.text) == normal(tail.text):
        return "relation: head is tail"
    if any(_same(triple, other) for other in known):
        return "relation: repeated"
    if any(
        _pair(triple) == _pair(other) and tail.overlaps(other[2]) and tail.text != other[2].text
        for other in known
    ):
        return "relation: tail overlaps another"
    if "<>" in head.text or "<<" in head.text:
        return "relation: marks of the text format"
    return label_fault(relation, head.text) or label_fault(relation, tail.text)


def _pair(triple: Triple) -> tuple[str, str]:
    return triple[0].text, triple[1]


def _same(one: Triple, other: Triple) -> bool:
    return _pair(one) == _pair(other) and normal(one[2].text) == normal(other[2].text)


def _negatives(
    source: Source, absent: list[dict[str, Any]], triples: list[Triple], ledger: Ledger
) -> list[tuple[str, str]]:
    """Return (head text, relation) pairs without a tail: the LLM's, and one the wrong way round."""
    positive = {(normal(head.text), relation) for head, relation, _ in triples}
    pairs: dict[tuple[str, str], None] = {}
    for item in absent:
        pair = (item["head"], clean_label(item["relation"]))
        wrong = label_fault(pair[1], pair[0])
        if not occurrences(source, pair[0]):
            wrong = "negative: head is not in the text"
        elif (normal(pair[0]), pair[1]) in positive:
            wrong = "negative: holds"
        if wrong:
            ledger.drop(wrong, " / ".join(pair))
        else:
            pairs[pair] = None
    for _, relation, tail in triples:
        if (normal(tail.text), relation) not in positive and not may_be_symmetric(relation):
            pairs.setdefault((tail.text, relation))
            break
    return list(pairs)


PROMPTS = {
    "knowledge": """
Turn the text below into facts for a knowledge base. A fact has a "head" and a "tail" (names,
dates, places, works or other short noun phrases, copied from the text) and a "relation", a
property name such as "founded by", "place of birth", "part of", "date of release". It reads as
"head - relation - tail" or "the relation of head is tail". "before_head" and "before_tail" are
the few words right before each of the two.

At most {count} facts. Only what the text says; nothing you know from elsewhere.

"absent": up to four properties of heads in the text whose value the text does not tell.
""",
    "open": """
Find the relations between entities that the text below states. For each give "head" and "tail",
both copied from the text, and in "relation" how the head relates to the tail, in one to four
lower-case words, to be read as "head - relation - tail": "Marie Curie - born in - Warsaw".
"before_head" and "before_tail" are the few words right before each.

Give at most {count} relations, only such as the text states, none twice.

"absent" lists up to four pairs of a head from the text and a relation that would fit such a
head, but for which the text gives no tail.
""",
}
GERMAN = {
    "open": """
Finde die Beziehungen zwischen benannten Dingen, die der folgende Text aussagt. Kopiere "head" und
"tail" aus dem Text und nenne in "relation" auf Deutsch in ein bis vier Wörtern, wie "head" zu
"tail" steht: "Marie Curie - geboren in - Warschau". "before_head" und "before_tail" sind die
Wörter unmittelbar davor. Höchstens {count}, keine doppelt.

"absent" enthält bis zu vier Paare aus einem "head" des Textes und einer Beziehung, zu der der Text
nichts sagt.
""",
}

RECIPE = Recipe(
    task="relations",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        relations=several(
            record(
                before_head=BEFORE,
                head=MENTION,
                relation=LABEL,
                before_tail=BEFORE,
                tail=MENTION,
            ),
            20,
        ),
        absent=several(record(head=MENTION, relation=LABEL), 5),
    ),
    build=_build,
    typed=True,
)
