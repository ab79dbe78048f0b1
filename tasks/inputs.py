"""The shape rule of all tasks: a text gives one result, a list a list, an iterator an iterator."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice, repeat
from os import PathLike
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from glinermt.errors import UsageError

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
P = ParamSpec("P")

CHUNK = 256
"""Texts that are read and answered together."""


class Several(Protocol):
    """Texts whose number is known: a list, a tuple, a Series of pandas."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...


class Shaped(Protocol[P, T]):
    """A task function as its callers see it; one text is what it is declared for."""

    @overload  # A str is an iterable of str, too; the first that fits holds.
    def __call__(self, text: str, *args: P.args, **kwargs: P.kwargs) -> T: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, text: Several, *args: P.args, **kwargs: P.kwargs
    ) -> list[T]: ...
    @overload
    def __call__(self, text: Iterable[str], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]: ...


def by_shape(function: Callable[Concatenate[str | Iterable[str], P], T]) -> Shaped[P, T]:
    """Tell type checkers the shape rule of a function that ends in ``restore``."""
    return cast("Shaped[P, T]", function)


@dataclass(frozen=True)
class Argument(Generic[A]):
    """A task's argument: one value for all texts, or several with one for each."""

    name: str
    value: Any
    for_all: bool
    kind: str = "a list"
    """What the value for a single text is."""


def string_argument(name: str, value: str | Iterable[str]) -> Argument[str]:
    """Return an argument that is a string or one for each text."""
    for_all = isinstance(value, str | bytes) or not isinstance(value, Iterable)
    return Argument[str](name, value, for_all, "str")


def check_string(name: str, value: object) -> str:
    """Return the string if it says something.

    Raises:
        TypeError: it is not a string.
        ValueError: it is empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, got {type(value).__name__}: {value!r:.80}")
    if not value.strip():
        raise UsageError(f"{name} is empty; say what you look for")
    return value


@overload
def rows(text: str | Iterable[str]) -> Iterator[tuple[str]]: ...
@overload
def rows(text: str | Iterable[str], one: Argument[A], /) -> Iterator[tuple[str, A]]: ...
@overload
def rows(
    text: str | Iterable[str], one: Argument[A], other: Argument[B], /
) -> Iterator[tuple[str, A, B]]: ...
def rows(text: str | Iterable[str], *arguments: Argument[Any]) -> Iterator[tuple[Any, ...]]:
    """Return each text with its arguments, one row a text, whatever the shape of ``text``.

    Raises:
        TypeError: a text is not str, or an argument of one text is a generator or the like.
        ValueError: an argument's number of values differs from the number of texts, or there are
            texts and it has none.
    """
    if isinstance(text, str) or not isinstance(text, Sized) or len(text):
        _check_any(arguments)
    if isinstance(text, str):
        return iter([(text, *(_of_one(argument) for argument in arguments))])
    _check_texts(text)
    if isinstance(text, Sized):
        _check_numbers(len(text), arguments)
    return _rows(text, arguments)


def restore(text: str | Iterable[str], results: Iterator[T]) -> T:
    """Return results in the shape of ``text``: one, a list where its length is known, or lazily.

    Declared as for one text, since ``by_shape`` declares the rest.
    """
    if isinstance(text, str):
        return next(results)
    return cast(T, list(results) if isinstance(text, Sized) else results)


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut into lists of at most ``CHUNK`` items."""
    left = iter(items)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _check_any(arguments: Sequence[Argument[Any]]) -> None:
    """Refuse an empty list for all: it would find nothing. One for a text may be empty."""
    for argument in arguments:
        if not argument.for_all and isinstance(argument.value, Sized) and not len(argument.value):
            raise UsageError(nothing_named(argument.name, argument.value))


def nothing_named(name: str, value: object) -> str:
    """Return the message for an argument that names nothing to look for."""
    return f"{name}: expected at least one, got {value!r}; name what to look for"


def _of_one(argument: Argument[A]) -> A:
    if argument.for_all:
        return cast(A, argument.value)
    if not isinstance(argument.value, Sequence):
        got = type(argument.value).__name__
        raise TypeError(f"{argument.name} must be {argument.kind}, got {got}")
    raise UsageError(
        f"one text, but several values of {argument.name}: {argument.value!r:.80}; give one, which "
        f"is {argument.kind}, or a list of texts"
    )


def _check_texts(text: object) -> None:
    """Refuse what is not several texts in an order."""
    if not isinstance(text, Iterable) or isinstance(text, bytes | bytearray):
        hint = "; pass what the file says, read_text()" if isinstance(text, PathLike) else ""
        raise TypeError(f"text must be str or several of them, got {_kind(text)}{hint}")
    if isinstance(text, Mapping):
        raise TypeError(
            f"text must be str or several of them, got {_kind(text)}, which would be read as its "
            "keys; pass list(text.values())"
        )
    if isinstance(text, set | frozenset):
        raise TypeError(
            f"text must be str or several of them, got {_kind(text)}, which has no order; "
            "pass a list"
        )
    dimensions = getattr(text, "ndim", 1)
    if dimensions != 1:
        raise TypeError(
            f"text must be str or several of them, got {_kind(text)} of {dimensions} dimensions; "
            "pass one column of it"
        )


def _kind(value: object) -> str:
    hint = "; decode it first" if isinstance(value, bytes | bytearray) else ""
    return f"{type(value).__name__}{hint}"


def _check_numbers(num_texts: int, arguments: Sequence[Argument[Any]]) -> None:
    for argument in arguments:
        if not argument.for_all and isinstance(argument.value, Sized):
            number = len(argument.value)
            if number != num_texts:
                raise UsageError(
                    f"{num_texts} texts but {number} values of {argument.name}; "
                    "give one for all or one for each"
                )


def _rows(texts: Iterable[str], arguments: Sequence[Argument[Any]]) -> Iterator[tuple[Any, ...]]:
    streams = [repeat(a.value) if a.for_all else iter(a.value) for a in arguments]
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            missing = text is None or (isinstance(text, float) and math.isnan(text))
            hint = "; leave out what has no text" if missing else ""
            raise TypeError(f"text {i} must be str, got {_kind(text)}{hint}")
        row = []
        for argument, stream in zip(arguments, streams, strict=True):
            value = next(stream, _MISSING)
            if value is _MISSING:
                raise UsageError(f"{argument.name} ran out after {i} values; give one per text")
            row.append(value)
        yield text, *row
    for argument, stream in zip(arguments, streams, strict=True):
        if not argument.for_all and next(stream, _MISSING) is not _MISSING:
            raise UsageError(f"more values of {argument.name} than texts; give one per text")


_MISSING = object()
