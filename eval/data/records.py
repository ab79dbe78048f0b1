"""Documents with records: TOML, the values marked in the text where they stand.

``[kinds.NAME]`` has a JSON schema as ``schema``, and ``many`` and ``anchor`` where a text holds
several records. Each of ``[[documents]]`` has a ``kind`` and a ``text`` with marks:
``{{field|words}}``, ``{{field|words|value as JSON}}``, and ``{{2.field|words}}`` for the second
record.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import RecordCase
from glinermt.types import Span

_MARK = re.compile(r"\{\{(?:(\d+)\.)?([^|{}]+)\|([^|{}]+)(?:\|([^{}]+))?\}\}")


def read_records(path: Path) -> list[RecordCase]:
    """Read a file.

    Raises:
        DataError: it is no such TOML, or a document has an unknown kind or field, or a value that
            is not JSON.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        kinds, documents = data["kinds"], data["documents"]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: no TOML with kinds and documents ({error})") from error
    return [_case(document, kinds, f"{path}: [{i}]", i) for i, document in enumerate(documents)]


def _case(document: Mapping[str, Any], kinds: Mapping[str, Any], where: str, i: int) -> RecordCase:
    name = str(document.get("kind"))
    if name not in kinds or not isinstance(document.get("text"), str):
        raise DataError(f"{where}: expected a text and a kind of {', '.join(kinds)}, got {name!r}")
    kind = kinds[name]
    schema = {"type": "object", **kind["schema"]}
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
