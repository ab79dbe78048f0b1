"""What replies look like: the library's own field names, as pydantic models."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from glinermt.serve.requests import OffsetUnit


class _Result(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Span(_Result):
    """A labelled piece of the text."""

    start: int
    end: int
    text: str
    label: str
    score: float


class Relation(_Result):
    """``head`` stands in the relation ``label`` to ``tail``."""

    head: Span
    label: str
    tail: Span
    score: float


class Answer(_Result):
    """``span`` is null where the text does not answer."""

    span: Span | None
    score: float
    no_answer_score: float


class Summary(_Result):
    """The chosen pieces, in the order of the text."""

    spans: list[Span]
    text: str


class Classification(_Result):
    """Which labels a text as a whole has."""

    label: str | None
    labels: list[str]
    scores: dict[str, float]


class Record(_Result):
    """An instance of the schema, with the spans that say each field."""

    value: Any
    spans: dict[str, list[Span]]
    score: float
    error: str = Field("", description="why the value is not an instance")


class Reading(_Result):
    """What there is of each kind."""

    entities: list[Span]
    relations: list[Relation]
    classes: dict[str, Classification] = Field(description="by the name of the question")
    records: dict[str, list[Record]] = Field(description="by the name of the schema")


class Redaction(_Result):
    """The text with its private spans replaced, and what was where."""

    text: str
    spans: list[Span] = Field(description="at their places in the original text")
    replacements: list[str]


class Reply(BaseModel):
    """What all replies have."""

    model: str
    offset_unit: OffsetUnit
    result: Any


class SpansReply(Reply):
    result: list[Span] | list[list[Span]]


class RelationsReply(Reply):
    result: list[Relation] | list[list[Relation]]


class AnswerReply(Reply):
    result: Answer | list[Answer] | list[list[Answer]]


class SummaryReply(Reply):
    result: Summary | list[Summary]


class ClassifyReply(Reply):
    result: Classification | list[Classification]


class RecordsReply(Reply):
    result: list[Record] | list[list[Record]]


class ReadReply(Reply):
    result: Reading | list[Reading]


class RedactReply(Reply):
    result: Redaction | list[Redaction]


class ErrorDetail(BaseModel):
    code: str
    message: str
    field: str | None = Field(None, description="the field of the request that is wrong")


class ErrorReply(BaseModel):
    error: ErrorDetail


class ModelCard(BaseModel):
    """A model that the server has."""

    name: str
    kinds: list[str] = Field(description="what it finds")
    thresholds: dict[str, float] = Field(description="least scores by task, where it has its own")


class ModelList(BaseModel):
    models: list[ModelCard]
    default: str


class Status(BaseModel):
    """How the server is."""

    status: str
