"""The official formats, ours, and what is said when a file is not what it should be."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.eval.data.readers import find_file, read_ner, read_qa, read_summaries
from glinermt.eval.data.relations import read_relations
from glinermt.formats.tokens import tag_spans

ROW = {"tokens": ["Bill", "Gates", "left"], "spans": [[0, 1, "person"]]}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_token_spans_become_characters_of_the_joined_text(tmp_path: Path) -> None:
    case = read_ner(write(tmp_path / "a.jsonl", ROW), "a")[0]
    assert case.text == "Bill Gates left"
    assert [(s.start, s.end, s.text, s.label) for s in case.spans] == [
        (0, 10, "Bill Gates", "person")
    ]


def test_columns_and_jsonl_give_the_same_cases(tmp_path: Path) -> None:
    ours = read_ner(write(tmp_path / "a.jsonl", ROW), "a")
    columns = tmp_path / "a.txt"
    columns.write_text("-DOCSTART- O\n\nBill B-person\nGates I-person\nleft O\n", encoding="utf-8")
    tag_first = tmp_path / "a.bio"
    tag_first.write_text("B-PER\tBill\nI-PER\tGates\nO\tleft\n", encoding="utf-8")
    assert read_ner(columns, "a") == ours
    assert read_ner(tag_first, "a", names={"PER": "person"}) == ours


def test_compressed_files_read_like_plain_ones(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.jsonl", ROW)
    packed = {".xz": lzma.compress, ".gz": gzip.compress}
    for suffix, compress in packed.items():
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(compress(plain.read_bytes()))
        assert read_ner(path, "a") == read_ner(plain, "a")


def test_overlapping_gold_spans_mark_the_whole_set_nested(tmp_path: Path) -> None:
    nested = {"tokens": ["New", "York"], "spans": [[0, 1, "city"], [1, 1, "city"]]}
    cases = read_ner(write(tmp_path / "a.jsonl", ROW, nested), "a")
    assert [case.nested for case in cases] == [True, True]


def test_bioes_and_stray_inside_tags_are_read() -> None:
    assert tag_spans(["S-a", "B-a", "E-a", "I-a"]) == [(0, 0, "a"), (1, 2, "a"), (3, 3, "a")]
    assert tag_spans(["I-a", "I-b", "O", "I-b"]) == [(0, 0, "a"), (1, 1, "b"), (3, 3, "b")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"spans": []}, r"a\.jsonl:2: expected a field 'text', found 'spans'"),
        ({"tokens": ["a"], "spans": [[0, 1, "x"]]}, r"a\.jsonl:2: span 0:1 lies outside the 1"),
        ({"tokens": ["a", ""], "spans": []}, r"a\.jsonl:2: token 1 should be a non-empty"),
        ({"tokens": ["a"], "spans": [[0, "x"]]}, r"a\.jsonl:2: a span should be \[first token"),
        ({"text": "ab", "spans": [{"start": 0, "end": 3, "label": "x"}]}, r":2: span 0:3 lies"),
        ([1], r"a\.jsonl:2: expected a JSON object"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_ner(write(tmp_path / "a.jsonl", ROW, row), "a")


def test_bad_columns_are_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Bill B-person\nGates person\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.txt:2: expected a token and a tag"):
        read_ner(path, "a")


def test_a_label_outside_the_sets_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels \['person'\] are not among \['city'\]"):
        read_ner(write(tmp_path / "a.jsonl", ROW), "a", labels=["city"])


def test_squad_json_and_jsonl_give_the_same_questions(tmp_path: Path) -> None:
    context, question = "It began in 1973.", "When?"
    ours = [
        {"id": "1", "context": context, "question": question, "answers": {"text": ["1973"]}},
        {"id": "2", "context": context, "question": "Who?", "answers": {"text": []}},
    ]
    qas = [
        {"id": "1", "question": question, "answers": [{"text": "1973", "answer_start": 12}]},
        {"id": "2", "question": "Who?", "answers": [], "is_impossible": True},
    ]
    official = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    first = read_qa(write(tmp_path / "a.jsonl", *ours), "squad2")
    assert read_qa(write(tmp_path / "a.json", official), "squad2") == first
    assert [case.answers for case in first] == [("1973",), ()]


def test_a_question_asked_twice_or_against_itself_is_an_error(tmp_path: Path) -> None:
    row = {"id": "1", "context": "c", "question": "q", "answers": {"text": ["c"]}}
    with pytest.raises(DataError, match="'1' stands there twice"):
        read_qa(write(tmp_path / "a.jsonl", row, row), "q")
    with pytest.raises(DataError, match=r"a\.jsonl:1: is_impossible is True with 1 answers"):
        read_qa(write(tmp_path / "a.jsonl", {**row, "is_impossible": True}), "q")


def test_fewrel_json_and_jsonl_give_the_same_pairs(tmp_path: Path) -> None:
    tokens = ["Ann", "is", "a", "child", "of", "Bo", "Li"]
    head = {"text": "Bo Li", "start": 5, "end": 6}
    tail = {"text": "Ann", "start": 0, "end": 0}
    relation = {"head": head, "tail": tail, "relation": "child"}
    ours = write(tmp_path / "a.jsonl", {"tokens": tokens, "relations": [relation]})
    row = {"tokens": tokens, "h": ["bo li", "Q1", [[5, 6]]], "t": ["ann", "Q2", [[0]]]}
    official = write(tmp_path / "val_wiki.json", {"P40": [row]})
    write(tmp_path / "pid2name.json", {"P40": ["child", "offspring of the subject"]})
    first, second = read_relations(ours, "g")[0], read_relations(official, "g")[0]
    assert (first.head, first.tail, first.relation) == (second.head, second.tail, second.relation)
    assert first.head.text == "Bo Li"
    assert first.relations == ("child",)


def test_a_bad_fewrel_mention_is_named(tmp_path: Path) -> None:
    write(tmp_path / "pid2name.json", {"P40": ["child", ""]})
    row = {"tokens": ["a"], "h": ["a", "Q1", []], "t": ["a", "Q2", [[0]]]}
    with pytest.raises(DataError, match=r"P40\[0\]: 'h' should be \[name, id"):
        read_relations(write(tmp_path / "val_wiki.json", {"P40": [row]}), "g")


def test_summaries_are_read_under_both_field_names(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.jsonl", {"id": "1", "document": "d", "summary": "s"})
    hub = write(tmp_path / "b.jsonl", {"id": "1", "article": "d", "highlights": "s"})
    assert read_summaries(ours, "g") == read_summaries(hub, "g")
    with pytest.raises(DataError, match=r"c\.jsonl:1: the document or its summary is empty"):
        read_summaries(write(tmp_path / "c.jsonl", {"document": " ", "summary": "s"}), "g")


def test_a_missing_or_doubtful_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file fits any of 'x\.jsonl'"):
        find_file(tmp_path, ["x.jsonl"])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "x.jsonl", {})
    with pytest.raises(DataError, match="fits several files"):
        find_file(tmp_path, ["x.jsonl"])


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"a\.jsonl\.xz:0: cannot be read"):
        read_ner(path, "a")
    path = tmp_path / "b.jsonl.gz"
    packed = bytearray(gzip.compress(b"some text that is here\n" * 50))
    packed[10] = 0xFF  # no such kind of block
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"b\.jsonl\.gz:0: cannot be read"):
        read_ner(path, "b")


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"Ann B-person\ncaf\xe9 O\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not UTF-8"):
        read_ner(tmp_path / "a.txt", "a")


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfAnn B-person\n")
    assert [case.text for case in read_ner(tmp_path / "a.txt", "a")] == ["Ann"]


def test_multiconer_heads_its_sentences(tmp_path: Path) -> None:
    text = "# id 1\tdomain=en\nAnn _ _ B-PER\n# _ _ O\n\n# id 2\tdomain=en\nBo _ _ B-PER\n"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert [case.text for case in read_ner(tmp_path / "a.txt", "a")] == ["Ann #", "Bo"]


def test_a_set_without_entities_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("lives O\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.txt: no sentence has an entity"):
        read_ner(tmp_path / "a.txt", "a")
