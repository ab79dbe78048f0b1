"""Files of benchmarks, in the official formats or our JSONL, to typed cases."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from glinermt.errors import DataError, UsageError
from glinermt.eval.data.cases import NerCase, QaCase, RecordCase, SummaryCase
from glinermt.formats.document import joined, token_span
from glinermt.formats.tokens import tag_spans
from glinermt.jsonl import PACKED, read_jsonl, read_text
from glinermt.types import Span


def check_folder(folder: Path) -> None:
    """Raise DataError where there is no such folder of data."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; pass the folder of the data with --data")


def find_file(folder: Path, patterns: Sequence[str]) -> Path:
    """Return the one file below ``folder`` that fits the first pattern any file fits.

    Raises:
        DataError: no file fits, or several fit one pattern.
    """
    check_folder(folder)
    for pattern in patterns:
        hits = sorted(path for path in folder.rglob(pattern) if path.is_file())
        if len(hits) > 1:
            listed = ", ".join(map(str, hits))
            raise DataError(f"{folder}: {pattern!r} fits several files ({listed}); keep one")
        if hits:
            return hits[0]
    raise DataError(f"{folder}: no file fits any of {', '.join(map(repr, patterns))}")


def find_test_sets(folder: Path, ends: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the test files below a folder, each with the name of its set.

    A file counts if its name ends in one of ``ends`` and is, without that, ``test`` or ends in
    ``.test``, ``-test`` or ``_test``. A set is called by what stands before it, or by its folder.

    Raises:
        DataError: there is no such file, or several are of one name.
    """
    check_folder(folder)
    known: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        end = next((end for end in ends if path.name.endswith(end)), None)
        named = re.fullmatch(r"(?:(.+)[.\-_])?test", path.name.removesuffix(end) if end else "")
        if not named:
            continue
        name = named[1] or path.parent.name
        if name in known:
            raise DataError(f"{path}: set {name!r} is also {known[name]}; rename one")
        known[name] = path
    if not known:
        raise DataError(
            f"{folder}: no file such as NAME.test{ends[0]}; endings that count are "
            f"{', '.join(ends)}"
        )
    return [(path, name) for name, path in known.items()]


def jsonl_patterns(name: str) -> list[str]:
    """Return the names a JSONL file may have, by compression."""
    return [f"{name}.jsonl{packed}" for packed in PACKED]


def read_json(path: Path) -> Any:
    """Return the value of a JSON file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: no JSON: {error}") from error


def field(row: Any, name: str, kind: type, where: str) -> Any:
    """Return ``row[name]``, checked to be a ``kind``.

    Raises:
        DataError: ``row`` is no object, has no such field, or it is of another type.
    """
    if not isinstance(row, dict) or name not in row:
        found = ", ".join(map(repr, row)) if isinstance(row, dict) else f"{row!r:.80}"
        raise DataError(f"{where}: expected a field {name!r}, found {found}")
    value = row[name]
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise DataError(f"{where}: {name!r} should be {kind.__name__}, got {value!r:.80}")
    return value


class TokenText:
    """The text of a token list. Spans are given by first and last token, both inclusive."""

    def __init__(self, tokens: Sequence[object], where: str) -> None:
        self.where = where
        words = []
        for index, token in enumerate(tokens):
            if not isinstance(token, str) or not token:
                raise DataError(f"{where}: token {index} should be a non-empty string: {token!r}")
            words.append(token)
        self.text, self._places = joined(words)

    def span(self, first: object, last: object, label: str) -> Span:
        """Return the characters from token ``first`` to token ``last``."""
        if not isinstance(first, int) or not isinstance(last, int):
            raise DataError(
                f"{self.where}: token positions should be integers: {first!r}, {last!r}"
            )
        try:
            return token_span(self.text, self._places, first, last, label)
        except UsageError as error:
            raise DataError(f"{self.where}: {error} (first and last, both inclusive)") from error


HEADER = "# id "
"""How MultiCoNER begins a sentence."""
Sentence = tuple[str, list[Span]]
_TAG = re.compile(r"(O|[BIESLU]-.+)\Z")


def read_ner(
    path: Path, group: str, *, labels: Sequence[str] = (), names: Mapping[str, str] | None = None
) -> list[NerCase]:
    """Read a file, JSONL by its name and columns otherwise.

    Args:
        path: the file.
        group: name of the set.
        labels: the set's label list; empty = all labels of the file, sorted.
        names: natural words for the file's tags.

    Raises:
        DataError: a line that cannot be read, or a label that is not in ``labels``.
    """
    is_jsonl = ".jsonl" in path.suffixes
    sentences = list(_jsonl_sentences(path) if is_jsonl else _column_sentences(path))
    if not sentences:
        raise DataError(f"{path}: holds no sentence")
    words = names or {}
    renamed = [
        (text, [Span(s.start, s.end, s.text, words.get(s.label, s.label)) for s in spans])
        for text, spans in sentences
    ]
    found = sorted({span.label for _, spans in renamed for span in spans})
    unknown = set(found) - set(labels)
    if labels and unknown:
        raise DataError(f"{path}: labels {sorted(unknown)} are not among {list(labels)}")
    if not labels and not found:
        raise DataError(f"{path}: no sentence has an entity, so that no label can be asked")
    asked = tuple(labels or found)
    nested = any(a.overlaps(b) for _, spans in renamed for a, b in combinations(spans, 2))
    return [
        NerCase(f"{group}/{index}", group, text, asked, tuple(spans), nested)
        for index, (text, spans) in enumerate(renamed)
    ]


def _jsonl_sentences(path: Path) -> Iterator[Sentence]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        if "tokens" in row:
            text = TokenText(field(row, "tokens", list, where), where)
            spans = [text.span(*_triple(raw, where)) for raw in field(row, "spans", list, where)]
            yield text.text, spans
        else:
            text_ = field(row, "text", str, where)
            name = "entities" if "entities" in row else "spans"
            raw_spans = field(row, name, list, where)
            yield text_, [_character_span(raw, text_, where) for raw in raw_spans]


def _triple(raw: Any, where: str) -> tuple[object, object, str]:
    if not isinstance(raw, list) or len(raw) != 3 or not isinstance(raw[2], str):
        raise DataError(f"{where}: a span should be [first token, last token, label], got {raw!r}")
    return raw[0], raw[1], raw[2]


def _character_span(raw: Any, text: str, where: str) -> Span:
    start, end = field(raw, "start", int, where), field(raw, "end", int, where)
    if not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: span {start}:{end} lies outside the text, which has {len(text)} characters"
        )
    return Span(start, end, text[start:end], field(raw, "label", str, where))


def _column_sentences(path: Path) -> Iterator[Sentence]:
    """Read one token a line with its tag in the last column (or the first: MIT's own files)."""
    rows: list[tuple[int, str, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        columns = line.split()
        if not columns or columns[0] == "-DOCSTART-" or line.startswith(HEADER):
            yield from _finish(path, rows)
            rows = []
            continue
        rows.append((number, *_token_and_tag(columns, f"{path}:{number}")))
    yield from _finish(path, rows)


def _token_and_tag(columns: Sequence[str], where: str) -> tuple[str, str]:
    if len(columns) >= 2 and _TAG.match(columns[-1]):
        return columns[0], columns[-1]
    if len(columns) == 2 and _TAG.match(columns[0]):
        return columns[1], columns[0]
    raise DataError(f"{where}: expected a token and a tag such as B-person, got {columns}")


def _finish(path: Path, rows: Sequence[tuple[int, str, str]]) -> Iterator[Sentence]:
    if rows:
        text = TokenText([token for _, token, _ in rows], f"{path}:{rows[0][0]}")
        yield text.text, [text.span(*span) for span in tag_spans([tag for _, _, tag in rows])]


def read_qa(path: Path, group: str) -> list[QaCase]:
    """Read every question of the file.

    Raises:
        DataError: a malformed question, an id seen twice, or no question at all.
    """
    cases = list(
        _jsonl_questions(path, group)
        if ".jsonl" in path.suffixes
        else _official_questions(path, group)
    )
    if not cases:
        raise DataError(f"{path}: holds no question")
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise DataError(f"{path}: question id {case.id!r} stands there twice")
        seen.add(case.id)
    return cases


def _jsonl_questions(path: Path, group: str) -> Iterator[QaCase]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        answers = field(field(row, "answers", dict, where), "text", list, where)
        yield _question(row, field(row, "context", str, where), answers, group, where)


def _official_questions(path: Path, group: str) -> Iterator[QaCase]:
    for i, article in enumerate(field(read_json(path), "data", list, str(path))):
        for j, paragraph in enumerate(field(article, "paragraphs", list, f"{path}: data[{i}]")):
            where = f"{path}: data[{i}].paragraphs[{j}]"
            context = field(paragraph, "context", str, where)
            for k, question in enumerate(field(paragraph, "qas", list, where)):
                place = f"{where}.qas[{k}]"
                answers = field(question, "answers", list, place)
                texts = [field(answer, "text", str, place) for answer in answers]
                yield _question(question, context, texts, group, place)


def _question(row: Any, context: str, answers: list[Any], group: str, where: str) -> QaCase:
    if not all(isinstance(answer, str) for answer in answers):
        raise DataError(f"{where}: answers should be strings, got {answers!r:.80}")
    impossible = row.get("is_impossible", not answers)
    if bool(impossible) != (not answers):
        raise DataError(f"{where}: is_impossible is {impossible} with {len(answers)} answers")
    question = field(row, "question", str, where)
    return QaCase(field(row, "id", str, where), group, question, context, tuple(answers))


def read_summaries(path: Path, group: str) -> list[SummaryCase]:
    """Read every document of the file, in the file's order.

    Raises:
        DataError: a row without document or summary, an empty one, or an empty file.
    """
    cases = []
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        hub = "article" in row
        text = field(row, "article" if hub else "document", str, where)
        summary = field(row, "highlights" if hub else "summary", str, where)
        if not text.strip() or not summary.strip():
            raise DataError(f"{where}: the document or its summary is empty")
        cases.append(SummaryCase(str(row.get("id", number)), group, text, summary))
    if not cases:
        raise DataError(f"{path}: holds no document")
    return cases


_MARK = re.compile(r"\{\{(?:(\d+)\.)?([^|{}]+)\|([^|{}]+)(?:\|([^{}]+))?\}\}")


def read_records(path: Path) -> list[RecordCase]:
    """Read TOML, the values marked in the text where they stand.

    ``[kinds.NAME]`` has a JSON schema as ``schema``, and ``many`` and ``anchor`` where a text holds
    several records. Each of ``[[documents]]`` has a ``kind`` and a ``text`` with marks:
    ``{{field|words}}``, ``{{field|words|value as JSON}}``, and ``{{2.field|words}}`` for the second
    record.

    Raises:
        DataError: it is no such TOML, or a document has an unknown kind or field, or a value that
            is not JSON.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        kinds, documents = data["kinds"], data["documents"]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: no TOML with kinds and documents ({error})") from error
    return [
        _record_case(document, kinds, f"{path}: [{i}]", i) for i, document in enumerate(documents)
    ]


def _schema_of(kind: Any, where: str) -> dict[str, Any]:
    """Return the JSON schema of a kind of documents."""
    schema = {"type": "object", **field(kind, "schema", dict, where)}
    field(schema, "properties", dict, f"{where}: its schema")
    return schema


def _record_case(
    document: Mapping[str, Any], kinds: Mapping[str, Any], where: str, i: int
) -> RecordCase:
    name = str(document.get("kind"))
    if name not in kinds or not isinstance(document.get("text"), str):
        raise DataError(f"{where}: expected a text and a kind of {', '.join(kinds)}, got {name!r}")
    kind = kinds[name]
    schema = _schema_of(kind, f"{where}: kind {name!r}")
    records: dict[int, dict[str, Any]] = {}
    spans: dict[int, dict[str, tuple[Span, ...]]] = {}
    text, end = "", 0
    for mark in _MARK.finditer(document["text"]):
        text += document["text"][end : mark.start()]
        end = mark.end()
        number, field, words, written = mark.groups()
        about = schema["properties"].get(field)
        if about is None:
            raise DataError(f"{where}: field {field!r} is not in the schema of {name!r}")
        try:
            value = words if written is None else json.loads(written)
        except ValueError as error:
            raise DataError(f"{where}: {field} {written!r} is not JSON ({error})") from error
        at = int(number or 1)
        values, said = records.setdefault(at, {}), spans.setdefault(at, {})
        if about.get("type") == "array":
            values.setdefault(field, []).append(value)
        else:
            values[field] = value
        said[field] = (
            *said.get(field, ()),
            Span(len(text), len(text) + len(words), words, field),
        )
        text += words
    text += document["text"][end:]
    if "{{" in text:
        raise DataError(f"{where}: a mark cannot be read: {text[text.index('{{') :]!r:.60}")
    order = sorted(records)
    return RecordCase(
        f"{name}/{i}",
        name,
        text,
        schema,
        kind.get("anchor") if kind.get("many") else None,
        tuple(records[at] for at in order),
        tuple(spans[at] for at in order),
    )
