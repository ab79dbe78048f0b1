"""Reading gold rows."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

from glinermt.errors import DataError
from glinermt.training.config import Source, Stage, TaskName
from glinermt.training.data.mixture import load_feeds
from glinermt.training.data.readers import read_examples, read_source
from glinermt.training.data.rows import EntityRow, QuestionRow, RelationRow, SummaryRow
from glinermt.types import Example, Query, Span
from tests.training.tiny import write_rows


def read_one(folder: Path, task: TaskName, row: dict[str, Any], **source: Any) -> Any:
    write_rows(folder / "rows.jsonl", [row])
    rows, bad = read_source(Source("rows.jsonl", task, **source), folder, max_bad_share=0.0)
    assert bad.count == 0
    return rows[0]


def test_entities_of_tokens_get_character_offsets(tmp_path: Path) -> None:
    row = {"tokens": ["In", "Rome", ",", "Italy", "."], "spans": [[1, 1, "city"], [1, 3, "place"]]}
    assert read_one(tmp_path, "ner", row) == EntityRow(
        "In Rome, Italy.", (Span(3, 7, "Rome", "city"), Span(3, 14, "Rome, Italy", "place"))
    )


def test_entities_of_texts_are_read(tmp_path: Path) -> None:
    row = {"text": "In Rome", "entities": [{"text": "Rome", "label": "city", "start": 3, "end": 7}]}
    assert read_one(tmp_path, "ner", row).spans == (Span(3, 7, "Rome", "city"),)


def test_excluded_labels_and_bare_marks_are_left_out(tmp_path: Path) -> None:
    row = {"tokens": ["@", "Ann"], "spans": [[0, 0, "person"], [1, 1, "misc"]]}
    assert read_one(tmp_path, "ner", row, exclude_labels=("misc",)).spans == ()


def test_of_overlapping_spans_with_one_label_the_longer_stays(tmp_path: Path) -> None:
    row = {"tokens": ["The", "old", "man"], "spans": [[2, 2, "person"], [0, 2, "person"]]}
    assert [span.text for span in read_one(tmp_path, "ner", row).spans] == ["The old man"]


def test_relations_are_read_and_excluded_by_name(tmp_path: Path) -> None:
    head, tail = {"text": "Ann", "start": 0, "end": 0}, {"text": "Rome", "start": 2, "end": 2}
    relations = [{"head": head, "tail": tail, "relation": name} for name in ("lives in", "child")]
    row = {"tokens": ["Ann", "in", "Rome"], "relations": relations}
    found = read_one(tmp_path, "relations", row, exclude_labels=("child",))
    assert found == RelationRow(
        "Ann in Rome",
        ((Span(0, 3, "Ann", "lives in"), "lives in", Span(7, 11, "Rome", "lives in")),),
    )


def question(context: str, answer: str, start: int, **more: Any) -> dict[str, Any]:
    gold = {"text": [answer], "answer_start": [start]}
    return {"context": context, "question": "Who ?", "answers": gold, **more}


def test_answers_are_read(tmp_path: Path) -> None:
    found = read_one(tmp_path, "qa", question("So Ann said.", "Ann", 3))
    assert found == QuestionRow("So Ann said.", "Who ?", (Span(3, 6, "Ann", "answer"),))


def test_the_folder_that_generate_wrote_is_read_as_its_examples(tmp_path: Path) -> None:
    row = '{"text": "ab", "labels": ["x"], "spans": [], "task": "entities"}\n'
    (tmp_path / "synthetic/work").mkdir(parents=True)
    (tmp_path / "synthetic/part-00000.jsonl").write_text(row)
    (tmp_path / "synthetic/work/plan.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "synthetic/manifest.json").write_text("{}")
    rows, _ = read_source(Source("synthetic", "examples"), tmp_path, max_bad_share=0.0)
    assert rows == [Example(Query("ab", ("x",)), ())]


def test_a_hub_that_cannot_be_read_is_a_data_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such builder")

    monkeypatch.setattr("datasets.load_dataset", fails)
    with pytest.raises(DataError, match=r"hub:a/b:dev:0: cannot be read \(RuntimeError: no such"):
        read_source(Source("hub:a/b:dev", "ner"), tmp_path, max_bad_share=0.0)


def test_an_impossible_question_has_no_answers(tmp_path: Path) -> None:
    row = question("So Ann said.", "Ann", 3, is_impossible=True)
    assert read_one(tmp_path, "qa", row).answers == ()


def test_a_tokenised_context_is_joined_and_its_answer_moves_along(tmp_path: Path) -> None:
    found = read_one(
        tmp_path, "qa", question("Wei -LRB- r. 1 -RRB- saw Ann 's dog .", "Ann 's dog", 25)
    )
    assert found.text == "Wei (r. 1) saw Ann's dog."
    assert [span.text for span in found.answers] == ["Ann's dog"]


def test_marked_sentences_are_the_summary(tmp_path: Path) -> None:
    row = {
        "document": "One. Two.",
        "summary": "x",
        "sentences": ["One.", "Two."],
        "extractive_labels": [0, 1],
    }
    assert read_one(tmp_path, "summaries", row) == SummaryRow(
        "One. Two.", (Span(5, 9, "Two.", "summary"),)
    )


def test_without_marks_the_best_covering_sentences_are_the_summary(tmp_path: Path) -> None:
    text = "Dogs bark. Cats sleep all day. Nothing else happened here."
    row = {"document": text, "summary": "Cats sleep."}
    assert [s.text for s in read_one(tmp_path, "summaries", row).spans] == ["Cats sleep all day."]


def test_gap_sentences_are_those_that_share_most_with_the_rest(tmp_path: Path) -> None:
    text = "It is nice. The tall tower of Lyra was built. Lyra tower burned. Tall. Built of stone."
    row = read_one(tmp_path, "gap_summaries", {"text": text})
    assert [span.text for span in row.spans] == ["The tall tower of Lyra was built."]


@pytest.mark.parametrize("end", ["", ".gz", ".xz"])
def test_examples_are_read_plain_and_compressed(tmp_path: Path, end: str) -> None:
    example = Example(Query("Rome", ("city", "river")), (Span(0, 4, "Rome", "city"),))
    line = json.dumps(example.to_dict()).encode() + b"\n"
    packed = {"": line, ".gz": gzip.compress(line), ".xz": lzma.compress(line)}
    (tmp_path / f"e.jsonl{end}").write_bytes(packed[end])
    rows, _ = read_source(Source(f"e.jsonl{end}", "examples"), tmp_path, max_bad_share=0.0)
    assert rows == [example]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            '{"tokens": ["a"], "spans": [[0, 3, "x"]]}',
            "span 0:3 lies outside the text, which has 1",
        ),
        ('{"tokens": ["a"]}', "no 'spans' field"),
        ("{", "Expecting property name"),
        (
            '{"text": "ab", "spans": [{"start": 1, "end": 9, "label": "x"}]}',
            "span 1:9 lies outside",
        ),
        ("[]", "expected an object, got []"),
        ('{"text": 5, "spans": []}', "text should be a string, got 5"),
        (
            '{"text": "ab", "entities": [{"start": 0, "end": 1, "text": "b", "label": "x"}]}',
            "span 'b' is not at 0:1, where the text has 'a'",
        ),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, reason: str) -> None:
    good = '{"tokens": ["a"], "spans": [[0, 0, "x"]]}'
    (tmp_path / "rows.jsonl").write_text(f"{good}\n{line}\n")
    rows, bad = read_source(Source("rows.jsonl", "ner"), tmp_path, max_bad_share=0.5)
    assert len(rows) == 1
    assert bad.count == 1
    assert "rows.jsonl:2: " in bad.listed[0]
    assert reason in bad.listed[0]
    with pytest.raises(DataError, match=r"1 of 2 lines are bad, more than max_bad_share = 0.4"):
        read_source(Source("rows.jsonl", "ner"), tmp_path, max_bad_share=0.4)


def test_an_answer_elsewhere_than_said_is_bad(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [question("So Ann said.", "Ann", 0)])
    with pytest.raises(DataError, match="answer 'Ann' is not at 0, where the context has 'So '"):
        read_source(Source("rows.jsonl", "qa"), tmp_path, max_bad_share=0.0)


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl.xz").write_bytes(b"no xz")
    for name, advice in (("none.jsonl", ": there is no such file"), ("bad.jsonl.xz", ":0: cannot")):
        with pytest.raises(DataError, match=rf"{name}{advice}"):
            read_source(Source(name, "ner"), tmp_path, max_bad_share=0.0)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no usable row among 0 lines for task 'ner'"):
        read_source(Source("rows.jsonl", "ner"), tmp_path, max_bad_share=0.0)


def test_a_folder_is_read_file_by_file_parquet_too(tmp_path: Path) -> None:
    first, second = (Example(Query(text, ("x",)), ()) for text in ("one", "two"))
    folder = tmp_path / "shards"
    write_rows(folder / "a.jsonl", [first.to_dict()])
    fields = {"start": pyarrow.int64(), "end": pyarrow.int64(), "label": pyarrow.string()}
    spans, labels = pyarrow.list_(pyarrow.struct(fields)), pyarrow.list_(pyarrow.string())
    schema = pyarrow.schema(
        {
            "text": pyarrow.string(),
            "labels": labels,
            "prompt": pyarrow.string(),
            "spans": spans,
            "task": pyarrow.string(),
        }
    )
    table = pyarrow.Table.from_pylist([second.to_dict()], schema=schema)
    pyarrow.parquet.write_table(table, folder / "b.parquet")
    (folder / "manifest.json").write_text("{}")
    rows, _ = read_source(Source("shards", "examples"), tmp_path, max_bad_share=0.0)
    assert rows == [first, second]


def test_a_folder_without_rows_and_damaged_parquet_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder has no file that ends in"):
        read_source(Source(".", "ner"), tmp_path, max_bad_share=0.0)
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"a\.parquet:0: cannot be read"):
        read_source(Source("a.parquet", "ner"), tmp_path, max_bad_share=0.0)


def test_excluded_labels_leave_examples_and_those_left_without_any(tmp_path: Path) -> None:
    spans = (Span(0, 1, "a", "x"), Span(2, 3, "b", "y"))
    examples = [Example(Query("a b", ("x", "y")), spans), Example(Query("a b", ("y",)), ())]
    write_rows(tmp_path / "rows.jsonl", [example.to_dict() for example in examples])
    source = Source("rows.jsonl", "examples", exclude_labels=("y",))
    rows, bad = read_source(source, tmp_path, max_bad_share=0.0)
    assert rows == [Example(Query("a b", ("x",)), spans[:1])]
    assert bad.count == 0


GOOD = {"text": "Ann left", "labels": ["person"], "prompt": None, "spans": [], "task": "entities"}


def test_examples_without_a_prompt_are_read(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "e.jsonl", [GOOD])
    assert read_examples(path) == [Example(Query("Ann left", ("person",)), ())]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": []}, "labels are empty; an Example asks for at least one"),
        ({"labels": "person"}, "labels should be a list of non-empty strings, got 'person'"),
        ({"text": 5}, "text should be a string, got 5"),
    ],
)
def test_the_first_bad_example_is_named(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    path = write_rows(tmp_path / "e.jsonl", [GOOD, {**GOOD, **change}])
    with pytest.raises(DataError, match=rf"e\.jsonl:2: {reason}$"):
        read_examples(path)
    path.write_text("")
    with pytest.raises(DataError, match=r"e\.jsonl: there is no annotated text in it"):
        read_examples(path)


def test_a_byte_order_mark_is_no_part_of_the_row(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    assert len(read_examples(path)) == 1


def test_a_damaged_archive_and_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"some text that is here\n" * 50))
    packed[10] = 0xFF  # no such kind of block
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:0: cannot be read"):
        read_examples(tmp_path / "a.jsonl.gz")
    line = json.dumps(GOOD).encode()
    (tmp_path / "b.jsonl").write_bytes(line + b"\n" + line.replace(b"Ann", b"Ren\xe9") + b"\n")
    with pytest.raises(DataError, match=r"b\.jsonl:2: not UTF-8"):
        read_examples(tmp_path / "b.jsonl")


def test_a_source_without_any_entity_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"tokens": ["Ann"], "spans": [[0, 0, "person"]]}] * 3)
    source = Source("rows.jsonl", "ner", exclude_labels=("person",))
    stage = Stage("s", 1, (source,), {"ner": 1.0})
    with pytest.raises(DataError, match=r"rows\.jsonl:0: none of 3 rows has an entity"):
        load_feeds(stage, tmp_path, max_bad_share=0.0, seed=0)
