"""The LangChain runnable and graph transformer."""

import pytest

pytest.importorskip("langchain_core", reason="needs the extra [langchain]")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from glinermt.integrations.langchain import GlinerMTExtractor, GlinerMTGraphTransformer
from glinermt.types import Query, Span
from tests.stub import StubExtractor

pytestmark = pytest.mark.extras
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


def test_the_runnable_extracts_in_a_chain() -> None:
    extractor = GlinerMTExtractor(["person"], model=StubExtractor(script))
    chain = RunnableLambda(lambda given: given["text"]) | extractor
    assert [span.start for span in chain.invoke({"text": TEXT})] == [0, 20]


def test_batch_is_one_call_of_the_model() -> None:
    stub = StubExtractor(script)
    found = GlinerMTExtractor(["person"], model=stub).batch([TEXT, "nobody", "Bob"])
    assert [len(spans) for spans in found] == [2, 0, 1]
    assert len(stub.calls) == 1


@pytest.mark.anyio
async def test_it_may_be_awaited() -> None:
    extractor = GlinerMTExtractor(["person"], model=StubExtractor(script))
    assert len(await extractor.ainvoke(TEXT)) == 2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_document_in_the_place_of_a_text_is_refused() -> None:
    extractor = GlinerMTExtractor(["person"], model=StubExtractor(script))
    document = Document(page_content=TEXT)
    with pytest.raises(TypeError, match="got a Document: pass its page_content"):
        extractor.invoke(document)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="inputs must be a list of str, got one str"):
        extractor.batch(TEXT)  # type: ignore[arg-type]
    transformer = GlinerMTGraphTransformer(["person"], ["knows"], model=StubExtractor(script))
    with pytest.raises(TypeError, match="documents must be a list of Document, got one Document"):
        transformer.convert_to_graph_documents(document)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"documents 0 must be a Document, got str; write Document"):
        transformer.convert_to_graph_documents([TEXT])  # type: ignore[list-item]


@pytest.mark.anyio
async def test_graph_documents_are_made_as_langchain_calls_for_them() -> None:
    transformer = GlinerMTGraphTransformer(["person"], ["knows"], model=StubExtractor(script))
    documents = [Document(page_content=TEXT)]
    (graph,) = transformer.convert_to_graph_documents(documents, {"tags": ["a"]})
    assert [node.id for node in graph.nodes] == ["Bob"]
    assert await transformer.aconvert_to_graph_documents(documents, {"tags": ["a"]}) == [graph]


def test_graph_documents_have_nodes_relationships_and_places() -> None:
    transformer = GlinerMTGraphTransformer(
        ["person", "company"], ["works for"], model=StubExtractor(script)
    )
    document = Document(page_content=TEXT, metadata={"page": 7})
    (graph,) = transformer.convert_to_graph_documents([document])
    assert graph.source == document
    nodes = {(node.id, node.type): node.properties["mentions"] for node in graph.nodes}
    assert nodes == {("Bob", "person"): ["0:3", "20:23"], ("Acme", "company"): ["14:18"]}
    relationship = graph.relationships[0]
    assert (relationship.source.id, relationship.type, relationship.target.id) == (
        "Bob",
        "works for",
        "Acme",
    )
    start, end = map(int, relationship.properties["tail"].split(":"))
    assert TEXT[start:end] == "Acme"
    assert graph.model_validate_json(graph.model_dump_json()) == graph
