"""Results as one self-contained page, legible without network, in light and dark."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from glinermt.console import leaves
from glinermt.types import (
    Answer,
    Classification,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
)


def page(results: Iterable[tuple[str, Any]], title: str = "glinermt") -> str:
    """Return the HTML of ``(text, result)`` pairs; results of any task.

    A label has the same colour everywhere on the page.
    """
    pairs = [(text, _items(result)) for text, result in results]
    labels = dict.fromkeys(span.label for _, items in pairs for span in _spans(items))
    hues = {label: _hue(i) for i, label in enumerate(labels)}
    articles = "\n".join(_article(text, items, hues) for text, items in pairs)
    style = (files("glinermt.tasks") / "page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style>\n<body><h1>{escape(title)}</h1>\n{articles}\n</body></html>\n"
    )


def _items(result: Any) -> list[Any]:
    if isinstance(result, Reading):
        named = [_Named(name, item) for name, item in result.classes.items()]
        named += [_Named(name, item) for name, own in result.records.items() for item in own]
        return [*named, *result.entities, *result.relations]
    return list(result) if isinstance(result, list | tuple) else [result]


@dataclass(frozen=True, slots=True)
class _Named:
    """A part of a result that answers one of several questions."""

    name: str
    item: Any


def _article(text: str, items: Sequence[Any], hues: dict[str, int]) -> str:
    spans = _spans(items)
    relations = [item for item in items if isinstance(item, Relation)]
    answers = [item for item in items if isinstance(item, Answer)]
    summaries = [item for item in items if isinstance(item, Summary)]
    named = [item if isinstance(item, _Named) else _Named("", item) for item in items]
    classes = [one for one in named if isinstance(one.item, Classification)]
    records = [one for one in named if isinstance(one.item, Record)]
    redactions = [item for item in items if isinstance(item, Redaction)]
    if redactions:  # the original is not shown
        return "".join(f"<article>{_redaction(found, hues)}</article>" for found in redactions)
    whole = bool(answers or summaries)  # what is marked needs no names
    parts = [
        *(_heading(one.name) + _classes(one.item) for one in classes),
        "" if whole else _legend(spans, hues),
        _answers(answers) if answers else "",
        *(_summary(summary) for summary in summaries),
        f'<p class="text" dir="auto">{_marked(text, spans, hues, named=not whole)}</p>',
        _table(relations, hues) if relations else "",
        *(
            _heading(name) + _records([one.item for one in records if one.name == name], hues)
            for name in dict.fromkeys(one.name for one in records)
        ),
        "" if spans or answers or classes or records else '<p class="none">Nothing found.</p>',
    ]
    return f"<article>{''.join(parts)}</article>"


def _spans(items: Iterable[Any]) -> list[Span]:
    """Return what a result marks in the text, each span once."""
    spans: list[Span] = []
    for item in items:
        match item:
            case Span():
                spans.append(item)
            case Relation():
                spans.extend((item.head, item.tail))
            case Answer():
                spans.extend([item.span] if item.span else [])
            case Summary() | Redaction():
                spans.extend(item.spans)
            case Record():
                spans.extend(span for own in item.spans.values() for span in own)
            case _Named():
                spans.extend(_spans([item.item]))
    return list(dict.fromkeys(spans))


def _answers(answers: Sequence[Answer]) -> str:
    if not any(answer.span for answer in answers):
        sure = answers[0].no_answer_score
        return f'<p class="none">The text does not answer. {_bar(sure)}</p>'
    rows = "".join(
        f'<li><strong dir="auto">{escape(answer.text)}</strong> {_bar(answer.score)}</li>'
        for answer in answers
    )
    return f'<ol class="answers">{rows}</ol>'


def _summary(summary: Summary) -> str:
    return f'<blockquote dir="auto">{escape(summary.text)}</blockquote>' if summary.spans else ""


def _classes(found: Classification) -> str:
    rows = "".join(
        f"<tr{' class=given' if name in found.labels else ''}><td><bdi>{escape(name)}</bdi></td>"
        f"<td>{_bar(score)}</td></tr>"
        for name, score in sorted(found.scores.items(), key=lambda pair: -pair[1])
    )
    none = "" if found.labels else '<p class="none">None of the labels fits.</p>'
    return f'{none}<table class="classes"><tr><th>label</th><th>score</th></tr>{rows}</table>'


def _redaction(found: Redaction, hues: dict[str, int]) -> str:
    """Return the text with its placeholders marked."""
    marks, moved = [], 0
    for span, placeholder in zip(found.spans, found.replacements, strict=True):
        start = span.start + moved
        marks.append(Span(start, start + len(placeholder), placeholder, span.label, span.score))
        moved += len(placeholder) - len(span.text)
    text = _marked(found.text, marks, hues, named=False)
    none = "" if marks else '<p class="none">Nothing found.</p>'
    return f'{_legend(found.spans, hues)}<p class="text" dir="auto">{text}</p>{none}'


def _table(relations: Iterable[Relation], hues: dict[str, int]) -> str:
    rows = "".join(
        f"<tr><td>{_chip(r.head, hues)}</td><td><bdi>{escape(r.label)}</bdi></td>"
        f"<td>{_chip(r.tail, hues)}</td><td>{_bar(r.score)}</td></tr>"
        for r in relations
    )
    names = "".join(f"<th>{name}</th>" for name in ("head", "relation", "tail", "score"))
    return f"<table><tr>{names}</tr>{rows}</table>"


def _heading(name: str) -> str:
    return f"<h2><bdi>{escape(name)}</bdi></h2>" if name else ""


def _records(records: Sequence[Record[Any]], hues: dict[str, int]) -> str:
    """Return a table with a row a record; a value in its field's colour has words that say it."""
    values = [dict(leaves(record.to_dict()["value"])) for record in records]
    names = list(dict.fromkeys(name for row in values for name in row))
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{_value(row.get(name, ''), record, name, hues)}</td>" for name in names)
        + f"<td>{_bar(record.score)}{_error(record)}</td></tr>"
        for row, record in zip(values, records, strict=True)
    )
    heads = "".join(f"<th><bdi>{escape(name)}</bdi></th>" for name in names)
    return f"<table><tr>{heads}<th>score</th></tr>{rows}</table>"


def _value(value: str, record: Record[Any], name: str, hues: Mapping[str, int]) -> str:
    said = record.spans.get(name, ())
    shown = f"<bdi>{escape(value)}</bdi>"
    if not said:
        return shown
    tip = escape(", ".join(f"{s.text} {s.start}:{s.end} {s.score:.2f}" for s in said), quote=True)
    hue = hues[said[0].label]
    return f'<mark class="begins ends" style="--hue:{hue}" title="{tip}">{shown}</mark>'


def _error(record: Record[Any]) -> str:
    return f'<p class="none">{escape(record.error)}</p>' if record.error else ""


def _chip(span: Span, hues: dict[str, int]) -> str:
    return _marked(span.text, [Span(0, len(span.text), span.text, span.label)], hues, named=False)


def _bar(score: float) -> str:
    return f'<span class="score" style="--part:{score:.0%}">{score:.2f}</span>'


def _hue(index: int) -> int:
    """Spread hues by the golden angle, so that neighbours differ."""
    return round(index * 137.5 + 210) % 360


def _marked(text: str, spans: Iterable[Span], hues: Mapping[str, int], *, named: bool) -> str:
    """Return the text as HTML with every span marked.

    Of two spans that cross, the later one is continued in a second mark behind the first one's
    end. Only a span's own edges are drawn as such: its beginning has the class ``begins``, its
    end the label or an empty element.

    Args:
        text: the text of all spans.
        spans: what to mark, in any order.
        hues: colour of each label, in degrees.
        named: show the label behind each span.
    """
    starting: dict[int, list[Span]] = defaultdict(list)
    for span in sorted(set(spans), key=lambda span: (-span.end, span.label)):
        starting[span.start].append(span)
    cuts = sorted({place for row in starting.values() for s in row for place in (s.start, s.end)})
    out: list[str] = []
    opened: list[Span] = []
    position = 0
    for cut in cuts:
        out.append(escape(text[position:cut]))
        position = cut
        going_on: list[Span] = []
        while any(span.end == cut for span in opened):
            span = opened.pop()
            out.append(_end(span, cut, named=named))
            if span.end > cut:
                going_on.append(span)
        for span in [*reversed(going_on), *starting.get(cut, [])]:
            out.append(_begin(span, cut, hues[span.label]))
            opened.append(span)
    return "".join(out) + escape(text[position:])


def _legend(spans: Iterable[Span], hues: Mapping[str, int]) -> str:
    """Return the labels with how often each occurs."""
    counts: dict[str, int] = defaultdict(int)
    for span in spans:
        counts[span.label] += 1
    marks = "".join(
        f'<mark class="begins ends" style="--hue:{hues[label]}"><bdi>{escape(label)}</bdi>'
        f"<small>{counts[label]}</small></mark>"
        for label in sorted(counts)
        if label
    )
    return f'<p class="legend">{marks}</p>' if marks else ""


def _begin(span: Span, cut: int, hue: int) -> str:
    edges = " begins" if cut == span.start else ""
    tip = escape(f"{span.label} {span.score:.2f}".strip(), quote=True)
    plain = "" if span.label else " plain"
    return f'<mark class="span{edges}{plain}" style="--hue:{hue}" title="{tip}">'


def _end(span: Span, cut: int, *, named: bool) -> str:
    if span.end > cut:
        return "</mark>"
    name = f"<small><bdi>{escape(span.label)}</bdi></small>" if named and span.label else "<i></i>"
    return f"{name}</mark>"
