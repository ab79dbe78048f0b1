"""What every loaded model can do with text, whoever runs its network. Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float

from glinermt.checks import check_query
from glinermt.config import TaskSettings
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError
from glinermt.gliner_calls import (
    OTHER_CALLS,
    Labels,
    Rules,
    entity_and_relation_dicts,
    entity_dicts,
    listed,
    refuse_unknown,
)
from glinermt.reader import NetworkReader, Reader
from glinermt.types import Ask, Found, Kind, Overlap, Query, Span, SpanScore, Threshold

Rows = list[list[dict[str, Any]]]
CHUNK = 512
"""Queries that are tokenised and sorted together."""
_THEIR_READING = (
    "packing_config input_spans return_class_probs return_vectors return_label_vectors"
).split()
"""Its options for reading that must be off."""


class TextModel:
    """Queries in, spans out: a reader, the encoder of its queries, and the settings of tasks."""

    def __init__(self, reader: Reader, query_encoder: QueryEncoder, settings: TaskSettings) -> None:
        self.reader = reader
        self.query_encoder = query_encoder
        self.settings = settings

    def __repr__(self) -> str:
        return f"<{type(self).__name__} that finds {', '.join(sorted(self.kinds))}>"

    if not TYPE_CHECKING:  # for which every name would be an attribute then

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property failed; its own error says why
                return object.__getattribute__(self, name)
            advice = f"; write {OTHER_CALLS[name]}" if name in OTHER_CALLS else ""
            raise AttributeError(f"{type(self).__name__} has no {name!r}{advice}")

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the model finds: spans, relations, classes, records."""
        return self.reader.kinds

    @property
    def batch_tokens(self) -> int:
        """Tokens of one batch, padding included."""
        return self.reader.batch_tokens

    @batch_tokens.setter
    def batch_tokens(self, number: int) -> None:
        self.reader.batch_tokens = number

    @overload
    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]]: ...
    @overload
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]] | Iterator[list[Span]]: ...
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]] | Iterator[list[Span]]:
        """Find the spans of every query, in the order of the text.

        A list gives a list; any other iterable gives an iterator that reads ahead a bounded
        number of queries. Long texts and long label lists are split and joined again. A query
        without labels, or with a text without words, has no spans.

        Args:
            queries: what to look for, where.
            threshold: least score of a span, one number or one for each label.
            overlap: ``flat`` or ``nested`` (spans inside one another).
            multi_label: allow one span to have several labels.
            span_score: ``mean`` of the inside scores (the paper), ``min``, or ``geometric``; see
                ``heads.token.TokenHead.candidates``.

        Raises:
            TypeError: a query is not a Query, or has bytes or None for text.
            ValueError: an empty label, a threshold outside [0, 1], or a prompt too long to read.
        """
        if isinstance(queries, Query | str):
            raise TypeError("extract takes a list of Query; for one, write extract([query])")
        ask = Ask(threshold, overlap, multi_label, span_score)
        found = (list(found.spans) for found in self._read(queries, ask))
        return list(found) if isinstance(queries, Sequence) else found

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        """Find all kinds of things that the queries ask for, in one pass; see ``extract``."""
        if isinstance(queries, Query | str):
            raise TypeError("read takes a list of Query; for one, write read([query], ask)")
        if not isinstance(ask, Ask):
            raise TypeError(f"ask must be an Ask, which says how to decode, got {ask!r:.80}")
        return list(self._read(queries, ask))

    def text_vectors(self, queries: Sequence[Query]) -> Float[np.ndarray, "query hidden"]:
        """Return a vector for each text, the mean of its words' as the heads see them.

        Raises:
            TypeError: the model is of a family that reads queries in a way of its own.
        """
        if not isinstance(self.reader, NetworkReader):
            raise TypeError(
                f"a model that {type(self.reader).__name__} reads gives no vectors of texts; use "
                "one of glinermt's own or a GLiNER checkpoint with a single encoder"
            )
        return self.reader.text_vectors([check_query(query, self.kinds) for query in queries])

    def sentence_vectors(self, texts: Sequence[str]) -> list[Float[np.ndarray, "window width"]]:
        """Return the vectors by which texts and class labels are compared, of length 1.

        A text has one, and one for each window where it is longer than what is read at a time.

        Raises:
            TypeError: it is one text, or one of them is not str.
            UsageError: the model does not compare texts and labels in this way.
        """
        if isinstance(texts, str):
            raise TypeError("sentence_vectors takes a list of texts; for one, write [text]")
        if not isinstance(self.reader, NetworkReader) or not self.query_encoder.classes_apart:
            raise UsageError(
                "only a model with class_reading = 'apart', such as the shipped one, has vectors "
                "of sentences"
            )
        return self.reader.sentence_vectors(listed(texts))

    def _read(self, queries: Iterable[Query], ask: Ask) -> Iterator[Found]:
        iterator = iter(queries)
        while chunk := list(islice(iterator, CHUNK)):
            yield from self.reader.read([check_query(query, self.kinds) for query in chunk], ask)

    def predict_entities(
        self,
        text: str,
        labels: Labels,
        threshold: Threshold = 0.5,
        flat_ner: bool = True,
        multi_label: bool = False,
        **theirs: Any,
    ) -> list[dict[str, Any]]:
        """Find entities as the package gliner does: dicts with start, end, text, label, score.

        Args:
            text: one text.
            labels: names, or a mapping of names to descriptions.
            threshold: least score, one number or one for each label.
            flat_ner: no entity lies in another.
            multi_label: an entity may have several labels.
            theirs: other options of that package, which must be off.

        Raises:
            TypeError: an option of that package that has no counterpart here.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, got {type(text).__name__}; see inference for more")
        found: Rows = self.inference([text], labels, threshold, flat_ner, multi_label, **theirs)
        return found[0]

    @overload
    def inference(
        self,
        texts: str | Iterable[str],
        labels: Labels | Sequence[Labels],
        threshold: Threshold = ...,
        flat_ner: bool = ...,
        multi_label: bool = ...,
        batch_size: int | None = ...,
        *,
        relations: None = ...,
        **theirs: Any,
    ) -> Rows: ...
    @overload
    def inference(
        self,
        texts: str | Iterable[str],
        labels: Labels | Sequence[Labels],
        threshold: Threshold = ...,
        flat_ner: bool = ...,
        multi_label: bool = ...,
        batch_size: int | None = ...,
        *,
        relations: Sequence[str] | Sequence[Sequence[str]],
        **theirs: Any,
    ) -> tuple[Rows, Rows]: ...
    def inference(
        self,
        texts: str | Iterable[str],
        labels: Labels | Sequence[Labels],
        threshold: Threshold = 0.5,
        flat_ner: bool = True,
        multi_label: bool = False,
        batch_size: int | None = None,
        *,
        relations: Sequence[str] | Sequence[Sequence[str]] | None = None,
        **theirs: Any,
    ) -> Rows | tuple[Rows, Rows]:
        """Find the entities of many texts; see ``predict_entities``.

        Labels are for all texts, or one list or mapping for each. ``batch_size`` has no effect:
        batches hold ``batch_tokens`` tokens. With ``relations`` it is ``batch_predict_relations``,
        whose thresholds ``theirs`` may then hold.
        """
        del batch_size
        if relations is not None:
            return self.batch_predict_relations(
                texts, labels, relations, flat_ner, threshold, multi_label=multi_label, **theirs
            )
        refuse_unknown(theirs, known=_THEIR_READING)
        rules = self._rules(threshold, flat_ner, multi_label)
        return entity_dicts(self, listed(texts), labels, rules)

    batch_predict_entities = inference

    def predict_relations(
        self,
        text: str,
        labels: Labels,
        relations: Sequence[str],
        flat_ner: bool = True,
        threshold: Threshold = 0.5,
        adjacency_threshold: float | None = None,
        relation_threshold: float | None = None,
        multi_label: bool = False,
        **theirs: Any,
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Find entities and the relations between them as the package gliner does.

        Args:
            text: one text.
            labels: of entities, see ``predict_entities``.
            relations: names of relations.
            flat_ner: no entity lies in another.
            threshold: least score of an entity.
            adjacency_threshold: least probability that two entities are related at all, for models
                that ask this first; None = ``threshold`` (GLiFormer: 0.5).
            relation_threshold: least score of a relation; None = ``threshold``.
            multi_label: an entity may have several labels.
            theirs: other options of that package, which must be off.

        Returns:
            The entities, and dicts with head, tail, relation and score, whose ends have the
            ``entity_idx`` of theirs.

        Raises:
            ValueError: the model finds no relations.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, got {type(text).__name__}")
        entities, related = self.batch_predict_relations(
            [text],
            labels,
            relations,
            flat_ner,
            threshold,
            adjacency_threshold,
            relation_threshold,
            multi_label,
            **theirs,
        )
        return entities[0], related[0]

    def batch_predict_relations(
        self,
        texts: str | Iterable[str],
        labels: Labels | Sequence[Labels],
        relations: Sequence[str] | Sequence[Sequence[str]],
        flat_ner: bool = True,
        threshold: Threshold = 0.5,
        adjacency_threshold: float | None = None,
        relation_threshold: float | None = None,
        multi_label: bool = False,
        batch_size: int | None = None,  # noqa: ARG002  batches are filled by tokens here
        **theirs: Any,
    ) -> tuple[Rows, Rows]:
        """Find entities and relations of many texts; see ``predict_relations``."""
        refuse_unknown(theirs, known=_THEIR_READING)
        rules = self._rules(
            threshold, flat_ner, multi_label, adjacency_threshold, relation_threshold
        )
        return entity_and_relation_dicts(self, listed(texts), labels, relations, rules)

    def _rules(
        self,
        threshold: Threshold,
        flat_ner: bool,
        multi_label: bool,
        adjacency_threshold: float | None = None,
        relation_threshold: float | None = None,
    ) -> Rules:
        plain = self.query_encoder.plain
        return Rules(
            threshold,
            flat_ner,
            multi_label,
            across_lines=not plain,  # as that package reads its own models
            replaced=not plain and "records" not in self.kinds,
            adjacency_threshold=adjacency_threshold,
            relation_threshold=relation_threshold,
        )
