"""The task commands: where texts come from, how results are shown, and how errors read."""

import errno
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glinermt import console
from glinermt.cli import app, main
from glinermt.errors import DataError
from glinermt.model import GlinerMT
from glinermt.types import (
    Answer,
    Ask,
    Classification,
    Query,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
)
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel
from tests.tiny_models import tiny_model

TEXT = "Ann Lee founded Acme in Bonn. Bob left."


def script(query: Query) -> list[tuple[str, str, float]]:
    if not query.labels:
        return []
    if " <> " in query.labels[0]:
        return [("Acme", label, 0.8) for label in query.labels if label == "Ann Lee <> founded"]
    found = [("Ann Lee", query.labels[0], 0.9), ("Acme", query.labels[-1], 0.7)]
    return [item for item in found if item[0] in query.text]


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> StubExtractor:
    stub = HeadsModel(script, classes={"praise": 1.0}, kinds=frozenset({"spans", "classes"}))
    monkeypatch.setattr("glinermt.default_model.load_extractor", lambda _: stub)
    return stub


SCHEMA = Path(__file__).with_name("founder_schema.json")
COMMANDS: dict[str, tuple[list[str], type]] = {
    "entities": (["--labels", "person,company"], Span),
    "extract": (["--labels", "person"], Span),
    "open-entities": (["--instruction", "all companies", "--labels", "company"], Span),
    "open": (["--instruction", "all companies"], Span),
    "matches": (["-i", "who founded what"], Span),
    "match": (["-i", "who founded what"], Span),
    "keyphrases": ([], Span),
    "classify": (["--labels", "praise,blame"], Classification),
    "redact": (["--labels", "person,company", "--placeholder", "<{label}>"], Redaction),
    "records": (["--schema", str(SCHEMA)], Record),
    "read": (["--labels", "person,company"], Reading),
    "relations": (["--relations", "founded", "--labels", "person,company"], Relation),
    "answer": (["--question", "Who founded Acme?"], Answer),
    "summarize": (["--sentences", "1"], Summary),
}
each_command = pytest.mark.parametrize("command", COMMANDS)


def call(command: str, *arguments: object, **options: Any) -> str:
    """Run a command that succeeds; give its standard output."""
    given = [command, *COMMANDS[command][0], *(str(a) for a in arguments)]
    result = CliRunner().invoke(app, given, catch_exceptions=False, **options)
    assert result.exit_code == 0, result.output
    return result.stdout


def read(command: str, line: str) -> list[Any]:
    """Read a line of JSON back as the results that it was made of."""
    data = json.loads(line)
    kind: Any = COMMANDS[command][1]
    if not hasattr(kind, "from_dict"):  # a record's value is of its schema's type
        return data if isinstance(data, list) else [data]
    return [kind.from_dict(item) for item in (data if isinstance(data, list) else [data])]


@each_command
def test_a_text_is_shown_with_what_was_found(command: str) -> None:
    output = call(command, TEXT)
    shown = {"relations": "0.80", "summarize": "0.31", "classify": "praise", "redact": "<person>"}
    shown["records"] = "records 1  0.80"
    assert shown.get(command, "0.90") in output
    assert command == "classify" or ("Ann Lee" in output) != (command == "redact")


@each_command
def test_a_text_a_file_and_standard_input_give_the_same(command: str, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    expected = call(command, TEXT, "--json")
    assert call(command, file, "--json") == expected
    assert call(command, "-", "--json", input=TEXT) == expected
    assert read(command, expected)


@each_command
def test_many_texts_give_a_line_of_json_each(command: str, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [{"id": i, "body": text} for i, text in enumerate([TEXT, "", "Acme: Ann Lee."])]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    lines = call(command, "--jsonl", file, "--field", "body", "--json").splitlines()
    assert [read(command, line) for line in lines] == [
        read(command, call(command, "-", "--json", input=row["body"])) for row in rows
    ]


@each_command
def test_the_page_holds_each_text(command: str, tmp_path: Path) -> None:
    file, page = tmp_path / "texts.jsonl", tmp_path / "page.html"
    file.write_text(json.dumps({"text": TEXT}) + "\n" + json.dumps({"text": "Öl"}) + "\n")
    assert call(command, "--jsonl", file, "--html", page) == ""
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert ("Ann Lee" in html) != (command == "redact")
    assert "Öl" in html


def test_the_page_says_what_was_asked(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for command, asked in (("answer", "Who founded Acme?"), ("open", "all companies")):
        call(command, TEXT, "--html", page)
        assert f"<h1>{asked}</h1>" in page.read_text(encoding="utf-8")


def test_the_model_is_not_loaded_for_a_text_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("glinermt.default_model.load_extractor", asked.append)
    for source in (["missing.txt"], ["--jsonl", str(tmp_path / "no.jsonl")]):
        result = CliRunner().invoke(app, ["entities", "--labels", "person", *source])
        assert isinstance(result.exception, DataError)
    assert asked == []


def test_lines_of_json_may_come_from_standard_input() -> None:
    lines = call("entities", "--jsonl", "-", "--json", input=json.dumps({"text": TEXT}) + "\n")
    assert lines == call("entities", TEXT, "--json")
    result = CliRunner().invoke(app, ["match", "-i", "x", "--jsonl", "-"], input="\noops")
    assert "standard input:2: not JSON" in str(result.exception)


def test_standard_streams_are_utf_8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_in, bytes_out = io.BytesIO("Łódź: Ann Lee".encode()), io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(bytes_in, encoding="cp1252"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, encoding="cp1252"))
    monkeypatch.setattr(sys, "argv", ["glinermt", "summarize", "-", "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert json.loads(bytes_out.getvalue())["text"] == "Łódź: Ann Lee"


def test_a_lone_surrogate_reaches_json_and_page(tmp_path: Path) -> None:
    file, page = tmp_path / "texts.jsonl", tmp_path / "page.html"
    file.write_text('{"text": "Ann \\ud800 Lee"}')
    line = call("summarize", "--jsonl", file, "--json", "--html", page)
    assert json.loads(line)["text"] == "Ann \ud800 Lee"
    assert "Ann ? Lee" in page.read_text(encoding="utf-8")


def test_json_keeps_letters_of_all_scripts() -> None:
    assert "Ann Lee 東京 é" in call("summarize", "Ann Lee 東京 é", "--json")


def test_json_and_page_may_be_asked_together(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert read("entities", call("entities", TEXT, "--json", "--html", page))
    assert page.exists()


@each_command
def test_nothing_found_is_said(command: str, model: StubExtractor) -> None:
    model.script = lambda _: []
    output = call(command, "Hm.")
    said = {"answer": "the text does not say", "summarize": "Hm.", "classify": "blame"}
    assert said.get(command, "none found") in output


def test_an_option_that_takes_several_may_be_repeated(model: StubExtractor) -> None:
    call("entities", TEXT, "--labels", "city", "--labels", "river, lake")
    assert model.queries[-1].labels == ("person", "company", "city", "river", "lake")
    found = json.loads(call("relations", TEXT, "--relations", "led", "--json"))
    assert [relation["label"] for relation in found] == ["founded"]
    assert "Ann Lee <> led" in model.queries[-1].labels


@pytest.mark.parametrize("second", [["--threshold", "0.4"], ["--threshold=0.4"]])
def test_an_option_that_takes_one_value_is_not_silently_the_last(
    second: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["entities", TEXT, "--labels", "person", "--threshold", "0.3", *second]
    code, error = fail(capsys, monkeypatch, *given)
    assert code == 2
    assert "'--threshold': it is given twice and takes one value" in error
    call("entities", "--", "--threshold")  # behind -- stand texts


def test_the_rule_and_order_reach_the_task(model: StubExtractor) -> None:
    call("entities", TEXT, "--span-score", "min")
    call("match", TEXT, "--span-score", "mean")
    assert [c["span_score"] for c in model.calls] == ["min", "mean"]
    call("entities", TEXT, "--order", "invariant")
    assert len(model.queries) == 2 + 4


def test_options_reach_the_task(model: StubExtractor) -> None:
    call("entities", TEXT, "--nested", "--multi-label", "--threshold", "0.75")
    options = model.calls[0]
    assert options["overlap"] == "nested"
    assert options["multi_label"] is True
    assert options["threshold"] == {"person": 0.75, "company": 0.75}
    assert len(json.loads(call("answer", TEXT, "--json", "--top-k", "2"))) == 2
    call("relations", TEXT, "--entity-threshold", "0.2", "--threshold", "0.1")
    assert [set(c["threshold"].values()) for c in model.calls[-2:]] == [{0.2}, {0.1}]  # type: ignore[attr-defined]
    assert json.loads(call("summarize", TEXT, "--json"))["text"] == "Ann Lee founded Acme in Bonn."


def test_relations_take_types_of_their_ends() -> None:
    def tails(relations: str) -> list[str]:
        command = ["relations", TEXT, "--relations", relations, "--labels", "person,company"]
        result = CliRunner().invoke(app, [*command, "--json"])
        return [relation["tail"]["text"] for relation in json.loads(result.stdout)]

    assert tails("founded: person > band | company, left") == ["Acme"]
    assert tails("founded: company > person, left") == []


def test_a_schema_file_may_ask_for_all_kinds(tmp_path: Path) -> None:
    schema = {"records": {"founder": json.loads(SCHEMA.read_text())}, "entities": ["person"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    asked = ["--schema", str(tmp_path / "schema.json"), "--classes", "tone: praise, blame"]
    line = CliRunner().invoke(app, ["read", TEXT, "--json", *asked]).stdout
    found = json.loads(line)
    assert [span["text"] for span in found["entities"]] == ["Ann Lee"]
    assert found["classes"]["tone"]["label"] == "praise"
    assert list(found["records"]) == ["founder"]
    page = tmp_path / "page.html"
    assert CliRunner().invoke(app, ["read", TEXT, "--html", str(page), *asked]).exit_code == 0
    html = page.read_text(encoding="utf-8")
    assert "<h2><bdi>founder</bdi></h2>" in html
    assert "<h2><bdi>tone</bdi></h2>" in html


def test_a_summary_takes_a_budget_or_pieces() -> None:
    for options, text in (
        (["--words", "2"], "Ann Lee founded Acme in Bonn."),
        (["--ratio", "1"], TEXT),
        (["--spans"], "Ann Lee Acme"),
    ):
        result = CliRunner().invoke(app, ["summarize", TEXT, "--json", *options])
        assert json.loads(result.stdout)["text"] == text


def test_a_long_text_of_one_line_is_a_text() -> None:
    text = f"{TEXT} " * 50
    assert read("entities", call("entities", text, "--json"))


def test_square_brackets_in_a_text_are_text() -> None:
    assert "[bold]Ann Lee[/bold]" in call("entities", "[bold]Ann Lee[/bold] left")


def fail(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str]:
    """Run the installed command; give its exit code and its message."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr(sys, "argv", ["glinermt", *(str(a) for a in arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    return int(stopped.value.code or 0), output.err.strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt", "--labels", "person"], "missing.txt: no such file; if this is the text"),
        (["no/such/text.md", "--labels", "person"], "no/such/text.md: no such file"),
        (["{folder}", "--labels", "person"], ": a folder; name a file in it"),
        (["{folder}/latin.txt", "--labels", "person"], "latin.txt: not UTF-8 text"),
        ([TEXT, "--labels", " , "], "--labels is empty; name at least one"),
        ([TEXT, "--labels", "a", "--threshold", "7"], "threshold 7.0 lies outside [0, 1]"),
        (["--labels", "a"], "give one text, file or -, or else --jsonl FILE"),
        ([TEXT, "--jsonl", "x", "--labels", "a"], "give one text, file or -, or else --jsonl"),
        (
            ["--jsonl", "no.jsonl", "--labels", "a"],
            "no.jsonl: there is no such file; check the path",
        ),
        (["--jsonl", "{folder}", "--labels", "a"], ": it is a folder; name a file in it"),
        (["--jsonl", "{folder}/bad.jsonl", "--labels", "a"], "bad.jsonl:3: not JSON: "),
        (["--jsonl", "{folder}/latin.txt", "--labels", "a"], "latin.txt:1: not UTF-8 text ("),
        (
            ["--jsonl", "{folder}/good.jsonl", "--field", "body", "--labels", "a"],
            "good.jsonl:1: expected text in field 'body', found None; name the right field with",
        ),
        ([TEXT, "--labels", "a", "--html", "no/page.html"], "there is no folder no; create it"),
        ([TEXT, "--labels", "a", "--html", "{folder}"], ": a folder; name a file in it"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "latin.txt").write_bytes("Zürich".encode("latin-1"))
    good = json.dumps({"text": TEXT})
    (tmp_path / "good.jsonl").write_text(good + "\n")
    (tmp_path / "bad.jsonl").write_text(f"{good}\n\n{{oops\n")
    given = [argument.replace("{folder}", str(tmp_path)) for argument in arguments]
    code, error = fail(capsys, monkeypatch, "entities", *given)
    assert code == 1
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["relations", TEXT, "--relations", ""], "--relations is empty"),
        (["relations", TEXT, "--relations", "a", "--labels", ","], "--labels is empty"),
        (["relations", TEXT, "--relations", "a: b"], "or 'name: head type > tail type'"),
        (["relations", TEXT, "--relations", "a: b > "], "got 'a: b >'"),
        (["relations", TEXT, "--relations", "a > b"], "or 'name: head type > tail type' with"),
        (["relations", TEXT, "--relations", "a,b | c"], "separated by |, got 'b | c'"),
        (["relations", TEXT, "--relations", ": b > c"], "got ': b > c'"),
        (["relations", TEXT, "--relations", "a,a: b > c"], "'a' is given twice"),
        (["read", TEXT], "nothing is asked; give --schema, --labels, --relations or --classes"),
        (["read", TEXT, "--classes", "good"], "--classes: expected 'name: class, class'"),
        (["read", TEXT, "--schema", "no.json"], "--schema: no.json: no such file"),
        (["records", TEXT, "--schema", __file__], "test_cli.py: not JSON in UTF-8"),
        (["answer", TEXT, "-q", " "], "question is empty"),
        (["answer", TEXT, "-q", "Who?", "--top-k", "0"], "top_k must be at least 1, got 0"),
        (["open", TEXT, "-i", ""], "instruction is empty"),
        (["summarize", TEXT, "--sentences", "0"], "sentences must be at least 1, got 0"),
        (["summarize", TEXT, "--words", "9", "--ratio", "0.5"], "give one budget, not words and"),
        (["summarize", TEXT, "--spans", "--words", "9"], "words is a budget of sentences"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, error = fail(capsys, monkeypatch, *arguments)
    assert code == 1
    assert message in error


@pytest.mark.parametrize("arguments", [["entities", TEXT], ["answer", TEXT], ["relations", TEXT]])
def test_a_missing_option_is_a_mistake_of_use(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = fail(capsys, monkeypatch, *arguments)
    assert code == 2
    assert "Missing option" in error


def test_ctrl_c_ends_without_a_word(
    model: StubExtractor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Query) -> list[Span]:
        raise KeyboardInterrupt

    model.script = interrupt
    code, error = fail(capsys, monkeypatch, "entities", TEXT, "--labels", "person")
    assert (code, error) == (130, "")


def test_sigterm_ends_with_its_own_code(
    model: StubExtractor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(_: Query) -> list[Span]:
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    model.script = terminate
    before = signal.getsignal(signal.SIGTERM)
    try:
        code, error = fail(capsys, monkeypatch, "entities", TEXT, "--labels", "person")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, error) == (143, "")


@pytest.mark.parametrize("kind", [KeyError, ValueError, OSError])
def test_a_fault_of_the_program_is_named_and_shown_where_asked(
    kind: type[Exception],
    model: StubExtractor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: Query) -> list[Span]:
        raise kind("spam\x1b[2J\nand eggs")

    model.script = broken
    given = ["entities", TEXT, "--labels", "person"]
    code, error = fail(capsys, monkeypatch, *given)
    assert code == 1
    assert error.startswith(f"error: {kind.__name__}: ")
    assert "(a fault of glinermt? --traceback shows where)" in error
    assert len(error.splitlines()) == 1
    for arguments in ([*given, "--traceback"], ["--traceback", *given]):
        monkeypatch.setattr(sys, "argv", ["glinermt", *arguments])
        with pytest.raises(SystemExit):
            main()
        shown = capsys.readouterr().err
        assert "in broken" in shown
        assert "\x1b" not in shown


def test_what_the_user_or_the_machine_causes_is_no_fault_of_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = ["entities", TEXT, "--labels", "person"]
    code, error = fail(capsys, monkeypatch, *given, "--threshold", "5")
    assert code == 1
    assert "--traceback" not in error
    code, error = fail(capsys, monkeypatch, *given, "--html", str(tmp_path / "no" / "page.html"))
    assert (code, "fault" in error) == (1, False)
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    "said",
    [
        OSError(errno.ENOSPC, "No space left on device"),  # as a write says it: without a name
        RuntimeError("I/O error: No space left on device (os error 28)"),  # as safetensors does
    ],
)
def test_a_full_disk_is_said_with_what_to_do(
    said: Exception,
    model: StubExtractor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: Query) -> list[Span]:
        raise said

    model.script = full
    code, error = fail(capsys, monkeypatch, "entities", TEXT, "--labels", "person")
    assert code == 1
    assert "No space left on device" in error
    assert "; make room there and run the same command again" in error
    assert "fault" not in error


def test_texts_cannot_steer_the_terminal(model: StubExtractor) -> None:
    model.script = lambda query: [("Ann Lee", query.labels[0], 0.9)]
    text = "\x1b[2Jold\r\n\x07Ann Lee\x9b left"
    output = call("entities", "-", input=text)
    assert not any(c in output for c in "\x1b\x07\x9b\r")
    assert "Ann Lee" in output
    assert json.loads(call("entities", "-", "--json", input=text))[0]["start"] == text.index("Ann")


def test_lines_before_a_failure_are_already_printed(
    model: StubExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glinermt.tasks.inputs.CHUNK", 2)

    def once(query: Query) -> list[tuple[str, str, float]]:
        if len(model.queries) > 2:
            raise KeyboardInterrupt
        return script(query)

    model.script = once
    file = tmp_path / "texts.jsonl"
    file.write_text((json.dumps({"text": TEXT}) + "\n") * 6)
    given = ["entities", "--labels", "person", "--jsonl", str(file), "--json"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 130
    assert len(result.stdout.splitlines()) == 2


def test_a_bad_line_is_told_before_the_work_begins(
    tmp_path: Path,
    model: StubExtractor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "Ann Lee"}\n' * 100 + "oops\n")
    code, error = fail(
        capsys, monkeypatch, "entities", "--labels", "person", "--jsonl", str(file), "--json"
    )
    assert code == 1
    assert "texts.jsonl:101: not JSON" in error
    assert not model.calls


def test_a_file_of_texts_is_read_as_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, number = tmp_path / "texts.jsonl", 1000
    file.write_text('{"text": "Ann Lee"}\n' * number)
    plain, read, seen = console.read_jsonl, 0, []

    def counted(path: Path, field: str) -> Iterator[str]:
        nonlocal read
        for text in plain(path, field):
            read += 1
            yield text

    def once(query: Query) -> list[tuple[str, str, float]]:
        seen.append(read - number)
        return [("Ann Lee", query.labels[0], 0.9)]

    monkeypatch.setattr("glinermt.tasks.cli.show.read_jsonl", counted)
    monkeypatch.setattr("glinermt.default_model.load_extractor", lambda _: StubExtractor(once))
    assert call("entities", "--jsonl", file, "--json").count("Ann Lee") == number
    assert seen[0] < number
    assert seen[-1] == number


class TestShippedModel:
    """With the real loader and the model that ships with the package."""

    @pytest.fixture(autouse=True)
    def model(self) -> None:
        """Leave everything as it is."""

    def test_the_demo_shows_entities_an_answer_and_a_summary(self) -> None:
        result = CliRunner().invoke(app, ["demo"], catch_exceptions=False)
        assert result.exit_code == 0
        for part in ("entities", "?", "answer", "summary", "Curie"):
            assert part in result.stdout

    def test_a_model_folder_that_is_not_there_is_named(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = tmp_path / "no_model"
        arguments = ["entities", TEXT, "--labels", "person", "--model", folder]
        code, error = fail(capsys, monkeypatch, *arguments)
        assert code == 1
        assert "no_model" in error


def test_export_writes_a_checkpoint_of_the_package_gliner(tmp_path: Path) -> None:
    tiny_model(tmp_path / "encoder").save_pretrained(tmp_path / "own")
    out = ["--out", str(tmp_path / "theirs"), "--format", "gliner", "--words", "reference"]
    done = CliRunner().invoke(app, ["export", str(tmp_path / "own"), *out])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "theirs" / "gliner_config.json").exists()
    query, ask = [Query("bill gates founded microsoft in paris .", ("person", "city"))], Ask(0.3)
    own, theirs = (
        GlinerMT.from_pretrained(tmp_path / name, words="reference").read(query, ask)
        for name in ("own", "theirs")
    )
    assert own == theirs
    again = CliRunner().invoke(app, ["export", str(tmp_path / "own"), *out])
    assert isinstance(again.exception, DataError)  # would overwrite the model


def test_export_does_not_write_into_a_model_or_over_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own"
    tiny_model(tmp_path / "encoder").save_pretrained(own)
    before = sorted(own.iterdir())
    refused = CliRunner().invoke(app, ["export", str(own), "--out", str(own)])
    assert isinstance(refused.exception, DataError)
    assert "holds a model" in str(refused.exception)
    assert "--overwrite" not in str(refused.exception)  # it has no such option
    assert sorted(own.iterdir()) == before
    (tmp_path / "file").write_text("x", encoding="utf-8")
    refused = CliRunner().invoke(app, ["export", str(own), "--out", str(tmp_path / "file")])
    assert isinstance(refused.exception, DataError)
    assert "name a folder" in str(refused.exception)
