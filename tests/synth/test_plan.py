"""The plan: passages, rows with stable ids, without near duplicates and benchmark texts."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.errors import ConfigError, DataError
from glinermt.synth.checks.passages import Benchmarks
from glinermt.synth.plan import PlanCounts, Row, planned, prompt, read_plan, write_plan
from glinermt.synth.recipes import PAPERS, RECIPES
from glinermt.synth.settings import Settings
from glinermt.synth.texts import num_tokens, passages, read_texts, text_files
from tests.synth.golden import TEXT, write_texts


def rows(settings: Settings) -> tuple[list[Row], PlanCounts]:
    counts = PlanCounts()
    held_out = Benchmarks(map(Path, settings.benchmarks))
    found = [row for _, members in planned(settings, held_out, counts) for row in members]
    return found, counts


def settings(*files: Path, **changes: Any) -> Settings:
    return Settings(texts=tuple(map(str, files)), **changes)


def test_every_passage_gets_every_task_and_the_same_ids_each_time(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "texts.jsonl", 3)
    found, counts = rows(settings(file))
    assert [row.recipe for row in found] == list(PAPERS) * 3
    assert len({row.id for row in found}) == counts.rows == 18
    assert rows(settings(file))[0] == found


def test_another_seed_draws_other_styles_and_another_model_other_ids(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "texts.jsonl", 8)
    found = rows(settings(file))[0]
    other = rows(settings(file, seed=1))[0]
    assert [row.template for row in found] != [row.template for row in other]
    model = rows(settings(file, model="other"))[0]
    assert [row.template for row in found] == [row.template for row in model]
    assert not {row.id for row in found} & {row.id for row in model}


def test_texts_in_another_language_are_left_out_and_counted(tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    german = (
        "Der Fluss trat nach dem langen Regen über die Ufer, und die Leute aus dem Dorf brachten "
        "ihre Tiere auf den Hügel, wo sie bis zum Ende der Woche in den alten Scheunen blieben."
    )
    file = tmp_path / "texts.txt"
    file.write_text(f"{TEXT}\n{german}\n", encoding="utf-8")
    found, counts = rows(settings(file, only_language=True, tasks=("entities",)))
    assert [row.text for row in found] == [TEXT]
    assert counts.drops == {"passage: another language": 1}
    both = rows(settings(file, tasks=("entities",)))[0]
    assert len(both) == 2


def test_fewer_tasks_a_text_are_drawn_by_seed(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "texts.jsonl", 12)
    found, _ = rows(settings(file, tasks_per_text=2))
    assert len(found) == 24
    assert len({row.recipe for row in found}) > 3


def test_every_recipe_has_several_styles_that_ask_for_the_text() -> None:
    for name in RECIPES:
        styles = RECIPES[name].prompts["en"]
        assert len(styles) >= 2
        for style in styles:
            filled = RECIPES[name].filled("en", style, text="a {count} {text} b", count=7)
            assert filled.endswith("Text:\na {count} {text} b")
            assert "{count}" not in filled.removesuffix("a {count} {text} b")


def test_the_prompt_holds_the_text_and_the_count(tmp_path: Path) -> None:
    found, _ = rows(settings(write_texts(tmp_path / "t.jsonl", 1), tasks=("entities",)))
    assert TEXT in prompt(found[0])
    assert str(found[0].count) in prompt(found[0])


def test_near_duplicates_are_planned_once(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    long = " ".join(f"word{i}" for i in range(100))
    file.write_text(f"{long}\n{long} and\n{long.upper()}\n{TEXT}\n", encoding="utf-8")
    found, counts = rows(settings(file, tasks=("entities",)))
    assert len(found) == 2
    assert counts.drops == {"passage: near duplicate": 2}
    assert len(rows(settings(file, tasks=("entities",), similarity=1.0))[0]) == 3


@pytest.mark.parametrize(
    "line",
    [
        {"context": f"Before that. {TEXT}"},
        {"tokens": TEXT.lower().replace(".", " .").split()},
        {"rows": [{"question": TEXT[84:160]}]},
    ],
)
def test_passages_that_share_13_words_with_a_benchmark_are_left_out(
    tmp_path: Path, line: dict[str, Any]
) -> None:
    benchmark = tmp_path / "benchmark.jsonl"
    benchmark.write_text(json.dumps(line) + "\n", encoding="utf-8")
    texts = tmp_path / "texts.txt"
    other = " ".join(f"word{i}" for i in range(50))
    texts.write_text(f"{TEXT}\n{other}\n", encoding="utf-8")
    found, counts = rows(settings(texts, tasks=("entities",), benchmarks=(str(benchmark),)))
    assert [row.text for row in found] == [other]
    assert counts.drops == {"passage: in a benchmark": 1}


def test_universal_ner_reads_shorter_passages(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    text = " ".join(f"Sentence number {i} says little about that." for i in range(60))
    file.write_text(text + "\n", encoding="utf-8")
    found, _ = rows(settings(file, tasks=("entities", "entity_types")))
    longest = {
        task: max(num_tokens(row.text) for row in found if row.recipe == task)
        for task in ("entities", "entity_types")
    }
    assert longest["entity_types"] <= 256 < longest["entities"] <= 400


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(20, 60))
def test_passages_are_pieces_of_the_text_within_the_limits(lengths: list[int], most: int) -> None:
    text = " ".join(" ".join(["Word"] * length) + "." for length in lengths)
    for passage in passages(text, most, 5):
        assert passage in text
        assert 5 <= num_tokens(passage) <= most


def test_packed_and_plain_files_read_the_same(tmp_path: Path) -> None:
    line = json.dumps({"text": "Über uns"}) + "\n\n"
    (tmp_path / "a.jsonl").write_text(line, encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    (tmp_path / "c.jsonl.xz").write_bytes(lzma.compress(line.encode()))
    (tmp_path / "d.txt").write_text("Über uns\n", encoding="utf-8")
    (tmp_path / "e.md").write_text("no source\n", encoding="utf-8")
    table = pyarrow.table({"id": [1], "text": ["Über uns"]})
    pyarrow.parquet.write_table(table, tmp_path / "f.parquet")
    assert list(read_texts(text_files([str(tmp_path)]), "text")) == ["Über uns"] * 5


def test_the_plan_reads_as_it_was_written(tmp_path: Path) -> None:
    given = settings(write_texts(tmp_path / "texts.jsonl", 3))
    write_plan(planned(given, Benchmarks(()), PlanCounts()), tmp_path / "plan.jsonl")
    assert list(read_plan(tmp_path / "plan.jsonl")) == rows(given)[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": 1}', r"a\.jsonl:1: expected text in field 'text', found 1"),
        ("a.jsonl", "[", r"a\.jsonl:1: not JSON"),
        ("a.csv", "x", "expected a name that ends in"),
        ("a.jsonl.xz", "x", "cannot be read"),
    ],
)
def test_bad_sources_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        rows(settings(tmp_path / name))


def test_a_missing_source_and_an_unknown_task_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        rows(settings(tmp_path / "none.jsonl"))
    with pytest.raises(ConfigError, match=r"unknown recipe 'entitis'.*did you mean 'entities'"):
        settings(tmp_path, tasks=("entitis",))
