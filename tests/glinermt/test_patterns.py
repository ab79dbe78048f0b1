"""What has a form of its own is found by it, and what a check refuses is not."""

import pytest

from glinermt import patterns

TEXT = (
    "Write to Ann.Lee+x@mail.example.co.uk or call +44 20 7946 0958 / (212) 555-2368. "
    "IBAN DE89 3704 0044 0532 0130 00, bad DE89 3704 0044 0532 0130 01; "
    "card 4111 1111 1111 1111, not 4111 1111 1111 1112. "
    "IP 10.0.0.300 10.0.0.30, 2001:db8::1; see https://a.example/x(1)?q=2. "
    "MAC 00:1A:2b:3C:4d:5E. Born 3 May 1990, 2020-01-02 and 03/04/2021 at 12:30:45. "
    "SSN 536-90-4399, tax 36 574 261 809, CF RCCMNL83S18D969H, version 1.2.3."
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("EMAIL", ["Ann.Lee+x@mail.example.co.uk"]),
        ("URL", ["https://a.example/x(1)?q=2"]),
        ("IP", ["10.0.0.30", "2001:db8::1"]),
        ("MAC", ["00:1A:2b:3C:4d:5E"]),
        ("CARD", ["4111 1111 1111 1111"]),
        ("DATE", ["3 May 1990", "2020-01-02", "03/04/2021"]),
    ],
)
def test_patterns_find_what_is_well_formed(name: str, found: list[str]) -> None:
    spans = patterns.find(TEXT, name, getattr(patterns, name))
    assert [span.text for span in spans] == found
    assert all(TEXT[span.start : span.end] == span.text for span in spans)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("IBAN", ["DE89 3704 0044 0532 0130 00"]),
        ("PHONE", ["+44 20 7946 0958", "(212) 555-2368"]),
        ("US_SSN", ["536-90-4399"]),
        ("DE_TAX_ID", ["36 574 261 809"]),
        ("IT_FISCAL_CODE", ["RCCMNL83S18D969H"]),
    ],
)
def test_numbers_with_check_digits_and_plans(name: str, found: list[str]) -> None:
    pytest.importorskip("phonenumbers" if name == "PHONE" else "stdnum")
    assert [s.text for s in patterns.find(TEXT, name, getattr(patterns, name))] == found


def test_any_regular_expression_is_a_pattern() -> None:
    (span,) = patterns.find("ticket AB-12.", "ticket", r"[A-Z]+-\d+")
    assert (span.text, span.label, span.score) == ("AB-12", "ticket", 1.0)
    assert patterns.find("ticket ab-12.", "ticket", r"[A-Z]+-\d+") == []


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label 'x': pattern '\(': missing \)"):
        patterns.find("text", "x", "(")
    with pytest.raises(TypeError, match="label 'x': pattern must be a regular expression, got 3"):
        patterns.find("text", "x", 3)  # type: ignore[arg-type]


def test_addresses_are_looked_for_once_in_what_could_be_one() -> None:
    """A mail with an attachment in base64 took minutes: each sign in it began a new search."""
    blob = "aB3/" * 500_000
    (span,) = patterns.find(f"{blob} ann@acme.com", "mail", patterns.EMAIL)
    assert span.text == "ann@acme.com"
    assert not patterns.find(blob, "mail", patterns.EMAIL)
