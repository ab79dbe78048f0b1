"""What a span's text says as a value: scales count, and nothing is made up."""

from datetime import time
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from glinermt.tasks import extract_records
from glinermt.types import Span
from tests.stub import StubExtractor


class Amount(BaseModel):
    value: Decimal


class Clock(BaseModel):
    value: time


def said(text: str, schema: type[BaseModel]) -> Any:
    """Return the value of a record whose field is the whole text, None where there is no record."""
    model = StubExtractor(lambda query: [Span(0, len(text), text, query.labels[0], 0.9)])
    records = extract_records(text, schema, model=model)
    return records[0].value.value if records else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1.5 million", 1_500_000),
        ("1.234 million", 1_234_000),
        ("1.234 Mio. EUR", 1_234_000_000),
        ("EUR 2.3 bn", 2_300_000_000),
        ("Mio. EUR 2,3", 2_300_000),
        ("T€ 500", 500_000),
        ("-$3m", -3_000_000),
        ("3k", 3000),
        ("3 m", 3),
        ("85 m2", 85),
        ("1 234,50 €", Decimal("1234.50")),
        ("Tax 20%", 20),
        ("2 x 40.00", None),
        ("12M users", None),
        ("5 of a million", None),
        ("2 thousand million", None),
        ("between 5 and 10", None),
    ],
)
def test_a_number_counts_its_scale_and_is_the_only_one(text: str, value: Decimal | None) -> None:
    assert said(text, Amount) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14:30", time(14, 30)),
        ("at 9.15 Uhr", time(9, 15)),
        ("14h30", time(14, 30)),
        ("9 pm", time(21)),
        ("9:05 a.m.", time(9, 5)),
        ("14 Uhr 30", time(14, 30)),
        ("12.05.2024 14:30:15", time(14, 30, 15)),
        ("12 May 2024", None),
        ("12.05.2024", None),
        ("2024", None),
        ("9:00-17:00", None),
        ("25:00", None),
    ],
)
def test_a_time_needs_its_minutes_or_what_makes_it_an_hour(text: str, value: time | None) -> None:
    assert said(text, Clock) == value
