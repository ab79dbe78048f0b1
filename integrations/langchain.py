"""LangChain: a runnable that extracts, and a transformer of Documents into graph Documents."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from glinermt.default_model import load_extractor
from glinermt.errors import named_extra
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
    from langchain_core.documents import Document
    from langchain_core.load.serializable import Serializable
    from langchain_core.runnables import Runnable, RunnableConfig


class GlinerMTExtractor(Runnable[str, list[Span]]):
    """Text in, entities out; ``batch`` reads all texts in one call of the model.

    Args:
        labels: entity types, as ``extract_entities`` takes them.
        threshold: least score; None = the model's.
        model: a loaded model, a folder or hub id, or None for the shipped one.
    """

    def __init__(
        self,
        labels: Any,
        *,
        threshold: float | None = None,
        model: Extractor | str | None = None,
    ) -> None:
        self.labels, self.threshold = labels, threshold
        self.model = load_extractor(model)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Span]:
        """Find the entities of a text.

        Raises:
            TypeError: it is a Document, whose text is its ``page_content``.
        """
        if isinstance(input, Document):
            raise TypeError("invoke takes a text, got a Document: pass its page_content")
        found: list[Span] = self._call_with_config(
            self._extract, input, config, run_type="tool", **kwargs
        )
        return found

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[Span]]:
        """Find the entities of each text, in one call of the model.

        Raises:
            TypeError: what is given is no list of texts.
        """
        inputs = check_each(inputs, str, "inputs", "")
        if return_exceptions:
            each: list[list[Span]] = super().batch(inputs, config, return_exceptions=True, **kwargs)
            return each
        found: list[list[Span]] = self._batch_with_config(
            lambda texts: self._extract(texts), inputs, config, **kwargs
        )
        return found

    def _extract(self, text: Any) -> Any:
        return extract_entities(text, self.labels, threshold=self.threshold, model=self.model)


class Node(Serializable):
    """An entity of a graph."""

    id: str | int
    type: str = "Node"
    properties: dict[str, Any] = Field(default_factory=dict)


class Relationship(Serializable):
    """A relation between two nodes."""

    source: Node
    target: Node
    type: str
    properties: dict[str, Any] = Field(default_factory=dict)


class GraphDocument(Serializable):
    """What a Document says, as a graph.

    Of the same fields as the classes that each package of a graph store has now that
    langchain-community, which had them for all, has ended; stores read the fields only.
    """

    nodes: list[Node]
    relationships: list[Relationship]
    source: Document | None = None


class GlinerMTGraphTransformer:
    """Makes knowledge graphs: entities are nodes, relations are relationships.

    Args:
        labels: entity types, as ``extract_entities`` takes them.
        relations: as ``extract_relations`` takes them.
        threshold: least score of an entity; None = the model's.
        relation_threshold: least score of a relation; None = the model's.
        model: a loaded model, a folder or hub id, or None for the shipped one.
    """

    def __init__(
        self,
        labels: Any,
        relations: Any,
        *,
        threshold: float | None = None,
        relation_threshold: float | None = None,
        model: Extractor | str | None = None,
    ) -> None:
        self.labels, self.relations = labels, relations
        self.threshold, self.relation_threshold = threshold, relation_threshold
        self.model = load_extractor(model)

    async def aconvert_to_graph_documents(
        self, documents: Sequence[Document], config: RunnableConfig | None = None
    ) -> list[GraphDocument]:
        """Do the same in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.convert_to_graph_documents, documents, config)

    def convert_to_graph_documents(
        self, documents: Sequence[Document], config: RunnableConfig | None = None
    ) -> list[GraphDocument]:
        """Return a ``GraphDocument`` for each Document.

        A node is an entity's text and type; its ``mentions`` are the places ``start:end`` in the
        Document's text. A relationship has its score and the places of its ends. ``config`` is
        taken as by LangChain's own transformers, and changes nothing.

        Raises:
            TypeError: what is given is no list of Documents.
        """
        del config
        documents = check_each(documents, Document, "documents", "Document(page_content=text)")
        found = entities_and_relations(
            [document.page_content for document in documents],
            self.labels,
            self.relations,
            threshold=self.threshold,
            relation_threshold=self.relation_threshold,
            model=self.model,
        )
        graphs = []
        for document, (spans, relations) in zip(documents, found, strict=True):
            nodes = {
                (name, kind): Node(id=name, type=kind, properties=properties)
                for (name, kind), properties in nodes_of(spans, relations).items()
            }
            relationships = [
                Relationship(
                    source=nodes[node_of(relation.head)],
                    target=nodes[node_of(relation.tail)],
                    type=relation.label,
                    properties=edge_properties(relation),
                )
                for relation in relations
            ]
            graphs.append(
                GraphDocument(
                    nodes=list(nodes.values()), relationships=relationships, source=document
                )
            )
        return graphs
