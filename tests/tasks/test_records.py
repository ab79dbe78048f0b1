"""Records: every value with its evidence, nothing made up, and what a schema refuses gives way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from glinermt.tasks import extract_records
from glinermt.types import Found, Instance, Query, Relation, Span
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel


def finds(*said: tuple[str, str], score: float = 0.9) -> StubExtractor:
    """Return a model that finds each text, wherever it stands, under the field named before it.

    Earlier ones of a field are surer. A field is asked for by its path in words.
    """

    def script(query: Query) -> list[Span]:
        spans = []
        for rank, (field, text) in enumerate(said):
            label = next((a for a in query.labels if a.split(":")[0] == field), None)
            start = query.text.find(text) if label else -1
            while label and start >= 0:
                place = start, start + len(text)
                spans.append(Span(*place, text, label, score - rank / 100))
                start = query.text.find(text, start + 1)
        return spans

    return StubExtractor(script)


class Status(Enum):
    PAID = "paid"
    OPEN = "not paid"


class Address(BaseModel):
    street: str
    city: str | None = None


class Invoice(BaseModel):
    number: str = Field(description="invoice number", pattern=r"^[A-Z]{2}-\d+$")
    total: Decimal | None = Field(None, ge=0)
    issued: date | None = None
    status: Status | None = None
    items: list[str] = []
    seller: Address | None = None


INVOICE = """Invoice AC-17 of 3 May 2024
Seller: Main Street 5, Springfield
- hammer
- nails
Total: $ 1,234.50, not paid. Tax 20%"""


def test_a_pydantic_class_is_filled_with_evidence_for_every_field() -> None:
    model = finds(
        ("number", "AC-17"),
        ("total", "$ 1,234.50"),
        ("issued", "3 May 2024"),
        ("status", "not paid"),
        ("items", "hammer"),
        ("items", "nails"),
        ("seller street", "Main Street 5"),
        ("seller city", "Springfield"),
    )
    (record,) = extract_records(INVOICE, Invoice, model=model)
    assert record.value == Invoice(
        number="AC-17",
        total=Decimal("1234.50"),
        issued=date(2024, 5, 3),
        status=Status.OPEN,
        items=["hammer", "nails"],
        seller=Address(street="Main Street 5", city="Springfield"),
    )
    for name, spans in record.spans.items():
        assert spans, name
        assert all(INVOICE[span.start : span.end] == span.text for span in spans)
    assert [span.text for span in record.spans["seller.city"]] == ["Springfield"]
    assert 0.8 < record.score <= 0.9


def test_the_name_and_the_description_of_a_field_are_its_label() -> None:
    model = finds()
    assert extract_records(INVOICE, Invoice, model=model) == []
    (query,) = model.queries
    assert query.labels[:2] == ("number: invoice number", "total")
    assert "seller city" in query.labels


def test_a_value_that_the_schema_refuses_gives_way_to_the_next_best() -> None:
    model = finds(("number", "Invoice"), ("number", "AC-17"), ("total", "Total"), ("total", "20%"))
    (record,) = extract_records(INVOICE, Invoice, model=model)
    assert (record.value.number, record.value.total) == ("AC-17", Decimal(20))
    assert [span.text for span in record.spans["number"]] == ["AC-17"]


CODES = {
    "type": "object",
    "properties": {
        "codes": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}}
    },
}


@pytest.mark.parametrize(
    ("text", "codes"),
    [("xx yy", None), ("xx yy ZZ", ["ZZ"]), ("AA xx BB yy ZZ", ["AA", "BB", "ZZ"])],
)
def test_a_list_keeps_the_items_that_its_schema_takes(text: str, codes: list[str] | None) -> None:
    model = finds(*(("codes", code) for code in text.split()))
    records = extract_records(text, CODES, model=model)
    assert [record.value["codes"] for record in records] == ([codes] if codes else [])


def test_a_record_that_cannot_be_valid_is_dropped_raised_or_kept() -> None:
    model = finds(("number", "Invoice"), ("total", "$ 1,234.50"))
    assert extract_records(INVOICE, Invoice, model=model) == []
    with pytest.raises(ValueError, match="number"):
        extract_records(INVOICE, Invoice, on_invalid="raise", model=model)
    (record,) = extract_records(INVOICE, Invoice, on_invalid="keep", model=model)
    assert record.value == {"total": Decimal("1234.50"), "status": "not paid"}
    assert "Field required" in record.error


def test_nothing_is_made_up() -> None:
    model = finds(("number", "AC-17"), ("issued", "May"), ("total", "Total"))
    (record,) = extract_records(INVOICE.replace("not paid", "") + " in May", Invoice, model=model)
    assert record.value == Invoice(number="AC-17")
    assert set(record.spans) == {"number"}


@dataclass
class Person:
    name: str
    age: int | None = None


class Job(TypedDict, total=False):
    title: str
    remote: bool


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "born": {"type": ["string", "null"], "format": "date"},
        "size": {"type": "number", "minimum": 1},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "said", "value"),
    [
        (Person, [("name", "Ann"), ("age", "42")], Person("Ann", 42)),
        (Job, [("title", "engineer"), ("remote", "yes")], {"title": "engineer", "remote": True}),
        (
            SCHEMA,
            [
                ("name", "Ann, 42, engineer"),
                ("name", "Ann"),
                ("born", "1 May 1982"),
                ("size", "42"),
            ],
            {"name": "Ann", "born": "1982-05-01", "size": 42},
        ),
    ],
)
def test_dataclasses_typed_dicts_and_json_schemas_are_filled(
    schema: Any, said: list[tuple[str, str]], value: Any
) -> None:
    text = "Ann, 42, engineer, remote: yes, born 1 May 1982"
    (record,) = extract_records(text, schema, model=finds(*said))
    assert record.value == value


TABLE = """name  | role    | since
Ann   | captain | 2001
Bob   | cook    | 2003

Cid is a guest.
He came with Dora."""


class Member(BaseModel):
    name: str
    role: str | None = None
    since: int | None = None


def test_several_records_are_told_apart_by_lines_and_paragraphs() -> None:
    said = [("name", n) for n in ("Ann", "Bob", "Cid", "Dora")]
    said += [("role", r) for r in ("captain", "cook", "guest")]
    said += [("since", y) for y in ("2001", "2003")]
    records = extract_records(TABLE, Member, many=True, model=finds(*said))
    assert [record.value for record in records] == [
        Member(name="Ann", role="captain", since=2001),
        Member(name="Bob", role="cook", since=2003),
        Member(name="Cid", role="guest"),
        Member(name="Dora"),
    ]


def test_a_value_in_its_own_line_goes_before_a_surer_one_of_a_line_without_anchor() -> None:
    text = "Ann | captain | 2001\nBob | cook | 2003\n"
    scores = {"Ann": 0.9, "2001": 0.6, "2003": 0.9}

    def script(query: Query) -> list[Span]:
        return [
            Span(at, at + len(word), word, "name" if word == "Ann" else "since", score)
            for word, score in scores.items()
            if (at := query.text.find(word)) >= 0
        ]

    (record,) = extract_records(text, Member, many=True, model=StubExtractor(script))
    assert record.value == Member(name="Ann", since=2001)


def test_the_anchor_can_be_chosen() -> None:
    said = [("name", "Ann"), ("role", "captain"), ("role", "cook")]
    records = extract_records(TABLE, Member, many=True, anchor="name", model=finds(*said))
    assert [record.value.name for record in records] == ["Ann"]
    with pytest.raises(ValueError, match="anchor 'boat' is no field of the schema"):
        extract_records(TABLE, Member, many=True, anchor="boat", model=finds(*said))


class Mail(BaseModel):
    topic: Literal["order", "complaint"]


class Chooser:
    """A model with a class head that finds no spans."""

    kinds = frozenset({"spans", "classes"})
    settings = StubExtractor(lambda _: []).settings

    def extract(self, queries: list[Query], **_: Any) -> list[list[Span]]:
        return [[] for _ in queries]

    def read(self, queries: list[Query], _: Any) -> list[Found]:
        return [
            Found((), (), {label: 2.0 * ("complaint" in label) for label in query.classes})
            for query in queries
        ]


def test_a_choice_that_no_span_names_is_made_by_the_class_head() -> None:
    (record,) = extract_records("It broke after a day!", Mail, model=Chooser())  # type: ignore[arg-type]
    assert record.value == Mail(topic="complaint")
    assert record.spans == {"topic": ()}


def test_lists_give_lists_and_records_are_ready_for_json() -> None:
    model = finds(("number", "AC-17"), ("issued", "3 May 2024"))
    one, none = extract_records([INVOICE, "nothing"], Invoice, model=model)
    assert none == []
    data = one[0].to_dict()
    assert data["value"]["issued"] == "2024-05-03"
    assert data["spans"]["number"][0]["text"] == "AC-17"


class Free(BaseModel):
    anything: dict[str, str]


class Node(BaseModel):
    name: str
    child: "Node | None" = None


class Order(BaseModel):
    lines: list[Address]


class Bill(BaseModel):
    seller_city: str
    seller: Address


@pytest.mark.parametrize(
    ("schema", "error", "message"),
    [
        (Bill, ValueError, "fields 'seller_city' and 'city' in 'seller' both read 'seller city'"),
        ("Invoice", TypeError, "schema must be a Pydantic class, dataclass, TypedDict or JSON"),
        (Free, ValueError, "field 'anything': an object needs named properties"),
        (Node, ValueError, "a record inside itself cannot be filled"),
        (Order, ValueError, "field 'lines': a list of records in a record cannot be filled"),
        ({"type": "string"}, ValueError, "schema: an object needs named properties"),
        ({"type": "objekt"}, ValueError, "schema is not a JSON schema"),
    ],
)
def test_schemas_that_cannot_be_filled_are_refused(
    schema: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        extract_records(INVOICE, schema, model=finds())


class Line(BaseModel):
    name: str
    price: Decimal | None = None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"many": "no"}, TypeError, "many must be True or False, got 'no'"),
        ({"anchor": "nme"}, ValueError, "anchor 'nme' is no field of the schema"),
    ],
)
def test_options_that_would_be_taken_for_others_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        extract_records("Lamp 20", Line, model=finds(), **options)


def test_a_relation_head_says_which_record_a_value_belongs_to() -> None:
    text = "Lamp and table came.\nIt is 20 for the table and 30 for the lamp."

    def script(_: Query) -> list[Span]:
        found = {"Lamp": "name", "table": "name", "20": "price", "30": "price"}
        return [Span(text.index(t), text.index(t) + len(t), t, a, 0.9) for t, a in found.items()]

    def related(query: Query) -> list[Relation]:
        assert query.relations == ("price of name",)
        ends = {span.text: span for span in script(query)}
        pairs = (("20", "table", 0.9), ("20", "Lamp", 0.6), ("30", "Lamp", 0.8))
        return [Relation(ends[h], "price of name", ends[t], score) for h, t, score in pairs]

    model = HeadsModel(script, relations=related)
    found = extract_records(text, Line, many=True, model=model)
    assert [(r.value.name, r.value.price) for r in found] == [("Lamp", 30), ("table", 20)]
    plain = extract_records(text, Line, many=True, model=StubExtractor(script))
    assert [(r.value.name, r.value.price) for r in plain] != [("Lamp", 30), ("table", 20)]


class Colours(BaseModel):
    seen: list[Literal["red", "blue", "green"]]


class RecordsModel(StubExtractor):
    """A model that tells instances apart itself, and finds the same one in each text."""

    kinds = frozenset({"records"})
    instance = Instance()

    def read(self, queries: Sequence[Query], _: object) -> list[Found]:
        (structure,) = queries[0].structures
        return [Found(records={structure.name: (self.instance,)}) for _ in queries]


def test_a_list_of_choices_has_those_that_spans_say_and_those_that_only_scores_say() -> None:
    model = RecordsModel(lambda _: [])
    model.instance = Instance(
        {"seen": (Span(0, 3, "Red", "seen", 0.8), Span(8, 12, "blue", "seen", 0.7))},
        {"seen": {"red": 0.9, "green": 0.6, "blue": 0.1}},
    )
    (found,) = extract_records("Red and blue", Colours, model=model)
    assert found.value.seen == ["green", "red", "blue"]
    assert [span.text for span in found.spans["seen"]] == ["Red", "blue"]


def test_a_choice_that_stands_in_the_text_goes_before_the_class_head() -> None:
    model = HeadsModel(lambda _: [], classes={"status: paid": 3.0})
    (record,) = extract_records("Order 5: Not  Paid.", Invoiced, model=model)
    assert record.value.status is Status.OPEN
    assert [span.text for span in record.spans["status"]] == ["Not  Paid"]
    (record,) = extract_records("Order 5: prepaid.", Invoiced, model=model)
    assert record.value.status is Status.PAID  # as the class head says
    assert record.spans["status"] == ()


NAME = {"properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(
    "about",
    [
        {"properties": {**NAME["properties"], "age": {"type": "integer"}}, "anyOf": [NAME]},
        {"allOf": [NAME, {"properties": {"age": {"type": "integer"}}}]},
        {"allOf": [{"$ref": "#/$defs/name"}], "properties": {"age": {"type": "integer"}}},
        {"$ref": "#/$defs/name", "properties": {"age": {"type": "integer"}}},
        {"type": "object", "oneOf": [{"properties": {"name": {}, "age": {"type": "integer"}}}]},
        {
            "type": ["object", "null"],
            "properties": {"name": {"type": "string", "oneOf": [{"minLength": 1}]}, "age": {}},
            "anyOf": [{"required": ["name"]}, {"required": ["age"]}],
        },
    ],
)
def test_a_json_schema_has_the_properties_of_all_its_parts(about: dict[str, Any]) -> None:
    schema = {"properties": {"who": about}, "$defs": {"name": NAME}}
    model = finds(("who name", "Ann"), ("who age", "42"))
    (record,) = extract_records("Ann, 42", schema, model=model)
    assert set(record.spans) == {"who.name", "who.age"}


def test_the_choices_of_a_union_of_values_are_all_looked_for() -> None:
    schema = {"properties": {"size": {"oneOf": [{"const": "small"}, {"const": "large"}]}}}
    (record,) = extract_records("a large one", schema, model=finds())
    assert record.value == {"size": "large"}


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("Auto in Weiß.", "weiß"),
        ("WEISS lackiert", "weiß"),
        ("knows C++, too", "C++"),
        ("knows C.", "C"),
        ("a .NET shop", ".NET"),
        ("ABC", None),
        ("in İstanbul", None),
    ],
)
def test_a_choice_is_found_word_for_word(text: str, choice: str | None) -> None:
    schema = {"properties": {"one": {"enum": ["weiß", "C", "C++", ".NET", "Istanbul"]}}}
    records = extract_records(text, schema, model=finds())
    assert [record.value["one"] for record in records] == ([choice] if choice else [])
    if choice:
        whole = finds(("one", text))
        assert extract_records(text, schema, model=whole)[0].value == {"one": choice}


class Invoiced(BaseModel):
    status: Status | None = None


class Paid(BaseModel):
    status: Literal["paid", None] = None
    note: Literal["", "late"] = ""


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ({"status: None": 5.0, "note: ": 5.0}, []),
        ({"status: paid": 5.0, "note: ": 5.0}, [Paid(status="paid")]),
    ],
)
def test_null_and_blank_choices_are_found_nowhere(
    logits: dict[str, float], expected: list[Paid]
) -> None:
    """A text of "None" names no null, and the empty words stand everywhere."""
    model = HeadsModel(lambda _: [], classes=logits)
    found = extract_records("None of the bills is there.", Paid, model=model)
    assert [record.value for record in found] == expected
    assert all(not spans for record in found for spans in record.spans.values())


@pytest.mark.parametrize(
    ("about", "value"),
    [
        (True, "AC-17"),
        ({"type": "array", "items": True}, ["AC-17"]),
        ({"anyOf": [False, {"type": "null"}, True]}, "AC-17"),
    ],
)
def test_a_schema_of_true_allows_any_value(about: Any, value: object) -> None:
    schema = {"type": "object", "properties": {"number": about}}
    (record,) = extract_records(INVOICE, schema, model=finds(("number", "AC-17")))
    assert record.value == {"number": value}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (False, "field 'number': its schema is false, which no value fits"),
        ({"enum": [None, ""]}, "field 'number': none of its choices can be found in a text"),
    ],
)
def test_a_field_that_no_text_fills_is_named(about: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract_records("x", {"properties": {"number": about}}, model=finds())
