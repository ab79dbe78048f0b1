"""spaCy: ``nlp.add_pipe("glinermt", config={"labels": [...]})`` finds entities and relations.

The model speaks of characters, spaCy of tokens. ``alignment`` says what becomes of a span that
begins or ends inside a token: ``expand`` it to whole tokens (the default), ``contract`` it to the
tokens inside, or be ``strict`` and leave it out. What finds no place in the Doc, since no token is
left or another entity has a better score there, stands in ``doc._.glinermt_left_out``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language
from spacy.tokens import Doc
from spacy.tokens import Span as TokenSpan
from thinc.api import Config

from glinermt.default_model import load_extractor
from glinermt.errors import UsageError
from glinermt.integrations.graphs import as_pairs, entities_and_relations, from_pairs
from glinermt.types import Extractor, Span

Style = Literal["ent", "span"]
Alignment = Literal["expand", "contract", "strict"]

_ORDER = "order.json"

for _name in ("glinermt_relations", "glinermt_left_out"):
    Doc.set_extension(_name, default=None, force=True)
TokenSpan.set_extension("score", default=None, force=True)


@Language.factory(
    "glinermt",
    default_config={
        "labels": [],
        "threshold": None,
        "style": "ent",
        "spans_key": "sc",
        "alignment": "expand",
        "relations": None,
        "relation_threshold": None,
        "model": None,
    },
    assigns=["doc.ents", "doc.spans", "doc._.glinermt_relations", "span._.score"],
)
def make_pipe(
    nlp: Language,
    name: str,
    labels: Any,
    threshold: float | None,
    style: Style,
    spans_key: str,
    alignment: Alignment,
    relations: Any,
    relation_threshold: float | None,
    model: str | None,
) -> "GlinerMTPipe":
    """Make the pipe of a configuration; see ``GlinerMTPipe``."""
    del nlp, name
    return GlinerMTPipe(
        labels,
        threshold=threshold,
        style=style,
        spans_key=spans_key,
        alignment=alignment,
        relations=relations,
        relation_threshold=relation_threshold,
        model=model,
    )


class GlinerMTPipe:
    """Writes entities to ``doc.ents`` or ``doc.spans``, relations to ``doc._.glinermt_relations``.

    Args:
        labels: entity types, as ``extract_entities`` takes them, or pairs of a name and its
            description or options.
        threshold: least score; None = the model's.
        style: ``ent`` for ``doc.ents``, which cannot overlap and keeps the entities of earlier
            pipes where ours leave room, or ``span`` for ``doc.spans[spans_key]``, which also holds
            spans inside spans; their scores are its ``attrs["scores"]``.
        spans_key: the group of spans.
        alignment: what becomes of spans that are no whole tokens.
        relations: as ``extract_relations`` takes them, between the entities found; None = none.
        relation_threshold: least score of a relation; None = the model's.
        model: a folder, a hub id, or None for the shipped model.

    Raises:
        ValueError: an unknown style or alignment, no labels, or a name in two pairs that differ.
    """

    def __init__(
        self,
        labels: Any,
        *,
        threshold: float | None = None,
        style: Style = "ent",
        spans_key: str = "sc",
        alignment: Alignment = "expand",
        relations: Any = None,
        relation_threshold: float | None = None,
        model: Extractor | str | None = None,
    ) -> None:
        if style not in ("ent", "span"):
            raise UsageError(f"style {style!r} is not known: choose from 'ent', 'span'")
        if alignment not in ("expand", "contract", "strict"):
            known = "'expand', 'contract', 'strict'"
            raise UsageError(f"alignment {alignment!r} is not known: choose from {known}")
        if not labels:
            raise UsageError("labels are empty; name entity types: config={'labels': [...]}")
        self._given = {"labels": labels, "relations": relations}
        self.labels, self.threshold = from_pairs(labels), threshold
        self.style, self.spans_key, self.alignment = style, spans_key, alignment
        self.relations, self.relation_threshold = from_pairs(relations), relation_threshold
        self.model = load_extractor(model)

    def __call__(self, doc: Doc) -> Doc:
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], batch_size: int = 64) -> Iterator[Doc]:
        """Annotate Docs, ``batch_size`` of them in one call of the model."""
        docs = iter(stream)
        while batch := list(islice(docs, batch_size)):
            found = entities_and_relations(
                (doc.text for doc in batch),
                self.labels,
                self.relations,
                threshold=self.threshold,
                relation_threshold=self.relation_threshold,
                overlap="flat" if self.style == "ent" else "nested",
                model=self.model,
            )
            for doc, (spans, relations) in zip(batch, found, strict=True):
                self._write(doc, spans)
                doc._.glinermt_relations = [relation.to_dict() for relation in relations]
                yield doc

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Write the order of labels and relations, which the file of settings does not keep.

        Raises:
            ValueError: a name or description that this file does not keep either.
        """
        del exclude
        for name, given in self._given.items():
            if isinstance(given, Mapping | list) and _read_back(given) != given:
                raise UsageError(
                    f"{name} {given!r:.200} would change in spaCy's file of settings, where . : = "
                    "and # in the names of a mapping, and ${ everywhere, mean something else; "
                    f"give pairs, without ${{: {as_pairs(given)!r:.200}"
                )
        Path(path).mkdir(exist_ok=True)
        order = {name: as_pairs(getattr(self, name)) for name in self._given}
        Path(path, _ORDER).write_text(json.dumps(order), encoding="utf-8")

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> "GlinerMTPipe":
        """Restore the order of labels and relations, unless others were given instead."""
        del exclude
        if (file := Path(path, _ORDER)).is_file():
            order = json.loads(file.read_text(encoding="utf-8"))
            for name in self._given:
                if from_pairs(order[name]) == getattr(self, name):
                    setattr(self, name, from_pairs(order[name]))
        return self

    def _write(self, doc: Doc, spans: Sequence[Span]) -> None:
        placed, left_out = [], []
        for span in spans:
            place = doc.char_span(
                span.start, span.end, label=span.label, alignment_mode=self.alignment
            )
            if place is None or not len(place):
                left_out.append(span)
            else:
                placed.append((place, span))
        if self.style == "span":
            doc.spans[self.spans_key] = [place for place, _ in placed]
            doc.spans[self.spans_key].attrs["scores"] = [span.score for _, span in placed]
        else:
            left_out += _write_entities(doc, placed)
        doc._.glinermt_left_out = [span.to_dict() for span in left_out]


def _read_back(given: Any) -> Any:
    """Return what spaCy's file of settings makes of a value; None where it cannot be read."""
    try:
        return Config().from_str(Config({"pipe": {"given": given}}).to_str())["pipe"]["given"]
    except (ValueError, KeyError):
        return None


def _write_entities(doc: Doc, placed: Sequence[tuple[TokenSpan, Span]]) -> list[Span]:
    """Write ``doc.ents``, best scores first; return what found its tokens taken."""
    chosen: list[TokenSpan] = []
    taken: set[int] = set()
    left_out = []
    for place, span in sorted(placed, key=lambda pair: -pair[1].score):
        tokens = set(range(place.start, place.end))
        if tokens & taken:
            left_out.append(span)
            continue
        taken |= tokens
        place._.score = span.score
        chosen.append(place)
    earlier = [e for e in doc.ents if not taken & set(range(e.start, e.end))]
    doc.ents = [*chosen, *earlier]  # type: ignore[assignment]  # takes any order
    return left_out
