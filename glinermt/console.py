"""What the commands share: reading texts, and showing results to people and to programs."""

import itertools
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from glinermt import jsonl
from glinermt.errors import DataError, UsageError
from glinermt.types import (
    Answer,
    Classification,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
)

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_UNSEEN = re.compile("[\u007f-\u009f\u2028\u2029]")
_STEERING = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for line end and tab; of Unicode also line ends and turns of direction."""
_STDIN = "standard input"
_FILE_NAME = re.compile(r"(\S*[/\\])?\S+\.[A-Za-z]\w{0,4}")


class Milestones:
    """Lines of how far a job is, at most a hundred, where no bar can be drawn: files, pipes."""

    def __init__(self, console: Console, job: str) -> None:
        self._console = console
        self._job = job
        self._said = 0
        self.wanted = not (console.is_terminal or console.is_jupyter)

    def show(self, share: float, text: str) -> None:
        """Print a line if the job is a hundredth further than the last one said."""
        if self.wanted and int(100 * share) > self._said:
            self._said = int(100 * share)
            line = f"{self._job} {self._said}% {text}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def read_text(source: str) -> str:
    """Return the text of a file, of standard input for ``-``, or else the argument itself.

    Both are UTF-8 whatever the locale, and line ends stay as they are, so that offsets are those
    of the file's characters; a byte order mark at its beginning is not counted.

    Raises:
        DataError: the file is a folder or not UTF-8 text, or is not there and nothing but the
            name of a file could be meant.
    """
    if source == "-":
        return _decoded(sys.stdin.buffer.read, _STDIN)
    path = Path(source)
    if _is_there(path):
        return _decoded(path.read_bytes, source)
    if _FILE_NAME.fullmatch(source):
        raise DataError(
            f"{source}: no such file; if this is the text itself, give it on standard input, as -"
        )
    return source


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text too long for a name, or with a zero byte
        return False


def _decoded(read: Callable[[], bytes], name: str) -> str:
    try:
        return read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 text ({error}); convert it first") from error
    except IsADirectoryError as error:
        raise DataError(f"{name}: a folder; name a file in it") from error


def read_jsonl(path: Path, field: str) -> Iterator[str]:
    """Yield the texts in ``field`` of each row; ``-`` is JSON lines on standard input.

    Raises:
        DataError: the file cannot be read, or a row is no JSON object or has no such text.
    """
    rows: Iterator[tuple[int, dict[str, Any]]]
    if path == Path("-"):
        rows = (
            (number, jsonl.parse_row(line, f"{_STDIN}:{number}")) for number, line in _stdin_lines()
        )
    else:
        rows = jsonl.read_jsonl(path)
    name = _STDIN if path == Path("-") else path
    for number, row in rows:
        value = row.get(field)
        if not isinstance(value, str):
            raise DataError(
                f"{name}:{number}: expected text in field {field!r}, found {value!r:.60}; "
                "name the right field with --field"
            )
        yield value


def _stdin_lines() -> Iterator[tuple[int, bytes]]:
    lines = enumerate(sys.stdin.buffer, start=1)
    return ((number, line) for number, line in lines if line.strip())


def read_json(path: Path, option: str) -> dict[str, Any]:
    """Return the object in a JSON file, which ``option`` names.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise DataError(f"{option}: {path}: no such file; it should hold a JSON object")
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{option}: {path}: not JSON in UTF-8 ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{option}: {path}: expected a JSON object, got {found!r:.60}")
    return found


def names_in(given: Iterable[str], option: str = "--labels") -> list[str]:
    """Return the names that an option gives, several in a value separated by commas.

    Raises:
        ValueError: there is none.
    """
    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    if not names:
        raise UsageError(f"{option} is empty; name at least one, several separated by commas")
    return names


def relations_in(given: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the relations that ``--relations`` gives, with the types of their ends.

    A value is ``name`` or ``name: head type | ... > tail type | ...``, several separated by commas.

    Raises:
        ValueError: there is none, one is given twice, or has another form.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for item in names_in(given, "--relations"):
        name, typed, types = item.partition(":")
        sides = [[kind.strip() for kind in side.split("|")] for side in types.split(">")]
        whole = len(sides) == 2 and all(itertools.chain(*sides))
        if not name.strip() or (not whole if typed else re.search("[>|]", name)):
            raise UsageError(
                "--relations: expected 'name', or 'name: head type > tail type' with several types "
                f"separated by |, got {item!r}"
            )
        if name.strip() in found:
            raise UsageError(f"--relations: {name.strip()!r} is given twice")
        found[name.strip()] = dict(zip(("head", "tail"), sides, strict=True)) if typed else {}
    return found


def is_given(context: typer.Context, option: str) -> bool:
    """Say whether an option was given on the command line, and does not have its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def tell_model(folder: Path) -> None:
    """Say where a trained model was written, and a command that asks it."""
    ask = f"glinermt entities FILE --labels NAMES --model {shlex.quote(str(folder))}"
    typer.echo(f"{folder}: the model is written; to ask it: {ask}")


def to_json(result: Any) -> bytes:
    """Return a result as one line of JSON in UTF-8.

    Lone surrogates are escaped, and so is all that ends a line or steers a terminal.
    """
    line = json.dumps(_plain(result), ensure_ascii=False)
    line = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
    return line.encode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Return the text as a terminal may show it: control characters as pictures of themselves.

    Each character stays one, so that offsets still fit. Line ends and tabs are kept; a carriage
    return before a line end is a space.
    """
    return _STEERING.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\r" and found.string[found.end() : found.end() + 1] == "\n":
        return " "
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def _plain(result: Any) -> Any:
    if isinstance(result, list):
        return [_plain(item) for item in result]
    return result.to_dict()


def colours(labels: Iterable[str]) -> dict[str, str]:
    """Return a colour for each label, the same for the same labels."""
    return dict(zip(sorted(set(labels)), itertools.cycle(COLOURS), strict=False))


def show_spans(console: Console, text: str, spans: Sequence[Span], *, title: str) -> None:
    """Print the text with its spans marked, and a table of them."""
    palette = colours(span.label for span in spans)
    marked = Text(printable(text))
    for span in spans:
        marked.stylize(f"bold {palette[span.label]}", span.start, span.end)
    console.print(marked)
    table = Table(title=title, title_justify="left")
    for name in ("label", "text", "start:end", "score"):
        table.add_column(name, justify="right" if name in ("start:end", "score") else "left")
    for span in spans:
        table.add_row(
            Text(printable(span.label), style=palette[span.label]),
            Text(printable(span.text)),
            f"{span.start}:{span.end}",
            f"{span.score:.2f}",
        )
    console.print(table if spans else Text(f"{title}: none found", style="dim"))


def show_relations(console: Console, relations: Sequence[Relation]) -> None:
    """Print a table of relations."""
    if not relations:
        console.print("[dim]relations: none found[/dim]")
        return
    table = Table(title="relations", title_justify="left")
    for name in ("head", "relation", "tail", "score"):
        table.add_column(name)
    for r in relations:
        table.add_row(
            Text(printable(r.head.text)),
            Text(printable(r.label)),
            Text(printable(r.tail.text)),
            f"{r.score:.2f}",
        )
    console.print(table)


def show_answers(console: Console, answers: Sequence[Answer]) -> None:
    """Print a table of answers, best first."""
    table = Table(title="answer", title_justify="left")
    for name in ("answer", "start:end", "score", "no answer"):
        table.add_column(name)
    for a in answers:
        place = f"{a.span.start}:{a.span.end}" if a.span else ""
        shown = Text(printable(a.text)) if a.span else Text("the text does not say", style="dim")
        table.add_row(shown, place, f"{a.score:.2f}", f"{a.no_answer_score:.2f}")
    console.print(table)


def show_summary(console: Console, summary: Summary) -> None:
    """Print a table of the chosen pieces."""
    table = Table(title="summary", title_justify="left", show_lines=False)
    table.add_column("sentence")
    table.add_column("score", justify="right")
    for span in summary.spans:
        table.add_row(Text(printable(" ".join(span.text.split()))), f"{span.score:.2f}")
    console.print(table if summary.spans else Text("summary: nothing found", style="dim"))


def show_classification(console: Console, found: Classification, *, title: str = "classes") -> None:
    """Print a table of the labels, best first, with those that the text has marked."""
    table = Table(title=Text(printable(title)), title_justify="left")
    for name in ("", "label", "score"):
        table.add_column(name, justify="right" if name == "score" else "left")
    for name, score in sorted(found.scores.items(), key=lambda pair: -pair[1]):
        given = name in found.labels
        table.add_row(
            "*" if given else "",
            Text(printable(name), style="bold" if given else ""),
            f"{score:.2f} {'█' * round(20 * score)}".ljust(25),
        )
    console.print(table)
    if not found.labels:
        console.print(Text("classes: none found", style="dim"))


def show_redaction(console: Console, found: Redaction) -> None:
    """Print the text with the placeholders in it."""
    console.print(Text(printable(found.text)))
    if not found.spans:
        console.print(Text("redaction: none found", style="dim"))


def show_records(
    console: Console, records: Sequence[Record[Any]], *, title: str = "records"
) -> None:
    """Print a table of each record: its fields, their values, and the words that say them."""
    for i, record in enumerate(records, start=1):
        table = Table(
            title=Text(printable(f"{title} {i}  {record.score:.2f}")),
            title_justify="left",
            caption=Text(printable(record.error), style="red") if record.error else None,
        )
        for name in ("field", "value", "evidence", "start:end"):
            table.add_column(name, justify="right" if name == "start:end" else "left")
        for name, value in leaves(record.to_dict()["value"]):
            spans = record.spans.get(name, ())
            table.add_row(
                Text(printable(name)),
                Text(printable(value)),
                Text(printable(", ".join(span.text for span in spans))),
                ", ".join(f"{span.start}:{span.end}" for span in spans),
            )
        console.print(table)
    if not records:
        console.print(Text(f"{title}: none found", style="dim"))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the filled fields of a record's plain value, names of nested ones joined with dots."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        if value:
            yield name, ", ".join(map(str, value))
    elif value is not None:
        yield name, str(value)


def show_reading(console: Console, text: str, found: Reading) -> None:
    """Print what there is of each kind."""
    if found.entities:
        show_spans(console, text, found.entities, title="entities")
    if found.relations:
        show_relations(console, found.relations)
    for name, classes in found.classes.items():
        show_classification(console, classes, title=name)
    for name, records in found.records.items():
        show_records(console, records, title=name)
    if not (found.entities or found.relations or found.classes or any(found.records.values())):
        console.print(Text("none found", style="dim"))
