"""A gliner model behind the Extractor protocol."""

from collections.abc import Mapping
from typing import Any

from glinermt.eval.gliner_adapter import GlinerExtractor
from glinermt.types import Extractor, Query


class FakeGliner:
    """Finds each label's name in the text it is given, prompt included."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def inference(
        self,
        texts: list[str],
        labels: list[str],
        *,
        flat_ner: bool,
        threshold: float,
        multi_label: bool,
        batch_size: int,
    ) -> list[list[dict[str, Any]]]:
        self.calls.append({"texts": texts, "flat": flat_ner, "t": threshold})
        assert not multi_label
        assert batch_size > 0
        found = []
        for text in texts:
            starts = [(text.find(label, at), label) for label in labels for at in range(len(text))]
            found.append(
                [
                    {"start": at, "end": at + len(label), "label": label, "score": 0.6}
                    for at, label in sorted(set(starts))
                    if at >= 0
                ]
            )
        return found

    def state_dict(self) -> Mapping[str, Any]:
        return {}


def test_offsets_are_the_texts_own_and_the_prompt_is_never_touched() -> None:
    extractor = GlinerExtractor(FakeGliner())
    [spans] = extractor.extract([Query("a cat and a cat", ("cat",), "Where is the cat?")])
    assert [(s.start, s.end, s.text) for s in spans] == [(2, 5, "cat"), (12, 15, "cat")]


def test_queries_are_asked_by_label_list_and_answered_in_order() -> None:
    model = FakeGliner()
    queries = [Query("x cat", ("cat",)), Query("dog", ("dog",)), Query("cat", ("cat",))]
    spans = GlinerExtractor(model).extract(queries, overlap="nested")
    assert [[s.label for s in found] for found in spans] == [["cat"], ["dog"], ["cat"]]
    assert [call["texts"] for call in model.calls] == [["x cat", "cat"], ["dog"]]
    assert not model.calls[0]["flat"]


def test_label_thresholds_are_kept_although_gliner_knows_only_one() -> None:
    model = FakeGliner()
    query = Query("cat dog", ("cat", "dog"))
    [spans] = GlinerExtractor(model).extract([query], threshold={"cat": 0.7, "dog": 0.5})
    assert [s.label for s in spans] == ["dog"]
    assert model.calls[0]["t"] == 0.5


def test_empty_texts_are_not_sent_and_the_protocol_holds() -> None:
    model = FakeGliner()
    extractor = GlinerExtractor(model)
    assert extractor.extract([Query(" ", ("cat",)), Query("cat", ())]) == [[], []]
    assert model.calls == []
    assert isinstance(extractor, Extractor)
