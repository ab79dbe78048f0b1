"""Results as one self-contained page, legible without network, in light and dark."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from glinermt.tasks.marks import legend, marked
from glinermt.types import Answer, Relation, Span, Summary


def page(results: Iterable[tuple[str, Any]], title: str = "glinermt") -> str:
    """Give the HTML of ``(text, result)`` pairs; results of any task.

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
    return list(result) if isinstance(result, list | tuple) else [result]


def _article(text: str, items: Sequence[Any], hues: dict[str, int]) -> str:
    spans = _spans(items)
    relations = [item for item in items if isinstance(item, Relation)]
    answers = [item for item in items if isinstance(item, Answer)]
    summaries = [item for item in items if isinstance(item, Summary)]
    whole = bool(answers or summaries)  # what is marked needs no names
    parts = [
        "" if whole else legend(spans, hues),
        _answers(answers) if answers else "",
        *(_summary(summary) for summary in summaries),
        f'<p class="text" dir="auto">{marked(text, spans, hues, named=not whole)}</p>',
        _table(relations, hues) if relations else "",
        "" if spans or answers else '<p class="none">Nothing found.</p>',
    ]
    return f"<article>{''.join(parts)}</article>"


def _spans(items: Iterable[Any]) -> list[Span]:
    """Give what a result marks in the text, each span once."""
    spans: list[Span] = []
    for item in items:
        match item:
            case Span():
                spans.append(item)
            case Relation():
                spans.extend((item.head, item.tail))
            case Answer():
                spans.extend([item.span] if item.span else [])
            case Summary():
                spans.extend(item.spans)
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


def _table(relations: Iterable[Relation], hues: dict[str, int]) -> str:
    rows = "".join(
        f"<tr><td>{_chip(r.head, hues)}</td><td><bdi>{escape(r.label)}</bdi></td>"
        f"<td>{_chip(r.tail, hues)}</td><td>{_bar(r.score)}</td></tr>"
        for r in relations
    )
    names = "".join(f"<th>{name}</th>" for name in ("head", "relation", "tail", "score"))
    return f"<table><tr>{names}</tr>{rows}</table>"


def _chip(span: Span, hues: dict[str, int]) -> str:
    return marked(span.text, [Span(0, len(span.text), span.text, span.label)], hues, named=False)


def _bar(score: float) -> str:
    return f'<span class="score" style="--part:{score:.0%}">{score:.2f}</span>'


def _hue(index: int) -> int:
    """Spread hues by the golden angle, so that neighbours differ."""
    return round(index * 137.5 + 210) % 360
