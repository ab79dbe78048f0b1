"""Values: what the text of a span says as a number, a date, a time, or yes and no."""

import re
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from typing import Any, Literal

from glinermt.errors import BackendError

Kind = Literal["text", "number", "integer", "boolean", "date", "datetime", "time", "choice"]

_YES = {"yes", "true", "y", "on", "checked", "☑", "☒", "✓", "✔", "x"}
_NO = {"no", "false", "n", "off", "unchecked", "☐"}
_NEGATIVE = re.compile(r"\s*(?:[-−–]|\(.*\)\s*$|[^\w\s]{1,3}\s*[-−]\s*\d|[A-Za-z]{3}\s+[-−]\s*\d)")
_CODE = re.compile(r"[A-Za-z][-/]\d|\d[-/]\d")
"""Reference numbers and dates, whose digits are no amount."""
_NUMERAL = re.compile(r"\d+(?:[.,'’]\d+|[ \u00a0\u2009\u202f]\d{3}(?!\d))*")
_SQUARE = re.compile(r"\b([cdkm]?m)[23]\b")
"""Units of area and volume, whose digit is no number."""
_SCALES = (
    (12, ".", "dozen"),
    (100, ".", "hundred"),
    (1000, ".", "thousand"),
    (1000, ",", "tausend|tsd"),
    (100_000, ".", "lakh"),
    (10**6, ".", "millions?|mn|mln"),
    (10**6, ",", "millionen|mio"),
    (10**7, ".", "crore"),
    (10**9, ".", "billions?|bn|bln"),
    (10**9, ",", "milliarden?|mrd"),
    (10**12, ".", "trillions?|tn|trn"),
    (10**12, ",", "billionen"),
)
"""What a word makes of the number before it, and the decimal point of its language."""
_SCALE = re.compile(
    rf"(?<![^\W\d_])(?:{'|'.join(names for _, _, names in _SCALES)})(?![^\W\d_])", re.IGNORECASE
)
_LETTER = re.compile(r"(?P<gap>\s?)(?P<scale>[kKmMbB])(?![\w²³/])")
_OF_MONEY = re.compile(r"(?<![^\W\d_])([TkM])(?:[€$£]|EUR|USD|CHF|GBP)")
"""Thousands and millions of a currency: ``T€ 500``, ``MEUR 2``."""
_LETTERS = {"k": 1000, "t": 1000, "m": 10**6, "b": 10**9}
_NEAR = re.compile(r"[\s.-]*(?:[€$£¥]|[A-Z]{3})?\s*")
"""What may stand between a number and its scale."""
_CLOCK = re.compile(
    r"""(?<![\d.,:+])(?P<hour>\d{1,2})
    (?: [:.h](?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?(?:\s?(?P<west>-\d\d:?\d\d))?)?
        (?:\s?(?P<zone>(?:Z|UTC|GMT)\b(?![+-])|\+\d\d:?\d\d))?(?![.:]?\d)
        (?:\s*(?P<half>[ap])\.?m\b)?
      | \s*(?:uhr(?:\s(?P<behind>\d\d)\b)?|o['’]clock)\b
      | \s*(?P<of_hour>[ap])\.?m\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_OFFSET = re.compile(
    r"(?:\d\d|\b[ap]\.?m\.?)\s?(?:(?:Z|UTC|GMT)\b|[+-]\d\d:?\d\d\b)", re.IGNORECASE
)
"""A time with its offset to UTC. Names of zones are not read: "IST" is three of them."""
_DOTTED = re.compile(r"\s*\d{1,2}\.\d{1,2}\.\d{2,4}\b")
"""Dates with dots have the day first."""


def needed(module: str) -> Any:
    """Import a package that records need.

    Raises:
        BackendError: it is missing; the message says which extra brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.replace("_", "-")
        raise BackendError(f"records need {name}: pip install 'glinermt[records]'") from error


def parse(kind: Kind, text: str) -> Any:
    """Return the value of a span's text, or None where it says none of that kind.

    Nothing is filled in: a date needs its day, month and year, a time its minutes, or am, pm, Uhr.
    A date alone is midnight where date and time are asked for, and an offset to UTC that is said is
    kept, both as Pydantic has it.
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
    """Return the number in a text, whatever stands around it: ``$ 1,234.50``, ``2.3 Mio. €``.

    Words and letters that scale it count (``3k``, ``$1.5 million``). None where there are two
    numbers, or it is not plain what a scale belongs to.
    """
    text = _SQUARE.sub(r"\1", text)
    numerals = list(_NUMERAL.finditer(text))
    if _CODE.search(text) or len(numerals) > 1:
        return None
    parser = needed("price_parser").Price
    price = parser.fromstring(text.replace("%", " "))
    if price.amount is None:
        return None
    scale, point = _scale(text, numerals[0], bool(price.currency)) if numerals else (1, None)
    if scale is None:
        return None
    if point and re.fullmatch(r"\d{1,3}[.,]\d{3}", numerals[0][0]):
        price = parser.fromstring(numerals[0][0], decimal_separator=point)
    value = Decimal(price.amount) * scale
    return -value if value > 0 and _NEGATIVE.match(text) else value


def _scale(text: str, numeral: re.Match[str], is_money: bool) -> tuple[int | None, str | None]:
    """Return what a number is multiplied by, None if nobody can say, and its word's decimal point.

    A letter behind a number is a scale where it stands for money (``$3m``), and ``k`` right behind
    any; else it is a unit (``3 m``).
    """
    words = list(_SCALE.finditer(text))
    letter = _LETTER.match(text, numeral.end())
    if letter and not is_money and not letter["gap"] and letter["scale"] in "MB":
        return None, None
    if letter and (is_money or (letter["scale"] in "kK" and not letter["gap"])):
        return (None if words else _LETTERS[letter["scale"].lower()]), "."
    if not words:
        money = _OF_MONEY.search(text)
        return (_LETTERS[money[1].lower()] if money else 1), None
    word = words[0]
    between = text[numeral.end() : word.start()] + text[word.end() : numeral.start()]
    if len(words) > 1 or not _NEAR.fullmatch(between):
        return None, None
    return next(
        (size, point) for size, point, names in _SCALES if re.fullmatch(names, word[0], re.I)
    )


def moment(text: str, parts: list[str]) -> datetime | None:
    """Return the point of time that a text names with all ``parts``; "tomorrow" names none."""
    settings: dict[str, Any] = {
        "REQUIRE_PARTS": parts,
        "PARSERS": ["custom-formats", "absolute-time"],
    }
    if _DOTTED.match(text):
        settings["DATE_ORDER"] = "DMY"
    found: datetime | None = needed("dateparser").parse(text, settings=settings)
    offset = found.utcoffset() if found else None
    if found is None or offset is None:
        return found
    return found.replace(tzinfo=timezone(offset) if _OFFSET.search(text) else None)


def clock_time(text: str) -> time | None:
    """Return the time of day that a text names: hours and minutes, or an hour that is said to be
    one (``9 pm``, ``9 Uhr``), with the offset to UTC that is said; None where it names two."""
    found = list(_CLOCK.finditer(text))
    if len(found) != 1:
        return None
    hour, minute, second = (int(found[0][name] or 0) for name in ("hour", "minute", "second"))
    half = (found[0]["half"] or found[0]["of_hour"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    try:
        zone = _zone(found[0]["west"] or found[0]["zone"])
        return time(hour, minute or int(found[0]["behind"] or 0), second, tzinfo=zone)
    except ValueError:
        return None


def _zone(said: str | None) -> timezone | None:
    """Return the offset to UTC that ``Z``, ``UTC`` or ``+02:00`` says."""
    if said is None:
        return None
    if said[0] not in "+-":
        return UTC
    size = timedelta(hours=int(said[1:3]), minutes=int(said[-2:]))
    return timezone(-size if said[0] == "-" else size)
