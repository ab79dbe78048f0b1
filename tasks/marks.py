"""Spans of a text as nested HTML marks, whether they are nested or cross one another."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from html import escape

from glinermt.types import Span


def marked(text: str, spans: Iterable[Span], hues: Mapping[str, int], *, named: bool) -> str:
    """Give the text as HTML with every span marked.

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


def legend(spans: Iterable[Span], hues: Mapping[str, int]) -> str:
    """Give the labels with how often each occurs."""
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
