"""Records: the fields of a schema found as spans, parsed, validated, and grouped into instances."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, Literal

from glinermt.config import TaskSettings, check_flag
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError
from glinermt.structures import Field as StructureField
from glinermt.structures import Structure
from glinermt.tasks.inputs import by_shape, restore, rows
from glinermt.tasks.labels import Label, check_threshold
from glinermt.tasks.record_groups import Candidate, Group, Place, disjoint, groups
from glinermt.tasks.run import kinds_of, stream
from glinermt.tasks.schemas import Field, InvalidRecord, Path, Schema, read_schema
from glinermt.tasks.task import Task, no_labels, uncut
from glinermt.tasks.values import parse
from glinermt.types import Extractor, Found, Instance, Query, Record, Relation, Span, Threshold

OnInvalid = Literal["drop", "raise", "keep"]


@by_shape
def extract_records(
    text: str | Iterable[str],
    schema: Any,
    *,
    many: bool = False,
    anchor: str | None = None,
    on_invalid: OnInvalid = "drop",
    threshold: Threshold | None = None,
    model: Extractor | str | FilePath | None = None,
) -> list[Record[Any]]:
    """Fill a schema from a text, each value with the spans that say it.

    Example::

        class Invoice(BaseModel):
            number: str = Field(description="invoice number", pattern=r"[A-Z]{2}-\\d+")
            total: Decimal | None = None
            status: Literal["paid", "open"] | None = None

        (invoice,) = extract_records(text, Invoice)
        invoice.value.total, invoice.spans["total"]

    A field's name and description are its label. Numbers, money, dates, times, yes and no are
    parsed from their span; a field with choices takes the choice that the model finds named, else
    one that stands in the text word for word, else the one that the model's class head chooses. A
    value that its schema refuses gives way to the next best span. Nothing is made up: a field
    without a span keeps its default or is missing.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        schema: a Pydantic class, dataclass, TypedDict or JSON schema.
        many: find several records; spans are grouped around the anchors, by line, then by
            what a relation head says, then by paragraph, then behind the nearest anchor.
        anchor: the field that each record has one of; None = the first that is text.
        on_invalid: what becomes of a record that cannot be made valid: ``drop`` it, ``raise``, or
            ``keep`` it with its values as a dict and what is wrong in ``error``.
        threshold: least score of a span: a number, or one for each field; see
            ``extract_entities``.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Returns:
        The records in the order of the text: without ``many`` one, or none where nothing is found.

    Raises:
        TypeError: schema or texts are of another type.
        ValueError: a schema that cannot be filled, an unknown anchor, or, with ``raise``, a
            record that is not valid.
    """
    extractor = load_extractor(model)
    kinds = kinds_of(extractor)
    asked = wanted(schema, many=many, anchor=anchor, on_invalid=on_invalid, kinds=kinds)
    check_threshold(threshold, (field.name for field in asked.schema.fields))
    given = ((one, asked) for (one,) in rows(text))
    task = INSTANCES if "records" in kinds else RECORDS
    return restore(text, stream(task, extractor, given, threshold=threshold))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a text: a schema, and how its records are told apart."""

    name: str
    schema: Schema
    anchor: Field | None
    """Of several records; None = there is one."""
    can_choose: bool
    """Whether the model has a class head for fields with choices."""
    can_relate: bool = False
    """Whether it has a relation head, which tells to which of several records a value belongs."""
    on_invalid: OnInvalid = "drop"

    @property
    def belonging(self) -> Mapping[str, Field]:
        """Relation label -> the field whose values it joins to the anchor of their record."""
        if not self.can_relate or not self.anchor:
            return {}
        anchor = self.anchor.label.asked.partition(":")[0]
        others = [field for field in self.schema.fields if field is not self.anchor]
        return {f"{field.label.asked.partition(':')[0]} of {anchor}": field for field in others}

    @property
    def choices(self) -> Mapping[str, tuple[Field, Any]]:
        """Class label -> the field and the choice it stands for."""
        if not self.can_choose or self.anchor:  # a text has one class, whatever its records
            return {}
        return {
            f"{field.label.asked}: {choice}": (field, choice)
            for field in self.schema.fields
            for choice in field.choices
            if not field.many
        }


def wanted(
    schema: Any,
    *,
    many: bool = False,
    anchor: str | None = None,
    on_invalid: OnInvalid = "drop",
    kinds: Set[str] = frozenset(),
) -> Wanted:
    """Read what a user wants filled; see ``extract_records``. ``kinds`` are those of the model."""
    if on_invalid not in ("drop", "raise", "keep"):
        raise UsageError(f"on_invalid {on_invalid!r}: choose from 'drop', 'raise', 'keep'")
    fields = read_schema(schema)
    name = schema.get("title", "record") if isinstance(schema, Mapping) else schema.__name__
    named = _anchor(fields, anchor)
    chosen = named if check_flag("many", many) else None
    return Wanted(str(name), fields, chosen, "classes" in kinds, "relations" in kinds, on_invalid)


def _anchor(schema: Schema, name: str | None) -> Field:
    if name is None:
        texts = [field for field in schema.fields if field.kind == "text" and not field.many]
        return (texts or list(schema.fields))[0]
    for field in schema.fields:
        if field.name == name:
            return field
    known = ", ".join(field.name for field in schema.fields)
    raise UsageError(f"anchor {name!r} is no field of the schema; choose from {known}")


def _labels(asked: Wanted, _: TaskSettings) -> Sequence[Label]:
    return [field.label for field in asked.schema.fields]


def _query(text: str, asked: Wanted, settings: TaskSettings) -> list[Query]:
    labels = tuple(field.label.asked for field in asked.schema.fields)
    prompt = RECORDS.word_prompt(settings)
    return [
        Query(text, labels, prompt, relations=tuple(asked.belonging), classes=tuple(asked.choices))
    ]


def _relations(asked: Wanted, _: TaskSettings) -> Sequence[Label]:
    return [Label(name, name, {"threshold": 0.5}) for name in asked.belonging]


def _read(text: str, asked: Wanted, found: Sequence[Found], _: TaskSettings) -> list[Record[Any]]:
    fields = {field.label.asked: field for field in asked.schema.fields}
    candidates: dict[Path, list[Candidate]] = {field.path: [] for field in fields.values()}
    for span in found[0].spans:
        field = fields[span.label]
        value = _value(field, span.text)
        if value is not None:
            span = replace(span, label=field.name)
            candidates[field.path].append(Candidate(value, (span,), span.score))
    for field in fields.values():
        if field.choices and not candidates[field.path]:
            candidates[field.path] += _named(field, text)
    for path, chosen in _chosen(asked, found[0].classes).items():
        candidates[path].append(chosen)
    records = []
    for group in groups(text, asked.anchor, candidates, _belongs(asked, found[0].relations)):
        record = _Maker(asked, group).record()
        if record is not None:
            records.append(record)
    return records


def _belongs(asked: Wanted, relations: Sequence[Relation]) -> dict[tuple[Path, Place], Place]:
    """Return the anchor that the relation head finds surest for each value of a field."""
    anchors: dict[tuple[Path, Place], Place] = {}
    for relation in sorted(relations, key=lambda r: r.score):
        path = asked.belonging[relation.label].path
        head, tail = relation.head, relation.tail
        anchors[path, (head.start, head.end)] = tail.start, tail.end
    return anchors


def structure(asked: Wanted, settings: TaskSettings) -> Structure:
    """Return what a model is asked for that tells instances apart itself."""
    fields = (
        StructureField(
            field.name,
            str(field.label.options.get("description") or ""),
            tuple(str(choice) for choice in field.named),
            RECORDS.limit(field.label, settings),
            "zero_or_more" if field.many else "required_one",
            exclusive=True,
        )
        for field in asked.schema.fields
    )
    if asked.anchor is None:
        return Structure(asked.name, tuple(fields), overlap="nested")
    return Structure(asked.name, tuple(fields), "nested", "natural", asked.anchor.name)


def _instances_query(text: str, asked: Wanted, settings: TaskSettings) -> list[Query]:
    return [Query(text, structures=(structure(asked, settings),))]


def _read_instances(
    _: str, asked: Wanted, found: Sequence[Found], settings: TaskSettings
) -> list[Record[Any]]:
    limits = {field.name: RECORDS.limit(field.label, settings) for field in asked.schema.fields}
    instances = found[0].records.get(asked.name, ())
    groups = (_of_instance(asked.schema, instance, limits) for instance in instances)
    records = (_Maker(asked, group).record() for group in groups if any(group.values()))
    made = [record for record in records if record is not None]
    return made if asked.anchor else made[:1]


def _of_instance(schema: Schema, instance: Instance, limits: Mapping[str, float]) -> "Group":
    candidates: dict[Path, list[Candidate]] = {field.path: [] for field in schema.fields}
    for field in schema.fields:
        own = candidates[field.path]
        for choice in field.named:
            score = instance.choices.get(field.name, {}).get(str(choice), 0.0)
            if score >= limits[field.name]:
                own.append(Candidate(choice, (), score))
        for span in instance.spans.get(field.name, ()):
            value = _value(field, span.text)
            if value is not None:
                own.append(Candidate(value, (span,), span.score))
    return candidates


RECORDS: Task[Wanted, list[Record[Any]]] = Task(
    name="records",
    query=_query,
    labels=_labels,
    relations=_relations,
    read=_read,
    overlap="nested",
    multi_label=True,
)
INSTANCES: Task[Wanted, list[Record[Any]]] = replace(
    RECORDS,
    query=_instances_query,
    labels=no_labels,
    relations=no_labels,
    read=_read_instances,
    cut=uncut,
)
"""The same for models that tell instances apart themselves."""


def _value(field: Field, text: str) -> Any:
    """Return what a span says as a value of the field, or None."""
    if field.kind != "choice":
        return parse(field.kind, text)
    by_words = {_plain(str(choice)): choice for choice in reversed(field.named)}
    said = _plain(text)
    if said in by_words:
        return by_words[said]
    named = {
        _plain(match[0]) for match in _choices(tuple(map(str, field.named))).finditer(text)
    } & by_words.keys()
    return by_words[named.pop()] if len(named) == 1 else None


@lru_cache(maxsize=256)  # asked for with each place of each text
def _choices(choices: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of a field's choices as words; of one inside another the longer."""
    words = {form for choice in choices for form in (choice, choice.casefold())}
    either = "|".join(
        r"[\s_]+".join(map(re.escape, word.replace("_", " ").split()))
        for word in sorted(words, key=lambda word: (-len(word), word))
    )
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)


def _named(field: Field, text: str) -> list[Candidate]:
    """Return the choices that stand in the text word for word; of one inside another the longer."""
    found = []
    for match in _choices(tuple(map(str, field.named))).finditer(text):
        value = _value(field, match[0])
        if value is not None:
            span = Span(match.start(), match.end(), match[0], field.name)
            found.append(Candidate(value, (span,), 1.0))
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").split())


def _chosen(asked: Wanted, logits: Mapping[str, float]) -> dict[Path, Candidate]:
    """Return, for each field with choices, the one that the class head finds likeliest.

    That may be null or "", of which no record is made.
    """
    of_fields: dict[Path, tuple[Field, list[tuple[float, Any]]]] = {}
    for label, (field, choice) in asked.choices.items():
        if label in logits:
            of_fields.setdefault(field.path, (field, []))[1].append((logits[label], choice))
    chosen = {}
    for path, (field, scored) in of_fields.items():
        most = max(logit for logit, _ in scored)
        share = 1 / sum(math.exp(logit - most) for logit, _ in scored)
        value = next(choice for logit, choice in scored if logit == most)
        if share >= 0.5 and value in field.named:
            chosen[path] = Candidate(value, (), share)
    return chosen


class _Maker:
    """Makes a record of candidates: of each field the best that the schema accepts."""

    def __init__(self, asked: Wanted, candidates: Group) -> None:
        self._asked = asked
        self._left = {
            field.path: sorted(candidates[field.path], key=_rank) for field in asked.schema.fields
        }
        self._many = {field.path for field in asked.schema.fields if field.many}
        self._chosen = {path: self._choice(path) for path, left in self._left.items() if left}

    def record(self) -> Record[Any] | None:
        """Return the record; None where there is none, or it is not valid and to be dropped.

        Raises:
            InvalidRecord: it is not valid, and that is to be raised.
        """
        while self._chosen:
            values = self._values()
            try:
                return self._made(self._asked.schema.validate(values))
            except InvalidRecord as error:
                if self._drop_refused(error.places):
                    continue
                if self._asked.on_invalid == "raise":
                    raise
                return self._made(values, str(error)) if self._asked.on_invalid == "keep" else None
        return None

    def _choice(self, path: Path) -> list[Candidate]:
        """Return what is chosen for a field: the first that is left, or for a list all."""
        left = self._left[path]
        return disjoint(left) if path in self._many else left[:1]

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path, chosen in self._chosen.items():
            inner = values
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            found = [candidate.value for candidate in chosen]
            inner[path[-1]] = found if path in self._many else found[0]
        return values

    def _drop_refused(self, places: Sequence[tuple[Any, ...]]) -> bool:
        """Drop the candidates that the schema refuses; say whether there were any."""
        refused: dict[Path, set[int]] = {}
        for place in places:
            path = next((p for p in self._chosen if p == place[: len(p)]), None)
            if path is not None:
                rest = place[len(path) :]
                is_item = path in self._many and rest and isinstance(rest[0], int)
                one = self._chosen[path][rest[0] if is_item else -1]
                refused.setdefault(path, set()).add(id(one))
        for path, ids in refused.items():
            self._left[path] = [one for one in self._left[path] if id(one) not in ids]
            self._chosen[path] = self._choice(path)
            if not self._left[path]:
                del self._chosen[path]
        return bool(refused)

    def _made(self, value: Any, error: str = "") -> Record[Any]:
        names = {field.path: field.name for field in self._asked.schema.fields}
        spans = {
            names[path]: tuple(span for candidate in its for span in candidate.spans)
            for path, its in self._chosen.items()
        }
        scores = [candidate.score for its in self._chosen.values() for candidate in its]
        return Record(value, spans, sum(scores) / len(scores), error)


def _rank(candidate: Candidate) -> tuple[bool, bool, float]:
    """What a span says goes before what only the class head says, the anchor's line before others;
    then the surer first."""
    return not candidate.spans, candidate.apart, -candidate.score
