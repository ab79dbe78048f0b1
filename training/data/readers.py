"""Files of rows, here or on the hub -> gold rows. Bad lines are listed; too many stop a run."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glinermt import formats
from glinermt.errors import BackendError, DataError
from glinermt.jsonl import data_files, has_end, read_jsonl, read_lines
from glinermt.training.config import Source
from glinermt.training.data.detokenize import detokenize
from glinermt.training.data.rows import (
    ClassRow,
    EntityRow,
    QuestionRow,
    RelationRow,
    Row,
    SummaryRow,
)
from glinermt.training.data.summary_targets import gap_sentences, leading_part, summary_sentences
from glinermt.types import Example, Span, span_of

NO_RELATION = "no relation"
"""The name under which data sets list pairs that stand in none of their relations."""
LISTED = 20
"""Bad lines named in a message; the rest is only counted."""


@dataclass
class BadLines:
    """What could not be read, as ``file:line: reason``."""

    count: int = 0
    listed: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(message)


def read_source(source: Source, root: Path, *, max_bad_share: float) -> tuple[list[Row], BadLines]:
    """Read a source's rows; those without anything to learn from are left out.

    Raises:
        DataError: the source is missing, has no usable row, or more bad ones than allowed.
    """
    rows: list[Row] = []
    bad, total = BadLines(), 0
    for place, raw in raw_rows(source.path, root):
        total += 1
        try:
            row = _parsed(source, raw)
        except _BadRow as error:
            bad.add(f"{place}: {error}")
            continue
        if row is not None:
            rows.append(row)
    if bad.count > max_bad_share * total:
        listed = "\n  ".join(bad.listed)
        raise DataError(
            f"{source.path}: {bad.count} of {total} lines are bad, more than max_bad_share = "
            f"{max_bad_share} allows:\n  {listed}"
        )
    if not rows:
        raise DataError(
            f"{source.path}:0: no usable row among {total} lines for task {source.task!r}"
        )
    return rows, bad


def read_examples(path: Path) -> list[Example]:
    """Read Example JSONL, or a file of another annotation tool; any bad line is an error.

    Raises:
        DataError: the file cannot be read, is empty, or has a bad line.
    """
    form = _format(path)
    if form != formats.OURS:
        return formats.read_examples(path, form)
    source = Source(path.name, "examples")
    examples = []
    for place, raw in raw_rows(source.path, path.parent):
        try:
            examples.append(_parsed(source, raw))
        except _BadRow as error:
            raise DataError(f"{place}: {error}") from error
    if not examples:
        raise formats.NoTextError(path)
    return [row for row in examples if isinstance(row, Example)]


def _format(path: Path) -> str:
    """Return the format of a file; what cannot be told is ours, whose reader says what is wrong.

    Raises:
        NoTextError: there is nothing to tell it by.
    """
    try:
        return formats.detect(path)
    except formats.NoTextError:
        raise
    except DataError:
        return formats.OURS


class _BadRow(ValueError):
    """A row is not what its task needs; the message says why."""


def _parsed(source: Source, raw: str | Mapping[str, Any]) -> Row | None:
    """Return the row, None where there is nothing to learn from it.

    Raises:
        _BadRow: it is not what the task needs.
    """
    try:
        fields = json.loads(raw) if isinstance(raw, str) else raw
        if not isinstance(fields, Mapping):
            raise ValueError(f"expected an object, got {fields!r:.80}")
        return PARSERS[source.task](fields, frozenset(source.exclude_labels))
    except KeyError as error:
        raise _BadRow(f"no {error.args[0]!r} field") from error
    except json.JSONDecodeError as error:
        raise _BadRow(f"not JSON: {error}") from error
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise _BadRow(str(error)) from error


def _entity_row(raw: Mapping[str, Any], excluded: frozenset[str]) -> EntityRow:
    if "text" in raw:
        text = _string(raw, "text")
        found = [span_of(text, e) for e in raw.get("entities", raw.get("spans"))]
    else:
        text, offsets = detokenize(raw["tokens"])
        found = [_span(text, *_place(offsets, s, e), label) for s, e, label in raw["spans"]]
    spans = [s for s in found if s.label not in excluded and any(map(str.isalnum, s.text))]
    return EntityRow(text, _disjoint(spans, key=lambda span: (span.start - span.end, span.start)))


def _string(raw: Mapping[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} should be a string, got {value!r:.80}")
    return value


def _relation_row(raw: Mapping[str, Any], excluded: frozenset[str]) -> RelationRow | None:
    text, offsets = detokenize(raw["tokens"])
    triples, unrelated = [], []
    for relation in raw["relations"]:
        name = relation["relation"]
        if name in excluded:
            continue
        head, tail = (
            _span(text, *_place(offsets, relation[side]["start"], relation[side]["end"]), name)
            for side in ("head", "tail")
        )
        if name == NO_RELATION:
            unrelated.append((head, tail))
        else:
            triples.append((head, name, tail))
    if not triples and not unrelated:
        return None
    return RelationRow(text, tuple(triples), tuple(unrelated))


def _related_row(raw: Mapping[str, Any], excluded: frozenset[str]) -> RelationRow | None:
    row = _relation_row(raw, excluded)
    return row if row is not None and row.triples else None


def _class_row(raw: Mapping[str, Any], excluded: frozenset[str]) -> ClassRow | None:
    names = raw["labels"]
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"labels should be a list of non-empty strings, got {names!r:.80}")
    if excluded.intersection(names):
        return None
    return ClassRow(_string(raw, "text"), tuple(dict.fromkeys(names)))


def _question_row(raw: Mapping[str, Any], _: frozenset[str]) -> QuestionRow:
    context, gold = raw["context"], raw["answers"]
    pairs = (
        []
        if raw.get("is_impossible")
        else list(zip(gold["text"], gold["answer_start"], strict=True))
    )
    found = [_span(context, start, start + len(text), "answer") for text, start in pairs]
    for span, (text, start) in zip(found, pairs, strict=True):
        if span.text != text:
            raise ValueError(
                f"answer {text!r} is not at {start}, where the context has {span.text!r}"
            )
    if context.endswith(" .") or "-LRB-" in context:
        context, found = _natural(context, found)
    # Annotators' versions of one answer overlap: the shortest is what the scorers ask for.
    answers = _disjoint(found, key=lambda span: (span.end - span.start, span.start))
    return QuestionRow(context, raw["question"].strip(), answers)


def _natural(context: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """Undo the tokenisation of a corpus that wrote its tokens apart."""
    starts, tokens, position = {}, context.split(" "), 0
    for i, token in enumerate(tokens):
        starts[position] = i
        position += len(token) + 1
    text, offsets = detokenize(tokens)
    moved = []
    for span in spans:
        if span.start not in starts:
            raise ValueError(f"answer {span.text!r} does not begin at a token of its context")
        first = starts[span.start]
        start, end = _place(offsets, first, first + span.text.count(" "))
        moved.append(_span(text, start, end, span.label))
    return text, moved


def _summary_row(raw: Mapping[str, Any], _: frozenset[str]) -> SummaryRow | None:
    text = raw["document"]
    spans = summary_sentences(
        text, raw["summary"], raw.get("sentences"), raw.get("extractive_labels")
    )
    return SummaryRow(text, spans) if spans else None


def _gap_row(raw: Mapping[str, Any], _: frozenset[str]) -> SummaryRow | None:
    text = leading_part(raw["text"])
    spans = gap_sentences(text)
    return SummaryRow(text, spans) if spans else None


def _example(raw: Mapping[str, Any], excluded: frozenset[str]) -> Example | None:
    example = Example.from_dict(raw)
    if not (example.query.labels or example.query.relations or example.query.classes):
        raise ValueError("labels are empty; an Example asks for at least one")
    if not excluded.intersection(example.query.labels):
        return example
    labels = tuple(label for label in example.query.labels if label not in excluded)
    spans = tuple(span for span in example.spans if span.label not in excluded)
    query = replace(example.query, labels=labels)
    return replace(example, query=query, spans=spans) if labels else None


def _place(offsets: list[tuple[int, int]], first: int, last: int) -> tuple[int, int]:
    if not 0 <= first <= last < len(offsets):
        raise ValueError(
            f"span {first}:{last} lies outside the text, which has {len(offsets)} tokens"
        )
    return offsets[first][0], offsets[last][1]


def _span(text: str, start: int, end: int, label: str) -> Span:
    return span_of(text, {"start": start, "end": end, "label": label})


def _disjoint(spans: Iterable[Span], *, key: Callable[[Span], tuple[int, int]]) -> tuple[Span, ...]:
    """Of overlapping spans with one label, keep the first by ``key``; in the order of the text."""
    kept: list[Span] = []
    for span in sorted(set(spans), key=key):
        if not any(span.label == other.label and span.overlaps(other) for other in kept):
            kept.append(span)
    return tuple(sorted(kept, key=lambda span: (span.start, span.end)))


Parser = Callable[[Mapping[str, Any], frozenset[str]], Row | None]

PARSERS: dict[str, Parser] = {
    "ner": _entity_row,
    "relations": _related_row,
    "pairs": _relation_row,
    "qa": _question_row,
    "summaries": _summary_row,
    "gap_summaries": _gap_row,
    "classify": _class_row,
    "examples": _example,
}


HUB = "hub:"

RawRow = tuple[str, str | Mapping[str, Any]]
"""Where a row stands, and its line of JSON or its fields."""


def raw_rows(path: str, root: Path) -> Iterator[RawRow]:
    """Return the rows of a file or folder below ``root``, or of ``hub:owner/name:split``.

    Raises:
        DataError: there is nothing there, or it cannot be read.
        BackendError: the package that reads it is not installed.
    """
    if path.startswith(HUB):
        yield from _hub_rows(path)
        return
    for file in data_files(root / path):
        if has_end(file, [".parquet"]):
            yield from ((f"{file}:{number}", row) for number, row in read_jsonl(file))
        else:
            yield from ((f"{file}:{number}", line) for number, line in read_lines(file))


def _hub_rows(path: str) -> Iterator[RawRow]:
    try:
        from datasets import load_dataset  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendError("the hub needs datasets: pip install 'glinermt[training]'") from error
    name, _, split = path.removeprefix(HUB).partition(":")
    try:
        for number, row in enumerate(load_dataset(name, split=split or "train", streaming=True), 1):
            yield f"{path}:{number}", row
    except Exception as error:  # datasets raises whatever its builders and the network do
        raise DataError(
            f"{path}:0: cannot be read ({type(error).__name__}: {error}); check the name, the "
            "split and the network"
        ) from error
