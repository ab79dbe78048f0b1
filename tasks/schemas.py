"""Schemas of records, read as fields."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from typing_extensions import is_typeddict

from glinermt.errors import UsageError
from glinermt.tasks.labels import Label
from glinermt.tasks.values import Kind, needed

Path = tuple[str, ...]
"""Where a value stands in a record: the names from the record down to it."""
_FORMATS: Mapping[str, Kind] = {"date": "date", "date-time": "datetime", "time": "time"}
_SIMPLE: Mapping[str, Kind] = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
MOST_PARTS = 100_000
"""Of a JSON schema, references written out; objects, lists and values in them count."""
_VALUES = ("enum", "const", "default", "examples")
"""Keywords of JSON Schema that hold values, and no schemas."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value, or list of values, that a record can have."""

    path: Path
    kind: Kind
    many: bool
    """Whether it is a list."""
    label: Label
    """What the model is asked for; its name is the path, joined with dots."""
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return self.label.name

    @property
    def named(self) -> tuple[Any, ...]:
        """The choices that a text may name: none says null, and "" stands everywhere."""
        return tuple(
            choice
            for choice in self.choices
            if choice is not None and str(choice).replace("_", " ").strip()
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a record, and what makes values one."""

    fields: tuple[Field, ...]
    validate: Callable[[dict[str, Any]], Any]
    """Values -> the validated record; raises ``InvalidRecord``."""


class InvalidRecord(ValueError):
    """Values that are no record of the schema; says where, for each thing that is wrong."""

    def __init__(self, message: str, places: Sequence[tuple[Any, ...]]) -> None:
        super().__init__(message)
        self.places = tuple(places)


def read_schema(schema: Any) -> Schema:
    """Read a schema.

    Raises:
        TypeError: it is neither a Pydantic class, dataclass or TypedDict nor a JSON schema.
        ValueError: a field of it cannot be found in a text, such as a mapping with free keys, or
            two of them read the same.
        BackendError: a package that reads schemas is missing.
    """
    if isinstance(schema, Mapping):
        return _of_json(schema)
    is_model = isinstance(schema, type) and hasattr(schema, "__pydantic_validator__")
    if not (is_model or is_typeddict(schema) or _is_dataclass(schema)):
        raise TypeError(
            "schema must be a Pydantic class, dataclass, TypedDict or JSON schema, "
            f"got {schema!r:.80}"
        )
    return _of_type(schema)


def _is_dataclass(schema: Any) -> bool:
    return isinstance(schema, type) and dataclasses.is_dataclass(schema)


def _of_type(schema: Any) -> Schema:
    pydantic = needed("pydantic")
    try:
        adapter = pydantic.TypeAdapter(schema)
        described = adapter.json_schema()
    except pydantic.PydanticUserError as error:
        raise TypeError(f"schema {schema!r} cannot be read: {error}") from error

    def validate(values: dict[str, Any]) -> Any:
        try:
            return adapter.validate_python(values)
        except pydantic.ValidationError as error:
            places = [tuple(one["loc"]) for one in error.errors()]
            raise InvalidRecord(str(error), places) from error

    return Schema(_told_apart(_fields(described, described, ())), validate)


def _of_json(schema: Mapping[str, Any]) -> Schema:
    jsonschema, referencing = needed("jsonschema"), needed("referencing")
    checker = jsonschema.Draft202012Validator(
        schema,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        registry=referencing.Registry(),  # without one, jsonschema fetches what is referred to
    )
    try:
        _check_references(schema)
        jsonschema.Draft202012Validator.check_schema(schema)
        fields = _told_apart(_fields(schema, schema, ()))
    except jsonschema.SchemaError as error:
        raise UsageError(f"schema is not a JSON schema: {error.message}") from error
    except RecursionError as error:
        raise UsageError("schema: it is nested too deeply to be read") from error
    to_json = needed("pydantic_core").to_jsonable_python

    def validate(values: dict[str, Any]) -> Any:
        plain = to_json(_with_json_numbers(values))
        try:
            errors = list(checker.iter_errors(plain))
        except RecursionError as error:
            raise UsageError("schema: it refers to itself without end") from error
        if errors:
            message = "; ".join(error.message for error in errors)
            raise InvalidRecord(message, [tuple(error.absolute_path) for error in errors])
        return plain

    return Schema(fields, validate)


def _check_references(schema: Mapping[str, Any]) -> None:
    """Refuse a schema whose references lead out of it, or stand for too much.

    Two references to what has two references, and so on thirty times, are a billion parts.

    Raises:
        UsageError: a reference names no place in it, or it would have more than ``MOST_PARTS``.
    """
    known: dict[int, int] = {}

    def parts(value: Any) -> int:
        if not isinstance(value, Mapping | list):
            return 1
        if id(value) not in known:
            known[id(value)] = 1  # what refers to itself counts once
            known[id(value)] = 1 + sum(map(parts, _below(value, schema)))
        return known[id(value)]

    if parts(schema) > MOST_PARTS:
        raise UsageError(
            f"schema: with what its references stand for it has more than {MOST_PARTS:,} parts"
        )


def _below(value: Any, root: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what an object or list of a schema has, and what its references name."""
    if isinstance(value, list):
        yield from value
        return
    if value is not root and isinstance(value.get("$id"), str):
        raise UsageError(
            f"schema: {value['$id']!r:.80} is a schema of its own inside; leave out $id"
        )
    for key, inner in value.items():
        if key in ("$ref", "$dynamicRef") and isinstance(inner, str):
            yield _referenced(inner, root)
        elif key not in _VALUES:
            yield inner


def _told_apart(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the fields, after a look that no two of them have one name or one label."""
    seen: dict[str, Field] = {}
    known: list[Field] = []
    for field in fields:
        for words in (field.name, field.label.asked):
            other = seen.setdefault(words, field)
            if other is not field:
                raise UsageError(
                    f"fields {_place(other)} and {_place(field)} both read {words!r}; describe "
                    "them differently, or rename one"
                )
        known.append(field)
    return tuple(known)


def _place(field: Field) -> str:
    return " in ".join(map(repr, reversed(field.path)))


def _with_json_numbers(value: Any) -> Any:
    """Return the values with decimal numbers as JSON has them."""
    if isinstance(value, dict):
        return {name: _with_json_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_json_numbers(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _fields(schema: Mapping[str, Any], root: Mapping[str, Any], path: Path) -> Iterator[Field]:
    """Yield the leaves below an object's schema."""
    resolved = _resolved(schema, root, path)
    properties = resolved.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        where = f"field {'.'.join(path)!r}" if path else "schema"
        raise UsageError(f"{where}: an object needs named properties to be filled from a text")
    for name, about in properties.items():
        yield from _field(about, root, (*path, name))


def _field(about: Mapping[str, Any], root: Mapping[str, Any], path: Path) -> Iterator[Field]:
    if len(path) > 8:
        raise UsageError(f"field {'.'.join(path)!r}: a record inside itself cannot be filled")
    about = _open(about, path)
    schema = _resolved(about, root, path)
    description = about.get("description") or schema.get("description") or ""
    if schema.get("type") == "object":
        yield from _fields(schema, root, path)
        return
    many = schema.get("type") == "array"
    item = _resolved(schema.get("items") or {"type": "string"}, root, path) if many else schema
    if item.get("type") in ("object", "array"):
        raise UsageError(
            f"field {'.'.join(path)!r}: a list of records in a record cannot be filled; extract "
            "them on their own with many=True"
        )
    yield _leaf(item, path, many, description)


def _leaf(item: Mapping[str, Any], path: Path, many: bool, description: str) -> Field:
    words = " ".join(_words(name) for name in path)
    label = Label(".".join(path), f"{words}: {description}" if description else words, {})
    if "enum" in item or "const" in item:
        choices = tuple(item.get("enum", [item.get("const")]))
        field = Field(path, "choice", many, label, choices)
        if not field.named:
            raise UsageError(f"field {label.name!r}: none of its choices can be found in a text")
        return field
    kind = _FORMATS.get(item.get("format", "")) or _SIMPLE.get(item.get("type", "string"))
    if kind is None:
        raise UsageError(
            f"field {label.name!r}: type {item.get('type')!r} cannot be found in a text"
        )
    return Field(path, kind, many, label)


def _words(name: str) -> str:
    """Return a field's name as words: ``invoiceNumber``, ``invoice_number`` -> invoice number."""
    return " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").split()).lower()


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Follow references, join what must hold together, and where a schema says nothing of its own
    take from a union the first type that is not null."""
    schema = _open(schema, path)
    for _ in range(20):
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _joined([_referenced(schema["$ref"], root), rest])
        elif "allOf" in schema:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = _joined([*(_resolved(one, root, path) for one in schema["allOf"]), rest])
        elif (several := schema.get("anyOf") or schema.get("oneOf")) and not _says_its_own(schema):
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
            schema = _joined([rest, _one_of(several)])
        elif isinstance(schema.get("type"), list):
            kinds = [kind for kind in schema["type"] if kind != "null"]
            return {**schema, "type": kinds[0] if kinds else "null"}
        elif "properties" in schema and "type" not in schema:
            return {**schema, "type": "object"}
        else:
            return schema
    raise UsageError(f"field {'.'.join(path)!r}: its schema refers to itself")


def _open(schema: Mapping[str, Any] | bool, path: Path) -> Mapping[str, Any]:
    """Return a schema as a mapping: true allows any value.

    Raises:
        UsageError: it is false, which allows none.
    """
    if isinstance(schema, Mapping):
        return schema
    if not schema:
        raise UsageError(f"field {'.'.join(path)!r}: its schema is false, which no value fits")
    return {}


def _says_its_own(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says what its values are beside a union, which only limits them then."""
    is_open = schema.get("type") in (None, "object", "array")
    return not is_open or any(key in schema for key in ("properties", "items", "enum", "const"))


def _one_of(several: Sequence[Mapping[str, Any] | bool]) -> Mapping[str, Any]:
    """Return the choices of all schemas if they name values, else the first that is not null."""
    real = [{} if one is True else one for one in several if one is not False]
    real = [one for one in real if one.get("type") != "null"]
    if real and all("const" in one or "enum" in one for one in real):
        return {"enum": [c for one in real for c in one.get("enum", [one.get("const")])]}
    return real[0] if real else {"type": "null"}


def _joined(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return schemas that hold together as one, with the properties of all."""
    joined = {key: value for part in parts for key, value in part.items()}
    properties = [part["properties"] for part in parts if "properties" in part]
    if len(properties) > 1:
        joined["properties"] = {name: one for each in properties for name, one in each.items()}
    return joined


def _referenced(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference such as ``#/$defs/address`` names; nothing is ever fetched."""
    found: Any = root
    for part in unquote(reference).removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or reference[:2] not in ("#", "#/"):
        raise UsageError(f"schema: there is no {reference!r:.80} in it")
    return found
