"""Schemas of records, read as fields."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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
    jsonschema = needed("jsonschema")
    checker = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UsageError(f"schema is not a JSON schema: {error.message}") from error
    to_json = needed("pydantic_core").to_jsonable_python

    def validate(values: dict[str, Any]) -> Any:
        plain = to_json(_with_json_numbers(values))
        errors = list(checker.iter_errors(plain))
        if errors:
            message = "; ".join(error.message for error in errors)
            raise InvalidRecord(message, [tuple(error.absolute_path) for error in errors])
        return plain

    return Schema(_told_apart(_fields(schema, schema, ())), validate)


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
        return Field(path, "choice", many, label, choices)
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


def _says_its_own(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says what its values are beside a union, which only limits them then."""
    is_open = schema.get("type") in (None, "object", "array")
    return not is_open or any(key in schema for key in ("properties", "items", "enum", "const"))


def _one_of(several: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the choices of all schemas if they name values, else the first that is not null."""
    real = [one for one in several if one.get("type") != "null"]
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
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(found, Mapping) or part not in found:
            raise UsageError(f"schema: there is no {reference!r}")
        found = found[part]
    result: Mapping[str, Any] = found
    return result
