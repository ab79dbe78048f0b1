"""Annotated texts of other tools: what is read is right to the character, what is lost is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glinermt.errors import DataError
from glinermt.formats import FORMATS, Document, convert, detect, read_documents, read_examples
from glinermt.formats.correction import write_for_correction
from glinermt.formats.document import Lost, Utf16
from glinermt.training.data.readers import read_examples as read_for_training
from glinermt.types import Example, Query, Relation, Span

TEXT = "Ann 😀 Lee\nlives in Zürich."
ANN, ZURICH = Span(0, 9, "Ann 😀 Lee", "person"), Span(19, 25, "Zürich", "city")
LIVES = Relation(ANN, "lives in", ZURICH)


def save(path: Path, data: Any) -> Path:
    """Write text as it is, a list as JSON lines, or one JSON value."""
    if isinstance(data, str):
        text = data
    elif path.suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in data)
    else:
        text = json.dumps(data)
    path.write_text(text, encoding="utf-8", newline="")
    return path


LABEL_STUDIO = [
    {
        "id": 7,
        "data": {"text": TEXT},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {
                        "id": "a",
                        "from_name": "label",
                        "to_name": "text",
                        "type": "labels",
                        "value": {
                            "start": 0,
                            "end": 10,
                            "text": "Ann 😀 Lee",
                            "labels": ["person"],
                        },
                    },
                    {
                        "id": "b",
                        "from_name": "label",
                        "to_name": "text",
                        "type": "labels",
                        "value": {"start": 20, "end": 26, "text": "Zürich", "labels": ["city"]},
                    },
                    {
                        "type": "relation",
                        "from_id": "a",
                        "to_id": "b",
                        "direction": "right",
                        "labels": ["lives in"],
                    },
                ]
            },
        ],
    }
]
PRODIGY = [
    {
        "text": TEXT,
        "_input_hash": 1,
        "answer": "accept",
        "spans": [
            {"start": 0, "end": 9, "label": "person", "token_start": 0, "token_end": 2},
            {"start": 19, "end": 25, "label": "city"},
        ],
        "relations": [
            {
                "head": 2,
                "child": 5,
                "head_span": {"start": 0, "end": 9, "label": "person"},
                "child_span": {"start": 19, "end": 25, "label": "city"},
                "label": "lives in",
            }
        ],
    },
    {"text": "rejected", "answer": "reject", "spans": []},
]
DOCCANO = [
    {
        "id": 1,
        "text": TEXT,
        "entities": [
            {"id": 11, "label": "person", "start_offset": 0, "end_offset": 9},
            {"id": 12, "label": "city", "start_offset": 19, "end_offset": 25},
        ],
        "relations": [{"id": 1, "from_id": 11, "to_id": 12, "type": "lives in"}],
    }
]


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("label-studio", "export.json", LABEL_STUDIO),
        ("prodigy", "export.jsonl", PRODIGY),
        ("doccano", "export.jsonl", DOCCANO),
    ],
)
def test_exports_of_tools_are_told_and_read(
    tmp_path: Path, name: str, file: str, data: Any
) -> None:
    path = save(tmp_path / file, data)
    assert detect(path) == name
    assert read_documents(path) == [Document(TEXT, (ANN, ZURICH), (LIVES,))]


def test_brat_counts_carriage_returns_and_joins_pieces(tmp_path: Path) -> None:
    save(tmp_path / "a.txt", "Ann Lee\r\nlives in Bonn.")
    save(
        tmp_path / "a.ann",
        "T1\tperson_name 0 3;4 7\tAnn Lee\nT2\tcity 18 22\tBonn\n"
        "R1\tlives_in Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tnote\n",
    )
    (document,) = read_documents(tmp_path)
    assert [(s.text, s.label) for s in document.spans] == [
        ("Ann Lee", "person name"),
        ("Bonn", "city"),
    ]
    assert document.relations[0].label == "lives in"


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-per I-per O B-loc", ["Ann Lee", "Bonn"]),
        ("I-per I-per O I-loc", ["Ann Lee", "Bonn"]),
        ("B-per L-per O U-loc", ["Ann Lee", "Bonn"]),
        ("B-per B-per O O", ["Ann", "Lee"]),
    ],
)
def test_columns_are_read_in_all_their_tagging_schemes(
    tmp_path: Path, tags: str, spans: list[str]
) -> None:
    tokens = "Ann Lee in Bonn".split()
    lines = [f"{token} NN {tag}" for token, tag in zip(tokens, tags.split(), strict=True)]
    path = save(tmp_path / "a.conll", "-DOCSTART- -X- O\n\n" + "\n".join(lines) + "\n")
    (document,) = read_documents(path)
    assert [span.text for span in document.spans] == spans


def test_rows_of_gliner_are_read_as_examples(tmp_path: Path) -> None:
    row = {
        "tokenized_text": ["Ann", "lives", "in", "Bonn", "."],
        "ner": [[0, 0, "person"], [3, 3, "city"]],
        "relations": [[0, 1, "lives in"]],
    }
    other = {"tokenized_text": ["Rain", "."], "ner": []}
    path = save(tmp_path / "train.json", [row, other])
    entities, relations, nothing = read_examples(path)
    assert entities.query.labels == nothing.query.labels == ("city", "person")
    assert [span.text for span in entities.spans] == ["Ann", "Bonn"]
    assert nothing.spans == ()
    assert (relations.task, relations.relations[0].label) == ("relations", "lives in")


def test_gliner2_marks_every_place_of_a_mention(tmp_path: Path) -> None:
    output = {
        "entities": {"person": ["Ann"]},
        "classifications": [{"task": "topic", "labels": ["a", "b"], "true_label": ["a"]}],
    }
    path = save(tmp_path / "a.jsonl", [{"input": "Ann met Ann.", "output": output}])
    (document,) = read_documents(path)
    assert [span.start for span in document.spans] == [0, 8]
    assert document.classes == ("a",)


def test_questions_and_classes_become_examples_of_their_tasks(tmp_path: Path) -> None:
    squad = {
        "version": "v2.0",
        "data": [
            {
                "paragraphs": [
                    {
                        "context": "Ann lives in Bonn.",
                        "qas": [
                            {
                                "id": "1",
                                "question": "Where?",
                                "answers": [{"text": "Bonn", "answer_start": 13}],
                            },
                            {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
                        ],
                    }
                ]
            }
        ],
    }
    where, why = read_examples(save(tmp_path / "squad.json", squad))
    assert (where.task, where.query.prompt, where.spans[0].text) == ("answer", "Where?", "Bonn")
    assert why.spans == ()
    table = save(tmp_path / "a.csv", 'text,label\n"good,\nreally",pos\nbad,neg\n')
    good, _ = read_examples(table)
    assert (good.task, good.classes, good.query.classes) == ("classify", ("pos",), ("neg", "pos"))
    assert good.query.text == "good,\nreally"


TO_FILE = {name: "out" if name == "brat" else f"out{ending}" for name, ending in {
    "conll": ".conll", "gliner": ".jsonl", "gliner2": ".jsonl", "label-studio": ".json",
    "prodigy": ".jsonl", "doccano": ".jsonl", "brat": "", "docbin": ".spacy", "hf": ".jsonl",
    "csv": ".csv", "squad": ".json", "spacy-tuples": ".json",
}.items()}  # fmt: skip


@pytest.mark.parametrize("name", ["label-studio", "prodigy", "doccano", "brat"])
def test_formats_with_offsets_hold_every_span_and_relation(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / "in.jsonl", DOCCANO)
    target = tmp_path / TO_FILE[name]
    assert not convert(source, target, name)
    assert read_documents(target, name) == [Document(TEXT, (ANN, ZURICH), (LIVES,))]


def test_what_several_examples_say_of_a_text_is_one_document(tmp_path: Path) -> None:
    sentence = "Ann lives in Bonn."
    ann, bonn = Span(0, 3, "Ann", "person"), Span(13, 17, "Bonn", "city")
    document = Document(sentence, (ann, bonn), (Relation(ann, "lives in", bonn),), ("news",))
    FORMATS["label-studio"].write([document], tmp_path / "export.json", Lost())
    ours = tmp_path / "ours.jsonl"
    convert(tmp_path / "export.json", ours, "glinermt")
    assert len(read_examples(ours)) == 3
    assert read_documents(ours) == [document]
    assert convert(ours, tmp_path / "a.conll", "conll") == {"relations": 1, "classes": 1}
    (found,) = read_documents(tmp_path / "a.conll")
    assert [span.label for span in found.spans] == ["person", "city"]


@pytest.mark.parametrize("label", ["sport", ["sport"]])
def test_texts_with_classes_only_do_not_become_texts_without_entities(
    tmp_path: Path, label: Any
) -> None:
    source = save(tmp_path / "a.jsonl", [{"text": "Bonn won.", "label": label}])
    (example,) = read_examples(source)
    assert (example.task, example.classes) == ("classify", ("sport",))
    convert(source, tmp_path / "ours.jsonl", "glinermt")
    lost = convert(tmp_path / "ours.jsonl", tmp_path / "a.conll", "conll")
    assert lost == {"texts in which nobody looked for entities": 1}
    assert not list(read_documents(tmp_path / "a.conll"))


def test_a_number_sign_is_a_token_and_not_a_comment(tmp_path: Path) -> None:
    text = "He is a C # developer in Paris today"
    document = Document(text, (Span(8, 11, "C #", "language"), Span(25, 30, "Paris", "city")))
    FORMATS["conll"].write([document], tmp_path / "a.conll", Lost())
    assert read_documents(tmp_path / "a.conll") == [document]
    lines = "# sent_id = 1\nC NN B-language\n# SYM I-language\n# global.columns = O\n"
    (found,) = read_documents(save(tmp_path / "b.conll", lines))
    assert (found.text, found.spans[0].text) == ("C #", "C #")


def test_a_token_may_hold_white_space_that_parts_no_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("10\u00a0000 B-sum\nmen\u2028 O\n\u3000\nall\tO\n", encoding="utf-8")
    one, other = read_documents(file)
    assert (one.text, other.text) == ("10\u00a0000 men\u2028", "all")
    assert [(span.text, span.label) for span in one.spans] == [("10\u00a0000", "sum")]


def test_a_quote_that_nothing_closes_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('text,label\n"two\nlines",a\n"open,b\nc,d\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv:4: a quote is opened here that nothing closes"):
        read_documents(file)


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
@pytest.mark.parametrize(
    "name", ["glinermt", "gliner", "gliner2", "label-studio", "prodigy", "doccano", "hf"]
)
def test_what_is_written_is_read_whatever_its_name(tmp_path: Path, name: str, ending: str) -> None:
    texts = ["Ada lived in London .", "Nobody did ."]
    spans = (Span(0, 3, "Ada", "person"), Span(13, 19, "London", "city"))
    before = [Document(texts[0], spans), Document(texts[1])]
    source, target = tmp_path / "a.jsonl", tmp_path / f"b{ending}"
    FORMATS["doccano"].write(before, source, Lost())
    convert(source, target, name)
    assert read_documents(target) == before
    if (name, ending) == ("gliner", ".json"):
        assert isinstance(json.loads(target.read_text()), list), "as gliner's training reads it"


def test_predictions_of_label_studio_are_told_from_questions(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    document = Document("Ada lived .", (Span(0, 3, "Ada", "person", 0.75),))
    write_for_correction([document], file, "label-studio")
    (found,) = read_documents(file)
    assert [span.text for span in found.spans] == ["Ada"]


def test_a_csv_text_may_be_long(tmp_path: Path) -> None:
    text = "word " * 30_000
    (document,) = read_documents(save(tmp_path / "a.csv", f"text,label\n{text},x\n"))
    assert document.text == text


def test_relations_keep_their_ends_where_a_span_without_a_word_is_left_out(tmp_path: Path) -> None:
    text = "  Ann met Bob"
    ann, bob = Span(2, 5, "Ann", "person"), Span(10, 13, "Bob", "person")
    document = Document(text, (Span(0, 1, " ", "x"), ann, bob), (Relation(ann, "met", bob),))
    FORMATS["gliner"].write([document], tmp_path / "a.jsonl", Lost())
    (found,) = read_documents(tmp_path / "a.jsonl")
    assert [(r.head.text, r.tail.text) for r in found.relations] == [("Ann", "Bob")]


def test_regions_of_label_studio_may_have_several_labels_and_choices(tmp_path: Path) -> None:
    place = {"start": 0, "end": 3, "text": "Ann"}
    results = [
        {"id": "a", "type": "labels", "value": {**place, "labels": ["person", "singer"]}},
        {"id": "a", "type": "choices", "value": {**place, "choices": ["famous"]}},
    ]
    task = {"data": {"text": "Ann sings"}, "annotations": [{"result": results}]}
    (document,) = read_documents(save(tmp_path / "a.json", [task]))
    assert [(s.text, s.label) for s in document.spans] == [("Ann", "person"), ("Ann", "singer")]
    assert document.classes is None


def test_a_text_of_brat_may_have_other_ends_of_lines(tmp_path: Path) -> None:
    save(tmp_path / "a.txt", "Ann\u2028Lee sings")
    save(tmp_path / "a.ann", "T1\tperson 0 7\tAnn\u2028Lee\r\n")
    (document,) = read_documents(tmp_path)
    assert document.spans == (Span(0, 7, "Ann\u2028Lee", "person"),)


def test_regions_of_html_are_read_by_their_places_in_the_text(tmp_path: Path) -> None:
    value: dict[str, Any] = {
        "start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]", "text": "Ann",
        "hypertextlabels": ["person"],
    }  # fmt: skip
    task = {"data": {"text": "Ann sings"}, "annotations": [{"result": [{"value": value}]}]}
    with pytest.raises(DataError, match=r"a.json: entry 1: .* export it with globalOffsets"):
        read_documents(save(tmp_path / "a.json", [task]))
    value["globalOffsets"] = {"start": 0, "end": 3}
    (document,) = read_documents(save(tmp_path / "a.json", [task]))
    assert document.spans == (Span(0, 3, "Ann", "person"),)


def test_entities_of_doccano_need_no_number(tmp_path: Path) -> None:
    entity = {"label": "person", "start_offset": 0, "end_offset": 3}
    (document,) = read_documents(
        save(tmp_path / "a.jsonl", [{"text": "Ann", "entities": [entity]}])
    )
    assert document.spans == (Span(0, 3, "Ann", "person"),)


def test_a_folder_of_brat_that_is_written_anew_has_the_new_documents_only(tmp_path: Path) -> None:
    folder, old = tmp_path / "out", Document("Ann", (Span(0, 3, "Ann", "person"),))
    FORMATS["brat"].write([old, old, old], folder, Lost())
    (folder / "annotation.conf").write_text("[entities]\n")
    new = Document("Bob", (Span(0, 3, "Bob", "person"),))
    FORMATS["brat"].write([new], folder, Lost())
    assert read_documents(folder) == [new]
    assert (folder / "annotation.conf").exists()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"it has mine.txt, .* name an empty folder"):
        FORMATS["brat"].write([old], folder, Lost())
    assert (folder / "mine.txt").read_text() == "mine"


def test_names_that_come_back_otherwise_are_counted(tmp_path: Path) -> None:
    document = Document("Ann", (Span(0, 3, "Ann", "first_name"),))
    lost = Lost()
    FORMATS["brat"].write([document], tmp_path / "out", lost)
    assert +lost == {"names that come back otherwise": 1}
    lost = Lost()
    document = Document("Ann", (Span(0, 3, "Ann", "first name"),))
    FORMATS["conll"].write([document], tmp_path / "a.conll", lost)
    assert +lost == {"names that come back otherwise": 1}
    lost = Lost()
    FORMATS["csv"].write([Document("Ann", classes=("a|b", "c"))], tmp_path / "a.csv", lost)
    assert +lost == {"names that come back otherwise": 1}


def test_lines_of_brat_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.txt", "Ann")
    save(tmp_path / "a.ann", "T1 person 0 3 Ann\n")
    with pytest.raises(DataError, match=r"a.ann:1: expected an entity .* between tabs, got 'T1"):
        read_documents(tmp_path)


NOBODY_LOOKED = "notes that nobody looked for entities"


@pytest.mark.parametrize("name", ["brat", "doccano", "gliner", "label-studio", "prodigy"])
def test_ends_of_relations_whose_type_nobody_said_are_entities(tmp_path: Path, name: str) -> None:
    ann, bonn = Span(0, 3, "Ann", ""), Span(13, 17, "Bonn", "")
    query = Query("Ann lives in Bonn .", relations=("lives in",), entities=(ann, bonn))
    example = Example(query, (), "relations", (Relation(ann, "lives in", bonn),))
    target = tmp_path / TO_FILE[name]
    lost = convert(save(tmp_path / "ours.jsonl", [example.to_dict()]), target, name)
    (found,) = read_documents(target, name)
    assert [(r.head.text, r.head.label) for r in found.relations] == [("Ann", "entity")]
    held = name in ("label-studio", "prodigy")
    assert (found.unmarked, lost) == (held, {} if held else {NOBODY_LOOKED: 1})


@pytest.mark.parametrize(
    "name", ["docbin", "doccano", "gliner2", "label-studio", "prodigy", "spacy-tuples"]
)
def test_that_nobody_looked_for_entities_is_held(tmp_path: Path, name: str) -> None:
    if name == "docbin":
        pytest.importorskip("spacy")
    target, lost = tmp_path / TO_FILE[name], Lost()
    looked = Document("Rain.", (), (), None if name == "doccano" else ("news",))
    silent = Document("Bonn won.", classes=("sport",), unmarked=True)
    FORMATS[name].write([looked, silent], target, lost)
    assert (+lost, read_documents(target, name)) == ({}, [looked, silent])


def test_what_only_our_format_says_is_counted(tmp_path: Path) -> None:
    ann, bonn = Span(0, 3, "Ann", "person"), Span(13, 17, "Bonn", "city", 0.7)
    asked = Query("Ann lives in Bonn.", ("person", "city"))
    lives = Span(4, 9, "lives", "verb")
    related = Query("Ann lives in Bonn.", relations=("lives in",), entities=(ann, bonn, lives))
    ours = [
        Example(asked, (ann, bonn)),
        Example(related, (), "relations", (Relation(ann, "lives in", bonn),), judged=((0, 1),)),
    ]
    source = save(tmp_path / "ours.jsonl", [example.to_dict() for example in ours])
    assert convert(source, tmp_path / "a.jsonl", "prodigy") == {
        "scores of spans": 1, "texts of which only some pairs were judged": 1,
        "entities that only relations were asked between": 1,
    }  # fmt: skip
    assert not convert(source, tmp_path / "again.jsonl", "glinermt")
    assert read_examples(tmp_path / "again.jsonl") == read_examples(source)


def test_labels_that_ours_words_as_the_model_reads_them_are_counted(tmp_path: Path) -> None:
    rows = [{"text": "Ann in Bonn", "label": [[0, 3, "PER_NAME"], [7, 11, "city"]]}]
    lost = convert(save(tmp_path / "a.jsonl", rows), tmp_path / "ours.jsonl", "glinermt")
    assert lost == {"names that come back otherwise": 1}
    (example,) = read_examples(tmp_path / "ours.jsonl")
    assert example.query.labels == ("per name", "city")


def test_relations_survive_labels_that_are_reworded(tmp_path: Path) -> None:
    row = {"tokenized_text": ["Ann", "in", "Bonn"], "ner": [[0, 0, "person"], [2, 2, "home_city"]]}
    save(tmp_path / "a.jsonl", [{**row, "relations": [[0, 1, "lives in"]]}])
    convert(tmp_path / "a.jsonl", tmp_path / "ours.jsonl", "glinermt")
    assert not convert(tmp_path / "ours.jsonl", tmp_path / "b.jsonl", "gliner")
    (found,) = read_documents(tmp_path / "b.jsonl")
    assert [(r.head.text, r.tail.text) for r in found.relations] == [("Ann", "Bonn")]


WORDS = st.lists(st.sampled_from("Ann Lee Zürich x-1 😀 e\u0301 ,".split()), max_size=12)


@st.composite
def documents(draw: Callable[..., Any]) -> Document:
    """Return a text of words with disjoint spans of whole words."""
    words = draw(WORDS)
    text, spans, start, index = " ".join(words), [], 0, 0
    starts = []
    for word in words:
        starts.append(start)
        start += len(word) + 1
    while index < len(words):
        last = min(index + draw(st.integers(0, 2)), len(words) - 1)
        if draw(st.booleans()):
            begin, end = starts[index], starts[last] + len(words[last])
            spans.append(Span(begin, end, text[begin:end], draw(st.sampled_from(["per", "loc"]))))
        index = last + 1
    return Document(text, tuple(spans))


@pytest.mark.parametrize(
    "name", ["conll", "gliner", "hf", "label-studio", "prodigy", "doccano", "brat"]
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=documents())
def test_round_trips_keep_every_span(tmp_path: Path, name: str, document: Document) -> None:
    form, target = FORMATS[name], tmp_path / TO_FILE[name]
    lost = Lost()
    form.write([document], target, lost)
    found = list(form.read(target, Lost()))
    assert not +lost - Lost({"empty texts": 1})
    if document.text or name not in ("conll",):
        (one,) = found
        assert [s.label for s in one.spans] == [s.label for s in document.spans]
        assert [s.text.split() for s in one.spans] == [s.text.split() for s in document.spans]
        assert all(one.text[s.start : s.end] == s.text for s in one.spans)


def test_docbin_round_trips(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    document = Document(
        "Ann Lee lives in Bonn.", (Span(0, 7, "Ann Lee", "person"),), classes=("a",)
    )
    FORMATS["docbin"].write([document], tmp_path / "a.spacy", Lost())
    assert read_documents(tmp_path / "a.spacy") == [document]


@pytest.mark.parametrize(
    ("name", "data", "left_out"),
    [
        (
            "a.json",
            [
                {
                    "data": {"text": "Ann won."},
                    "annotations": [
                        {
                            "result": [
                                {
                                    "type": "labels",
                                    "value": {"start": 0, "end": 3, "labels": ["x"]},
                                },
                                {
                                    "type": "choices",
                                    "value": {"start": 0, "end": 3, "choices": ["y"]},
                                },
                                {"type": "rating", "value": {"rating": 4}},
                                {"type": "relation", "from_id": "a", "to_id": "b"},
                            ]
                        },
                        {"result": []},
                    ],
                },
                {"data": {"text": "Bo."}, "annotations": [{"was_cancelled": True, "result": []}]},
            ],
            {
                "choices made of a region": 1,
                "results of type rating": 1,
                "relations of what is no entity": 1,
                "annotations after a task's first": 1,
                "tasks that were skipped, or not annotated": 1,
            },
        ),
        (
            "a.ann",
            "T1\tperson 0 3;4 7\tAnn won\nE1\tWin:T1\nA1\tPast E1\n#1\tNote T1\tsure\n",
            {"events": 1, "attributes": 1, "notes": 1, "gaps in entities of several pieces": 1},
        ),
        (
            "a.jsonl",
            [
                {"text": "Ann won.", "spans": [], "answer": "accept"},
                {"text": "Bo.", "spans": [], "answer": "ignore"},
            ],
            {"examples that were not accepted": 1},
        ),
        ("a.csv", "id,text,label\n1,Ann won.,x\n", {"other columns": 1}),
        (
            "b.jsonl",
            [{"input": "Ann won.", "output": {"entities": {}, "json_structures": [{}, {}]}}],
            {"json_structures": 2},
        ),
    ],
)
def test_what_is_not_read_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, data: Any, left_out: dict[str, int]
) -> None:
    save(tmp_path / "a.txt", "Ann won.")
    source = save(tmp_path / name, data)
    assert convert(source, tmp_path / "ours.jsonl", "glinermt") == left_out
    assert not caplog.text
    (document,) = read_documents(source)
    assert document.text == "Ann won."
    assert all(f"{number} {what}" in caplog.text for what, number in left_out.items())


def test_what_a_format_cannot_hold_is_counted(tmp_path: Path) -> None:
    source = save(tmp_path / "in.jsonl", DOCCANO)
    assert convert(source, tmp_path / "a.conll", "conll") == {"relations": 1}
    lost = convert(source, tmp_path / "a.csv", "csv")
    assert lost == {"relations": 1, "spans": 2, "documents without a class": 1}
    nested = [{"text": "Bank of Bonn", "label": [[0, 12, "bank"], [8, 12, "city"], [9, 11, "x"]]}]
    lost = convert(save(tmp_path / "n.jsonl", nested), tmp_path / "n.conll", "conll")
    assert lost == {"overlapping spans": 2}


def squad(**changed: Any) -> dict[str, Any]:
    """Return a file with one question, some of whose fields are changed."""
    question = {"id": "q7", "question": "Who?", "answers": [], **changed}
    return {"data": [{"paragraphs": [{"context": "Ann sings.", "qas": [question]}]}]}


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("a.jsonl", [{"text": "Ann", "label": [[0, 9, "x"]]}], r"a.jsonl:1: span 0:9 lies outside"),
        ("a.jsonl", [{"text": "Ann", "label": {"x": 1}}], r"a.jsonl:1: 'label' should be a name"),
        ("a.jsonl", [{"text": "Ann", "label": ["x", 1]}], r"a.jsonl:1: 'label' should be a name"),
        ("a.csv", "label,text\npos\n", r"a.csv:2: expected 2 columns, got 1"),
        ("a.csv", "text,label\nwell, good,pos\n", r"a.csv:2: expected 2 columns, got 3"),
        ("a.jsonl", [{"tokens": ["a"], "ner_tags": ["PER"]}], r"a.jsonl:1: .* got 'PER'; write I-"),
        ("a.jsonl", [{"tokenized_text": "Ann", "ner": []}], r"a.jsonl:1: 'tokenized_text' should"),
        (
            "a.jsonl",
            [{"tokenized_text": ["Ann"], "ner": [[0, 0, "x"]], "relations": [[0, -1, "r"]]}],
            r"a.jsonl:1: relation 0:-1 has no entity among 1",
        ),
        (
            "a.jsonl",
            [{"text": "Ann", "answer": "accept", "relations": [{"head": 0, "label": "r"}]}],
            r"a.jsonl:1: there is no 'head_span'",
        ),
        ("a.jsonl", [{"text": "Ann", "entities": [1]}], r"a.jsonl:1: has not the shape"),
        (
            "a.jsonl",
            [{"text": "Ann", "entities": [], "relations": [{"from_id": 1, "to_id": 2}]}],
            r"a.jsonl:1: a relation names 1, which is no entity's id",
        ),
        (
            "a.jsonl",
            [{"input": "Ann", "output": {"entities": {"p": {"Ann": 1}}}}],
            r"a.jsonl:1: 'p' should be a name or a list of names",
        ),
        ("a.json", squad(answers=[{"text": "Rome", "answer_start": 0}]), "question 'q7': answer "),
        ("a.json", squad(answers=[{"text": "Ann"}]), "question 'q7': there is no 'answer_start'"),
        ("a.json", squad(answers=["Ann"]), "question 'q7': has not the shape"),
        ("a.json", squad(question=None), "question 'q7': expected a string in 'question', got No"),
        ("a.json", {"data": [{"paragraphs": [{"qas": 1}]}]}, "a.json: article 1, paragraph 1: exp"),
        ("a.jsonl", [{"what": 1}], r"its format cannot be told from the keys \['what'\]"),
        ("a.conll", "Ann\n", r"a.conll:1: expected a token and a tag, got 'Ann'"),
        ("a.txt", "Ann is in Rome.\n", r"a.txt:1: expected a tag such as O .* got 'Rome.'"),
        (
            "a.jsonl",
            [{"tokens": ["a"], "ner_tags": [3]}],
            "ner_tags are numbers; write their",
        ),
        ("a.csv", "a,b\n1,2\n", r"a.csv:1: expected columns 'text' and 'label'"),
        ("a.csv", "text,label,text\na,b,c\n", "a.csv:1: expected one column 'text' and one 'la"),
        ("a.csv", "text,label,class\na,b,c\n", "a.csv:1: expected one column 'text' and one 'l"),
        ("a.jsonl", [{"input": "Ann", "output": {"entities": {"p": ["Bob"]}}}], "'Bob' is not in"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    tmp_path: Path, file: str, data: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_documents(save(tmp_path / file, data))


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("a.jsonl", ""),
        ("a.jsonl", "\n\n"),
        ("a.json", []),
        ("a.conll", ""),
        ("a.csv", ""),
        ("a.csv", "text,label\n"),
    ],
)
def test_a_file_without_texts_is_told_in_the_same_words_wherever_it_is_read(
    tmp_path: Path, file: str, data: Any
) -> None:
    source = save(tmp_path / file, data)
    said = set()
    for read in (
        lambda: convert(source, tmp_path / "out", "glinermt"),
        lambda: convert(source, tmp_path / "out", "gliner2"),
        lambda: read_examples(source),
        lambda: read_for_training(source),
    ):
        with pytest.raises(DataError) as caught:
            read()
        said.add(str(caught.value))
    (message,) = said
    assert message.startswith(f"{source}: there is no annotated text in it")
    assert not (tmp_path / "out").exists()


PAIR = '["Ann sings.", {"entities": [[0, 3, "person"]], "cats": {"music": 1.0, "sport": 0.0}}]'
SPACY_TUPLES = {
    "list.json": f"[{PAIR}, {PAIR}]",
    "spread.json": f"[\n  [\n{PAIR[1:]}, {PAIR}\n]",
    "lines.jsonl": f"{PAIR}\n\n{PAIR}\n",
    "one.jsonl": PAIR,
    "annotator.json": f'{{"classes": ["person"], "annotations": [{PAIR}, null]}}',
    "train.py": f"import spacy\n\nTRAIN_DATA = [{PAIR.replace('[[', '[(').replace(']]', ')]')}]\n",
    "tuples.json": f"[({PAIR[1:-1]}), ({PAIR[1:-1]})]".replace('"', "'"),
    "tuples.jsonl": f"({PAIR[1:-1]})\n({PAIR[1:-1]})\n".replace('"', "'"),
}


@pytest.mark.parametrize("name", SPACY_TUPLES)
def test_training_data_of_spacy_2_is_read_however_it_was_written(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / name, SPACY_TUPLES[name])
    assert detect(source) == "spacy-tuples"
    expected = Document("Ann sings.", (Span(0, 3, "Ann", "person"),), classes=("music",))
    assert set(read_documents(source)) == {expected}
    lost = convert(source, tmp_path / "out.jsonl", "glinermt")
    assert lost == ({"texts that nobody annotated": 1} if name == "annotator.json" else {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[["Ann", {"entities": [[0, 9, "person"]]}]]', "entry 1: span 0:9 lies outside the text"),
        ('[["Ann", {}], ["Bob", [0, 3]]]', "entry 2: expected a text and what is said of it"),
        ("[('Ann', {'entities': spans})]", "neither JSON nor plain values of Python"),
    ],
)
def test_what_is_wrong_with_training_data_of_spacy_2_is_named(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.json: {message}"):
        read_documents(save(tmp_path / "a.json", content))


def test_a_spreadsheet_may_put_semicolons_between_its_columns(tmp_path: Path) -> None:
    table = save(tmp_path / "a.csv", "text;label\nA text, with commas;good\n")
    assert read_documents(table) == [
        Document("A text, with commas", classes=("good",), unmarked=True)
    ]


@given(st.text(st.sampled_from("aé€\n😀𝄞")), st.data())
def test_utf16_offsets_are_those_of_javascript(text: str, data: Any) -> None:
    place = data.draw(st.integers(0, len(text)))
    units = len(text[:place].encode("utf-16-le", "surrogatepass")) // 2
    assert Utf16(text).to_units(place) == units
    assert Utf16(text).to_characters(units) == place


def test_only_answers_are_questions(tmp_path: Path) -> None:
    found = Span(0, 3, "Ann", "key phrase")
    one = Example(Query("Ann lives in Bonn.", ("key phrase",), "Find it:"), (found,), "keyphrases")
    (document,) = read_documents(save(tmp_path / "a.jsonl", [one.to_dict()]))
    assert document.question is None
    assert [span.text for span in document.spans] == ["Ann"]
