"""An MCP server: the tasks as tools for whatever speaks the Model Context Protocol."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, ConfigDict

from glinermt import __version__, tasks
from glinermt.types import Extractor, Relation, Span

P = ParamSpec("P")
R = TypeVar("R")
Labels = list[str] | dict[str, str | dict[str, Any]]
"""Names, or names with a description or options, as the task functions and the server take them."""

_INSTRUCTIONS = """Extraction from text with a small local model. Every result says where in the
text it stands (start and end count characters) and how sure the model is (score, 0 to 1). Nothing
is made up: what a tool gives stands in the text."""


class _Result(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Answer(_Result):
    """``span`` is null where the text does not answer."""

    span: Span | None
    score: float
    no_answer_score: float


class Summary(_Result):
    """The chosen sentences, in the order of the text."""

    text: str
    spans: list[Span]


class Classification(_Result):
    """The best class, all that reach their threshold, and each one's score."""

    label: str | None
    labels: list[str]
    scores: dict[str, float]


class Redaction(_Result):
    """The redacted text; what was replaced, at its place in the original; what stands there now."""

    text: str
    spans: list[Span]
    replacements: list[str]


def make_server(model: Extractor) -> MCPServer:
    """Make the server; run it with ``.run("stdio")``.

    Args:
        model: what answers all calls.
    """
    server = MCPServer("glinermt", version=__version__, instructions=_INSTRUCTIONS)

    @server.tool()
    @_telling
    def entities(text: str, labels: Labels, threshold: float | None = None) -> list[Span]:
        """Find every mention of the given entity types, such as person or city.

        Types may be described: {"city": "a town or a village"}.
        """
        return tasks.extract_entities(text, labels, threshold=threshold, model=model)

    @server.tool()
    @_telling
    def relations(
        text: str,
        relations: Labels,
        entity_types: Labels | None = None,
        threshold: float | None = None,
    ) -> list[Relation]:
        """Find which entities stand in the given relations, such as founded by or born in.

        With the types that their heads and tails may have: {"born in": {"head": ["person"], "tail":
        ["city"]}}. entity_types are those to find first, if not these.
        """
        return tasks.extract_relations(
            text, relations, entities=entity_types, threshold=threshold, model=model
        )

    @server.tool()
    @_telling
    def answer(text: str, question: str) -> Answer:
        """Answer a question by a piece of the text; span is null where the text does not say."""
        return Answer.model_validate(tasks.answer(question, text, model=model))

    @server.tool()
    @_telling
    def summary(text: str, sentences: int = 3) -> Summary:
        """Choose the sentences of a text that sum it up."""
        return Summary.model_validate(tasks.summarize(text, sentences=sentences, model=model))

    @server.tool()
    @_telling
    def classify(text: str, labels: Labels, multi_label: bool = False) -> Classification:
        """Say which of the given classes a text as a whole has, such as sport or politics."""
        found = tasks.classify(text, labels, multi_label=multi_label, model=model)
        return Classification.model_validate(found)

    @server.tool()
    @_telling
    def records(text: str, schema: dict[str, Any], many: bool = False) -> list[dict[str, Any]]:
        """Fill a JSON schema of an object from a text, with the spans that say each value."""
        found = tasks.extract_records(text, schema, many=many, model=model)
        return [record.to_dict() for record in found]

    @server.tool()
    @_telling
    def read(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        """Find several kinds of things at once; the schema has any of these keys.

        entities: a list of types, such as ["person"]. relations: {"works for": {"head":
        ["person"], "tail": ["company"]}}. classes: lists by question, such as {"mood": ["good",
        "bad"]}. records: JSON schemas of objects by name.
        """
        return tasks.read(text, schema, model=model).to_dict()

    @server.tool()
    @_telling
    def redact(text: str, labels: Labels | None = None) -> Redaction:
        """Replace what is private, such as names and numbers, by placeholders."""
        given: dict[str, Any] = {} if labels is None else {"labels": labels}
        return Redaction.model_validate(tasks.redact(text, **given, model=model))

    return server


def _telling(function: Callable[P, R]) -> Callable[P, R]:
    """Tell the client what is wrong with its arguments; the SDK hides other errors."""

    @wraps(function)
    def tool(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError) as error:
            raise ToolError(str(error)) from error

    return tool
