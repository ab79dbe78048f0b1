"""Personal data: every piece of it marked, and replaced in the text by an invented one.

The example's text is not the source's: nobody's data is trained on. The same value gets the same
surrogate wherever it stands, and a part of a value (a last name) the same part of its surrogate.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from glinermt.synth.checks.align import FUNCTION_WORDS, Source, normal, normal_words, occurrences
from glinermt.synth.checks.filters import Ledger, piece_fault
from glinermt.synth.checks.mentions import place
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.redaction import PII
from glinermt.tasks.task import example
from glinermt.types import Example, Span

KINDS = tuple(PII)


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    values: dict[str, tuple[str, str]] = {}
    unplaced: list[str] = []
    for item in reply["items"]:
        placed = place(source, item, ledger, fault=piece_fault)
        if not placed:
            unplaced.append(item["text"])
            continue
        value, surrogate = source.text[slice(*placed)], " ".join(item["surrogate"].split())
        if wrong := _fault(value, item["label"], surrogate, values):
            ledger.drop(wrong, f"{value} = {item['label']} -> {surrogate}")
            if wrong.startswith("surrogate"):  # a value left as it is would be somebody's own
                return []
        else:
            values[value] = (item["label"], surrogate)
    if not values or not _consistent(values):
        if values:
            ledger.drop("surrogate: not consistent", ", ".join(values))
        return []
    text, spans = _replaced(source, values)
    if left := _left(text, spans, values):
        ledger.drop("surrogate: the value stands in the text in another form, too", left)
        return []
    if left := _left(text, spans, _words(unplaced)):
        ledger.drop("surrogate: a value that was not placed may stand in the text", left)
        return []
    labels = read_labels({kind: "" for kind in KINDS})
    made = example(ENTITIES, text, labels, spans)
    return [replace(made, task="redact")]


def _fault(
    value: str, label: str, surrogate: str, values: dict[str, tuple[str, str]]
) -> str | None:
    if label not in KINDS:
        return "label: not a kind that was asked for"
    if FUNCTION_WORDS.issuperset(normal_words(value)):
        return "mention: function words only"
    known = values.get(value)
    if known and known != (label, surrogate):
        return "surrogate: another one than before"
    if not any(map(str.isalnum, surrogate)):
        return "surrogate: empty"
    if f" {normal(value)} " in f" {normal(surrogate)} ":
        return "surrogate: holds the value"
    if any(surrogate == other for text, (_, other) in values.items() if text != value):
        return "surrogate: that of another value"
    return None


def _consistent(values: dict[str, tuple[str, str]]) -> bool:
    """Whether what is part of another value has a part of that one's surrogate."""
    return all(
        f" {normal(surrogate)} " in f" {normal(whole_surrogate)} "
        for value, (label, surrogate) in values.items()
        for whole, (whole_label, whole_surrogate) in values.items()
        if value != whole and label == whole_label and f" {normal(value)} " in f" {normal(whole)} "
    )


def _replaced(source: Source, values: dict[str, tuple[str, str]]) -> tuple[str, list[Span]]:
    """Return the text with every occurrence of every value replaced, and where that is then."""
    places: list[tuple[int, int, str]] = []
    for value in sorted(values, key=len, reverse=True):  # a whole name before its parts
        for start, end in occurrences(source, value):
            if not any(start < e and s < end for s, e, _ in places):
                places.append((start, end, value))
    text, last = "", 0
    spans: list[Span] = []
    for start, end, value in sorted(places):
        label, surrogate = values[value]
        text += source.text[last:start]
        spans.append(Span(len(text), len(text) + len(surrogate), surrogate, label))
        text, last = text + surrogate, end
    return text + source.text[last:], spans


def _words(quotes: Iterable[str]) -> list[str]:
    """Return the words by which somebody's data would be known."""
    words = [word for quote in quotes for word in normal_words(quote)]
    telling = [word for word in words if len(word) > 2 or word.isdigit()]
    return [word for word in telling if word not in FUNCTION_WORDS]


def _left(text: str, spans: list[Span], values: Iterable[str]) -> str | None:
    """Return a value that the text still says outside of surrogates, such as in capitals."""
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    between = [Source(text[start:end]) for start, end in zip(ends, starts, strict=True)]
    return next((value for value in values if any(one.says(value) for one in between)), None)


_ASKED = ", ".join(KINDS)
PROMPTS = {
    "mask": f"""
The text below must be made anonymous. Find everything in it that is personal data of one of these
kinds: {_ASKED}.

Give at most {{count}} in "items", in the order of the text: "text" copies it, "before" has the few
words right before it, "label" is its kind, in exactly these words, and "surrogate" an invented
value of the same kind and form to put in its place: another name for a name, another number of
the same shape for a number. The same value always gets the same surrogate; where a part of a name
stands alone, its surrogate is the same part of the invented name.
""",
    "audit": f"""
You check documents before they are published. List every person-related detail of the text below
in "items", at most {{count}}, in its order. The kinds are: {_ASKED}.

For each give "text" (copied), "before" (the words right before it), "label" (one of the kinds, as
written here) and "surrogate": a made-up detail that looks just as real and belongs to nobody. Be
consistent: one surrogate for one detail, and for a first or last name alone that of the full name.
""",
}
GERMAN = {
    "mask": f"""
Der folgende Text soll anonymisiert werden. Finde darin alle personenbezogenen Daten dieser Arten:
{_ASKED}.

Gib höchstens {{count}} in "items", in der Reihenfolge des Textes: "text" ist kopiert, "before"
enthält die Wörter unmittelbar davor, "label" ist die Art in genau diesen englischen Worten, und
"surrogate" ein erfundener Wert derselben Art und Form. Derselbe Wert bekommt immer denselben
Ersatz; steht ein Teil eines Namens allein, so ist sein Ersatz derselbe Teil des erfundenen Namens.
""",
}

RECIPE = Recipe(
    task="redact",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(items=quotes(MENTION, 25, label=LABEL, surrogate=MENTION)),
    build=_build,
    typed=True,
    counts=(12, 25),
)
