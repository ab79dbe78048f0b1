"""What a span's text says as a value: scales count, and nothing is made up."""

from datetime import UTC, datetime, time, timedelta, timezone
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


class Moment(BaseModel):
    value: datetime


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
        ("14:30Z", time(14, 30, tzinfo=UTC)),
        ("14:30:15 -05:00", time(14, 30, 15, tzinfo=timezone(timedelta(hours=-5)))),
        ("9:00-17:00", None),
        ("25:00", None),
    ],
)
def test_a_time_needs_its_minutes_or_what_makes_it_an_hour(text: str, value: time | None) -> None:
    assert said(text, Clock) == value


@pytest.mark.parametrize(
    "text", ["2024-05-12", "2024-05-12T14:30", "2024-05-12T14:30:00Z", "2024-05-12 14:30:00+02:00"]
)
def test_a_datetime_is_what_pydantic_makes_of_it(text: str) -> None:
    value, expected = said(text, Moment), Moment.model_validate({"value": text}).value
    assert (value, value.utcoffset()) == (expected, expected.utcoffset())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12 May 2024", datetime(2024, 5, 12)),
        ("12 May 2024 at 9 pm", datetime(2024, 5, 12, 21)),
        ("12 May 2024, 14:30 UTC", datetime(2024, 5, 12, 14, 30, tzinfo=UTC)),
        ("12 May 2024, 14:30 IST", datetime(2024, 5, 12, 14, 30)),
        ("12 May 2024 by Art", datetime(2024, 5, 12)),
        ("May 2024, 14:30", None),
    ],
)
def test_a_datetime_has_the_offset_that_is_said_and_midnight_without_a_time(
    text: str, value: datetime | None
) -> None:
    assert repr(said(text, Moment)) == repr(value)
