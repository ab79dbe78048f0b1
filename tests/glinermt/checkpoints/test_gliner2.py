"""GLiNER2 span and boundary checkpoints give what the package gives (fixtures/README.md)."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glinermt.errors import CheckpointError
from glinermt.families.boundary_network import BoundaryNetwork
from glinermt.families.boundary_scores import BoundaryScorer, longest, schedule
from glinermt.families.gliner2_network import COUNTING, Gliner2Network
from glinermt.families.gliner2_reader import Gliner2Reader
from glinermt.families.gliner2_rows import CLASS, ENTITY, RELATION, Asked, Group, split_gliner2
from glinermt.families.gliner2_scores import RowVectors
from glinermt.model import GlinerMT
from glinermt.rows import TokenizedWords
from glinermt.structures import Attributes, Field, Structure
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import FIXTURES, Fixture, clipped, worst

SPAN, BOUNDARY = "gliner2/count_lstm", "gliner25/shared"
NOT_OURS = {
    "max_len",  # cuts the text, which ours never does
}


@pytest.fixture(scope="module", params=[SPAN, BOUNDARY])
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(request.param)


def _labels(asked: Any) -> dict[str, dict[str, Any]]:
    """Return the labels of a schema with what is said of each."""
    if not isinstance(asked, Mapping):
        return {name: {} for name in asked}
    return {n: {"description": a} if isinstance(a, str) else dict(a) for n, a in asked.items()}


def _asked_as(name: str, about: Mapping[str, Any]) -> str:
    return f"{name}: {about['description']}" if about.get("description") else name


def _their_spans(items: Any, text: str) -> dict[tuple[int, int], float]:
    rows = items if isinstance(items, list) else [items] if items else []
    places = {clipped(row, text): row["confidence"] for row in rows}
    return {place: score for place, score in places.items() if place[0] < place[1]}


def full_results(case: Mapping[str, Any]) -> list[tuple[float, str, Any]]:
    """Return threshold, overlap rule and result of each run that has scores and places."""
    found = []
    for key, result in case["results"].items():
        threshold, form, *rest = key.split("|")
        rule = rest[0].removeprefix("overlap=") if rest else "flat"
        if form == "full" and rule in ("flat", "nested") and not (rest and rule == "flat"):
            found.append((float(threshold.removeprefix("th=")), rule, result))
    return found


def same(ours: dict[Any, float], theirs: dict[Any, float]) -> bool:
    # Probabilities of logits around 100 that agree in float32's last digits.
    return ours.keys() == theirs.keys() and all(
        ours[key] == pytest.approx(score, abs=1e-4) for key, score in theirs.items()
    )


def test_entities_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    for case in fixture.cases:
        if case["id"] in NOT_OURS or set(case["schema"]) != {"entities"}:
            continue
        labels = _labels(case["schema"]["entities"])
        names = {_asked_as(name, about): name for name, about in labels.items()}
        query = Query(case["text"], tuple(names), across_lines=True)
        for threshold, rule, result in full_results(case):
            limits = {a: labels[n].get("threshold", threshold) for a, n in names.items()}
            (found,) = fixture.model.read([query], Ask(limits, rule, True))
            for asked, name in names.items():
                theirs = _their_spans(result["entities"].get(name, []), case["text"])
                ours = {(s.start, s.end): s.score for s in found.spans if s.label == asked}
                if labels[name].get("dtype") == "str":  # the package keeps the best one
                    best = max(ours, key=lambda place: ours[place], default=None)
                    ours = {} if best is None else {best: ours[best]}
                assert same(ours, theirs), (case["id"], name, threshold, rule)
                compared += len(theirs)
    assert compared > 60


def test_relations_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    is_span = isinstance(fixture.model.network, Gliner2Network)
    for name in ("rel", "rel_desc"):
        case = fixture.case(name)
        relations = _labels(case["schema"]["relations"])
        asked = {_asked_as(n, about): n for n, about in relations.items()}
        query = Query(case["text"], (), "", tuple(asked))
        for threshold, rule, result in full_results(case):
            if rule != "flat":
                continue
            # The package forgets the threshold of a described relation.
            limits = {
                a: threshold if ":" in a else relations[n].get("threshold", threshold)
                for a, n in asked.items()
            }
            (found,) = fixture.model.read([query], Ask(relation_threshold=limits))
            for label, plain in asked.items():
                key = label if is_span else plain  # the span package keys by what it asked
                theirs = {
                    (*clipped(e["head"], case["text"]), *clipped(e["tail"], case["text"])): (
                        min(e["head"]["confidence"], e["tail"]["confidence"])
                        if is_span
                        else e["confidence"]
                    )
                    for e in result["relation_extraction"].get(key, [])
                }
                ours = {
                    (r.head.start, r.head.end, r.tail.start, r.tail.end): r.score
                    for r in found.relations
                    if r.label == label
                }
                assert ours.keys() == theirs.keys(), (name, threshold, label)
                compared += len(theirs)
    assert compared > 3


def test_classes_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    for name in ("cls", "cls_multi"):
        case = fixture.case(name)
        for task in case["schema"]["classifications"]:
            if len(case["schema"]["classifications"]) > 1:
                continue  # two classifications in one row, which ours asks one after another
            query = Query(case["text"], (), task["task"], (), tuple(task["labels"]))
            (found,) = fixture.model.read([query], Ask())
            logits = np.array(list(found.classes.values()))
            shares = dict(zip(found.classes, np.exp(logits) / np.exp(logits).sum(), strict=True))
            for _, _, result in full_results(case):
                answer = result[task["task"]]
                assert max(shares, key=lambda n: shares[n]) == answer["label"]
                assert shares[answer["label"]] == pytest.approx(answer["confidence"], abs=1e-4)
                compared += 1
    assert compared >= 2


def test_examples_in_the_name_of_a_classification_are_read_as_examples(fixture: Fixture) -> None:
    case = fixture.case("cls_fewshot")
    (task,) = case["schema"]["classifications"]
    shown = "".join(f" [EXAMPLE] {a} [OUTPUT] {b}" for a, b in task["examples"])
    query = Query(case["text"], (), task["task"] + shown, (), tuple(task["labels"]))
    (found,) = fixture.model.read([query], Ask())
    logits = np.array(list(found.classes.values()))
    shares = dict(zip(found.classes, np.exp(logits) / np.exp(logits).sum(), strict=True))
    for _, _, result in full_results(case):
        answer = result[task["task"]]
        assert shares[answer["label"]] == pytest.approx(answer["confidence"], abs=1e-4)


def test_attributes_of_entities_are_those_of_the_package(fixture: Fixture) -> None:
    case = fixture.case("attrs")
    groups = tuple(
        Attributes(
            name,
            tuple(asked["labels"]),
            asked.get("multi_label", False),
            tuple(asked.get("applies_to", ())),
            asked.get("qualify_labels", False),
        )
        for name, asked in case["schema"]["entity_attributes"].items()
    )
    query = Query(
        case["text"], tuple(case["schema"]["entities"]), attributes=groups, across_lines=True
    )
    assert Query.from_dict(json.loads(json.dumps(query.to_dict()))) == query
    compared = 0
    for threshold, rule, result in full_results(case):
        (found,) = fixture.model.read([query], Ask(threshold, rule, True))
        ours = {
            (s.start, s.end, s.label): said
            for s, said in zip(found.spans, found.attributes, strict=True)
        }
        for label, entities in result["entities"].items():
            for entity in entities:
                said = ours[(*clipped(entity, case["text"]), label)]
                mood = entity["mood"]
                assert max(said["mood"], key=lambda n: said["mood"][n]) == mood["label"]
                assert said["mood"][mood["label"]] == pytest.approx(mood["confidence"], abs=1e-4)
                kinds = {k["label"]: k["confidence"] for k in entity.get("kind", [])}
                assert {n: s for n, s in said.get("kind", {}).items() if s >= 0.3} == (
                    pytest.approx(kinds, abs=1e-4)
                )
                compared += 1
    assert compared > 3


def _structure(name: str, spec: Mapping[str, Any]) -> Structure:
    return Structure(
        name,
        tuple(
            Field(
                f["name"],
                f.get("description", ""),
                tuple(f.get("choices", ())),
                f.get("threshold"),
            )
            for f in spec["fields"]
        ),
    )


def test_records_are_those_of_the_package(fixture: Fixture) -> None:
    case = fixture.case("struct")
    ((name, spec),) = case["schema"]["structures"].items()
    compared = 0
    for threshold, rule, result in full_results(case):
        query = Query(case["text"], structures=(_structure(name, spec),))
        (read,) = fixture.model.read([query], Ask(threshold, rule))
        found = read.records[name]
        theirs = [row for row in result.get(name, []) if any(row.values())]
        ours = [
            instance
            for instance in found
            if any(instance.spans.values())
            or any(max(scores.values()) >= threshold for scores in instance.choices.values())
        ]
        assert len(ours) == len(theirs)
        for instance, row in zip(ours, theirs, strict=True):
            for field in spec["fields"]:
                value = row.get(field["name"])
                if "choices" in field:
                    scores = instance.choices[field["name"]]
                    chosen = {c for c, score in scores.items() if score >= threshold}
                    rows = value if isinstance(value, list) else [value] if value else []
                    assert {r["text"] for r in rows} <= chosen
                    assert bool(rows) == bool(chosen)
                    continue
                places = {(s.start, s.end): s.score for s in instance.spans[field["name"]]}
                expected = _their_spans(value, case["text"])
                if field.get("dtype") == "str":
                    assert list(places)[:1] == list(expected)[:1]
                else:
                    assert same(places, expected), (threshold, field["name"])
                compared += len(expected)
    assert compared > 1


def test_records_hang_on_the_thresholds_of_their_own_query() -> None:
    fixture = Fixture.load(BOUNDARY)
    case = fixture.case("struct")
    ((name, spec),) = case["schema"]["structures"].items()
    fields = tuple(replace(field, threshold=0.9) for field in _structure(name, spec).fields)
    records = Structure(name, fields, mode="natural", anchor=fields[0].name)
    query = Query(case["text"], structures=(records,))
    other = Query(case["text"], ("person",))
    (alone,) = fixture.model.read([query], Ask({}))
    beside, _ = fixture.model.read([query, other], Ask({"person": 0.01}))
    assert alone.records[name]
    assert beside.records == alone.records


def test_all_kinds_in_one_row_are_those_of_the_package(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, reader = fixture.case("all"), fixture.model.reader
    assert isinstance(reader, Gliner2Reader)
    rows, encoder = [], reader.encoder
    monkeypatch.setattr(
        reader, "encoder", lambda ids, wanted: rows.extend(ids) or encoder(ids, wanted)
    )
    schema = case["schema"]
    (task,) = schema["classifications"]
    ((name, spec),) = schema["structures"].items()
    query = Query(
        case["text"],
        tuple(schema["entities"]),
        relations=tuple(schema["relations"]),
        classes=tuple(task["labels"]),
        class_groups=((task["task"], len(task["labels"])),),
        structures=(_structure(name, spec),),
        across_lines=True,
    )
    for threshold, rule, result in full_results(case):
        (found,) = fixture.model.read([query], Ask(threshold, rule, True, "mean", threshold))
        for label, theirs in result["entities"].items():
            ours = {(s.start, s.end): s.score for s in found.spans if s.label == label}
            assert same(ours, _their_spans(theirs, case["text"]))
        relations = result["relation_extraction"]["works for"]
        assert len(found.relations) == len(relations)
        best = max(found.classes, key=lambda label: found.classes[label])
        assert best == result["sentiment"]["label"]
        for instance, row in zip(
            filter(bool, found.records[name]), result.get(name, []), strict=True
        ):
            for field, value in row.items():
                places = [(s.start, s.end) for s in instance.spans[field]]
                assert places[:1] == list(_their_spans(value, case["text"]))
    assert len(rows) == len(full_results(case))


def row_vectors(fixture: Fixture, case: Mapping[str, Any]) -> tuple[list[Group], RowVectors]:
    """Return what the encoder gives for the exact row of a case."""
    reader = fixture.model.reader
    assert isinstance(reader, Gliner2Reader)
    groups = [
        Group(pieces[4], pieces[2], tuple(pieces[5:-2:2])) for pieces in case["schema_tokens"]
    ]
    (words,) = reader._words([case["text"]])
    count = len(words.offsets)
    prefix = case["text_tokens"][: len(case["text_tokens"]) - count]
    assert isinstance(words, TokenizedWords)
    asked = Asked(tuple(groups))
    (row,) = reader._rows(0, words, asked, reader._head(asked), prefix)
    with torch.inference_mode():
        (vectors,) = reader.encoder([row.text.token_ids], [reader._read(row)])
        return groups, reader._apart(row, vectors)


def test_logits_of_spans_and_classes_are_those_of_the_package() -> None:
    fixture = Fixture.load(SPAN)
    network = fixture.model.network
    assert isinstance(network, Gliner2Network)
    compared = 0
    for case in fixture.cases:
        keys = [k for k in fixture.tensors if k.startswith(f"{case['id']}/")]
        if not keys or case["id"] in NOT_OURS:
            continue
        groups, vectors = row_vectors(fixture, case)
        for j, (group, prompt, names) in enumerate(
            zip(groups, vectors.prompts, vectors.names, strict=True)
        ):
            spans = fixture.tensors.get(f"{case['id']}/task{j}/span_logits")
            classes = fixture.tensors.get(f"{case['id']}/task{j}/cls_logits")
            with torch.inference_mode():
                if group.marker == CLASS and classes is not None:
                    assert worst(network.class_logits(names), classes.flatten()) < 5e-5
                    compared += 1
                elif spans is not None and group.marker != CLASS:
                    count = network.count(prompt)
                    assert count == case["pred_counts"][j]
                    steps = 1 if group.marker == ENTITY else count
                    ours = network.span_logits(vectors.words, names, steps)
                    real = torch.isfinite(spans)
                    assert torch.equal(torch.isfinite(ours), real)
                    assert worst(ours[real], spans[real]) < 5e-5
                    compared += 1
    assert compared >= 4


def test_logits_and_pool_of_boundaries_are_those_of_the_package() -> None:
    fixture = Fixture.load(BOUNDARY)
    # In 64 bits: in 32, rounding alone moves these logits by 1.5e-4 on some processors.
    network = fixture.model.network.double()
    assert isinstance(network, BoundaryNetwork)
    compared = 0
    for case in fixture.cases:
        logits = fixture.tensors.get(f"{case['id']}/pair_logits")
        if logits is None:
            continue
        groups, vectors = row_vectors(fixture, case)
        parts = [names for g, names in zip(groups, vectors.names, strict=True) if g.marker != CLASS]
        with torch.inference_mode():
            spans, ours = network.boundary_head(vectors.words, torch.cat(parts))
            theirs = [
                tuple(place) for place in fixture.tensors[f"{case['id']}/pool_spans"].tolist()
            ]
            mine = [tuple(place) for place in spans.tolist()]
            assert set(mine) == set(theirs)
            assert worst(ours, logits[:, [theirs.index(place) for place in mine]]) < 1e-4
            compared += 1
            compared += _compare_pairs(fixture, case["id"], groups, vectors, spans, ours)
    assert compared > 20


def _compare_pairs(
    fixture: Fixture,
    name: str,
    groups: list[Group],
    vectors: RowVectors,
    spans: torch.Tensor,
    logits: torch.Tensor,
) -> int:
    pairs = fixture.tensors.get(f"{name}/rel_pairs")
    if pairs is None:
        return 0
    scorer = fixture.model.reader.score  # type: ignore[attr-defined]
    assert isinstance(scorer, BoundaryScorer)
    expected = dict(
        zip(map(tuple, pairs.tolist()), fixture.tensors[f"{name}/rel_logits"].tolist(), strict=True)
    )
    asked = [(g, n) for g, n in zip(groups, vectors.names, strict=True) if g.marker != CLASS]
    parts = logits.split([len(names) for _, names in asked])
    relation = compared = 0
    for (group, names), part in zip(asked, parts, strict=True):
        if group.marker != RELATION:
            continue
        head, tail = scorer._pairs(spans, part, None, 0)
        found = scorer.network.relation_scorer(vectors.words, names.mean(0), head, tail)
        ours = {
            (relation, *h, *t): score
            for h, t, score in zip(head.tolist(), tail.tolist(), found.tolist(), strict=True)
        }
        theirs = {key: score for key, score in expected.items() if key[0] == relation}
        assert ours == pytest.approx(theirs, abs=5e-5)
        relation, compared = relation + 1, compared + len(ours)
    return compared


def test_the_words_are_those_of_the_package() -> None:
    text = "Mail a.b@c.de or @me, see https://x.y/z?q=1 (e-mail) हिन्दी naïve_x!"
    words = [text[start:end] for start, end in split_gliner2(text)]
    assert words == [
        "Mail", "a.b@c.de", "or", "@me", ",", "see", "https://x.y/z?q=1", "(", "e-mail", ")",
        "हिन्दी", "naïve_x", "!",
    ]  # fmt: skip


def test_spans_never_reach_past_the_text(fixture: Fixture) -> None:
    text = "Bill Gates founded Microsoft"
    (found,) = fixture.model.read([Query(text, ("person", "company"))], Ask(0.01, "nested", True))
    assert found.spans
    for span in found.spans:
        assert text[span.start : span.end] == span.text != ""


def test_a_long_text_is_read_in_windows_to_its_end(fixture: Fixture) -> None:
    text = "Bill Gates founded Microsoft in Albuquerque. " * 150
    query = Query(text, ("person", "organization", "date"), "", ("works for",), ("good", "bad"))
    (found,) = fixture.model.read([query], Ask(0.3, "flat", True, relation_threshold=0.3))
    assert found.classes.keys() == {"good", "bad"}
    assert all(text[span.start : span.end] == span.text for span in found.spans)
    reader = fixture.model.reader
    assert isinstance(reader, Gliner2Reader)
    (words,) = reader._words([text])
    windows = [row.text.window for row in reader._plan(0, query, words)]
    assert len(windows) > 1
    assert windows[0].start == 0
    assert windows[-1].end == len(words.offsets)
    assert all(a.end > b.start for a, b in pairwise(windows))


def test_one_text_is_read_as_among_many(fixture: Fixture) -> None:
    asked = [
        Query("Bill Gates founded Microsoft.", ("person", "company")),
        Query("x", ("person",), "", ("founded",)),
        Query("The Eiffel Tower stands in Paris, since 1889, and is tall.", ("place",)),
    ]
    together = fixture.model.read(asked, Ask(0.2))
    for query, found in zip(asked, together, strict=True):
        (alone,) = fixture.model.read([query], Ask(0.2))
        assert [(s.start, s.end, s.label) for s in alone.spans] == [
            (s.start, s.end, s.label) for s in found.spans
        ]


@pytest.mark.parametrize("name", sorted(COUNTING))
def test_every_counting_layer_has_a_query_a_field_and_instance(name: str) -> None:
    torch.manual_seed(0)
    layer = COUNTING[name](16).eval()
    with torch.inference_mode():
        fields = torch.randn(3, 16)
        five = layer(fields, 5)
        assert five.shape == (5, 3, 16)
        assert torch.allclose(layer(fields, 2), five[:2], atol=1e-5)


def test_flat_choice_has_the_greatest_sum_of_scores() -> None:
    from glinermt.decode import Candidates

    start, end = np.array([0, 1, 2]), np.array([2, 3, 4])
    candidates = Candidates(
        start, end, np.zeros(3, int), np.array([0.5, 0.8, 0.6]), np.zeros(3, bool)
    )
    assert schedule(candidates, num_words=4).start.tolist() == [0, 2]
    assert longest(candidates, num_words=4).start.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (SPAN, {"model_type": "bert"}, "model_type 'bert' is not 'extractor'"),
        (SPAN, {"architecture": "cubist"}, "architecture = 'cubist' is not supported"),
        (SPAN, {"counting_layer": "abacus"}, "counting_layer = 'abacus' is not supported"),
        (SPAN, {"token_pooling": "median"}, "token_pooling = 'median' is not supported"),
        (SPAN, {"magic": 1}, "the key magic is not known"),
        (BOUNDARY, {"boundary_head": {"candidate_pool": "per_query"}}, "candidate_pool"),
        (
            BOUNDARY,
            {"boundary_head": {"candidate_pool": "shared", "magic": 1}},
            "the key boundary_head.magic is not known",
        ),
    ],
)
def test_an_unknown_configuration_is_refused_with_its_key(
    tmp_path: Path, name: str, changes: dict[str, object], message: str
) -> None:
    source = FIXTURES / name / "checkpoint"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    data = json.loads((source / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**data, **changes}))
    with pytest.raises(CheckpointError, match=message):
        GlinerMT.from_pretrained(tmp_path)


def test_a_model_without_records_says_so() -> None:
    model = GlinerMT.from_pretrained(FIXTURES / "variants/query/checkpoint")
    with pytest.raises(ValueError, match="the model finds spans, not records"):
        model.read([Query("x", structures=(Structure("a", (Field("b"),)),))], Ask())
