"""What people annotate with other tools is read where our own examples are."""

from pathlib import Path

from glinermt.training.data.readers import read_examples


def test_columns_and_rows_of_gliner_are_read_as_examples(tmp_path: Path) -> None:
    columns = tmp_path / "a.conll"
    columns.write_text("Ann B-person\nLee I-person\nsings O\n\n", encoding="utf-8")
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"tokenized_text": ["Ann", "Lee", "sings"], "ner": [[0, 1, "person"]]}\n')
    assert read_examples(columns) == read_examples(rows)
    (example,) = read_examples(rows)
    assert [(span.text, span.label) for span in example.spans] == [("Ann Lee", "person")]
