"""Labels written in one way, and what a reader says of a sample."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glinermt.errors import DataError
from glinermt.synth.backends.base import Reply, Request
from glinermt.synth.card import write_report
from glinermt.synth.label_merges import Labels, find_merges, label_key, read_synonyms
from glinermt.synth.report import Prices, make_report
from glinermt.synth.review import read_review, write_review
from tests.synth.golden import write_texts
from tests.synth.test_generate import Script, lines, run, settings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("City", "cities"),
        ("football club", "football clubs"),
        ("date-of-birth", "date of birth"),
        ("the award", "award"),
        ("boxes", "box"),
    ],
)
def test_ways_to_write_one_label_have_one_key(one: str, other: str) -> None:
    assert label_key(one) == label_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("news", "new"), ("bus", "bu"), ("glass", "glas"), ("club", "football club"), ("C++", "C#")],
)
def test_other_labels_have_others(one: str, other: str) -> None:
    assert label_key(one) != label_key(other)


def labels(**mentions: str) -> Labels:
    """Return labels with their mentions, as a run counts them."""
    made = Labels()
    for label, given in mentions.items():
        for mention in given.split():
            span = {"start": 0, "end": len(mention), "label": label.replace("_", " ")}
            made.add({
                "recipe": "entities", "task": "entities", "labels": [span["label"]],
                "text": mention, "spans": [span],
            })  # fmt: skip
    return made


def written(merges: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str, int]]:
    return {label: (m["written"], m["why"], m["spans"]) for label, m in merges.items()}


def test_the_most_frequent_way_is_kept() -> None:
    made = labels(city="a b c d e", Cities="f g", cities="h", river="i j k")
    assert written(find_merges(made)) == {
        "Cities": ("city", "spelling", 2), "cities": ("city", "spelling", 1)
    }  # fmt: skip


def test_synonyms_of_the_table_are_one_label_whichever_is_the_more_frequent() -> None:
    made = labels(movie="a b c", Film="d", country="e", continent="f")
    assert written(find_merges(made)) == {"Film": ("movie", "synonym", 1)}
    made = labels(movie="a", film="b c")
    assert written(find_merges(made)) == {"movie": ("film", "synonym", 1)}


def test_labels_of_mostly_the_same_mentions_are_one_where_asked() -> None:
    made = labels(state="a b c d e", federal_state="a b c d", capital="a b x y z v")
    assert find_merges(made) == {}
    assert written(find_merges(made, shared_mentions=4)) == {
        "federal state": ("state", "mentions", 4)
    }
    assert find_merges(made, shared_mentions=5) == {}


def test_a_table_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('river = ["stream"]\n')
    made = labels(stream="a b", river="c d e", movie="f", film="g")
    own = read_synonyms(tmp_path / "own.toml")
    assert written(find_merges(made, own)) == {"stream": ("river", "synonym", 2)}
    (tmp_path / "own.toml").write_text('river = "stream"\n')
    with pytest.raises(DataError, match=r"own\.toml:0: 'river' should have a list of labels"):
        read_synonyms(tmp_path / "own.toml")


class Plural(Script):
    """Calls the towns of every second text cities."""

    def generate(self, requests: Any) -> Any:
        for i, reply in super().generate(requests):
            if "Note1x1 " in requests[i].user or "Note3x1 " in requests[i].user:
                reply = type(reply)(reply.text.replace('"city"', '"cities"'), 1, 1)
            yield i, reply


def test_a_run_writes_labels_in_one_way_and_says_so(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.jsonl", 6)
    made = settings(texts, tasks=("entities",))
    manifest = run(made, tmp_path / "out", Plural())
    assert written(manifest["merges"]) == {"cities": ("city", "spelling", 6)}
    rows = lines(tmp_path / "out")
    assert {span["label"] for row in rows for span in row["spans"]} == {
        "physicist", "city", "award"
    }  # fmt: skip
    assert all("cities" not in row["labels"] for row in rows)
    llm = Script()
    assert run(made, tmp_path / "out", llm) == manifest
    (tmp_path / "out/part-00000.jsonl").unlink()  # made again of the replies
    assert run(made, tmp_path / "out", llm) == manifest
    assert not llm.requests
    write_report(tmp_path / "out", made, prices=Prices())
    assert "| cities | city | spelling | 6 |" in (tmp_path / "out/README.md").read_text()


def test_the_curve_says_how_many_types_there_are_after_each_thousand() -> None:
    spans = [{"start": 0, "end": 1, "label": f"type {i // 10}"} for i in range(2500)]
    rows = [
        {"recipe": "entities", "task": "entities", "labels": [s["label"]], "spans": [s]}
        for s in spans
    ]
    shard = {
        "rows": 1, "examples": 2500, "failed": {}, "statuses": {}, "drops": {}, "tokens_in": 0,
        "tokens_out": 0, "seconds": 0, "attempts": 0, "recipes": {},
    }  # fmt: skip
    manifest = {
        "fingerprint": "x", "shards": {"part-00000": shard},
        "plan": {"rows": 1}, "settings": {"tasks": ["entities"], "texts": [], "benchmarks": [],
                                          "model": "m"},
    }  # fmt: skip
    assert make_report(manifest, rows, Prices())["types_by_examples"] == {1000: 100, 2000: 200}


@pytest.mark.parametrize(
    ("causes", "told"),
    [
        (
            [f"llm: engine: prompt of {n} tokens, more than 4,096; request chatcmpl-{n:032x}"
             for n in (5001, 6002)],
            "llm: engine: prompt of N tokens, more than N; request N",
        ),
        (
            [f"llm: TimeoutError: 10.0.0.7:8000 gave nothing in {n} s (waited {n}ms)"
             for n in (3, 31.5)],
            "llm: TimeoutError: N gave nothing in N s (waited N)",
        ),
        (["llm: HTTP 503"] * 2, "llm: HTTP 503"),
        (["llm: HTTP 200 with error 429"] * 2, "llm: HTTP 200 with error 429"),
        (["llm: [Errno 104] Connection reset"] * 2, "llm: [Errno 104] Connection reset"),
    ],
)  # fmt: skip
def test_failures_that_differ_in_numbers_and_ids_only_are_one_cause(
    tmp_path: Path, causes: list[str], told: str
) -> None:
    made = settings(write_texts(tmp_path / "texts.jsonl", 2), tasks=("entities",))
    replies = iter(causes)

    class Failing(Script):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
            for i, _ in super().generate(requests):
                yield i, Reply("", error=next(replies).removeprefix("llm: "))

    manifest = run(replace(made, retries=0), tmp_path / "out", Failing())
    assert make_report(manifest, [], Prices())["failed"] == {told: 2}


def test_a_reader_judges_a_sample_and_the_report_says_what_is_right(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = settings(write_texts(tmp_path / "texts.jsonl", 6), tasks=("entities",))
    run(made, out, Script())
    page = write_review(lines(out), 12, out, seed=0).read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert len(data) == len({item["id"] for item in data}) == 12
    texts = {row["id"]: row["text"] for row in lines(out)}
    for item in data:
        assert item["before"] + item["text"] + item["after"] in texts[item["id"].split(":")[0]]
    said = [{"id": d["id"], "label": d["label"], "right": d["label"] == "city"} for d in data]
    (out / "review.json").write_text(json.dumps(said))
    report = write_report(out, made, prices=Prices())
    cities = sum(verdict["right"] for verdict in said)
    assert report["review"]["all"]["precision"] == pytest.approx(cities / 12, abs=1e-4)
    assert report["review"]["labels"]["city"]["precision"] == 1.0
    assert report["review"]["labels"]["city"]["low"] < 1.0
    assert "spans that a reader found right" in (out / "README.md").read_text()


def test_texts_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    text = "</script><script>alert(1)</script> met Bo"
    row = {
        "id": "a", "recipe": "entities", "prompt": "", "text": text,
        "spans": [{"start": 39, "end": 41, "label": "<b>"}],
    }  # fmt: skip
    page = write_review([row], 5, tmp_path, seed=0).read_text()
    assert "alert(1)</script>" not in page
    assert page.count("<script") == 2


def test_what_the_page_did_not_save_is_refused(tmp_path: Path) -> None:
    assert read_review(tmp_path) is None
    (tmp_path / "review.json").write_text('[{"label": "x", "right": "yes"}]')
    with pytest.raises(DataError, match=r"review\.json:0: not saved by review\.html"):
        read_review(tmp_path)
    with pytest.raises(DataError, match="there is no span to review"):
        write_review([], 5, tmp_path, seed=0)
