"""Concurrent requests share a model's batches, and none notices the others."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from glinermt.model import GlinerMT
from glinermt.serve.batching import BatchingExtractor, BatchReport, RequestCancelled
from glinermt.tasks import (
    answer,
    extract_entities,
    extract_records,
    extract_relations,
    read,
    summarize,
)
from glinermt.types import Ask, Found, Instance, Query, Span
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

WAIT = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    return tiny_model(tmp_path_factory.mktemp("model"))


def words(query: Query) -> list[Span]:
    """Say that the first word is a span of the first label."""
    first = query.text.split()[0]
    return [Span(0, len(first), first, query.labels[0], 0.9)]


class Gated(StubExtractor):
    """A stub whose first call waits until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__(words)
        self.entered, self.go = threading.Event(), threading.Event()
        self.batches: list[list[str]] = []

    def extract(self, queries: Sequence[Query], **options: Any) -> list[list[Span]]:  # type: ignore[override]
        self.batches.append([query.text for query in queries])
        self.entered.set()
        assert self.go.wait(WAIT)
        return super().extract(queries, **options)


def ask(batches: BatchingExtractor, texts: list[str], label: str = "word") -> Any:
    with batches.request() as model:
        return model.extract([Query(text, (label,)) for text in texts])


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.001)


def rounded(result: Any) -> Any:
    """Scores of other batches may differ in the last bits of a float."""
    if isinstance(result, dict):
        return {key: rounded(value) for key, value in result.items()}
    if isinstance(result, list):
        return [rounded(item) for item in result]
    return pytest.approx(result, abs=1e-5) if isinstance(result, float) else result


def test_64_concurrent_clients_get_what_each_gets_alone(model: GlinerMT) -> None:
    reports: list[BatchReport] = []
    text = "bill gates founded microsoft in paris; the person answered in the city. "

    def task(i: int, extractor: Any) -> Any:
        own = f"{i} " + text * (1 + i % 3)
        match i % 4:
            case 0:
                spans = extract_entities(own, ["person", f"city {i % 3}"], model=extractor)
                return [span.to_dict() for span in spans]
            case 1:
                found = extract_relations(own, ["founded"], entity_threshold=0.8, model=extractor)
                return [relation.to_dict() for relation in found]
            case 2:
                return answer("who founded it?", own, model=extractor).to_dict()
            case _:
                summaries = summarize([own, own[: len(own) // 2]], sentences=1, model=extractor)
                return [summary.to_dict() for summary in summaries]

    alone = [task(i, model) for i in range(64)]
    batches = BatchingExtractor(model, report=reports.append)
    together_at = threading.Barrier(64)

    def client(i: int) -> Any:
        with batches.request() as own:
            together_at.wait(WAIT)
            return task(i, own)

    with ThreadPoolExecutor(64) as pool:
        together = list(pool.map(client, range(64)))
    batches.close()
    assert any(alone)
    assert together == [rounded(result) for result in alone]
    assert max(report.requests for report in reports) > 4


def test_a_short_request_does_not_wait_for_all_of_a_long_one() -> None:
    gated = Gated()
    batches = BatchingExtractor(gated, batch_tokens=40, max_wait=0)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(ask, batches, ["first"])
        gated.entered.wait(WAIT)
        long = pool.submit(ask, batches, [f"long {i}" for i in range(200)])
        until(lambda: batches.waiting() == 2)
        pool.submit(ask, batches, ["short"])
        until(lambda: batches.waiting() == 3)
        gated.go.set()
        assert len(long.result(WAIT)) == 200
    batches.close()
    assert "short" in gated.batches[1]
    assert "long 199" in gated.batches[-1]
    assert len(gated.batches) > 3


def test_a_text_longer_than_a_batch_does_not_hold_up_short_ones() -> None:
    gated = Gated()
    huge = "huge " * 1000

    class HugeWaits(StubExtractor):
        def extract(self, queries: Sequence[Query], **options: Any) -> list[list[Span]]:  # type: ignore[override]
            if queries[0].text == huge:
                return gated.extract(queries, **options)
            return super().extract(queries, **options)

    batches = BatchingExtractor(HugeWaits(words), batch_tokens=100)
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(ask, batches, [huge])
        gated.entered.wait(WAIT)
        assert pool.submit(ask, batches, ["short"]).result(WAIT)[0][0].text == "short"
        assert not long.done()
        gated.go.set()
        assert long.result(WAIT)[0][0].text == "huge"
    batches.close()


def test_requests_with_thresholds_that_contradict_do_not_share_a_call() -> None:
    scores = {"a": 0.3, "b": 0.6}
    stub = StubExtractor(lambda query: [(query.text, query.labels[0], scores[query.text])])
    batches = BatchingExtractor(stub, max_wait=0.2)

    def client(text: str, threshold: float) -> list[list[Span]]:
        with batches.request() as model:
            return model.extract([Query(text, ("x",))], threshold=threshold)

    with ThreadPoolExecutor(4) as pool:
        asked = [("a", 0.2), ("a", 0.5), ("b", 0.5), ("b", 0.7)]
        found = list(pool.map(lambda one: client(*one), asked))
    batches.close()
    assert [len(spans) for (spans,) in found] == [1, 0, 1, 0]


def test_reading_shares_batches_too_with_the_thresholds_of_each_kind() -> None:
    class Reader(StubExtractor):
        asks: ClassVar[list[tuple[int, Ask]]] = []
        kinds = frozenset({"spans", "relations"})

        def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
            self.asks.append((len(queries), ask))
            return [Found(classes={query.text: 1.0}) for query in queries]

    batches = BatchingExtractor(Reader(words), max_wait=WAIT)
    asks = [Ask(0.3, relation_threshold=0.1), Ask({"x": 0.4}, relation_threshold=0.2)]
    queries = [Query("a", ("y",), relations=("r",)), Query("b", ("x",), relations=("s",))]
    both = threading.Barrier(2)

    def client(i: int) -> list[Found]:
        with batches.request() as model:
            assert model.kinds == {"spans", "relations"}
            both.wait(WAIT)
            return model.read([queries[i]], asks[i])

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(client, range(2)))
    batches.close()
    assert [list(one.classes) for (one,) in found] == [["a"], ["b"]]
    merged = Ask({"y": 0.3, "x": 0.4}, relation_threshold={"r": 0.1, "s": 0.2})
    assert Reader.asks == [(2, merged)]


def test_a_failing_request_fails_alone() -> None:
    def script(query: Query) -> list[Span]:
        if "bad" in query.text:
            raise ValueError("too bad to read")
        return words(query)

    batches = BatchingExtractor(StubExtractor(script), max_wait=0.2)
    with ThreadPoolExecutor(3) as pool:
        texts = [["good one"], ["bad", "good"], ["good two"]]
        first, bad, second = [pool.submit(ask, batches, one) for one in texts]
        assert first.result(WAIT)[0][0].text == "good"
        assert second.result(WAIT)[0][0].text == "good"
        with pytest.raises(ValueError, match="too bad to read"):
            bad.result(WAIT)
        assert batches.alive
        assert pool.submit(ask, batches, ["still there"]).result(WAIT)
    batches.close()


def test_what_a_cancelled_request_still_waits_for_is_never_read() -> None:
    gated = Gated()
    batches = BatchingExtractor(gated, max_wait=0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, batches, ["first"])
        gated.entered.wait(WAIT)
        with batches.request() as model:
            waiting = pool.submit(model.extract, [Query("never read", ("word",))])
            until(lambda: batches.waiting() == 2)
            model.cancel("the client has gone")
            with pytest.raises(RequestCancelled, match="client has gone"):
                waiting.result(WAIT)
            with pytest.raises(RequestCancelled):
                model.extract([Query("nor later", ("word",))])
        gated.go.set()
        assert first.result(WAIT)
        assert ask(batches, ["last"])
    batches.close()
    assert gated.batches == [["first"], ["last"]]


def test_a_lone_request_does_not_wait_for_others() -> None:
    batches = BatchingExtractor(StubExtractor(words), max_wait=WAIT)
    began = time.monotonic()
    ask(batches, ["alone"])
    assert time.monotonic() - began < WAIT / 2
    batches.close()


def test_closing_cancels_what_waits_and_refuses_what_comes() -> None:
    gated = Gated()
    batches = BatchingExtractor(gated, max_wait=0)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, batches, ["first"])
        gated.entered.wait(WAIT)
        second = pool.submit(ask, batches, ["second"])
        until(lambda: batches.waiting() == 2)
        closing = pool.submit(batches.close)
        with pytest.raises(RequestCancelled, match="server stops"):
            second.result(WAIT)
        gated.go.set()
        closing.result(WAIT)
        assert first.result(WAIT)
    with pytest.raises(RequestCancelled, match="server stops"):
        ask(batches, ["third"])


def test_an_empty_list_of_queries_needs_no_worker() -> None:
    batches = BatchingExtractor(StubExtractor(words))
    assert ask(batches, []) == []
    batches.close()


def test_records_of_a_model_that_tells_instances_apart_go_through_batches() -> None:
    class Whole(StubExtractor):
        kinds = frozenset({"spans", "records"})

        def read(self, queries: Sequence[Query], _: Ask) -> list[Found]:
            (structure,) = queries[0].structures
            span = Span(0, 3, "Ann", "name", 0.9)
            return [Found(records={structure.name: (Instance({"name": (span,)}),)})] * len(queries)

    batches = BatchingExtractor(Whole(lambda _: []))
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    try:
        with batches.request() as model:
            assert [r.value for r in extract_records("Ann.", schema, model=model)] == [
                {"name": "Ann"}
            ]
            found = read("Ann.", {"records": {"guest": schema}}, model=model).records["guest"]
            assert [record.spans["name"][0].text for record in found] == ["Ann"]
    finally:
        batches.close()
