"""Redaction: private spans found by the model and by patterns, replaced at their places."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

from glinermt import patterns as known
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.inputs import by_shape, nothing_named, restore, rows
from glinermt.tasks.labels import ENTITY_OPTIONS, LabelSpec, check_threshold, read_labels, readable
from glinermt.tasks.run import stream
from glinermt.types import Extractor, Redaction, Span, Threshold

PII: Mapping[str, Mapping[str, Any]] = {
    "person": {},
    "email address": {"pattern": known.EMAIL},
    "phone number": {"pattern": known.PHONE},
    "address": {},
    "date of birth": {},
    "iban": {"pattern": known.IBAN},
    "credit card number": {"pattern": known.CARD},
    "social security number": {"pattern": known.US_SSN},
    "passport number": {},
    "ip address": {"pattern": known.IP},
    "mac address": {"pattern": known.MAC},
    "url": {"pattern": known.URL},
}
"""What is looked for where the caller names nothing; patterns where a thing has a form."""

PSEUDONYM = "pseudonym"
_CODE = 6
"""Letters and digits of a pseudonym's code, more where two would be equal."""


@by_shape
def redact(
    text: str | Iterable[str],
    labels: LabelSpec = PII,
    *,
    placeholder: str | Callable[[Span], str] = "[{label}]",
    patterns: Mapping[str, known.AnyPattern] | None = None,
    validators: Mapping[str, Callable[[str], Any]] | None = None,
    key: str | bytes | None = None,
    threshold: Threshold | None = None,
    model: Extractor | str | Path | None = None,
) -> Redaction:
    """Replace what is private by placeholders, at its place and nowhere else.

    Example::

        redact("Call Ann on +44 20 7946 0958.").text  # 'Call [person] on [phone number].'

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        labels: what is private, as in ``extract_entities``.
        placeholder: what is put there: text with ``{label}`` and ``{number}`` (equal numbers for
            equal texts of a label), or a function of the span; or ``"pseudonym"``: a code that is
            the same for the same name under the same key, such as ``person_4F2A9C``.
        patterns: further labels with their patterns, or patterns for those of ``labels``.
        validators: label, of those looked for -> function that says whether a span's text can be
            one.
        key: secret that pseudonyms are made with; None = a new one for this call. Without the
            mapping in the result nobody can go back from a pseudonym, with the key or not, other
            than by trying names.
        threshold: least score; see ``extract_entities``.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError, ValueError: as in ``extract_entities``; a placeholder with another field.
    """
    asked = read_labels(_spec(labels, patterns or {}, validators or {}), options=ENTITY_OPTIONS)
    if not asked:
        raise UsageError(nothing_named("labels", labels))
    check_threshold(threshold, (label.name for label in asked))
    write = _Writer(placeholder, key)
    for_model, for_us = tee(given for (given,) in rows(text))
    found = stream(
        ENTITIES, load_extractor(model), ((one, asked) for one in for_model), threshold=threshold
    )
    return restore(text, (write(one, spans) for one, spans in zip(for_us, found, strict=True)))


def _spec(
    labels: LabelSpec,
    patterns: Mapping[str, known.AnyPattern],
    validators: Mapping[str, Callable[[str], Any]],
) -> LabelSpec:
    """Return the labels with the patterns and validators put into their options."""
    if isinstance(labels, str | bytes) or not isinstance(labels, Sequence | Mapping):
        return labels  # refused where labels are read
    items = labels.items() if isinstance(labels, Mapping) else ((name, {}) for name in labels)
    spec: dict[str, Any] = {
        name: {"description": about} if isinstance(about, str) else about for name, about in items
    }
    names: dict[str, str] = {}
    for name in spec:
        if isinstance(name, str):
            names.setdefault(readable(name), name)
    for option, given in (("pattern", patterns), ("validator", validators)):
        if not isinstance(given, Mapping):
            raise TypeError(f"{option}s must be a mapping by label, got {given!r:.80}")
        said: dict[str, str] = {}
        for name, value in given.items():
            if option == "validator" and readable(str(name)) not in names:
                raise UsageError(f"validators: {unknown_choice('label', name, spec)}")
            own = names.setdefault(readable(name), name) if isinstance(name, str) else name
            if said.setdefault(own, name) != name:
                raise UsageError(
                    f"{option}s: {said[own]!r} and {name!r} name the same label; give one {option}"
                )
            about = spec.get(own, {})
            if isinstance(about, Mapping):  # else refused where labels are read
                spec[own] = {**about, option: value}
    return spec


class _Writer:
    """Writes placeholders, the same ones for the same texts in all texts of a call."""

    def __init__(self, placeholder: str | Callable[[Span], str], key: str | bytes | None) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        self._codes: dict[str, str] = {}
        if not isinstance(key, str | bytes | None):
            raise TypeError(f"key must be str or bytes, got {type(key).__name__}")
        if key is not None and not key:
            raise UsageError(
                "key is empty, so that anybody could make the pseudonyms; None draws one"
            )
        self._key = key.encode() if isinstance(key, str) else key or secrets.token_bytes(32)
        self._of: Callable[[Span], str]
        if callable(placeholder):
            self._of = placeholder
        elif placeholder == PSEUDONYM:
            self._of = self._pseudonym
        else:
            _check_placeholder(placeholder)
            self._of = lambda span: self._filled(placeholder, span)

    def __call__(self, text: str, spans: Sequence[Span]) -> Redaction:
        parts, end, replacements = [], 0, []
        for span in spans:
            replacement = self._of(span)
            if not isinstance(replacement, str):
                raise TypeError(f"placeholder must return str, got {replacement!r:.80}")
            replacements.append(replacement)
            parts += [text[end : span.start], replacement]
            end = span.end
        return Redaction("".join([*parts, text[end:]]), tuple(spans), tuple(replacements))

    def _filled(self, placeholder: str, span: Span) -> str:
        numbers = self._numbers.setdefault(span.label, {})
        number = numbers.setdefault(_same(span.text), len(numbers) + 1)
        return placeholder.replace("{label}", span.label).replace("{number}", str(number))

    def _pseudonym(self, span: Span) -> str:
        name = f"{span.label}\0{_same(span.text)}"
        code = hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest().upper()
        kind = re.sub(r"\W+", "_", span.label)
        for length in range(_CODE, len(code) + 1):
            pseudonym = f"{kind}_{code[:length]}"
            if self._codes.setdefault(pseudonym, name) == name:
                break
        return pseudonym


def _same(text: str) -> str:
    """Return what equal names have in common: letters without case, single spaces."""
    return " ".join(text.casefold().split())


def _check_placeholder(placeholder: object) -> None:
    if not isinstance(placeholder, str):
        raise TypeError(f"placeholder must be str or a function, got {placeholder!r:.80}")
    unknown = set(re.findall(r"\{(\w*|(?:label|number)\b[^{}]*)\}", placeholder)) - {
        "label",
        "number",
    }
    if unknown:
        raise UsageError(
            f"placeholder {placeholder!r}: unknown field {sorted(unknown)[0]!r}; "
            "there are {label} and {number}"
        )
