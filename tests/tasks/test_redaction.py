"""Redaction replaces what is private at its place, consistently, and finds the way back."""

from collections.abc import Iterator
from typing import Any

import pytest

from glinermt import patterns
from glinermt.tasks import extract_entities, redact
from glinermt.types import Query, Redaction, Span
from tests.stub import StubExtractor

TEXT = "Ann met Bob. Ann wrote to bob@x.example; BOB did not."


def script(query: Query) -> list[Span]:
    """Find the names wherever they stand as words."""
    found = []
    for name in ("Ann", "Bob", "BOB"):
        start = query.text.find(name)
        while start >= 0:
            if "person" in query.labels:
                found.append(Span(start, start + 3, name, "person", 0.9))
            start = query.text.find(name, start + 1)
    return found


MODEL = StubExtractor(script)
LABELS = {"person": {}, "email": {"pattern": patterns.EMAIL}}


def test_private_spans_are_replaced_at_their_places() -> None:
    redaction = redact(TEXT, LABELS, model=MODEL)
    assert redaction.text == ("[person] met [person]. [person] wrote to [email]; [person] did not.")
    assert [TEXT[s.start : s.end] for s in redaction.spans] == [
        "Ann",
        "Bob",
        "Ann",
        "bob@x.example",
        "BOB",
    ]
    assert redaction.restore(redaction.text) == TEXT


def test_equal_names_have_equal_numbers() -> None:
    redaction = redact(TEXT, LABELS, placeholder="<{label} {number}>", model=MODEL)
    assert redaction.text == (
        "<person 1> met <person 2>. <person 1> wrote to <email 1>; <person 2> did not."
    )
    assert redaction.restore("<person 1> likes <person 2>.") == "Ann likes Bob."


def test_pseudonyms_are_the_same_for_the_same_name_and_key() -> None:
    one = redact(TEXT, LABELS, placeholder="pseudonym", key="secret", model=MODEL)
    two = redact("Bob sings.", LABELS, placeholder="pseudonym", key="secret", model=MODEL)
    other = redact("Bob sings.", LABELS, placeholder="pseudonym", key="another", model=MODEL)
    assert two.replacements[0] == one.replacements[1] == one.replacements[4]
    assert other.replacements != two.replacements
    assert one.replacements[0] == one.replacements[2] != one.replacements[1]
    assert "Ann" not in one.text


def test_a_function_writes_what_it_likes() -> None:
    redaction = redact("Ann sings.", LABELS, placeholder=lambda s: "█" * len(s.text), model=MODEL)
    assert redaction.text == "███ sings."
    with pytest.raises(TypeError, match="placeholder must return str, got None"):
        redact("Ann sings.", LABELS, placeholder=lambda _: None, model=MODEL)  # type: ignore[arg-type,return-value]


def test_offsets_lead_back_to_the_original() -> None:
    redaction = redact(TEXT, LABELS, model=MODEL)
    for name in (" met ", " wrote to ", "; ", " did not."):
        assert redaction.to_original(redaction.text.index(name)) == TEXT.index(name)
    assert redaction.to_original(3) == 0
    assert redaction.to_original(len(redaction.text)) == len(TEXT)
    with pytest.raises(ValueError, match="offset 500 lies outside the redacted text"):
        redaction.to_original(500)


def test_what_stands_for_two_names_cannot_be_put_back_into_another_text() -> None:
    redaction = redact(TEXT, LABELS, model=MODEL)
    with pytest.raises(ValueError, match=r"'\[person\]' stands for 'Ann' and 'Bob'"):
        redaction.restore("Who is [person]?")


@pytest.mark.parametrize("placeholder", ["", " "])
def test_what_was_left_out_cannot_be_put_back_into_another_text(placeholder: str) -> None:
    redaction = redact("Ann sings.", LABELS, placeholder=placeholder, model=MODEL)
    assert redaction.restore(redaction.text) == "Ann sings."
    with pytest.raises(ValueError, match="'Ann' was replaced by"):
        redaction.restore("Who sings?")


def test_a_list_gives_a_list_and_an_iterator_an_iterator() -> None:
    texts = [TEXT, "", "nobody", "Bob"]
    one_by_one = [redact(text, LABELS, model=MODEL) for text in texts]
    assert redact(texts, LABELS, model=MODEL) == one_by_one
    lazily = redact(iter(texts), LABELS, model=MODEL)
    assert isinstance(lazily, Iterator)
    assert list(lazily) == one_by_one


def test_patterns_and_validators_can_be_given_beside_the_labels() -> None:
    redaction = redact(
        "Ann has ticket AB-12 and AB-99.",
        ["person"],
        patterns={"ticket": r"AB-\d+"},
        validators={"ticket": lambda text: not text.endswith("99")},
        model=MODEL,
    )
    assert redaction.text == "[person] has ticket [ticket] and AB-99."


@pytest.mark.parametrize(
    ("text", "options", "redacted"),
    [
        ("Ref 12345", {"patterns": {"phone_number": r"\d{5}"}}, "Ref [phone number]"),
        (
            "x A-77 y",
            {"labels": ["Customer ID"], "patterns": {"customer id": r"A-\d+"}},
            "x [Customer ID] y",
        ),
        (
            "x A-77 A-9 y",
            {
                "labels": {"code": {"pattern": r"A-\d+"}},
                "validators": {"Code": lambda text: len(text) > 3},
            },
            "x [code] A-9 y",
        ),
    ],
)
def test_a_pattern_is_for_the_label_that_reads_like_its_name(
    text: str, options: dict[str, Any], redacted: str
) -> None:
    assert redact(text, model=StubExtractor(lambda _: []), **options).text == redacted


def test_what_cannot_be_put_together_is_refused() -> None:
    with pytest.raises(ValueError, match="patterns: 'ID' and 'id' name the same label"):
        redact("x", ["person"], patterns={"ID": "a", "id": "b"}, model=MODEL)
    with pytest.raises(
        ValueError, match=r"validators: unknown label 'persn' \(did you mean 'person'"
    ):
        redact("x", ["person"], validators={"persn": bool}, model=MODEL)
    with pytest.raises(TypeError, match="'person': expected a description or a mapping, got None"):
        redact("x", {"person": None}, patterns={"person": "a"}, model=MODEL)  # type: ignore[dict-item]


def test_a_pattern_takes_the_place_of_what_the_model_says() -> None:
    stub = StubExtractor(lambda query: [Span(0, 9, query.text[:9], "person", 0.9)])
    labels = {"person": {}, "code": {"pattern": r"\d+"}}
    assert extract_entities("Agent 007 and 8.", labels, model=stub) == [
        Span(6, 9, "007", "code", 1.0),
        Span(14, 15, "8", "code", 1.0),
    ]


@pytest.mark.parametrize("field", ["name", "", "number:03d", "label!r"])
def test_a_wrong_placeholder_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown field '{field}'; there are \{{label\}}"):
        redact("Ann", LABELS, placeholder=f"[{{{field}}}]", model=MODEL)


def test_a_redaction_is_ready_for_json() -> None:
    redaction = redact(TEXT, LABELS, model=MODEL)
    assert Redaction.from_dict(redaction.to_dict()) == redaction


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"key": 5}, TypeError, "key must be str or bytes, got int"),
        ({"key": ""}, ValueError, "key is empty, so that anybody could make the pseudonyms"),
        ({"key": b""}, ValueError, "key is empty"),
        ({"patterns": ["x"]}, TypeError, r"patterns must be a mapping by label, got \['x'\]"),
    ],
)
def test_wrong_keys_and_patterns_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        redact("Ann", LABELS, placeholder="pseudonym", model=MODEL, **options)
