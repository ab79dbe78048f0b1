"""Haystack: a component that writes entities, and relations, into the meta data of Documents."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glinermt.default_model import load_extractor
from glinermt.errors import named_extra
from glinermt.integrations.graphs import as_pairs, check_each, entities_and_relations, from_pairs
from glinermt.types import Extractor

with named_extra():
    from haystack import Document, component, default_from_dict, default_to_dict


@component
class GlinerMTExtractor:
    """Extracts from each Document's content; a Document without content is passed on as it is.

    Args:
        labels: entity types, as ``extract_entities`` takes them.
        threshold: least score; None = the model's.
        relations: as ``extract_relations`` takes them, between the entities found; None = none.
        relation_threshold: least score of a relation; None = the model's.
        meta_field: where the entities go, as dicts with the fields of ``Span``; relations go to
            ``relations_field``, as those of ``Relation``.
        relations_field: see above.
        model: a folder, a hub id, or None for the shipped model; also a loaded model, if the
            pipeline is not to be saved.
    """

    def __init__(
        self,
        labels: Any,
        *,
        threshold: float | None = None,
        relations: Any = None,
        relation_threshold: float | None = None,
        meta_field: str = "entities",
        relations_field: str = "relations",
        model: Extractor | str | None = None,
    ) -> None:
        self.labels, self.threshold = labels, threshold
        self.relations, self.relation_threshold = relations, relation_threshold
        self.meta_field, self.relations_field, self.model = meta_field, relations_field, model
        self._loaded: Extractor | None = None

    def warm_up(self) -> None:
        """Load the model."""
        if self._loaded is None:
            self._loaded = load_extractor(self.model)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration, for a pipeline to be saved.

        Raises:
            TypeError: the component was given a loaded model, which no file can hold.
        """
        if not isinstance(self.model, str | None):
            raise TypeError(
                "a pipeline is saved with the name of its model: give GlinerMTExtractor a folder "
                f"or hub id as model, not a loaded {type(self.model).__name__}"
            )
        saved: dict[str, Any] = default_to_dict(
            self,
            labels=as_pairs(self.labels),
            threshold=self.threshold,
            relations=as_pairs(self.relations),
            relation_threshold=self.relation_threshold,
            meta_field=self.meta_field,
            relations_field=self.relations_field,
            model=self.model,
        )
        return saved

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "GlinerMTExtractor":
        """Make the component of a saved pipeline."""
        options = dict(data["init_parameters"])
        for name in ("labels", "relations"):
            options[name] = from_pairs(options.get(name))
        made: GlinerMTExtractor = default_from_dict(cls, {**data, "init_parameters": options})
        return made

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Return copies of the Documents with what was found in their meta data."""
        documents = check_each(documents, Document, "documents", "Document(content=text)")
        self.warm_up()
        texts = [document.content or "" for document in documents]
        found = entities_and_relations(
            texts,
            self.labels,
            self.relations,
            threshold=self.threshold,
            relation_threshold=self.relation_threshold,
            model=self._loaded,
        )
        metas = []
        for spans, relations in found:
            meta = {self.meta_field: [span.to_dict() for span in spans]}
            if self.relations:
                meta[self.relations_field] = [relation.to_dict() for relation in relations]
            metas.append(meta)
        return {
            "documents": [
                replace(document, meta={**document.meta, **meta}) if document.content else document
                for document, meta in zip(documents, metas, strict=True)
            ]
        }
