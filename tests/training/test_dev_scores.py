"""How Examples are asked when a model is scored."""

from glinermt.config import TaskSettings
from glinermt.eval.metrics.entities import span_f1
from glinermt.tasks import TASKS
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.instructions import Instruction
from glinermt.tasks.labels import read_labels
from glinermt.tasks.questions import Question
from glinermt.tasks.relations import RELATIONS, Related
from glinermt.tasks.summaries import Budget
from glinermt.tasks.task import example
from glinermt.training.dev_scores import predict
from glinermt.types import Example, Query, Relation, Span
from tests.stub import StubExtractor

TEXT = "Ann and Bob live in Rome."
ANN, BOB, ROME = (Span(i, i + len(w), w, "") for i, w in ((0, "Ann"), (8, "Bob"), (20, "Rome")))


def labelled(span: Span, label: str) -> Span:
    return Span(span.start, span.end, span.text, label)


def test_entities_are_taken_from_the_thresholds_saved_with_the_model() -> None:
    def script(_: Query) -> list[tuple[str, str, float]]:
        return [("Ann", "person", 0.35), ("Rome", "city", 0.45), ("Bob", "person", 0.2)]

    settings = TaskSettings(
        thresholds={"entities": 0.3}, label_thresholds={"city": 0.4}, span_score="min"
    )
    model = StubExtractor(script, settings)
    gold = (labelled(ANN, "person"), labelled(ROME, "city"))
    dev = [example(ENTITIES, TEXT, read_labels(["person", "city"]), gold)]
    assert span_f1([gold], predict(model, dev)) == 1.0
    assert model.calls[0]["threshold"] == {"person": 0.3, "city": 0.4}
    assert (model.calls[0]["overlap"], model.calls[0]["span_score"]) == ("flat", "min")
    assert predict(model, dev, threshold=0.5) == [[]]


def test_overlaps_are_asked_for_where_the_gold_has_them() -> None:
    model = StubExtractor(lambda _: [])
    inside = Span(0, 11, "Ann and Bob", "group")
    kinds = read_labels(["person", "group"])
    predict(model, [example(ENTITIES, TEXT, kinds, (labelled(ANN, "person"), inside))])
    double = (labelled(ANN, "person"), labelled(ANN, "woman"))
    predict(model, [example(ENTITIES, TEXT, read_labels(["person", "woman"]), double)])
    asked = [(call["overlap"], call["multi_label"]) for call in model.calls]
    assert asked == [("nested", False), ("flat", True)]


def test_each_task_is_asked_its_own_way_in_the_order_of_the_examples() -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        return [("Rome", query.labels[0], 0.25)]

    holds = [Relation(ANN, "lives in", ROME), Relation(BOB, "lives in", ROME)]
    asked = Related.of_pairs((relation.head.text, relation.label) for relation in holds)
    dev = [
        example(TASKS["answer"], TEXT, Question("Where?"), [ROME]),
        example(RELATIONS, TEXT, asked, holds),
        Example(Query(TEXT, ("city",)), (labelled(ROME, "city"),)),
        example(TASKS["summarize"], TEXT, Budget(), [ROME]),
        example(TASKS["open_entities"], TEXT, Instruction("Find cities"), [ROME]),
    ]
    names = ("answer", "relations", "summarize", "open_entities")
    model = StubExtractor(script, TaskSettings(thresholds=dict.fromkeys(names, 0.2)))
    found = predict(model, dev)
    assert [[span.label for span in spans] for spans in found] == [
        ["answer"],
        ["Ann <> lives in"],
        [],
        ["summary"],
        ["match"],
    ]
    rules = [
        (call["overlap"], call["multi_label"], call["span_score"])
        for call, query in zip(model.calls, model.queries, strict=True)
        if query.prompt == RELATIONS.prompt
    ]
    assert rules == [("nested", True, "min")]
