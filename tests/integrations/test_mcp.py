"""The MCP server, spoken to by the official SDK's client; once as a process on stdio."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra [mcp]")

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from glinermt.integrations.mcp import make_server
from glinermt.types import Ask, Found, Query, Span
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

pytestmark = [pytest.mark.extras, pytest.mark.anyio]
ROOT = Path(__file__).parents[2]
TEXT = "Bob works for Acme."
TOOLS = {"entities", "relations", "answer", "summary", "classify", "records", "read", "redact"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def script(query: Query) -> list[Span]:
    asked = {"person": "Bob", "company": "Acme", "Bob <> works for": "Acme", "answer": "Acme"}
    return [
        Span(start, start + len(name), name, label, 0.9)
        for label in query.labels
        if (name := asked.get(label, "")) and (start := query.text.find(name)) >= 0
    ]


async def call(name: str, **arguments: Any) -> Any:
    async with Client(make_server(StubExtractor(script))) as client:
        done = await client.call_tool(name, arguments)
        return done if done.is_error else done.structured_content


async def test_every_tool_has_a_description_and_schemas() -> None:
    async with Client(make_server(StubExtractor(script))) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.description
        assert "text" in tool.input_schema["required"]
        assert tool.output_schema


async def test_entities_and_relations_have_places() -> None:
    found = await call("entities", text=TEXT, labels=["person"])
    assert found["result"] == [
        {"start": 0, "end": 3, "text": "Bob", "label": "person", "score": 0.9}
    ]
    found = await call(
        "relations", text=TEXT, relations=["works for"], entity_types=["person", "company"]
    )
    assert [relation["tail"]["text"] for relation in found["result"]] == ["Acme"]


async def test_relations_take_the_types_of_their_ends_as_the_http_server_does() -> None:
    async def tails(**ends: Any) -> list[str]:
        found = await call("relations", text=TEXT, relations={"works for": ends})
        return [relation["tail"]["text"] for relation in found["result"]]

    assert await tails(head=["person"], tail=["company"]) == ["Acme"]
    assert await tails(head=["company"], tail=["person"]) == []
    failed = await call("relations", text=TEXT, relations={"works for": {"heads": ["person"]}})
    assert "unknown option 'heads'; choose from" in failed.content[0].text


async def test_an_answer_may_be_that_there_is_none() -> None:
    assert (await call("answer", text=TEXT, question="For whom?"))["span"]["text"] == "Acme"
    assert (await call("answer", text="Nobody.", question="For whom?"))["span"] is None


async def test_summary_records_and_redaction() -> None:
    found = await call("summary", text=TEXT + " It rains.", sentences=1)
    assert len(found["spans"]) == 1
    schema = {"type": "object", "properties": {"person": {"type": "string"}}}
    (record,) = (await call("records", text=TEXT, schema=schema))["result"]
    assert record["value"] == {"person": "Bob"}
    assert record["spans"]["person"][0]["start"] == 0
    assert (await call("redact", text=TEXT, labels=["person"]))[
        "text"
    ] == "[person] works for Acme."


async def test_several_kinds_are_read_at_once() -> None:
    schema = {"type": "object", "properties": {"company": {"type": "string"}}}
    found = await call(
        "read", text=TEXT, schema={"entities": ["person"], "records": {"job": schema}}
    )
    assert [span["text"] for span in found["entities"]] == ["Bob"]
    assert found["records"]["job"][0]["value"] == {"company": "Acme"}


async def test_a_text_is_classified_by_a_model_that_can() -> None:
    class Reader(StubExtractor):
        kinds = frozenset({"spans", "classes"})

        def read(self, queries: Sequence[Query], _: Ask) -> list[Found]:
            return [Found(classes={"work": 2.0, "rain": -2.0}) for _ in queries]

    async with Client(make_server(Reader(script))) as client:
        asked = {"text": TEXT, "labels": ["work", "rain"]}
        done = await client.call_tool("classify", asked)
        assert done.structured_content["label"] == "work"
    failed = await call("classify", text=TEXT, labels=["work"])
    assert "this model cannot classify" in failed.content[0].text


async def test_a_wrong_argument_is_an_error_of_the_call() -> None:
    failed = await call("entities", text=TEXT, labels=[" "])
    assert failed.is_error
    assert "label is empty" in failed.content[0].text


async def test_the_command_speaks_on_stdio(tmp_path: Path) -> None:
    tiny_model(tmp_path / "encoder").save_pretrained(tmp_path / "model")
    command = ["-m", "glinermt", "mcp", "--model", str(tmp_path / "model")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = StdioServerParameters(
        command=sys.executable, args=command, cwd=str(ROOT), env=environment
    )
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        done = await client.call_tool("entities", {"text": "bill gates", "labels": ["person"]})
        assert not done.is_error
