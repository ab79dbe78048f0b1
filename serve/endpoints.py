"""The tasks as endpoints: one entry a task, which says what it takes, calls and gives back."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

from pydantic import BaseModel

from glinermt import tasks
from glinermt.errors import UsageError
from glinermt.serve import replies, requests
from glinermt.serve.errors import RequestError
from glinermt.types import (
    Answer,
    Extractor,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``POST /v1/{path}``: calls the task function with the fields of the request.

    A request's field has the name of the function's parameter; what the function takes by another
    name or in another form, ``arguments`` translates.
    """

    path: str
    summary: str
    request: type[requests.TaskRequest]
    reply: type[replies.Reply]
    function: Callable[..., Any]
    arguments: Callable[[Any, list["Offsets"]], dict[str, Any]]

    def run(self, body: requests.TaskRequest, model: Extractor) -> Any:
        """Return the library's result, with offsets in the client's unit."""
        offsets = [Offsets(text, body.offset_unit) for text in body.texts()]
        result = self.function(**self.arguments(body, offsets), model=model)
        if body.offset_unit == "codepoint":
            return result
        if isinstance(body.text, str):
            return _moved(result, offsets[0])
        return [_moved(one, o) for one, o in zip(result, offsets, strict=True)]


class Offsets:
    """Translates between a client's offsets of a text and ours, which count code points.

    Args:
        text: what the offsets point into; without lone surrogates, which no encoding has.
        unit: what the client counts: ``utf16`` as JavaScript, Java and C# do, ``utf8`` as Go,
            Rust and C do, ``codepoint`` as Python does.
    """

    def __init__(self, text: str, unit: requests.OffsetUnit) -> None:
        self._length = len(text)
        self._places: Sequence[int] = range(len(text) + 1)
        if unit == "utf16" and text and max(text) > "\uffff":
            sizes = (1 + (character > "\uffff") for character in text)
            self._places = list(accumulate(sizes, initial=0))
        elif unit == "utf8" and not text.isascii():
            sizes = (len(character.encode()) for character in text)
            self._places = list(accumulate(sizes, initial=0))

    def to_client(self, place: int) -> int:
        """Return the client's offset of a code point."""
        return self._places[place]

    def from_client(self, place: int) -> int:
        """Return the code point at a client's offset.

        Raises:
            ValueError: the offset lies outside the text or inside a character.
        """
        found = bisect_left(self._places, place)
        if found > self._length or self._places[found] != place:
            most = self._places[self._length]
            where = "inside a character" if 0 <= place <= most else "outside the text"
            raise UsageError(f"offset {place} lies {where}, which ends at {most}")
        return found


def _moved(result: Any, offsets: Offsets) -> Any:
    """Return a text's result with its offsets in the client's unit."""
    move = partial(_moved, offsets=offsets)
    match result:
        case Span():
            start, end = offsets.to_client(result.start), offsets.to_client(result.end)
            return replace(result, start=start, end=end)
        case Relation():
            return replace(result, head=move(result.head), tail=move(result.tail))
        case Answer():
            return replace(result, span=move(result.span))
        case Summary():
            return replace(result, spans=tuple(move(span) for span in result.spans))
        case Redaction():
            return replace(result, spans=tuple(move(span) for span in result.spans))
        case Record():
            spans = {name: tuple(map(move, own)) for name, own in result.spans.items()}
            return replace(result, spans=spans)
        case Reading():
            records = {name: tuple(map(move, own)) for name, own in result.records.items()}
            return replace(
                result,
                entities=tuple(map(move, result.entities)),
                relations=tuple(map(move, result.relations)),
                records=records,
            )
        case list():
            return [move(item) for item in result]
        case _:
            return result


def _fields(body: requests.TaskRequest, _: list[Offsets]) -> dict[str, Any]:
    """Return all fields of the request that are the task function's; null ones are left out."""
    names = type(body).model_fields.keys() - {"model", "offset_unit"}
    values = {name: _plain(getattr(body, name)) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _relations(body: requests.RelationsRequest, offsets: list[Offsets]) -> dict[str, Any]:
    given = _fields(body, offsets)
    if not body.entities:
        return given
    _check_nesting(body)
    if isinstance(body.text, str):
        return {**given, "entities": _entities(body.text, body.entities, offsets[0], "entities")}
    texts = body.texts()
    if isinstance(body.entities, dict) or isinstance(body.entities[0], str):
        return given  # types for all texts
    if len(body.entities) != len(texts):
        raise RequestError(
            422,
            f"{len(texts)} texts but {len(body.entities)} values of entities; "
            "give one for each, or types for all",
            field="entities",
        )
    each = zip(texts, body.entities, offsets, strict=True)
    return {
        **given,
        "entities": [_entities(t, e, o, f"entities.{i}") for i, (t, e, o) in enumerate(each)],
    }


def _check_nesting(body: requests.RelationsRequest) -> None:
    """Refuse spans of which it is not clear whose they are: one list for many texts, or many."""
    given = body.entities if isinstance(body.entities, list) else []
    many = not isinstance(body.text, str)
    if many and any(isinstance(entity, requests.GivenSpan) for entity in given):
        message = (
            f"spans are of one text, not of {len(body.text)}; give a list of them for each text"
        )
    elif not many and any(isinstance(entity, list) for entity in given):
        message = "one text takes one list of spans or types, not a list of lists"
    else:
        return
    raise RequestError(422, f"entities: {message}", field="entities")


def _entities(text: str, given: Any, offsets: Offsets, where: str) -> Any:
    """Return a text's entities: its Spans at their code points, or the types as they are."""
    if not isinstance(given, list) or not any(isinstance(e, requests.GivenSpan) for e in given):
        return _plain(given)
    return [_span(text, span, offsets, f"{where}.{i}") for i, span in enumerate(given)]


def _span(text: str, given: requests.GivenSpan, offsets: Offsets, where: str) -> Span:
    try:
        start, end = offsets.from_client(given.start), offsets.from_client(given.end)
    except ValueError as error:
        raise RequestError(422, str(error), field=where) from error
    found = text[start:end]
    if start >= end or given.text not in (None, found):
        raise RequestError(
            422,
            f"entity {given.text or ''!r:.80} is not at {given.start}:{given.end}, "
            f"where the text has {found!r:.80}",
            field=where,
        )
    return Span(start, end, found, given.label)


def _answer(*, top_k: int | None = None, **arguments: Any) -> Any:
    if top_k is None:
        return tasks.answer(**arguments)
    return tasks.answers(**arguments, top_k=top_k)


def _records(body: requests.RecordsRequest, offsets: list[Offsets]) -> dict[str, Any]:
    """Return the arguments; a pattern could be one that a text makes run for ever."""
    given = _fields(body, offsets)
    schema = given.pop("schema_")
    _refuse_patterns(schema)
    return {**given, "schema": schema}


def _read(body: requests.ReadRequest, offsets: list[Offsets]) -> dict[str, Any]:
    given = _fields(body, offsets)
    schema = given.pop("schema_")
    _refuse_patterns(schema.get("records"))
    return {**given, "schema": schema}


def _refuse_patterns(schema: Any) -> None:
    if _has_pattern(schema):
        raise RequestError(422, "schema: patterns are not taken from requests", field="schema")


def _has_pattern(value: Any) -> bool:
    """Whether a schema holds a pattern; a property may well be called so."""
    if isinstance(value, dict):
        own = isinstance(value.get("pattern"), str) or "patternProperties" in value
        return own or any(map(_has_pattern, value.values()))
    return isinstance(value, list) and any(map(_has_pattern, value))


ENDPOINTS: Sequence[Endpoint] = (
    Endpoint(
        "entities",
        "Find the entities of the given types",
        requests.EntitiesRequest,
        replies.SpansReply,
        tasks.extract_entities,
        _fields,
    ),
    Endpoint(
        "open-entities",
        "Find the entities that an instruction describes",
        requests.OpenEntitiesRequest,
        replies.SpansReply,
        tasks.extract_open_entities,
        _fields,
    ),
    Endpoint(
        "relations",
        "Find which entities stand in which relations",
        requests.RelationsRequest,
        replies.RelationsReply,
        tasks.extract_relations,
        _relations,
    ),
    Endpoint(
        "answer",
        "Answer a question from a text, or say that the text does not answer it",
        requests.AnswerRequest,
        replies.AnswerReply,
        _answer,
        _fields,
    ),
    Endpoint(
        "summary",
        "Sum a text up in its own words",
        requests.SummaryRequest,
        replies.SummaryReply,
        tasks.summarize,
        _fields,
    ),
    Endpoint(
        "matches",
        "Find all pieces of a text that an instruction asks for",
        requests.MatchesRequest,
        replies.SpansReply,
        tasks.extract_matches,
        _fields,
    ),
    Endpoint(
        "keyphrases",
        "Find the phrases that say what a text is about",
        requests.KeyphrasesRequest,
        replies.SpansReply,
        tasks.extract_keyphrases,
        _fields,
    ),
    Endpoint(
        "classify",
        "Say which of the given classes a text has",
        requests.ClassifyRequest,
        replies.ClassifyReply,
        tasks.classify,
        _fields,
    ),
    Endpoint(
        "records",
        "Fill a schema from a text, each value with the spans that say it",
        requests.RecordsRequest,
        replies.RecordsReply,
        tasks.extract_records,
        _records,
    ),
    Endpoint(
        "read",
        "Find entities, relations, classes and records in one pass of the model",
        requests.ReadRequest,
        replies.ReadReply,
        tasks.read,
        _read,
    ),
    Endpoint(
        "redact",
        "Replace what is private by placeholders",
        requests.RedactRequest,
        replies.RedactReply,
        tasks.redact,
        _fields,
    ),
)
