"""The spaCy pipe, with a tiny model for what does not depend on one and a stub for what does."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("spacy", reason="needs the extra [spacy]")

import spacy
from spacy.tokens import Doc

from glinermt.integrations.spacy import GlinerMTPipe
from glinermt.types import Query, Span
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.extras
TEXT = "Bob-Smith works for Acme in Paris."


def script(query: Query) -> list[Span]:
    known = {"Bob": ("person", 0.9), "Acme": ("company", 0.8), "Acme in": ("place", 0.6)}
    found = []
    for name, (label, score) in known.items():
        start = query.text.find(name)
        for asked in query.labels if start >= 0 else ():
            if asked == label or (asked == "Bob <> works for" and name == "Acme"):
                found.append(Span(start, start + len(name), name, asked, score))
    return found


def annotated(text: str = TEXT, **options: Any) -> Doc:
    labels = ["person", "company", "place"]
    pipe = GlinerMTPipe(labels, model=StubExtractor(script), **options)
    return pipe(spacy.blank("en")(text))


def test_entities_are_whole_tokens_and_keep_their_scores() -> None:
    doc = annotated()
    assert [(e.text, e.label_, e._.score) for e in doc.ents] == [
        ("Bob", "person", 0.9),
        ("Acme", "company", 0.8),
    ]


@pytest.mark.parametrize(
    ("alignment", "texts"),
    [("expand", ["Bobby", "Acme"]), ("contract", ["Acme"]), ("strict", ["Acme"])],
)
def test_what_ends_inside_a_token_is_aligned_as_asked_or_told(
    alignment: Any, texts: list[str]
) -> None:
    doc = annotated("Bobby works for Acme.", alignment=alignment)
    assert [entity.text for entity in doc.ents] == texts
    left_out = [] if alignment == "expand" else ["Bob"]
    assert [span["text"] for span in doc._.glinermt_left_out] == left_out


def test_entities_that_lose_their_place_to_better_ones_are_told() -> None:
    doc = annotated()
    assert [span["text"] for span in doc._.glinermt_left_out] == ["Acme in"]


def test_span_groups_hold_overlapping_spans_with_scores() -> None:
    doc = annotated(style="span", spans_key="found")
    group = doc.spans["found"]
    assert [span.text for span in group] == ["Bob", "Acme", "Acme in"]
    assert group.attrs["scores"] == [0.9, 0.8, 0.6]
    assert not doc.ents


def test_entities_of_earlier_pipes_stay_where_there_is_room() -> None:
    doc = spacy.blank("en")(TEXT)
    doc.ents = [doc.char_span(28, 33, label="GPE"), doc.char_span(0, 9, label="OTHER")]
    pipe = GlinerMTPipe(["person"], model=StubExtractor(script))
    assert [(e.text, e.label_) for e in pipe(doc).ents] == [("Bob", "person"), ("Paris", "GPE")]


def test_relations_have_offsets_of_the_text() -> None:
    (relation,) = annotated(relations=["works for"])._.glinermt_relations
    head, tail = relation["head"], relation["tail"]
    assert TEXT[head["start"] : head["end"]] == "Bob"
    assert TEXT[tail["start"] : tail["end"]] == "Acme"
    assert relation["label"] == "works for"


def test_pipe_reads_a_batch_in_one_call_and_keeps_the_order() -> None:
    stub = StubExtractor(script)
    pipe = GlinerMTPipe(["person"], model=stub)
    docs = [spacy.blank("en")(text) for text in ("Bob came.", "", "Ann came.", "So did Bob.")]
    found = list(pipe.pipe(docs, batch_size=3))
    assert [len(doc.ents) for doc in found] == [1, 0, 0, 1]
    assert len(stub.calls) == 2


def test_a_pipeline_is_found_by_name_saved_and_loaded(tmp_path: Path) -> None:
    model = tmp_path / "model"
    tiny_model(tmp_path / "encoder").save_pretrained(model)
    nlp = spacy.blank("en")
    config = {"labels": {"person": {"threshold": 0.2}, "city": {}}, "model": str(model)}
    nlp.add_pipe("glinermt", config=config)
    before = nlp("bill gates in paris")
    nlp.to_disk(tmp_path / "pipeline")
    after = spacy.load(tmp_path / "pipeline")("bill gates in paris")
    assert before.ents
    assert [(e.text, e.label_, e._.score) for e in after.ents] == [
        (e.text, e.label_, pytest.approx(e._.score)) for e in before.ents
    ]
    again = Doc(nlp.vocab).from_bytes(before.to_bytes())
    assert [e._.score for e in again.ents] == [e._.score for e in before.ents]


def tiny_pipeline(folder: Path, labels: Any) -> spacy.language.Language:
    tiny_model(folder / "encoder").save_pretrained(folder / "model")
    nlp = spacy.blank("en")
    config = {"labels": labels, "model": str(folder / "model"), "threshold": 0.2}
    nlp.add_pipe("glinermt", config=config)
    return nlp


def test_a_saved_pipeline_asks_for_its_labels_in_the_order_that_they_had(tmp_path: Path) -> None:
    labels = {"person": "a human", "city": {"threshold": 0.2}, "date": ""}
    nlp = tiny_pipeline(tmp_path, labels)
    nlp.to_disk(tmp_path / "saved")
    spacy.load(tmp_path / "saved").to_disk(tmp_path / "saved again")
    for folder in ("saved", "saved again"):
        again = spacy.load(tmp_path / folder).get_pipe("glinermt")
        assert list(again.labels.items()) == list(labels.items())
    changed = {"components": {"glinermt": {"labels": ["place"]}}}
    assert spacy.load(tmp_path / "saved", config=changed).pipe_labels["glinermt"] == ["place"]


@pytest.mark.parametrize(
    "labels",
    [{"U.S. city": {"threshold": 0.2}}, {"a: city": ""}, {"#tag": "", "city": ""}, ["for ${x}"]],
)
def test_labels_that_the_file_of_settings_would_change_are_not_saved(
    tmp_path: Path, labels: Any
) -> None:
    nlp = tiny_pipeline(tmp_path, labels)
    with pytest.raises(ValueError, match="would change in spaCy's file of settings"):
        nlp.to_disk(tmp_path / "saved")


def test_labels_given_as_pairs_are_saved_whatever_their_names(tmp_path: Path) -> None:
    pairs = [
        ["U.S. city", {"threshold": 0.2}],
        ["a: person", "a human"],
        ["#tag", ""],
        ["@user", ""],
    ]
    tiny_pipeline(tmp_path, pairs).to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved").get_pipe("glinermt")
    assert list(again.labels.items()) == [tuple(pair) for pair in pairs]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "tokens"}, "style 'tokens' is not known"),
        ({"alignment": "loose"}, "alignment 'loose' is not known"),
        ({"labels": []}, "labels are empty"),
        (
            {"labels": [["city", {"threshold": 0.2}], ["city", "a town"]]},
            "'city' is given twice, with {'threshold': 0.2} and with 'a town'; name it once",
        ),
    ],
)
def test_a_wrong_configuration_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GlinerMTPipe(**{"labels": ["person"], "model": StubExtractor(script), **options})
