"""What requests look like: the library's own field names, as pydantic models."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

OffsetUnit = Literal["codepoint", "utf16", "utf8"]
"""What a client counts: ``utf16`` as JavaScript, Java and C# do, ``utf8`` as Go, Rust and C do."""
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
T = TypeVar("T")
MOST_DEEP = 50
"""Objects and lists inside each other in a request."""
MOST_UNKNOWN = 10
"""Unknown fields of an object that are looked at."""


def _in_pieces(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check a mapping a hundred entries at a time: a million faults are told as the first few.

    Pydantic lists every fault there is, each in some microseconds and a kilobyte.
    """
    if not isinstance(value, dict) or len(value) <= 100:
        return check(value)
    left, checked = iter(value.items()), {}
    while piece := dict(islice(left, 100)):
        checked.update(check(piece))
    return checked


Several = Annotated[list[T], Field(fail_fast=True)]
Named = Annotated[dict[Name, T], WrapValidator(_in_pieces)]


class _Options(BaseModel):
    """An object in a request, whose fields are known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_unknown(cls, data: Any) -> Any:
        """Leave out all but a few of the unknown fields, which are refused next."""
        if not isinstance(data, Mapping) or len(data) <= len(cls.model_fields) + MOST_UNKNOWN:
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        unknown = set(islice((name for name in data if name not in known), MOST_UNKNOWN))
        return {name: value for name, value in data.items() if name in known | unknown}


class LabelOptions(_Options):
    """What may be said of a label besides its name."""

    description: str | None = None
    threshold: Share | None = None


class RelationOptions(LabelOptions):
    """What may be said of a relation besides its name."""

    head: Several[Name] | None = Field(None, description="entity types that its head may have")
    tail: Several[Name] | None = Field(None, description="entity types that its tail may have")
    symmetric: bool = False


Labels = Several[Name] | Named[str | LabelOptions]
Relations = Several[Name] | Named[str | RelationOptions]
Threshold = Annotated[
    Share | Named[Share] | None,
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


def _check_values(value: Any, depth: int = 0) -> None:
    """Refuse what no reply could hold, and what is nested so deeply that it could be no request.

    Raises:
        ValueError: it has half of a surrogate pair, or is too deep.
    """
    if depth > MOST_DEEP:
        raise ValueError(f"nested more than {MOST_DEEP} levels deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "a string holds half of a surrogate pair, \\ud800 to \\udfff"
            ) from error
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name)
            _check_values(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, depth + 1)


class TaskRequest(_Options):
    """What the requests of all tasks have."""

    text: str | Several[str] = Field(description="one text gives one result, a list a list")
    model: str | None = Field(None, description="one of /v1/models; null = the first")
    offset_unit: OffsetUnit = Field("codepoint", description="what start and end count")

    def texts(self) -> list[str]:
        """Return the texts; one is a list of one."""
        return [self.text] if isinstance(self.text, str) else self.text

    def asked(self) -> dict[str, Any]:
        """Return what is looked for, by the fields that hold labels or entities."""
        return {name: getattr(self, name, None) for name in ("labels", "relations", "entities")}

    def record_schemas(self) -> Sequence[Any]:
        """Return the JSON schemas of records, whose fields are looked for."""
        return ()

    @model_validator(mode="before")
    @classmethod
    def _has_sound_values(cls, data: Any) -> Any:
        _check_values(data)
        return data


class EntitiesRequest(TaskRequest):
    model_config = _example(labels=["person", "city"])

    labels: Labels | Several[Labels] = Field(
        description="entity types, for all texts or one for each"
    )
    threshold: Threshold = None
    overlap: Literal["flat", "nested"] = "flat"
    multi_label: bool = False


class OpenEntitiesRequest(TaskRequest):
    model_config = _example(instruction="all places")

    instruction: Name | Several[Name] = Field(description="what to find, in words")
    labels: Labels | Several[Labels] = Field(["match"], description="what to call the findings")
    threshold: Threshold = None


class RelationsRequest(TaskRequest):
    model_config = _example(relations={"born in": {"head": ["person"], "tail": ["city"]}})

    relations: Relations | Several[Relations] = Field(description="for all texts, or one for each")
    entities: Several[GivenSpan] | Labels | Several[Several[GivenSpan] | Labels] | None = Field(
        None, description="spans of the text, or entity types to find first; null = any"
    )
    entity_threshold: Threshold = None
    threshold: Threshold = None


class AnswerRequest(TaskRequest):
    model_config = _example(question="Where was Marie Curie born?")

    question: Name | Several[Name]
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

    instruction: Name | Several[Name] = Field(description="what to find, in words")
    threshold: Threshold = None


class KeyphrasesRequest(TaskRequest):
    model_config = _example(top_k=3)

    top_k: Annotated[int, Field(ge=1, le=1000)] = 10
    threshold: Share | None = None


class ClassifyRequest(TaskRequest):
    model_config = _example(labels=["science", "sport", "politics"])

    labels: Labels | Several[Labels] = Field(description="classes, for all texts or one for each")
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

    def record_schemas(self) -> Sequence[Any]:
        return [self.schema_]


class ClassOptions(_Options):
    """Classes that answer one question, and how."""

    labels: Labels
    multi_label: bool = Field(False, description="whether a text may have several, or none")
    threshold: Share | None = None


class ReadSchema(_Options):
    """What is looked for in one pass."""

    entities: Labels | None = None
    relations: Relations | None = None
    classes: Named[Labels | ClassOptions] | None = Field(
        None, description="classes by the name of the question that they answer"
    )
    records: Named[dict[str, Any]] | None = Field(
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

    def record_schemas(self) -> Sequence[Any]:
        given = (self.schema_.records or {}).values()
        return [one["schema"] if isinstance(one.get("schema"), dict) else one for one in given]


class RedactRequest(TaskRequest):
    model_config = _example(labels=["person", "city"])

    labels: Labels | None = Field(None, description="what is private; null = the usual")
    placeholder: str = Field("[{label}]", description="with {label}, {number}; or pseudonym")
    threshold: Threshold = None
