"""The LlamaIndex extractors, in the package's own pipeline and property graph."""

import pytest

pytest.importorskip("llama_index.core", reason="needs the extra [llama-index]")

from llama_index.core import MockEmbedding, PropertyGraphIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MetadataMode, TextNode

from glinermt.integrations.llama_index import GlinerMTEntityExtractor, GlinerMTPathExtractor
from glinermt.types import Query, Span
from tests.stub import StubExtractor

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("default")]
TEXT = "Bob works for Acme. Bob is happy."


def script(query: Query) -> list[Span]:
    asked = {"person": ["Bob"], "company": ["Acme"], "Bob <> works for": ["Acme"]}
    return [
        Span(start, start + len(name), name, label, 0.9)
        for label in query.labels
        for name in asked.get(label, [])
        for start in range(len(query.text))
        if query.text.startswith(name, start)
    ]


def test_a_pipeline_writes_entities_into_the_meta_data() -> None:
    stub = StubExtractor(script)
    extractor = GlinerMTEntityExtractor(["person", "company"], model=stub)
    nodes = [TextNode(text=TEXT, metadata={"page": 7}), TextNode(text="Nobody.")]
    first, second = IngestionPipeline(transformations=[extractor]).run(nodes=nodes)
    assert [entity["start"] for entity in first.metadata["entities"]] == [0, 14, 20]
    assert first.metadata["person"] == ["Bob"]
    assert first.metadata["page"] == 7
    assert second.metadata["entities"] == []
    assert len(stub.calls) == 1


def test_embeddings_and_prompts_get_the_names_without_places_and_scores() -> None:
    extractor = GlinerMTEntityExtractor(["person"], model=StubExtractor(script))
    (node,) = extractor(extractor([TextNode(text=TEXT)]))
    assert node.metadata["entities"][0]["score"] == 0.9
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        seen = node.get_content(metadata_mode=mode)
        assert "person: ['Bob']" in seen
        assert "score" not in seen
    assert node.excluded_embed_metadata_keys == node.excluded_llm_metadata_keys == ["entities"]


def test_a_property_graph_has_the_entities_and_relations() -> None:
    extractor = GlinerMTPathExtractor(
        ["person", "company"], ["works for"], model=StubExtractor(script)
    )
    index = PropertyGraphIndex(
        nodes=[TextNode(text=TEXT)],
        kg_extractors=[extractor],
        llm=MockLLM(),
        embed_model=MockEmbedding(embed_dim=4),
        embed_kg_nodes=False,
    )
    ((head, relation, tail),) = index.property_graph_store.get_triplets(entity_names=["Bob"])
    assert (head.name, relation.label, tail.name) == ("Bob", "works for", "Acme")
    assert head.properties["mentions"] == ["0:3", "20:23"]
    assert (relation.properties["head"], relation.properties["tail"]) == ("0:3", "14:18")


def test_an_option_that_is_not_there_is_named() -> None:
    with pytest.raises(TypeError, match=r"'treshold' \(did you mean 'threshold'\?\)"):
        GlinerMTEntityExtractor(["person"], model=StubExtractor(script), treshold=0.3)
    with pytest.raises(ValueError, match="no label may be called 'entities'"):
        GlinerMTEntityExtractor(["person", "entities"], model=StubExtractor(script))


def test_a_relation_whose_ends_are_not_looked_for_is_refused() -> None:
    ends = {"works for": {"head": ["persn"], "tail": ["company"]}}
    extractor = GlinerMTPathExtractor(["person", "company"], ends, model=StubExtractor(script))
    with pytest.raises(ValueError, match="'works for' can never hold: none of its head's types"):
        extractor([TextNode(text=TEXT)])
