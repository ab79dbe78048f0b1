"""What is wrong with labelled data, before a model learns it: counts, examples, what to do."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations

from glinermt.contamination import GRAM, grams, words
from glinermt.types import Example, Span

SHOWN = 5
"""Cases named of a problem; all are counted."""
RARE = 10
"""Spans of a label below which little is learned of it."""
SAME_NAME = 0.85
"""Likeness of two labels' letters (``difflib``) from which their names are nearly the same."""
SAME_MENTIONS = 0.3
"""Share of mentions that two labels have in common from which they are taken for one."""
OFTEN = 3
"""Times that a mention must be labelled before its unlabelled occurrences are held against it."""

_WORD = re.compile(r"\w+|\S")


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of thing that is wrong."""

    name: str
    count: int
    cases: tuple[str, ...]
    """Some of them; examples are counted from 1."""
    advice: str


def diagnose(examples: Sequence[Example], *, held_out: Sequence[Example] = ()) -> list[Problem]:
    """Look for what misleads a model that learns the examples; the gravest kinds come first.

    Args:
        examples: what is to be learned.
        held_out: dev or test data that must not share texts with them.
    """
    found = []
    for name, advice, check in CHECKS:
        cases = list(check(examples))
        if cases:
            found.append(Problem(name, len(cases), tuple(cases[:SHOWN]), advice))
    leaks = list(_leaks(examples, held_out))
    if leaks:
        advice = "leave these out of one of the two: scores on texts learned from are worth nothing"
        found.insert(0, Problem("leaks", len(leaks), tuple(leaks[:SHOWN]), advice))
    return found


def _duplicates(examples: Sequence[Example]) -> Iterator[str]:
    """Texts that ask for the same again."""
    seen: dict[tuple[object, ...], int] = {}
    for number, example in enumerate(examples, start=1):
        query = example.query
        asked = query.prompt, frozenset((*query.labels, *query.relations, *query.classes))
        key = (" ".join(query.text.split()), *asked)
        if key in seen:
            yield f"example {number} is example {seen[key]} again: {query.text[:60]!r}"
        seen.setdefault(key, number)


def _contradictions(examples: Sequence[Example]) -> Iterator[str]:
    """One text, one label, other spans."""
    seen: dict[tuple[str, str, str], tuple[int, frozenset[tuple[int, int]]]] = {}
    for number, example in enumerate(examples, start=1):
        query = example.query
        for label in dict.fromkeys(query.labels):
            places = frozenset((s.start, s.end) for s in example.spans if s.label == label)
            key = query.text, query.prompt, label
            first, known = seen.setdefault(key, (number, places))
            if known != places:
                yield (
                    f"{label!r} has {_quoted(query.text, known)} in example {first}, "
                    f"{_quoted(query.text, places)} in example {number}"
                )


def _double_labels(examples: Sequence[Example]) -> Iterator[str]:
    """Mentions that nearly always have one label and now and then another."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    where: dict[tuple[str, str], int] = {}
    for number, _, span in _entities(examples):
        counts[span.text][span.label] += 1
        where.setdefault((span.text, span.label), number)
    for text, labels in counts.items():
        (usual, often), *others = labels.most_common()
        for label, count in others:
            if often >= OFTEN and count * 5 <= often:
                yield (
                    f"{text!r} is {usual!r} {often} times, {label!r} {count} times "
                    f"(example {where[text, label]})"
                )


def _omissions(examples: Sequence[Example]) -> Iterator[str]:
    """Mentions that are labelled elsewhere, in texts that ask for the label."""
    counts = Counter((span.text, span.label) for _, _, span in _entities(examples))
    usual: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (text, label), count in counts.items():
        if count >= OFTEN and len(text) > 2:
            usual[_WORD.findall(text)[0]][text].append(label)
    for number, example in enumerate(examples, start=1):
        if example.task != "entities" or example.query.prompt:
            continue
        for start, mention in _unlabelled(example, usual):
            for label in usual[_WORD.findall(mention)[0]][mention]:
                if label in example.query.labels:
                    yield (
                        f"{mention!r} is {label!r} elsewhere ({counts[mention, label]} times), "
                        f"but not at {start}:{start + len(mention)} of example {number}"
                    )


def _unlabelled(
    example: Example, by_first_word: Mapping[str, Collection[str]]
) -> Iterator[tuple[int, str]]:
    """Yield where mentions stand that no span and no silent range touches."""
    text = example.query.text
    taken = [*((span.start, span.end) for span in example.spans), *example.silent]
    for word in _WORD.finditer(text):
        start = word.start()
        for mention in by_first_word.get(word[0], ()):
            end = start + len(mention)
            whole = text[start:end] == mention and not _is_inside_word(text, end)
            if whole and not any(a < end and start < b for a, b in taken):
                yield start, mention


def _cut_words(examples: Sequence[Example]) -> Iterator[str]:
    """Spans that begin or end inside a word, or with white space."""
    for number, example, span in _spans(examples):
        text = example.query.text
        if span.text != span.text.strip():
            yield f"example {number}: {span.text!r} begins or ends with white space"
        elif _is_inside_word(text, span.start) or _is_inside_word(text, span.end):
            around = text[max(0, span.start - 8) : span.end + 8]
            yield f"example {number}: {span.text!r} ({span.label!r}) cuts a word of {around!r}"


def _like_labels(examples: Sequence[Example]) -> Iterator[str]:
    """Labels with nearly the same name, or the same mentions."""
    mentions: defaultdict[str, set[str]] = defaultdict(set)
    for _, example, span in _spans(examples):
        if example.task == "entities":
            mentions[span.label].add(span.text.casefold())
    asked = sorted({s for row in examples if row.task == "entities" for s in row.query.labels})
    found = {pair: ": nearly the same name" for pair in _like_names(asked)}
    for (one, other), shared in _shared(mentions).items():
        least = min(len(mentions[one]), len(mentions[other]))
        if len(shared) >= OFTEN and len(shared) >= SAME_MENTIONS * least:
            some = ", ".join(map(repr, sorted(shared)[:3]))
            said = f" share {len(shared)} of {least} mentions, such as {some}"
            found.setdefault((one, other), said)
    for (one, other), said in sorted(found.items()):
        yield f"{one!r} and {other!r}{said}"


def _shared(mentions: Mapping[str, Collection[str]]) -> dict[tuple[str, str], list[str]]:
    """Return the mentions that two labels have in common, for each two that have some."""
    labels: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(mentions):
        for mention in mentions[label]:
            labels[mention].append(label)
    shared: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for mention, several in labels.items():
        for pair in combinations(several, 2):
            shared[pair].append(mention)
    return shared


def _like_names(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of labels whose names are nearly the same.

    Letters that only one of two names has bound their likeness, so that few pairs are compared.
    """
    names = [" ".join(re.findall(r"\w+", s.replace("_", " ").casefold())) for s in labels]
    number = {letter: i for i, letter in enumerate(sorted({c for name in names for c in name}))}
    letters = [sum(1 << number[c] for c in set(name)) for name in names]
    sizes = [len(name) for name in names]
    matcher = SequenceMatcher()
    for j, (own, size) in enumerate(zip(letters, sizes, strict=True)):
        matcher.set_seq2(names[j])
        for i in range(j):
            if (letters[i] ^ own).bit_count() > (1 - SAME_NAME) * (sizes[i] + size) + 1e-9:
                continue
            matcher.set_seq1(names[i])
            if names[i] == names[j] or (
                matcher.real_quick_ratio() >= SAME_NAME
                and matcher.quick_ratio() >= SAME_NAME
                and matcher.ratio() >= SAME_NAME
            ):
                yield labels[i], labels[j]


def _rare_labels(examples: Sequence[Example]) -> Iterator[str]:
    """Entity labels with few spans, or without any."""
    asked = Counter(s for row in examples if row.task == "entities" for s in row.query.labels)
    present = Counter(span.label for _, _, span in _entities(examples))
    for label in sorted(asked, key=lambda s: (present[s], s)):
        if present[label] < RARE:
            yield f"{label!r} has {present[label]} spans in {asked[label]} examples"


def _empty(examples: Sequence[Example]) -> Iterator[str]:
    """Examples that say only what is absent, where they are more than half."""
    empty = [
        number
        for number, row in enumerate(examples, start=1)
        if not (row.spans or row.relations or row.classes)
    ]
    if 2 * len(empty) > len(examples):
        yield from (f"example {number} has no gold" for number in empty)


def _leaks(examples: Sequence[Example], held_out: Sequence[Example]) -> Iterator[str]:
    texts: dict[str, int] = {}
    runs: dict[bytes, int] = {}
    for number, row in enumerate(held_out, start=1):
        found = words(row.query.text)
        texts.setdefault(" ".join(found), number)
        for gram in grams(found):
            runs.setdefault(gram, number)
    for number, row in enumerate(examples, start=1):
        found = words(row.query.text)
        same = texts.get(" ".join(found)) if found else None
        if same is not None:
            yield f"example {number} has the text of held-out example {same}"
            continue
        shared = next((runs[gram] for gram in grams(found) if gram in runs), None)
        if shared is not None:
            yield f"example {number} shares {GRAM} words in a row with held-out example {shared}"


def _spans(examples: Sequence[Example]) -> Iterator[tuple[int, Example, Span]]:
    for number, example in enumerate(examples, start=1):
        for span in example.spans:
            yield number, example, span


def _entities(examples: Sequence[Example]) -> Iterator[tuple[int, Example, Span]]:
    return ((n, row, span) for n, row, span in _spans(examples) if row.task == "entities")


def _is_inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _quoted(text: str, places: frozenset[tuple[int, int]]) -> str:
    return ", ".join(repr(text[start:end]) for start, end in sorted(places)) or "nothing"


Check = Callable[[Sequence[Example]], Iterator[str]]
CHECKS: tuple[tuple[str, str, Check], ...] = (
    (
        "contradictions",
        "decide which is right and correct the other: the model is told both",
        _contradictions,
    ),
    (
        "spans that cut words",
        "move the border to the word's; often the offsets count bytes, or another text",
        _cut_words,
    ),
    (
        "possible omissions",
        "label them, or leave the label out of what the example asks: here it teaches absence",
        _omissions,
    ),
    (
        "unusual labels of a mention",
        "look whether the rare one is a slip",
        _double_labels,
    ),
    (
        "labels alike",
        "merge them, or describe each so that a reader could tell them apart",
        _like_labels,
    ),
    (
        "rare labels",
        f"label more ({RARE} spans or so are a beginning), or ask a broader type",
        _rare_labels,
    ),
    (
        "duplicates",
        "leave all but one out, and none in both training and test data",
        _duplicates,
    ),
    (
        "examples without gold",
        "leave some out: a model that mostly sees nothing finds nothing",
        _empty,
    ),
)
"""Name, advice, check: a generator of cases in words."""
