"""What requests and responses look like: the library's own field names, as pydantic models."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

OffsetUnit = Literal["codepoint", "utf16", "utf8"]
"""What a client counts: ``utf16`` as JavaScript, Java and C# do, ``utf8`` as Go, Rust and C do."""
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]


class LabelOptions(BaseModel):
    """What may be said of a label besides its name."""

    model_config = ConfigDict(extra="forbid", strict=True)

    description: str | None = None
    threshold: Share | None = None


class RelationOptions(LabelOptions):
    """What may be said of a relation besides its name."""

    head: list[Name] | None = Field(None, description="entity types that its head may have")
    tail: list[Name] | None = Field(None, description="entity types that its tail may have")
    symmetric: bool = False


Labels = list[Name] | dict[Name, str | LabelOptions]
Relations = list[Name] | dict[Name, str | RelationOptions]
Threshold = Annotated[
    Share | dict[Name, Share] | None,
    Field(description="least score, one number or one for each label; null = the model's"),
]


class GivenSpan(BaseModel):
    """An entity that the client knows already, at its place in the text."""

    model_config = ConfigDict(extra="ignore", strict=True)

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]
    text: str | None = Field(None, description="checked against the text, if given")
    label: str = ""


_TEXT = "Marie Curie was born in Warsaw and studied at the University of Paris."
_PLACE = {"person": {"type": "string"}, "city": {"type": "string"}}


def _example(**fields: Any) -> ConfigDict:
    """Return the configuration of a request that Swagger UI fills in to be tried as it stands."""
    return ConfigDict(json_schema_extra={"examples": [{"text": _TEXT, **fields}]})


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "a string holds half of a surrogate pair, \\ud800 to \\udfff"
            ) from error
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_characters(name)
            _check_characters(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner)


class TaskRequest(BaseModel):
    """What the requests of all tasks have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | list[str] = Field(description="one text gives one result, a list a list")
    model: str | None = Field(None, description="one of /v1/models; null = the first")
    offset_unit: OffsetUnit = Field("codepoint", description="what start and end count")

    def texts(self) -> list[str]:
        """Return the texts; one is a list of one."""
        return [self.text] if isinstance(self.text, str) else self.text

    def asked(self) -> dict[str, Any]:
        """Return what is looked for, by the fields that hold labels or entities."""
        return {name: getattr(self, name, None) for name in ("labels", "relations", "entities")}

    @model_validator(mode="before")
    @classmethod
    def _has_characters_only(cls, data: Any) -> Any:
        """Refuse halves of surrogate pairs, which no encoding of a reply could hold."""
        _check_characters(data)
        return data


class EntitiesRequest(TaskRequest):
    model_config = _example(labels=["person", "city"])

    labels: Labels | list[Labels] = Field(description="entity types, for all texts or one for each")
    threshold: Threshold = None
    overlap: Literal["flat", "nested"] = "flat"
    multi_label: bool = False


class OpenEntitiesRequest(TaskRequest):
    model_config = _example(instruction="all places")

    instruction: Name | list[Name] = Field(description="what to find, in words")
    labels: Labels | list[Labels] = Field(["match"], description="what to call the findings")
    threshold: Threshold = None


class RelationsRequest(TaskRequest):
    model_config = _example(relations={"born in": {"head": ["person"], "tail": ["city"]}})

    relations: Relations | list[Relations] = Field(description="for all texts, or one for each")
    entities: list[GivenSpan] | Labels | list[list[GivenSpan] | Labels] | None = Field(
        None, description="spans of the text, or entity types to find first; null = any"
    )
    entity_threshold: Threshold = None
    threshold: Threshold = None


class AnswerRequest(TaskRequest):
    model_config = _example(question="Where was Marie Curie born?")

    question: Name | list[Name]
    top_k: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="a number gives a list of at most so many answers a text"
    )
    threshold: Share | None = None


class SummaryRequest(TaskRequest):
    model_config = _example(sentences=1)

    sentences: Annotated[int, Field(ge=1)] | None = None
    words: Annotated[int, Field(ge=1)] | None = None
    ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    unit: Literal["sentence", "span"] = "sentence"
    threshold: Share | None = None


class MatchesRequest(TaskRequest):
    model_config = _example(instruction="all places")

    instruction: Name | list[Name] = Field(description="what to find, in words")
    threshold: Threshold = None


class KeyphrasesRequest(TaskRequest):
    model_config = _example(top_k=3)

    top_k: Annotated[int, Field(ge=1, le=1000)] = 10
    threshold: Share | None = None


class ClassifyRequest(TaskRequest):
    model_config = _example(labels=["science", "sport", "politics"])

    labels: Labels | list[Labels] = Field(description="classes, for all texts or one for each")
    multi_label: bool = Field(False, description="whether a text may have several, or none")
    threshold: Threshold = None


class RecordsRequest(TaskRequest):
    model_config = _example(schema={"type": "object", "properties": _PLACE})

    schema_: dict[str, Any] = Field(
        alias="schema", description="a JSON schema of an object; without patterns"
    )
    many: bool = False
    anchor: str | None = None
    on_invalid: Literal["drop", "keep"] = "drop"
    threshold: Threshold = None


class ClassOptions(BaseModel):
    """Classes that answer one question, and how."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: Labels
    multi_label: bool = Field(False, description="whether a text may have several, or none")
    threshold: Share | None = None


class ReadSchema(BaseModel):
    """What is looked for in one pass."""

    model_config = ConfigDict(extra="forbid", strict=True)

    entities: Labels | None = None
    relations: Relations | None = None
    classes: dict[Name, Labels | ClassOptions] | None = Field(
        None, description="classes by the name of the question that they answer"
    )
    records: dict[Name, dict[str, Any]] | None = Field(
        None,
        description='JSON schemas by name, without patterns, or {"schema", "many", "anchor", '
        '"on_invalid"}',
    )


class ReadRequest(TaskRequest):
    model_config = _example(
        schema={"entities": ["person", "city"], "classes": {"topic": ["science", "sport"]}}
    )

    schema_: ReadSchema = Field(alias="schema")
    threshold: Threshold = None

    def asked(self) -> dict[str, Any]:
        asked = self.schema_
        classes = [
            question.labels if isinstance(question, ClassOptions) else question
            for question in (asked.classes or {}).values()
        ]
        return {"schema": [asked.entities, asked.relations, *classes]}


class RedactRequest(TaskRequest):
    model_config = _example(labels=["person", "city"])

    labels: Labels | None = Field(None, description="what is private; null = the usual")
    placeholder: str = Field("[{label}]", description="with {label}, {number}; or pseudonym")
    threshold: Threshold = None


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
