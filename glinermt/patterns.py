"""Patterns for what has a form of its own: addresses, numbers with check digits, dates.

A pattern can stand in a label's options of every task that finds entities::

    extract_entities(text, {"iban": {"pattern": patterns.IBAN}, "person": {}})

and ``find(text, "person id", r"P-\\d{6}")`` reads any regular expression the same way. What a check
digit, a range or a numbering plan refuses is not found. ``PHONE``, ``IBAN`` and the national
identifiers need ``pip install 'glinermt[pii]'``.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from glinermt.errors import BackendError, UsageError
from glinermt.types import Span

_LOCAL = r"[\w.!#$%&'*+/=?^`{|}~-]"
"""What may stand before the @ of an address."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, and a check that a match must pass."""

    regex: str
    check: Callable[[str], bool] | None = None
    flags: int = re.IGNORECASE

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of every match that passes the check, from left to right."""
        for match in re.finditer(self.regex, text, self.flags):
            if match.end() > match.start() and (self.check is None or self.check(match[0])):
                yield match.span()


@dataclass(frozen=True, slots=True)
class PhonePattern:
    """Telephone numbers by the numbering plans of all countries (the library phonenumbers)."""

    region: str = "US"
    """Country whose national form is understood; numbers with +CODE are found anywhere."""

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of every number that its country's plan allows."""
        phonenumbers = _needed("phonenumbers")
        for match in phonenumbers.PhoneNumberMatcher(text, self.region):
            yield match.start, match.end


AnyPattern = Pattern | PhonePattern | str | re.Pattern[str]


def find(text: str, label: str, pattern: AnyPattern) -> list[Span]:
    """Return the spans of a pattern, with score 1.

    Raises:
        TypeError: ``pattern`` is no pattern.
        ValueError: a regular expression that cannot be read.
    """
    if isinstance(pattern, str | re.Pattern):
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise UsageError(f"label {label!r}: pattern {pattern!r}: {error}") from error
        pattern = Pattern(compiled.pattern, flags=compiled.flags)
    if not hasattr(pattern, "find"):
        raise TypeError(f"label {label!r}: pattern must be a regular expression, got {pattern!r}")
    return [Span(start, end, text[start:end], label) for start, end in pattern.find(text)]


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise BackendError(
            f"this pattern needs {module.split('.')[0]}: pip install 'glinermt[pii]'"
        ) from error


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _passes_luhn(text: str) -> bool:
    digits = [int(d) for d in text if d.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return 12 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _valid(module: str) -> Callable[[str], bool]:
    """Return the check of a module of python-stdnum, such as ``iban`` or ``us.ssn``."""

    def check(text: str) -> bool:
        return bool(_needed(f"stdnum.{module}").is_valid(text))

    return check


EMAIL = Pattern(
    # Looked for once in a run of such characters, from its first on: base64 is one run.
    rf"(?<!{_LOCAL})(?<!@){_LOCAL}++@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{{2,63}}\b"
)
URL = Pattern(
    r"\b(?:https?|ftp)://[^\s<>\"'`{}|\\^\[\]]*[^\s<>\"'`{}|\\^\[\].,;:!?)]"
    r"|\bwww\.(?:[a-z0-9-]+\.)+[a-z]{2,63}(?:/[^\s<>\"'`]*[^\s<>\"'`.,;:!?)])?"
)
IP = Pattern(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*"
    r"(?:/\d{1,3})?)(?![\w:])(?!\.\d)",
    _is_ip,
)
MAC = Pattern(r"(?<![\w:-])[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![\w:-])")
CARD = Pattern(r"(?<![\w.-])(?<!\d )[2-6](?:[ -]?\d){11,18}(?![\w-])", _passes_luhn)
"""Payment card numbers that pass the Luhn check."""
IBAN = Pattern(r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b", _valid("iban"))
PHONE = PhonePattern()
US_SSN = Pattern(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", _valid("us.ssn"))
UK_NHS = Pattern(r"(?<![\w-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w-])", _valid("gb.nhs"))
DE_TAX_ID = Pattern(r"(?<![\w-])\d{2} ?\d{3} ?\d{3} ?\d{3}(?![\w-])", _valid("de.idnr"))
ES_NIF = Pattern(r"(?<![\w-])[a-z0-9]\d{7}[a-z0-9](?![\w-])", _valid("es.nif"))
FR_NIR = Pattern(
    r"(?<![\w-])[12] ?\d{2} ?\d{2} ?[\dab]{2} ?\d{3} ?\d{3} ?\d{2}(?![\w-])", _valid("fr.nir")
)
IT_FISCAL_CODE = Pattern(
    r"\b[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]\b", _valid("it.codicefiscale")
)
IN_PAN = Pattern(r"\b[a-z]{5}\d{4}[a-z]\b", _valid("in_.pan"))
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATE = Pattern(
    r"(?<![\w./-])(?:\d{4}-\d{2}-\d{2}|\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? \d{{4}}|"
    rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})(?![\w/-])"
)
"""Whole dates in figures, or with an English month."""
