"""Configurations: frozen dataclasses, read strictly from mappings; and checks of numbers."""

import dataclasses
import json
import math
import typing
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast

from glinermt.errors import ConfigError, UsageError, unknown_choice

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")

TASKS = (
    "entities",
    "open_entities",
    "relations",
    "answer",
    "summarize",
    "matches",
    "classify",
    "records",
    "redact",
    "keyphrases",
)
"""The one name of each task: in files, settings, commands and functions."""

EXPORT_FILE = "glinermt_export.json"
"""The file that tells a folder with an exported model."""
GLINER_FILE = "gliner_config.json"
"""The same of a checkpoint of the packages gliner and gliformer."""
GLINER2_FILE = "config.json"
"""The same of a checkpoint of the package gliner2."""


SpanScore = Literal["mean", "min", "geometric"]
SPAN_SCORES = ("mean", "min", "geometric")


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What a model says about how the tasks should use it. Saved beside its weights.

    Keys are task names, of ``TASKS``. A task missing here uses its own default, which stands in
    ``tasks/<task>.py``.

    Raises:
        ConfigError: an unknown task or rule, a wording that is not a string, or a number that is
            none or out of range.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Score from which a span counts, per task."""
    label_thresholds: Mapping[str, float] = field(default_factory=dict)
    """The same for single entity labels; wins over ``thresholds["entities"]``."""
    temperatures: Mapping[str, float] = field(default_factory=dict)
    """What a task divides the log odds of the model's scores by, so that they say how often it is
    right; thresholds are of the scores so made."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Prompt wordings the model was trained with, per task, with fields such as {question}."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label wordings per task, with fields such as {head} and {relation}."""
    words_at_once: Mapping[str, int] = field(default_factory=dict)
    """Words of a text that a task reads at a time, cut at sentence ends; a task missing here reads
    as many as fit. For models trained on single sentences, which miss much in longer texts."""
    lead: float = 0.0
    """Part that an early place has in a summary sentence's score, 0 to 1. News leads with what
    matters; see ``glinermt calibrate``."""
    span_score: SpanScore = "mean"
    """How a span is scored: ``mean`` of the inside probabilities (the paper), ``min`` of them and
    those of start and end (the package gliner), or the ``geometric`` mean of the start's, the
    end's and the least inside one."""

    evidence: float = 0.0
    """What an answer's log odds lose where all of the question's words stand in the text but none
    near the answer; where some do, that part of it. As much again where a number of it above
    twelve is not near, where it says "not" and nothing near denies anything, and where the opposite
    of one of its words is near (English)."""
    casing: float = 0.0
    """What the log odds of an entity lose for each of its ends that parts two capitalised words,
    and for an article too much or a number too little before them, where the span without or with
    it is found too; for encoders that do not see capitals."""
    nearness: float = 0.0
    """What a relation's log odds lose for each entity, of four at most, that is nearer to its head
    than its tail is, or to its tail than its head; only where a model scores pairs of entities."""

    def __post_init__(self) -> None:
        for name in ("thresholds", "temperatures", "prompts", "labels", "words_at_once"):
            for task in getattr(self, name):
                if task not in TASKS:
                    raise ConfigError(f"{name}: {unknown_choice('task', task, TASKS)}")
        for name in ("thresholds", "label_thresholds"):
            for key, value in getattr(self, name).items():
                _share(f"{name}.{key}", value)
        if self.span_score not in SPAN_SCORES:
            raise ConfigError(unknown_choice("span_score", self.span_score, SPAN_SCORES))
        self._check_wordings()
        self._check_numbers()
        _share("lead", self.lead)

    def _check_wordings(self) -> None:
        for name in ("prompts", "labels"):
            for task, words in getattr(self, name).items():
                _expect(isinstance(words, str), "a string", words, f"{name}.{task}")

    def _check_numbers(self) -> None:
        for task, value in self.temperatures.items():
            _number(f"temperatures.{task}", value)
            _expect(0 < value < math.inf, "a number above 0", value, f"temperatures.{task}")
        for task, number in self.words_at_once.items():
            _number(f"words_at_once.{task}", number)
            _expect(number >= 0, "a number from 0 on", number, f"words_at_once.{task}")
        for name in ("evidence", "casing", "nearness"):
            value = getattr(self, name)
            _number(name, value)
            _expect(0 <= value < math.inf, "a number from 0 on", value, name)


MOST = {
    "hidden_size": 65536,
    "num_rnn_layers": 64,
    "max_labels": 100_000,
    "max_tokens": 1_000_000,
    "max_width": 1024,
}
"""The largest sizes a configuration may name; beyond them lie only mistakes."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network of a checkpoint. Defaults are the paper's.

    Raises:
        ConfigError: a size out of range.
        ValueError: a dropout outside [0, 1].
    """

    encoder: str = "microsoft/deberta-v3-large"
    """Hugging Face id or folder the encoder came from."""
    encoder_config: Mapping[str, Any] = field(default_factory=dict)
    """The encoder's own configuration, so that loading needs no second download."""
    head: str = "token"
    """``token`` (start/end/inside scorer) or ``span`` (GLiNER's span head)."""
    hidden_size: int = 0
    """Width of word and label vectors; 0 = the encoder's, else a projection is learned."""
    num_rnn_layers: int = 1
    """Layers of the BiLSTM over words; 0 leaves it out."""
    dropout: float = 0.4
    max_width: int = 12
    """Longest span in words (span head only)."""
    span_mode: Literal["markerV0", "marker"] = "markerV0"
    """Layout of the span head; ``marker`` is the older one."""
    label_pooling: Literal["marker", "mean"] = "marker"
    """Label vector: the ``<<ENT>>`` token before the label, or the mean over it and the label."""
    words: str = "graphemes"
    """Name of the word splitter in ``words.SPLITTERS``; ``reference`` is that of the package
    gliner."""
    ent_token: str = "<<ENT>>"
    sep_token: str = "<<SEP>>"
    ent_token_id: int = -1
    """Vocabulary id of ``ent_token``; -1 = the tokenizer knows."""
    sep_token_id: int = -1
    relation_head: bool | str = False
    """Whether relations between mentions can be asked for, or the name of a head for them in
    ``heads.RELATION_HEADS``; true is the usual one."""
    relation_reading: Literal["joint", "apart"] = "joint"
    """``joint``: relations stand in one prompt with the labels of spans. ``apart``: a query for
    both is read twice, for a model that learned one at a time; mentions are those of the first."""
    class_head: bool | str = False
    """The same as ``relation_head`` for classes of the text and ``heads.CLASS_HEADS``."""
    class_reading: Literal["joint", "apart"] = "joint"
    """``joint``: class labels stand in the prompt. ``apart``: they and the text are read in rows of
    their own and compared (``heads.class_.ClassSimilarity``), as sentence encoders do."""
    rel_token: str = "<<REL>>"
    cls_token: str = "<<CLS>>"
    rel_token_id: int = -1
    """Vocabulary id of ``rel_token``; -1 = a model without relation head may have none."""
    cls_token_id: int = -1
    max_labels: int = 30
    """Labels of each kind asked in one pass; longer lists take several."""
    max_tokens: int = 0
    """Subwords in one pass; 0 = what the encoder's positions allow, at most 1024."""

    @property
    def relations_apart(self) -> bool:
        """Whether there is a relation head whose labels are not read beside labels of spans."""
        return bool(self.relation_head) and self.relation_reading == "apart"

    @property
    def classes_apart(self) -> bool:
        """Whether there is a class head that reads labels and text in rows of their own."""
        return bool(self.class_head) and self.class_reading == "apart"

    @property
    def classes_in_prompt(self) -> bool:
        """Whether there is one whose labels stand in the prompt."""
        return bool(self.class_head) and self.class_reading == "joint"

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            value = getattr(self, name)
            _expect(value >= 0, "a number from 0 on", value, name)
            _expect(value <= most, f"at most {most:,}", value, name)
        _expect(self.max_width >= 1, "a number from 1 on", self.max_width, "max_width")
        check_share("dropout", self.dropout)
        for name in ("relation_head", "class_head"):
            value = getattr(self, name)
            named = isinstance(value, str) and value
            _expect(type(value) is bool or named, "true, false or the name of a head", value, name)


def _number(name: str, value: object) -> None:
    try:
        check_number(name, value)
    except TypeError as error:
        raise ConfigError(str(error)) from error


def _share(name: str, value: object) -> None:
    try:
        check_share(name, value)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error


def check_number(name: str, value: object) -> float:
    """Return a number of any kind, such as NumPy's, as a float.

    Raises:
        TypeError: it is none; True and False are none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r:.80}")
    return float(value)


def check_share(name: str, value: object) -> float:
    """Return a number in [0, 1] as a float; see ``check_number``.

    Raises:
        ValueError: it lies outside.
    """
    number = check_number(name, value)
    if not 0 <= number <= 1:  # NaN fails too
        raise UsageError(f"{name} {value!r} lies outside [0, 1]")
    return number


def check_flag(name: str, value: object) -> bool:
    """Return True or False as it is; what only counts as true, such as "no", is refused.

    Raises:
        TypeError: it is neither.
    """
    if type(value) is not bool:
        raise TypeError(f"{name} must be True or False, got {value!r:.80}")
    return value


def check_count(name: str, value: object) -> int:
    """Return a whole number of any kind, at least 1, as an int.

    Raises:
        TypeError: it is none; True and False are none.
        ValueError: it is less.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r:.80}")
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value!r}")
    return int(value)


def check_least(given: object, least: Mapping[str, float]) -> None:
    """Check that each of these attributes is its least value or more.

    Raises:
        ConfigError: one is not; NaN is not.
    """
    for name, number in least.items():
        if not getattr(given, name) >= number:
            raise ConfigError(f"{name} must be at least {number}, got {getattr(given, name)}")


def tempered(score: float, temperature: float) -> float:
    """Divide the log odds by the temperature: above 1 scores move to 0.5, below 1 away from it."""
    if temperature == 1 or not 0 < score < 1:
        return score
    odds = math.log(score / (1 - score)) / temperature
    return 1 / (1 + math.exp(-max(odds, -700.0)))  # beyond is no number


def doubted(score: float, doubt: float) -> float:
    """Return a score whose log odds are lower by ``doubt``."""
    kept = score * math.exp(-min(doubt, 700.0))  # more is 0, and 0 of a sure score is no number
    return kept / (1.0 - score + kept)


def from_mapping(cls: type[T], data: Mapping[str, Any], *, where: str) -> T:
    """Read the dataclass ``cls``, and those in it, from ``data`` as JSON and TOML have it.

    Pydantic checks the types, strictly: no number is made of a string, no key is passed over.

    Raises:
        ConfigError: unknown and missing keys, and values of another type or that ``cls`` refuses;
            each with its place and what is expected there.
    """
    from pydantic import ValidationError  # late: most of the library needs none of it

    plain = json.dumps({"values": data}, default=lambda value: _refuse(where, value))
    try:
        return cast(T, _reader(cast(Hashable, cls)).model_validate_json(plain).values)
    except ValidationError as errors:
        told = "; ".join(_told(cls, error) for error in errors.errors(include_url=False))
        raise ConfigError(f"{where}: {told}") from errors


@cache
def _reader(cls: Any) -> Any:
    """Return the pydantic model of one field ``values``; its rules hold for dataclasses inside."""
    from pydantic import ConfigDict, create_model

    rules = ConfigDict(extra="forbid", strict=True)
    return create_model(cls.__name__, __config__=rules, values=(cls, ...))


def _refuse(where: str, value: object) -> NoReturn:
    raise ConfigError(f"{where}: {value!r} is a {type(value).__name__}; write it as a string")


def _told(cls: type, error: "ErrorDetails") -> str:
    """Return one fault: ``stages.0.steps: should be a valid integer, got 'x'``."""
    _, *place = error["loc"]
    kind, found = error["type"], ""
    if kind == "unexpected_keyword_argument":
        name = str(place.pop())
        message = unknown_choice("key", name, _keys(cls, place))
    elif kind == "missing":
        message = f"has no {str(place.pop())!r}, which is needed"
    elif kind == "value_error":
        message = str(error["ctx"]["error"])
    else:
        message, found = error["msg"].removeprefix("Input "), f", got {error['input']!r:.80}"
    shown = ".".join(map(str, place))
    return f"{shown}: {message}{found}" if shown else message + found


def _keys(cls: type, place: Iterable[int | str]) -> list[str]:
    """Return the keys of the dataclass at that place of ``cls``."""
    hint: Any = cls
    for part in place:
        hint = (
            typing.get_type_hints(hint)[str(part)]
            if dataclasses.is_dataclass(hint)
            else typing.get_args(hint)[isinstance(part, str)]  # a tuple's items, a mapping's values
        )
    return [field.name for field in dataclasses.fields(hint)]


def _expect(condition: object, expected: str, value: object, where: str) -> None:
    if not condition:
        raise ConfigError(f"{where}: expected {expected}, got {value!r}")
