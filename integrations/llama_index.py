"""LlamaIndex: an extractor of entities into meta data, and one of paths for property graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, named_extra, unknown_choice
from glinermt.integrations.graphs import (
    check_each,
    edge_properties,
    entities_and_relations,
    node_of,
)
from glinermt.integrations.graphs import nodes as nodes_of
from glinermt.tasks import extract_entities
from glinermt.types import Extractor, Span

with named_extra():
    from llama_index.core.bridge.pydantic import BaseModel, Field, PrivateAttr
    from llama_index.core.extractors import BaseExtractor
    from llama_index.core.graph_stores.types import (
        KG_NODES_KEY,
        KG_RELATIONS_KEY,
        EntityNode,
        Relation,
    )
    from llama_index.core.schema import BaseNode, MetadataMode, TransformComponent

_ENTITIES = "entities"
"""The key of the meta data that holds the entities with their places."""


class GlinerMTEntityExtractor(BaseExtractor):
    """Writes the entities of each node's text into its meta data, all nodes in one call.

    ``entities`` has them with their places in the text, which neither embeddings nor an LLM get to
    see; so that an index may filter by them, each label also has a list of the distinct names.

    Args:
        labels: entity types, as ``extract_entities`` takes them.
        threshold: least score; None = the model's.
        model: a loaded model, a folder or hub id, or None for the shipped one.
    """

    labels: Any = Field(description="entity types")
    threshold: float | None = None
    _model: Extractor = PrivateAttr()

    def __init__(self, labels: Any, *, model: Extractor | str | None = None, **given: Any) -> None:
        _check_options(type(self), given)
        if not isinstance(labels, str) and _ENTITIES in labels:
            raise UsageError(f"no label may be called {_ENTITIES!r}: the entities go to that key")
        super().__init__(labels=labels, **given)
        self._model = load_extractor(model)

    @classmethod
    def class_name(cls) -> str:
        return "GlinerMTEntityExtractor"

    async def aextract(self, nodes: Sequence[BaseNode]) -> list[dict[str, Any]]:
        """Return the meta data of each node; places and scores are no text to embed or to read."""
        found = extract_entities(
            _texts(nodes), self.labels, threshold=self.threshold, model=self._model
        )
        for node in nodes:
            for hidden in (node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys):
                if _ENTITIES not in hidden:
                    hidden.append(_ENTITIES)
        return [{_ENTITIES: [span.to_dict() for span in spans], **_names(spans)} for spans in found]


class GlinerMTPathExtractor(TransformComponent):
    """Adds entities and relations to nodes, for ``PropertyGraphIndex(kg_extractors=[...])``.

    An entity's ``mentions`` are its places ``start:end`` in the node's text; a relation has its
    score and the places of its ends.

    Args:
        labels: entity types, as ``extract_entities`` takes them.
        relations: as ``extract_relations`` takes them.
        threshold: least score of an entity; None = the model's.
        relation_threshold: least score of a relation; None = the model's.
        model: a loaded model, a folder or hub id, or None for the shipped one.
    """

    labels: Any
    relations: Any
    threshold: float | None = None
    relation_threshold: float | None = None
    _model: Extractor = PrivateAttr()

    def __init__(
        self, labels: Any, relations: Any, *, model: Extractor | str | None = None, **given: Any
    ) -> None:
        _check_options(type(self), given)
        super().__init__(labels=labels, relations=relations, **given)
        self._model = load_extractor(model)

    @classmethod
    def class_name(cls) -> str:
        return "GlinerMTPathExtractor"

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> list[BaseNode]:
        """Return the nodes, each with what its text says."""
        found = entities_and_relations(
            _texts(nodes),
            self.labels,
            self.relations,
            threshold=self.threshold,
            relation_threshold=self.relation_threshold,
            model=self._model,
        )
        for node, (spans, relations) in zip(nodes, found, strict=True):
            entities = {
                (name, label): EntityNode(name=name, label=label or "entity", properties=properties)
                for (name, label), properties in nodes_of(spans, relations).items()
            }
            paths = [
                Relation(
                    label=relation.label,
                    source_id=entities[node_of(relation.head)].id,
                    target_id=entities[node_of(relation.tail)].id,
                    properties=edge_properties(relation),
                )
                for relation in relations
            ]
            node.metadata.setdefault(KG_NODES_KEY, []).extend(entities.values())
            node.metadata.setdefault(KG_RELATIONS_KEY, []).extend(paths)
        return list(nodes)


def _check_options(kind: type[BaseModel], given: Mapping[str, Any]) -> None:
    """Refuse an option that the class does not have; pydantic would pass over it."""
    for name in given:
        if name not in kind.model_fields:
            raise TypeError(unknown_choice(f"option of {kind.__name__}", name, kind.model_fields))


def _texts(nodes: Sequence[BaseNode]) -> list[str]:
    given = check_each(nodes, BaseNode, "nodes", "TextNode(text=text)")
    return [node.get_content(metadata_mode=MetadataMode.NONE) for node in given]


def _names(spans: Sequence[Span]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for span in spans:
        own = names.setdefault(span.label, [])
        if span.text not in own:
            own.append(span.text)
    return names
