"""Spans, relations and classes of one query are read together, whatever its length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from glinermt.encoder import Batch
from glinermt.model import GlinerMT
from glinermt.network import Network, Output
from glinermt.types import Ask, Found, Query, Relation, Span
from tests.tiny_models import spread, tiny_model

TEXT = "Bill Gates founded Microsoft in Paris."
EVERYTHING = Ask(threshold=0.1, relation_threshold=0.0)
QUERY = Query(
    TEXT, ("person", "city"), relations=("founded", "in"), classes=("the answer", "city", "x")
)


@pytest.fixture(scope="module", params=["bert", "deberta", "apart"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    """A random model whose relation and class scores differ."""
    folder = tmp_path_factory.mktemp("model")
    if request.param == "apart":
        return spread(tiny_model(folder).with_heads(class_reading="apart"))
    return spread(tiny_model(folder, kind=request.param).with_heads())


def span(text: str, words: str, label: str = "") -> Span:
    start = text.index(words)
    return Span(start, start + len(words), words, label)


def passes_of(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the rows of each batch the encoder reads from now on."""
    rows: list[int] = []
    output: Callable[[Network, Batch], Output] = model.fast.output

    def counted(network: Network, batch: Batch) -> Output:
        rows.append(len(batch.input_ids))
        return output(network, batch)

    monkeypatch.setattr(model.fast, "output", counted)
    return rows


def test_a_query_of_all_kinds_is_one_pass(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = passes_of(model, monkeypatch)
    (found,) = model.read([QUERY], EVERYTHING)
    assert rows == [1]
    assert found.spans
    assert set(found.classes) == {"the answer", "city", "x"}
    places = len({(s.start, s.end) for s in found.spans})
    assert len(found.relations) == places * (places - 1) * 2 > 0


def test_relations_read_apart_change_no_span_and_relate_what_is_found(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.query_encoder, "relations_apart", True)
    rows = passes_of(model, monkeypatch)
    (both,) = model.read([QUERY], EVERYTHING)
    assert sum(rows) == 2
    (alone,) = model.read([replace(QUERY, relations=())], EVERYTHING)
    places, expected = ([(s.start, s.end, s.label) for s in f.spans] for f in (both, alone))
    assert places == expected
    given = Query(TEXT, relations=QUERY.relations, entities=both.spans)
    (related,) = model.read([given], EVERYTHING)
    assert scores_of(both) == pytest.approx(scores_of(related), abs=1e-5)
    assert scores_of(both)


def scores_of(found: Found) -> dict[tuple[int, int, str, int, int], float]:
    """Return the score of each relation by its places."""
    return {
        (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end): r.score
        for r in found.relations
    }


def test_every_window_of_a_long_text_is_read_once(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = passes_of(model, monkeypatch)
    monkeypatch.setattr(model.query_encoder, "max_tokens", 48)
    long = Query("in Paris " * 30, QUERY.labels, relations=("in",), classes=("city",))
    model.read([Query(long.text, long.labels)], EVERYTHING)
    windows = sum(rows)
    assert windows > 1
    rows.clear()
    (found,) = model.read([long], EVERYTHING)
    assert sum(rows) <= windows + 2  # the longer prompt leaves a little less room
    assert found.relations
    assert found.classes


def test_extract_gives_the_spans_of_read(model: GlinerMT) -> None:
    queries = [QUERY, Query(TEXT, ("city",))]
    found = model.read(queries, Ask(threshold=0.3))
    assert model.extract(queries, threshold=0.3) == [list(f.spans) for f in found]


def close(a: Found, b: Found) -> bool:
    def places(found: Found) -> list[object]:
        return [
            *((s.start, s.end, s.label) for s in found.spans),
            *((r.head.start, r.tail.end, r.label) for r in found.relations),
            *found.classes,
        ]

    def scores(found: Found) -> list[float]:
        return [
            *(s.score for s in found.spans),
            *(r.score for r in found.relations),
            *found.classes.values(),
        ]

    return places(a) == places(b) and scores(a) == pytest.approx(scores(b), abs=1e-4)


def queries() -> list[Query]:
    given = (span(TEXT, "Bill Gates"), span(TEXT, "Paris"), span(TEXT, "Microsoft"))
    return [
        QUERY,
        Query("in the city", ("city", "person")),
        Query(TEXT, (), relations=("founded", "in"), entities=given),
        Query("Bill", (), "the answer", classes=("person", "city")),
        Query("the city of Paris " * 4, ("city",), relations=("in",)),
        Query("", ("city",), relations=("in",), classes=("city",)),
    ]


def ordered(found: Found) -> Found:
    """Relations of a pair in the order of their names, since near scores may swap."""
    key = lambda r: (r.head.start, r.head.end, r.tail.start, r.tail.end, r.label)  # noqa: E731
    return Found(found.spans, tuple(sorted(found.relations, key=key)), found.classes)


def test_queries_beside_a_query_do_not_change_it(model: GlinerMT) -> None:
    together = model.read(queries(), EVERYTHING)
    alone = [model.read([query], EVERYTHING)[0] for query in queries()]
    assert all(map(close, map(ordered, together), map(ordered, alone)))


def test_the_fast_forward_finds_what_the_plain_one_finds(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.fast._forward(model.network) is not None
    fast = model.read(queries(), EVERYTHING)
    monkeypatch.setattr(model.fast, "_forward", lambda network: None)  # noqa: ARG005
    plain = model.read(queries(), EVERYTHING)
    assert all(map(close, map(ordered, fast), map(ordered, plain)))


def test_given_entities_are_paired_and_nothing_else(model: GlinerMT) -> None:
    given = (span(TEXT, "Paris", "place"), span(TEXT, "Gates", "name"))
    query = Query(TEXT, ("person",), relations=("in",), entities=given)
    (found,) = model.read([query], EVERYTHING)
    assert [(r.head, r.tail) for r in found.relations] == [given[::-1], given]


def test_a_threshold_may_differ_from_relation_to_relation(model: GlinerMT) -> None:
    given = (span(TEXT, "Paris"), span(TEXT, "Gates"))
    query = Query(TEXT, relations=("in", "founded"), entities=given)
    (found,) = model.read([query], Ask(relation_threshold={"in": 0.0, "founded": 1.0}))
    assert [r.label for r in found.relations] == ["in", "in"]
    with pytest.raises(ValueError, match="no threshold for label 'founded'"):
        model.read([query], Ask(relation_threshold={"in": 0.0}))


def test_pairs_in_several_windows_have_their_best_score(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["in"] * 50
    with monkeypatch.context() as patch:
        patch.setattr(model.query_encoder, "max_tokens", 32)
        (tokenized,) = model.query_encoder.tokenize(
            [Query(" ".join(words), relations=("founded",))]
        )
        second = model.reader.plan([tokenized])[1].start  # type: ignore[attr-defined]
    words[second : second + 3] = ["Gates", "in", "Paris"]  # where two windows overlap
    text = " ".join(words)
    given = (span(text, "Gates"), span(text, "Paris"), Span(len(text) - 2, len(text), "in", ""))
    query = Query(text, relations=("founded",), entities=given)

    def scores() -> dict[tuple[int, int], float]:
        (found,) = model.read([query], EVERYTHING)
        return {(r.head.start, r.tail.start): r.score for r in found.relations}

    assert len(scores()) == 6  # read at once: every pair
    monkeypatch.setattr(model.query_encoder, "max_tokens", 32)
    (tokenized,) = model.query_encoder.tokenize([query])
    windows = [text.split()[p.start : p.end] for p in model.reader.plan([tokenized])]  # type: ignore[attr-defined]
    together = [" ".join(w) for w in windows if {"Gates", "Paris"} <= set(w)]
    assert len(together) > 1
    gates, paris = text.index("Gates"), text.index("Paris")
    found = scores()
    assert set(found) == {(gates, paris), (paris, gates)}  # the last word is out of reach
    alone = []
    for window in together:
        ends = (span(window, "Gates"), span(window, "Paris"))
        (read,) = model.read([Query(window, relations=("founded",), entities=ends)], EVERYTHING)
        alone.append([r.score for r in read.relations])
    best = [max(scores) for scores in zip(*alone, strict=True)]
    assert [found[gates, paris], found[paris, gates]] == pytest.approx(best, abs=1e-5)


def test_class_logits_of_windows_are_averaged_by_words(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.query_encoder, "max_tokens", 40)
    query = Query("Paris " * 40 + "Bill", classes=("city", "person"))
    (tokenized,) = model.query_encoder.tokenize([query])
    total, words = [0.0, 0.0], 0
    for p in model.reader.plan([tokenized]):  # type: ignore[attr-defined]
        part = " ".join(query.text.split()[p.start : p.end])
        (one,) = model.read([Query(part, classes=query.classes)], EVERYTHING)
        total = [t + one.classes[c] * (p.end - p.start) for t, c in zip(total, query.classes)]  # noqa: B905
        words += p.end - p.start
    (found,) = model.read([query], EVERYTHING)
    expected = [t / words for t in total]
    assert list(found.classes.values()) == pytest.approx(expected, abs=1e-5)


def test_more_labels_than_fit_take_more_passes_and_lose_none(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = passes_of(model, monkeypatch)
    monkeypatch.setattr(model.query_encoder, "max_labels", 2)
    names = ("person", "city", "answer", "the", "in")
    given = (span(TEXT, "Paris"), span(TEXT, "Gates"))
    query = Query(TEXT, names, relations=names[:3], classes=names, entities=given)
    (found,) = model.read([query], EVERYTHING)
    assert sum(rows) == 3
    assert set(found.classes) == set(names)
    assert {r.label for r in found.relations} == set(names[:3])


def test_a_prompt_without_relations_and_classes_is_as_it_was(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path)
    more = spread(plain.with_heads())
    asked = [Query(TEXT, ("person", "city"), "the answer"), Query("in Paris", ("city",))]
    batches = []
    for model in (plain, more):
        tokenized = model.query_encoder.tokenize(asked)
        passes = model.reader.plan(tokenized)  # type: ignore[attr-defined]
        batches.append(model.query_encoder.collate(tokenized, passes))
    assert batches[0].input_ids.tolist() == batches[1].input_ids.tolist()
    assert more.extract(asked, threshold=0.1) == plain.extract(asked, threshold=0.1)
    assert plain.kinds == {"spans"}
    assert more.kinds == {"spans", "relations", "classes"}


def test_one_head_may_be_added_at_a_time(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path)
    related = plain.with_heads(classes=False)
    assert related.kinds == {"spans", "relations"}
    both = related.with_heads()
    assert both.kinds == {"spans", "relations", "classes"}
    (before,) = related.read([Query(TEXT, ("city",), relations=("in",))], EVERYTHING)
    (after,) = both.read([Query(TEXT, ("city",), relations=("in",))], EVERYTHING)
    assert after == before


def test_a_word_splitter_of_the_caller_s_stays(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path)
    plain.query_encoder.split_words = lambda text: [(0, len(text))]
    (found,) = plain.with_heads().read([Query("in Paris", ("city",))], Ask(threshold=0.0))
    assert {span.text for span in found.spans} == {"in Paris"}


def test_a_family_with_a_reader_of_its_own_gets_no_heads(tmp_path: Path) -> None:
    class OtherReader:
        kinds = frozenset({"spans"})
        batch_tokens = 64

        def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
            raise NotImplementedError

    model = tiny_model(tmp_path)
    model.reader = OtherReader()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="heads cannot be added to a model that OtherReader reads"):
        model.with_heads()


def test_saved_heads_are_loaded_again(model: GlinerMT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = GlinerMT.from_pretrained(tmp_path)
    assert loaded.kinds == model.kinds
    assert loaded.read(queries(), EVERYTHING) == model.read(queries(), EVERYTHING)


def test_what_is_no_list_of_texts_and_no_ask_is_refused(model: GlinerMT) -> None:
    with pytest.raises(TypeError, match=r"ask must be an Ask, which says how to decode, got None"):
        model.read([], None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"for one, write \[text\]"):
        model.sentence_vectors("paris")
    with pytest.raises(TypeError, match="texts must be str or a list of them, got NoneType"):
        model.inference(None, ["city"])  # type: ignore[call-overload]


def test_what_a_model_does_not_find_is_said(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    with pytest.raises(ValueError, match="the model finds spans, not relations"):
        model.read([Query(TEXT, relations=("in",))], Ask())
    with pytest.raises(ValueError, match="the model finds spans, not classes"):
        model.read([Query(TEXT, classes=("in",))], Ask())


def test_an_entity_that_is_not_where_it_says_is_refused(model: GlinerMT) -> None:
    query = Query(TEXT, relations=("in",), entities=(Span(0, 5, "Paris", ""),))
    with pytest.raises(ValueError, match=r"'Paris' is not at 0:5, where the text has 'Bill '"):
        model.read([query], Ask())


def test_the_better_label_of_a_mention_stands_in_its_relations(model: GlinerMT) -> None:
    paris, gates = span(TEXT, "Paris"), span(TEXT, "Gates")
    twice = (
        Span(paris.start, paris.end, "Paris", "person", 0.2),
        Span(paris.start, paris.end, "Paris", "city", 0.9),
        gates,
    )
    (found,) = model.read([Query(TEXT, relations=("in",), entities=twice)], EVERYTHING)
    assert [(r.head.label, r.tail.label) for r in found.relations] == [("", "city"), ("city", "")]
    assert all(isinstance(r, Relation) for r in found.relations)
