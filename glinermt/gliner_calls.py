"""The calls of the package ``gliner``, so that what was written for it runs with our models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from glinermt.config import TaskSettings, check_share, tempered
from glinermt.errors import UsageError, unknown_choice
from glinermt.long_texts import cut, moved
from glinermt.types import Ask, Extractor, Found, Query, Span, Threshold

TASK = "entities"

Labels = Sequence[str] | Mapping[str, str]
"""Names, or names with descriptions."""
Row = dict[str, Any]
_INSTEAD = {
    "load_onnx_model": "pass the folder of an export",
    "quantize": "load with precision='int8' or 'bf16'",
}
"""What stands here for options of that package that cannot be taken as they are."""
OTHER_CALLS = {
    "batch_classify_text": "classify(texts, labels, model=model)",
    "batch_extract_entities": "extract_entities(texts, labels, model=model)",
    "batch_extract_json": "extract_records(texts, schema, model=model)",
    "batch_extract_relations": "extract_relations(texts, relations, model=model)",
    "classify_text": "classify(text, labels, model=model)",
    "create_schema": "read(text, schema, model=model)",
    "evaluate": "glinermt bench ner20 --data FOLDER --model MODEL on the command line",
    "export_to_onnx": "model.export_onnx(folder)",
    "extract_entities": "extract_entities(text, labels, model=model)",
    "extract_json": "extract_records(text, schema, model=model)",
    "extract_relations": "extract_relations(text, relations, model=model)",
    "quantize": "GlinerMT.from_pretrained(..., precision='int8')",
    "run": "model.inference(texts, labels)",
    "train_model": "glinermt.training.fine_tune(model, examples)",
}
"""Methods of models of the packages gliner and gliner2, and what does the same here."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How that package is told to decode; ``across_lines`` and ``replaced`` are the model's."""

    threshold: Threshold
    """Least score, one number or one for each label."""
    flat_ner: bool
    """No entity lies in another."""
    multi_label: bool
    """An entity may have several labels."""
    across_lines: bool
    """An entity may run on behind a line's end."""
    replaced: bool
    """A description is asked in its name's place, as that package does; else behind it."""
    adjacency_threshold: float | None = None
    relation_threshold: float | None = None
    """None = ``threshold``."""

    def ask(self, asked: Sequence[Mapping[str, str]], settings: TaskSettings) -> Ask:
        """Return how the model decodes, by its own scores, which a temperature may change."""
        if type(self.flat_ner) is not bool:
            raise TypeError(f"flat_ner must be True or False, got {self.flat_ner!r:.80}")
        temperature = settings.temperatures.get(TASK, 1.0)
        for name in ("adjacency_threshold", "relation_threshold"):
            if getattr(self, name) is not None:
                check_share(name, getattr(self, name))
        related = self.relation_threshold
        if related is None:
            related = (
                min(self.threshold.values(), default=0.0)
                if isinstance(self.threshold, Mapping)
                else (self.threshold)
            )
        return Ask(
            _own_threshold(self.threshold, asked, temperature),
            "flat" if self.flat_ner else "nested",
            self.multi_label,
            settings.span_score,
            related,
            self.adjacency_threshold,
        )


def entity_dicts(
    model: Extractor, texts: Sequence[str], labels: Labels | Sequence[Labels], rules: Rules
) -> list[list[Row]]:
    """Return the entities of each text as that package does, asked as the task ``entities`` is.

    The model's settings hold: the words it reads at once, its temperature and its prompt; but
    the threshold is the caller's alone.

    Args:
        model: whom to ask.
        texts: what to read.
        labels: those of all texts, or one list or mapping for each text.
        rules: how to decode.

    Raises:
        TypeError: something is not of its type.
        ValueError: there are not as many lists of labels as texts.
    """
    asked = [_asked(names, rules.replaced) for names in _for_each(labels, len(texts))]
    ask = rules.ask(asked, model.settings)
    pieces = _pieces(model, texts, asked, [()] * len(texts), rules)
    found = model.extract(
        [piece.query for piece in pieces],
        threshold=ask.threshold,
        overlap=ask.overlap,
        multi_label=ask.multi_label,
        span_score=ask.span_score,
    )
    entities: list[list[Row]] = [[] for _ in texts]
    for piece, spans in zip(pieces, found, strict=True):
        entities[piece.text] += _entities(model, spans, piece, asked[piece.text])
    return entities


def entity_and_relation_dicts(
    model: "TextReader",
    texts: Sequence[str],
    labels: Labels | Sequence[Labels],
    relations: Sequence[str] | Sequence[Sequence[str]],
    rules: Rules,
) -> tuple[list[list[Row]], list[list[Row]]]:
    """Return the entities of each text, and the relations between them; see ``entity_dicts``.

    A relation has the places of its ``head`` and ``tail``, their ``type``, and the ``entity_idx``
    of each in the text's entities.
    """
    asked = [_asked(names, rules.replaced) for names in _for_each(labels, len(texts))]
    wanted = [tuple(names) for names in _for_each(relations, len(texts), "relations")]
    pieces = _pieces(model, texts, asked, wanted, rules)
    found = model.read([piece.query for piece in pieces], rules.ask(asked, model.settings))
    entities: list[list[Row]] = [[] for _ in texts]
    related: list[list[Row]] = [[] for _ in texts]
    for piece, one in zip(pieces, found, strict=True):
        own = _entities(model, one.spans, piece, asked[piece.text])
        place: dict[tuple[int, int], int] = {}
        for i, entity in enumerate(own, len(entities[piece.text])):
            place.setdefault((entity["start"], entity["end"]), i)
        entities[piece.text] += own
        for relation in one.relations:
            ends = [
                {
                    "start": end.start,
                    "end": end.end,
                    "text": end.text,
                    "type": asked[piece.text].get(end.label, end.label),
                    "entity_idx": place[end.start, end.end],
                }
                for end in moved([relation.head, relation.tail], piece.start)
            ]
            related[piece.text].append(
                {
                    "head": ends[0],
                    "tail": ends[1],
                    "relation": relation.label,
                    "score": relation.score,
                }
            )
    return entities, related


class TextReader(Extractor, Protocol):
    """A model that finds all kinds of things in one pass."""

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]: ...


class _Piece(NamedTuple):
    text: int
    start: int
    query: Query


def _pieces(
    model: Extractor,
    texts: Sequence[str],
    asked: Sequence[Mapping[str, str]],
    relations: Sequence[tuple[str, ...]],
    rules: Rules,
) -> list[_Piece]:
    """Return the queries: each text, or the stretches that the model reads one at a time."""
    settings = model.settings
    found = []
    for i, (text, names, related) in enumerate(zip(texts, asked, relations, strict=True)):
        prompt = settings.prompts.get(TASK, "")
        query = Query(
            text,
            tuple(names),
            prompt,
            related,
            across_lines=rules.across_lines,
            casing=settings.casing,
        )
        parts = cut(query, settings.words_at_once.get(TASK, 0))
        found += [_Piece(i, start, part) for start, part in parts]
    return found


def _entities(
    model: Extractor, spans: Sequence[Span], piece: _Piece, names: Mapping[str, str]
) -> list[Row]:
    temperature = model.settings.temperatures.get(TASK, 1.0)
    return [
        {
            **span.to_dict(),
            "label": names[span.label],
            "score": tempered(span.score, temperature),
        }
        for span in moved(list(spans), piece.start)
    ]


def _own_threshold(
    threshold: Threshold, asked: Sequence[Mapping[str, str]], temperature: float
) -> Threshold:
    """Return the threshold of the model's own scores, for labels as they are asked."""
    if not isinstance(threshold, Mapping):
        return tempered(check_share("threshold", threshold), 1 / temperature)
    known = {label: name for names in asked for label, name in names.items() if name in threshold}
    for name in threshold:
        if name not in known.values():
            named = {name for names in asked for name in names.values()}
            raise UsageError(f"threshold: {unknown_choice('label', name, named)}")
    return {
        label: tempered(check_share(f"label {name!r}: threshold", threshold[name]), 1 / temperature)
        for label, name in known.items()
    }


def refuse_unknown(options: Mapping[str, Any], *, known: Sequence[str]) -> None:
    """Pass over options of that package that are off, and refuse what would change the result.

    Raises:
        TypeError: an option is on that has no counterpart here, or there is no such option.
    """
    for name, value in options.items():
        if name not in known:
            raise TypeError(f"unexpected argument {name!r}")
        if value:
            advice = _INSTEAD.get(name, "leave it out")
            raise TypeError(f"{name}={value!r:.80} has no counterpart in glinermt; {advice}")


def listed(texts: str | Iterable[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        TypeError: one is not str.
    """
    if not isinstance(texts, Iterable) or isinstance(texts, Mapping | bytes | bytearray):
        raise TypeError(f"texts must be str or a list of them, got {type(texts).__name__}")
    found = [texts] if isinstance(texts, str) else list(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"text {i} must be str, got {type(text).__name__}")
    return found


def _for_each(
    labels: Labels | Sequence[Labels], number: int, what: str = "labels"
) -> Sequence[Labels]:
    if isinstance(labels, str) or not isinstance(labels, Sequence | Mapping):
        hint = f"; write [{labels!r}]" if isinstance(labels, str) else ""
        raise TypeError(f"{what} must be a list or a mapping, got {labels!r:.80}{hint}")
    lists = [isinstance(each, Sequence | Mapping) and not isinstance(each, str) for each in labels]
    if isinstance(labels, Mapping) or not any(lists):
        _check_names(labels, what)
        return [labels] * number  # type: ignore[list-item]  # one list for all
    for i, (each, is_list) in enumerate(zip(labels, lists, strict=True)):
        if not is_list:
            hint = f"; write [{each!r}]" if isinstance(each, str) else ""
            raise TypeError(f"{what} of text {i} must be a list or a mapping, got {each!r}{hint}")
        _check_names(each, what)
    if len(labels) != number:
        raise UsageError(f"{number} texts have {len(labels)} lists of labels; give each text one")
    return labels


def _check_names(names: Iterable[Any], what: str) -> None:
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"one of {what} must be str, got {type(name).__name__}: {name!r:.80}")


def _asked(labels: Labels, replaced: bool) -> dict[str, str]:
    """Return what the model is asked, and the name that the caller knows it by."""
    if not isinstance(labels, Mapping):
        return {name: name for name in labels}
    asked: dict[str, str] = {}
    for name, about in labels.items():
        described = about if replaced else f"{name}: {about}"
        words = described if about else name
        if words in asked:
            raise UsageError(
                f"labels {asked[words]!r} and {name!r} are both described as {words!r:.80}; "
                "describe them differently"
            )
        asked[words] = name
    return asked
