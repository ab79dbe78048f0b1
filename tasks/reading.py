"""Reading: entities, relations, classes and records of a text, all in one pass of the model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings, tempered
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.classification import CLASSIFY, Classes
from glinermt.tasks.entities import ENTITIES, chosen
from glinermt.tasks.inputs import by_shape, nothing_named, restore, rows
from glinermt.tasks.labels import (
    ENTITY_OPTIONS,
    Label,
    check_threshold,
    read_labels,
    read_relations,
    readable,
    renamed,
    with_patterns,
)
from glinermt.tasks.records import INSTANCES, RECORDS, Wanted, structure, wanted
from glinermt.tasks.relation_pairs import PAIRS, Paired
from glinermt.tasks.relations import entity_types
from glinermt.tasks.run import in_force, kinds_of, stream
from glinermt.tasks.task import Task, uncut
from glinermt.types import Extractor, Found, Query, Reading, Relation, Span, Threshold

KINDS = ("entities", "relations", "classes", "records")
"""What a schema may ask for."""


@by_shape
def read(
    text: str | Iterable[str],
    schema: Mapping[str, Any],
    *,
    threshold: Threshold | None = None,
    model: Extractor | str | Path | None = None,
) -> Reading:
    """Find all that a schema asks for: entities, relations, classes and records, in one pass.

    A window of the text costs one pass of the encoder, whatever is asked. Example::

        read(
            text,
            {
                "entities": ["person", "company"],
                "relations": {"works for": {"head": ["person"], "tail": ["company"]}},
                "classes": {
                    "mood": ["good", "bad"],
                    "topics": {"labels": ["trade", "law"], "multi_label": True},
                },
                "records": {"invoice": Invoice, "line": {"schema": Line, "many": True}},
            },
        )

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        schema: any of these keys, with what their own functions take. ``entities``: labels as in
            ``extract_entities``. ``relations``: as in ``extract_relations``, between the entities
            and the types that the relations name. ``classes``: labels by the name of the question
            they answer, or ``{"labels", "multi_label", "threshold"}``. ``records``: schemas by
            name, or ``{"schema", "many", "anchor", "on_invalid"}``.
        threshold: least score, of everything without one of its own: a number, or one for each
            label of whatever kind; None = as the model says for each kind.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts, labels or a schema are of another type.
        ValueError: nothing is asked, an unknown key, or a kind that the model does not find.
    """
    extractor = load_extractor(model)
    asked = _asked(schema, extractor, threshold)
    # Spans of fields may lie in entities, so that all is kept here and the entities are chosen.
    mixed = bool(asked.records) and not asked.whole_records
    several = bool(asked.relations)  # an entity may still be of several types
    task = replace(READ, overlap="nested" if mixed else "flat", multi_label=mixed or several)
    return restore(text, stream(task, extractor, ((one, asked) for (one,) in rows(text))))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A schema as the model is asked for it. Thresholds are resolved: each label has its own."""

    entities: tuple[Label, ...]
    relations: tuple[Label, ...]
    types: tuple[Label, ...]
    """Entity types between which relations are sought; those of ``entities`` first."""
    classes: Mapping[str, Classes]
    records: Mapping[str, Wanted]
    whole_records: bool
    """Whether the model tells the instances of records apart itself."""
    settings: Mapping[str, TaskSettings]
    """Those in force for each task."""

    def temper(self, task: Task[Any, Any], score: float) -> float:
        """Return a score of the model as the task's temperature makes it."""
        return tempered(score, self.settings[task.name].temperatures.get(task.name, 1.0))


def _asked(schema: Any, model: Extractor, threshold: Threshold | None) -> _Asked:
    if not isinstance(schema, Mapping):
        raise TypeError(
            f"schema must be a mapping with any of {', '.join(KINDS)}, got {schema!r:.80}"
        )
    for key in schema:
        if key not in KINDS:
            raise UsageError(f"schema: {unknown_choice('key', key, KINDS)}")
    kinds = kinds_of(model)
    given = {name: schema[name] for name in KINDS if not _is_empty(schema.get(name))}
    if not given:
        raise UsageError(f"schema asks for nothing; name any of {', '.join(KINDS)}")
    _check_kinds(given, kinds)
    relations = tuple(read_relations(given.get("relations", ())))
    entities = tuple(read_labels(given.get("entities", ()), options=ENTITY_OPTIONS))
    settings = {
        task.name: in_force(task, model.settings, threshold)
        for task in (ENTITIES, PAIRS, CLASSIFY, RECORDS)
    }
    asked = _Asked(
        entities,
        relations,
        _types(entities, relations) if relations else (),
        _classes(given.get("classes", {})),
        _records(given.get("records", {}), kinds),
        "records" in kinds,
        settings,
    )
    check_threshold(threshold, dict.fromkeys(_names(asked)))
    return asked


def _is_empty(given: object) -> bool:
    return given is None or (isinstance(given, Sized) and not len(given))


def _check_kinds(given: Mapping[str, Any], kinds: Set[str]) -> None:
    for name, kind, instead in (
        ("entities", "spans", "leave them out"),
        ("relations", "relations", "extract_relations asks for the tails of each head instead"),
        ("classes", "classes", "leave them out; classify may know another way"),
    ):
        if name in given and kind not in kinds:
            raise UsageError(
                f"schema: this model finds {', '.join(sorted(kinds))}, and no {name} in the same "
                f"pass; {instead}"
            )
    if "records" in given and not kinds & {"spans", "records"}:
        raise UsageError(f"schema: this model finds {', '.join(sorted(kinds))}, and no records")


def _types(entities: Sequence[Label], relations: Sequence[Label]) -> tuple[Label, ...]:
    """Return the entities asked, and what else relations name; any entity where all is free."""
    named = {readable(label.name) for label in entities}
    sought = entity_types(relations, others=not entities)
    return (*entities, *(t for t in read_labels(sought) if readable(t.name) not in named))


def _classes(given: Any) -> dict[str, Classes]:
    if not isinstance(given, Mapping):
        raise TypeError(
            "schema: classes must be labels by the name of what they answer, such as "
            f"{{'mood': ['good', 'bad']}}, got {given!r:.80}"
        )
    questions: dict[str, Classes] = {}
    for name, about in given.items():
        _check_name("classes", name)
        options = about if _has_options(about, "labels") else {"labels": about}
        _check_options(f"classes {name!r}", options, ("labels", "multi_label", "threshold"))
        labels = read_labels(options["labels"], what=f"question {name!r}: label")
        if not labels:
            raise UsageError(nothing_named(f"schema: classes {name!r}", options["labels"]))
        limit = options.get("threshold")
        if limit is not None:
            labels = [x.with_threshold(limit) if x.threshold is None else x for x in labels]
        questions[name] = Classes(tuple(labels), options.get("multi_label", False))
    return _told_apart(questions)


def _told_apart(questions: dict[str, Classes]) -> dict[str, Classes]:
    """Ask classes that stand in several questions with the name of theirs: ``urgent yes``."""
    number: dict[str, int] = {}
    for question in questions.values():
        for label in question.labels:
            number[label.asked] = number.get(label.asked, 0) + 1
    return {
        name: replace(
            question,
            labels=tuple(
                replace(label, asked=f"{readable(name)} {label.asked}")
                if number[label.asked] > 1
                else label
                for label in question.labels
            ),
        )
        for name, question in questions.items()
    }


def _records(given: Any, kinds: Set[str]) -> dict[str, Wanted]:
    if not isinstance(given, Mapping):
        raise TypeError(
            "schema: records must be schemas by name, such as {'invoice': Invoice}, "
            f"got {given!r:.80}"
        )
    found = {}
    for name, about in given.items():
        _check_name("records", name)
        options = about if _has_options(about, "schema") else {"schema": about}
        _check_options(f"records {name!r}", options, ("schema", "many", "anchor", "on_invalid"))
        how = {key: value for key, value in options.items() if key != "schema"}
        found[name] = replace(wanted(options["schema"], kinds=kinds, **how), name=name)
    return found


def _has_options(about: Any, key: str) -> bool:
    """Whether a mapping says more of a thing, not what it is: its ``key`` is no description."""
    return isinstance(about, Mapping) and key in about and not isinstance(about[key], str)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"schema: {what} need names, got {name!r:.80}")


def _check_options(what: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in given:
        if key not in allowed:
            raise UsageError(f"schema: {what}: {unknown_choice('option', key, allowed)}")


def _names(asked: _Asked) -> Iterator[str]:
    """Yield the names that a threshold may be given for."""
    for labels in (asked.types or asked.entities, asked.relations):
        yield from (label.name for label in labels)
    for question in asked.classes.values():
        yield from (label.name for label in question.labels)
    for record in asked.records.values():
        yield from (field.name for field in record.schema.fields)


def _limited(labels: Iterable[Label], task: Task[Any, Any], asked: _Asked) -> Iterator[Label]:
    """Yield the labels with the model's own score that makes the task's threshold."""
    settings = asked.settings[task.name]
    temperature = settings.temperatures.get(task.name, 1.0)
    for label in labels:
        yield label.with_threshold(tempered(task.limit(label, settings), 1 / temperature))


def _labels(asked: _Asked, _: TaskSettings) -> list[Label]:
    fields = [] if asked.whole_records else _fields(asked)
    return [
        *_limited(asked.types or asked.entities, ENTITIES, asked),
        *_limited(fields, RECORDS, asked),
    ]


def _fields(asked: _Asked) -> list[Label]:
    return [field.label for one in asked.records.values() for field in one.schema.fields]


def _relation_labels(asked: _Asked, _: TaskSettings) -> list[Label]:
    belonging = [] if asked.whole_records else asked.records.values()
    return [
        *_limited(asked.relations, PAIRS, asked),
        *(Label(name, name, {"threshold": 0.5}) for one in belonging for name in one.belonging),
    ]


def _query(text: str, asked: _Asked, settings: TaskSettings) -> list[Query]:
    questions = [(name, [label.asked for label in q.labels]) for name, q in asked.classes.items()]
    choices = [] if asked.whole_records else [list(one.choices) for one in asked.records.values()]
    classes = dict.fromkeys(chain(*(names for _, names in questions), *choices))
    structures = asked.records.values() if asked.whole_records else ()
    return [
        Query(
            text,
            tuple(dict.fromkeys(label.asked for label in _labels(asked, settings))),
            ENTITIES.word_prompt(settings) if asked.entities else "",
            relations=tuple(
                dict.fromkeys(label.asked for label in _relation_labels(asked, settings))
            ),
            classes=tuple(classes),
            structures=tuple(structure(one, asked.settings[RECORDS.name]) for one in structures),
            class_groups=tuple((name, len(names)) for name, names in questions),
            casing=settings.casing,
        )
    ]


def _read(text: str, asked: _Asked, found: Sequence[Found], _: TaskSettings) -> Reading:
    all_found = found[0]
    relations = _related(text, asked, all_found)
    entities = _entities(text, asked, all_found, relations)
    places = {(span.start, span.end, span.label) for span in entities}
    names = {label.name for label in asked.entities}
    kept = [  # a pattern or a validator may have refused an end
        r
        for r in relations
        if all(
            end.label not in names or (end.start, end.end, end.label) in places
            for end in (r.head, r.tail)
        )
    ]
    return Reading(
        tuple(entities),
        tuple(kept),
        {
            name: CLASSIFY.read(
                text, question, [_only_classes(all_found, question)], asked.settings[CLASSIFY.name]
            )
            for name, question in asked.classes.items()
        },
        {name: tuple(_filled(text, asked, one, all_found)) for name, one in asked.records.items()},
    )


def _spans(
    found: Found, labels: Sequence[Label], task: Task[Any, Any], asked: _Asked
) -> tuple[Span, ...]:
    """Return the spans of a task's labels that reach its thresholds, tempered."""
    limits = {label.asked: task.limit(label, asked.settings[task.name]) for label in labels}
    spans = (
        replace(span, score=asked.temper(task, span.score))
        for span in found.spans
        if span.label in limits
    )
    return tuple(span for span in spans if span.score >= limits[span.label])


def _related(text: str, asked: _Asked, found: Found) -> list[Relation]:
    if not asked.relations:
        return []
    spans = _spans(found, asked.types, ENTITIES, asked)
    names = {label.asked for label in asked.relations}
    relations = tuple(
        replace(relation, score=asked.temper(PAIRS, relation.score))
        for relation in found.relations
        if relation.label in names
    )
    question = Paired(asked.relations, asked.types)
    return PAIRS.read(text, question, [Found(spans, relations)], asked.settings[PAIRS.name])


def _entities(text: str, asked: _Asked, found: Found, relations: Sequence[Relation]) -> list[Span]:
    """Choose the entities; a relation may have settled the type of its ends."""
    spans = _spans(found, asked.entities, ENTITIES, asked)
    flat = renamed(chosen(spans, overlap="flat", multi_label=False), asked.entities)
    names = {label.name for label in asked.entities}
    ends = {
        (end.start, end.end): end
        for r in relations
        for end in (r.head, r.tail)
        if end.label in names
    }
    settled = [ends.get((span.start, span.end), span) for span in flat]
    return with_patterns(text, settled, asked.entities)


def _only_classes(found: Found, question: Classes) -> Found:
    names = {label.asked for label in question.labels}
    return Found(classes={name: logit for name, logit in found.classes.items() if name in names})


def _filled(text: str, asked: _Asked, one: Wanted, found: Found) -> Sequence[Any]:
    settings = asked.settings[RECORDS.name]
    if asked.whole_records:
        return INSTANCES.read(text, one, [found], settings)
    fields = [field.label for field in one.schema.fields]
    spans = _spans(found, fields, RECORDS, asked)
    relations = tuple(r for r in found.relations if r.label in one.belonging)
    return RECORDS.read(text, one, [replace(found, spans=spans, relations=relations)], settings)


READ: Task[_Asked, Reading] = Task(
    name="read",
    query=_query,
    labels=_labels,
    relations=_relation_labels,
    read=_read,
    cut=uncut,
)
