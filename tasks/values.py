"""What the text of a span says as a value: numbers, money, dates, yes and no."""

import re
from datetime import datetime, time
from decimal import Decimal
from importlib import import_module
from typing import Any

from glinermt.errors import BackendError

_YES = {"yes", "true", "y", "on", "checked", "☑", "☒", "✓", "✔", "x"}
_NO = {"no", "false", "n", "off", "unchecked", "☐"}
_NEGATIVE = re.compile(r"\s*(?:[-−–]|\(.*\)\s*$|[^\w\s]{1,3}\s*[-−]\s*\d|[A-Za-z]{3}\s+[-−]\s*\d)")
_CODE = re.compile(r"[A-Za-z][-/]\d|\d[-/]\d")
"""Reference numbers and dates, whose digits are no amount."""
_DOTTED = re.compile(r"\s*\d{1,2}\.\d{1,2}\.\d{2,4}\b")
"""Dates with dots have the day first."""


def parse(kind: str, text: str) -> Any:
    """Return the value of a span's text, or None where it says none of that kind.

    Nothing is filled in: a date needs its day, month and year, a time its hour.
    """
    if kind == "text":
        return text
    if kind == "number":
        return number(text)
    if kind == "integer":
        value = number(text)
        return int(value) if value is not None and value == value.to_integral_value() else None
    if kind == "boolean":
        said = text.strip().casefold()
        return True if said in _YES else False if said in _NO else None
    if kind == "date":
        found = moment(text, ["year", "month", "day"])
        return None if found is None else found.date()
    if kind == "datetime":
        return moment(text, ["year", "month", "day"])
    return clock_time(text)


def number(text: str) -> Decimal | None:
    """Return the number in a text, whatever stands around it: ``$ 1,234.50``, ``1.234,50 €``."""
    if _CODE.search(text):
        return None
    amount = _needed("price_parser").Price.fromstring(text.replace("%", " ")).amount
    if amount is None:
        return None
    value = Decimal(amount)
    return -value if value > 0 and _NEGATIVE.match(text) else value


def moment(text: str, parts: list[str]) -> datetime | None:
    """Return the point of time that a text names with all ``parts``; "tomorrow" names none."""
    settings: dict[str, Any] = {
        "REQUIRE_PARTS": parts,
        "RETURN_AS_TIMEZONE_AWARE": False,
        "PARSERS": ["custom-formats", "absolute-time"],
    }
    if _DOTTED.match(text):
        settings["DATE_ORDER"] = "DMY"
    found: datetime | None = _needed("dateparser").parse(text, settings=settings)
    return found


def clock_time(text: str) -> time | None:
    """Return the time of day that a text names."""
    if not re.search(r"\d", text):
        return None
    found = moment(text, [])
    return None if found is None else found.time()


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        name = module.replace("_", "-")
        raise BackendError(
            f"numbers and dates in records need {name}: pip install 'glinermt[records]'"
        ) from error
