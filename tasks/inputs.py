"""The shape rule of all tasks: a text gives one result, a list a list, an iterable an iterator."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

T = TypeVar("T")
P = ParamSpec("P")

CHUNK = 256
"""Texts that are read and answered together."""


class Task(Protocol[P, T]):
    """A task function as its callers see it; one text is what it is declared for."""

    @overload  # A str is an iterable of str, too; the first that fits holds.
    def __call__(self, text: str, /, *args: P.args, **kwargs: P.kwargs) -> T: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, text: Sequence[str], /, *args: P.args, **kwargs: P.kwargs
    ) -> list[T]: ...
    @overload
    def __call__(
        self, text: Iterable[str], /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[T]: ...


def by_shape(function: Callable[Concatenate[str | Iterable[str], P], T]) -> Task[P, T]:
    """Tell type checkers the shape rule of a function that ends in ``shaped``."""
    return cast("Task[P, T]", function)


@dataclass(frozen=True, slots=True)
class Argument:
    """A task's argument: one value for all texts, or an iterable with one for each."""

    name: str
    value: Any
    for_all: bool
    kind: str = "a list"
    """What the value for a single text is."""


def string_argument(name: str, value: Any) -> Argument:
    """Give an argument that is a string or one for each text."""
    return Argument(
        name, value, isinstance(value, str | bytes) or not isinstance(value, Iterable), "str"
    )


def check_string(name: str, value: object) -> str:
    """Give the string back if it says something.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, got {type(value).__name__}: {value!r:.80}")
    if not value.strip():
        raise ValueError(f"{name} is empty; say what you look for")
    return value


def shaped(
    text: str | Iterable[str],
    arguments: Sequence[Argument],
    run: Callable[[list[str], list[tuple[Any, ...]]], list[T]],
) -> T:
    """Call ``run`` with chunks of texts and their argument rows; give the result's right shape.

    Declared as for one text, since ``by_shape`` declares the rest.

    Raises:
        TypeError: a text is not str, or an argument of one text is a generator or the like.
        ValueError: an argument's number of values differs from the number of texts.
    """
    if isinstance(text, str):
        for argument in arguments:
            if argument.for_all:
                continue
            if not isinstance(argument.value, Sequence):
                got = type(argument.value).__name__
                raise TypeError(f"{argument.name} must be {argument.kind}, got {got}")
            raise ValueError(
                f"one text, but several values of {argument.name}; give one, or a list of texts"
            )
        return run([text], [tuple(argument.value for argument in arguments)])[0]
    if not isinstance(text, Iterable) or isinstance(text, bytes | bytearray):
        raise TypeError(f"text must be str or several of them, got {_kind(text)}")
    if isinstance(text, Sequence):
        _check_numbers(len(text), arguments)
        return cast(T, list(_chunked(text, arguments, run)))
    return cast(T, _chunked(text, arguments, run))


def _kind(value: object) -> str:
    hint = "; decode it first" if isinstance(value, bytes | bytearray) else ""
    return f"{type(value).__name__}{hint}"


def _check_numbers(num_texts: int, arguments: Sequence[Argument]) -> None:
    for argument in arguments:
        if not argument.for_all and isinstance(argument.value, Sequence):
            number = len(argument.value)
            if number != num_texts:
                raise ValueError(
                    f"{num_texts} texts but {number} values of {argument.name}; "
                    "give one for all or one for each"
                )


def _chunked(
    texts: Iterable[str],
    arguments: Sequence[Argument],
    run: Callable[[list[str], list[tuple[Any, ...]]], list[T]],
) -> Iterator[T]:
    rows = _rows(texts, arguments)
    while chunk := list(islice(rows, CHUNK)):
        yield from run([text for text, _ in chunk], [row for _, row in chunk])


def _rows(
    texts: Iterable[str], arguments: Sequence[Argument]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    streams = [repeat(a.value) if a.for_all else iter(a.value) for a in arguments]
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {i} must be str, got {_kind(text)}")
        row = []
        for argument, stream in zip(arguments, streams, strict=True):
            value = next(stream, _MISSING)
            if value is _MISSING:
                raise ValueError(f"{argument.name} ran out after {i} values; give one per text")
            row.append(value)
        yield text, tuple(row)
    for argument, stream in zip(arguments, streams, strict=True):
        if not argument.for_all and next(stream, _MISSING) is not _MISSING:
            raise ValueError(f"more values of {argument.name} than texts; give one per text")


_MISSING = object()
