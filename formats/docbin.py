"""spaCy's DocBin files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError, DataError
from glinermt.formats.document import Document, Lost, flat
from glinermt.types import Span

SPANS = "sc"
"""Key of ``doc.spans`` for spans that overlap, spaCy's own default."""


def _spacy() -> Any:
    try:
        import spacy
        import spacy.tokens
    except ImportError as error:
        raise BackendError("DocBin files need spaCy: pip install 'glinermt[spacy]'") from error
    return spacy


def read_docbin(path: Path, lost: Lost) -> Iterator[Document]:
    """Read entities, the spans under ``sc``, and categories from 0.5 on.

    spaCy says of each token whether somebody looked for entities there.
    """
    spacy = _spacy()
    try:
        documents = list(spacy.tokens.DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: no DocBin: {error}") from error
    for doc in documents:
        found = [*doc.ents, *doc.spans.get(SPANS, [])]
        spans = dict.fromkeys(
            Span(s.start_char, s.end_char, doc.text[s.start_char : s.end_char], s.label_)
            for s in found
        )
        lost["spans under other keys than sc"] += sum(
            len(group) for key, group in doc.spans.items() if key != SPANS
        )
        classes = tuple(name for name, score in doc.cats.items() if score >= 0.5)
        unmarked = not spans and not doc.has_annotation("ENT_IOB")
        yield Document(
            doc.text, tuple(spans), classes=classes if doc.cats else None, unmarked=unmarked
        )


def write_docbin(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write entities, or spans under ``sc`` where they overlap; borders move to spaCy's tokens."""
    spacy = _spacy()
    nlp, store = spacy.blank("xx"), spacy.tokens.DocBin(store_user_data=True)
    for document in documents:
        doc = nlp.make_doc(document.text)
        spans = [
            doc.char_span(s.start, s.end, label=s.label, alignment_mode="expand")
            for s in document.spans
        ]
        lost["borders of spans inside a word"] += sum(
            span is None or (span.start_char, span.end_char) != (s.start, s.end)
            for span, s in zip(spans, document.spans, strict=True)
        )
        spans = [span for span in spans if span is not None]
        whole = [Span(s.start_char, s.end_char, s.text, s.label_) for s in spans]
        if len(flat(whole, Lost())) < len(whole):
            doc.spans[SPANS] = spans
        elif spans or not document.unmarked:
            doc.ents = spans
        doc.cats = dict.fromkeys(document.classes or (), 1.0)
        lost["notes that no class holds"] += document.classes == ()
        store.add(doc)
    path.parent.mkdir(parents=True, exist_ok=True)
    store.to_disk(path)
